"""`load_results`: tidy frames that say what the files say, from both sources, without weight at import."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from report_data import Story, live, write_samples
from tracking_data import Laboratory

from harness import load_results
from harness.design.experiment_file import read_experiment_file
from harness.errors import EvidenceError, HarnessError
from harness.tracking.projection import finish, project
from harness.tracking.reader import read_experiment
from harness.tracking.stores import resolve_address

pytest_plugins = ["tracking_fixtures"]

TEXT = """name = "small"
seeds = [0, 1]
[baseline]
resolution = 16
latent_dim = 16
[training]
steps = 400
log_every = 10
checkpoint_every = 200
[[evaluation]]
extractor = "digits"
metrics = ["fid", "fid_pooled"]
samples = 100
repeats = 3
[[grid]]
kind = "one-at-a-time"
levels.latent_dim = [100]
[[cell]]
name = "mlp"
architecture = "mlp"
[report]
samples = 16
[labels]
"latent_dim=100" = "wide"
"""
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "analysis.py"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment file with its runs beside it; one run diverged, one has no file at all."""
    folder = tmp_path_factory.mktemp("results")
    path = folder / "small.toml"
    path.write_text(TEXT, encoding="utf-8")
    plan = read_experiment_file(path).plan
    stories = {"mlp seed 1": Story("diverged", reached=200, fid=90), "latent_dim=100": Story(fid=10)}
    live(plan, folder / "runs", stories)
    return path


def frame(file: Path, kind: str, **options: object) -> pd.DataFrame:
    return load_results(file, kind=kind, runs_dir=file.parent / "runs", **options)  # type: ignore[arg-type]


def test_a_checkpoint_that_is_gone_changes_no_row(file: Path, tmp_path: Path) -> None:
    shutil.copytree(file.parent, tmp_path / "copy")
    next((tmp_path / "copy" / "runs").glob("*/baseline--s0--*/checkpoints/*400.safetensors")).unlink()
    for kind in ("evaluations", "runs"):
        pd.testing.assert_frame_equal(frame(tmp_path / "copy" / file.name, kind), frame(file, kind))


def test_a_row_per_measured_value(file: Path) -> None:
    found = frame(file, "evaluations")
    assert found.columns.to_list() == [
        "cell", "label", "seed", "key", "state", "architecture", "latent_dim",
        "step", "metric", "protocol", "protocol_sha256", "checkpoint_sha256", "repeat", "value",
    ]  # fmt: skip
    assert len(found) == 11 * (3 + 1)  # six runs at two checkpoints, but for the one that diverged
    fid = found[found["metric"] == "fid"]
    assert sorted(fid["repeat"].unique()) == [0, 1, 2]
    assert found[found["metric"] == "fid_pooled"]["repeat"].isna().all()
    view = read_experiment(read_experiment_file(file).plan, file.parent / "runs")
    for run in view.runs:
        for step, digest in run.checkpoints().items():
            evaluation = run.evaluation(0, step)
            rows = fid[(fid["key"] == run.run.key) & (fid["step"] == step)]
            assert evaluation is not None and rows["value"].to_list() == evaluation.values["fid"]
            assert set(rows["checkpoint_sha256"]) == {digest}
            assert set(rows["protocol_sha256"]) == {evaluation.protocol_sha256}
    wide = found[found["cell"] == "latent_dim=100"]
    assert (set(wide["label"]), set(wide["latent_dim"]), set(wide["architecture"])) == ({"wide"}, {100}, {"cnn"})
    assert set(found[found["cell"] == "mlp"]["architecture"]) == {"mlp"}


def test_a_row_per_record(file: Path) -> None:
    found = frame(file, "training")
    assert found.groupby("key").size().to_list() == [40, 40, 40, 40, 40, 20]
    view = read_experiment(read_experiment_file(file).plan, file.parent / "runs")
    rows = found[found["key"] == view.runs[0].run.key]
    assert rows["loss/generator"].to_list() == [record["loss/generator"] for record in view.runs[0].metrics()]
    assert rows["step"].to_list() == list(range(10, 401, 10))


def test_a_row_per_run_also_of_those_that_never_started(file: Path) -> None:
    found = frame(file, "runs", overrides=("seeds=[0, 1, 2]",))
    assert found.groupby("state").size().to_dict() == {"complete": 5, "diverged": 1, "pending": 3}
    diverged = found[found["state"] == "diverged"].iloc[0]
    assert (diverged["cell"], diverged["seed"], diverged["step"], diverged["steps"]) == ("mlp", 1, 200, 400)
    assert (diverged["checkpoints"], diverged["seconds"]) == (1, pytest.approx(2.0))
    assert "not finite" in diverged["reason"]
    assert frame(file, "evaluations", overrides=("seeds=[7]",)).empty
    assert "value" in frame(file, "evaluations", overrides=("seeds=[7]",)).columns


def test_mlflow_gives_the_same_rows(lab: Laboratory, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    text = 'name = "small"\nseeds = [0, 1]\n[training]\nsteps = 40\nlog_every = 10\ncheckpoint_every = 20\n'
    path.write_text(text + '[[evaluation]]\nextractor = "digits"\nrepeats = 3\n[[cell]]\nlatent_dim = 7\n')
    lab.complete(0, 2)
    for run in lab.view().runs:
        if run.directory is None:
            continue
        for step, digest in run.checkpoints().items():
            write_samples(run.directory.samples(step), run.run.key, step, digest, 16)
    address = resolve_address(None, lab.runs_dir)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    for kind in ("evaluations", "training", "runs"):
        there = load_results(path, kind=kind, runs_dir=lab.runs_dir)  # type: ignore[arg-type]
        stored = load_results(path, kind=kind, runs_dir=lab.runs_dir, source="mlflow")  # type: ignore[arg-type]
        assert not there.empty
        pd.testing.assert_frame_equal(stored, there)


def test_damaged_runs_are_refused_not_left_out(file: Path, tmp_path: Path) -> None:
    shutil.copytree(file.parent / "runs", tmp_path / "runs")
    path = max((tmp_path / "runs" / "small").glob("*/evaluations/*400*.json"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for kind in ("evaluations", "training", "runs"):
        with pytest.raises(EvidenceError):
            load_results(file, kind=kind, runs_dir=tmp_path / "runs")  # type: ignore[arg-type]


def test_what_is_not_asked_for_in_words_is_refused(file: Path) -> None:
    with pytest.raises(HarnessError, match="no kind of results"):
        frame(file, "losses")
    with pytest.raises(HarnessError, match="holds no runs"):
        frame(file, "runs", source="disk")
    with pytest.raises(HarnessError, match="there is no store to read from") as refused:
        frame(file, "runs", source="mlflow", tracking_uri="none")
    assert 'source="runs"' in refused.value.remedy


def test_importing_harness_loads_nothing_heavy() -> None:
    code = "import sys, json, harness; harness.load_results; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert not {"pandas", "torch", "mlflow", "numpy", "matplotlib"} & set(loaded)


def test_the_example_runs_from_top_to_bottom(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("EXPERIMENT", str(file))
    monkeypatch.setenv("RUNS_DIR", str(file.parent / "runs"))
    found = runpy.run_path(str(EXAMPLE))
    differences = found["differences"].set_index("cell")
    assert differences.loc["baseline", "verdict"] == "baseline"
    assert differences.loc["latent_dim=100", "verdict"] == "helps"
    assert -60 < differences.loc["latent_dim=100", "percent"] < -40  # 10 against 20
    assert differences.loc["mlp", "seeds"] == 0 or differences.loc["mlp", "verdict"] != "helps"
    assert len(found["figure"].axes[0].get_lines()) >= 3
