"""The kept copy of the experiment file beside the file that the report is made from."""

from __future__ import annotations

from pathlib import Path

from report_data import prepare

from harness.design.experiment_file import read_experiment_file
from harness.report.kept_file import kept_file
from harness.tracking.reader import read_experiment

TEXT = 'name = "small"\nseeds = [0, 1]\n[training]\nsteps = 40\n[[evaluation]]\nextractor = "digits"\n'


def test_what_the_file_says_otherwise_than_the_kept_copy_is_told(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(f'{TEXT}[[cell]]\nname = "wide"\nlatent_dim = 7\n')
    plan = read_experiment_file(path, ("training.steps=20",)).plan
    prepare(plan, tmp_path / "runs", f"# --set training.steps=20\n{path.read_text()}")
    kept = kept_file(read_experiment(plan, tmp_path / "runs"))
    assert kept is not None
    assert (kept.text, kept.overrides, kept.differs_in) == (path.read_text(), ("training.steps=20",), ())
    path.write_text(f'{path.read_text()}[[claim]]\ncell = "wide"\n[labels]\n"wide" = "broad"\n')
    plan = read_experiment_file(path).plan
    kept = kept_file(read_experiment(plan, tmp_path / "runs"))
    assert kept is not None and kept.differs_in == ("training", "claim", "labels")
