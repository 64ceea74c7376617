"""`harness report`: its options, its exit codes, and `--verify` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_data import live, paint_nothing
from typer.testing import CliRunner

from harness.cli import app
from harness.design.experiment_file import read_experiment_file
from harness.errors import EvidenceError, HarnessError, StoreError
from harness.tracking.reader import read_experiment

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
samples = 100
repeats = 3
[report]
samples = 16
sections = ["comparison", "problems"]
"""


@pytest.fixture(autouse=True)
def _unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    paint_nothing(monkeypatch)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(TEXT, encoding="utf-8")
    live(read_experiment_file(path).plan, tmp_path / "runs")
    return path


def call(*arguments: str) -> tuple[int, str]:
    """Exit code and what was printed on stdout."""
    done = CliRunner().invoke(app, ["report", *arguments])
    if isinstance(done.exception, HarnessError):
        raise done.exception
    return done.exit_code, done.stdout


def test_a_report_is_written_and_holds_until_it_is_changed(file: Path) -> None:
    assert call(str(file), "--format", "md")[0] == 0
    code, text = call("--verify", "reports/small")
    assert code == 0
    assert text.startswith("all holds: compared ")
    assert "4 checkpoint files of 2 runs; without FILE the report is not made again" in text
    code, text = call(str(file), "--verify", "reports/small")
    assert code == 0 and "the report was made again and compared" in text
    page = Path("reports/small/report.md")
    page.write_text(page.read_text(encoding="utf-8").replace("baseline", "bassline", 1), encoding="utf-8")
    code, text = call("--verify", "reports/small")
    assert code == 1
    assert text.splitlines()[0] == "report.md: does not match the SHA-256 in report.json"
    assert text.splitlines()[-1].startswith("1 thing does not hold; compared ")
    code, text = call("--verify", "reports/small", "--json")
    document = json.loads(text)
    assert (code, document["holds"], document["runs"]) == (1, False, 2)
    assert document["doubts"] == [{"file": "report.md", "what": "does not match the SHA-256 in report.json"}]


def test_runs_that_are_named_and_not_there_are_a_fault(file: Path) -> None:
    call(str(file), "--format", "md")
    for arguments in ((str(file), "--runs-dir", "elsewhere"), ("--runs-dir", "elsewhere")):
        code, text = call(*arguments, "--verify", "reports/small")
        assert code == 1
        assert text.startswith(f"{Path.cwd() / 'elsewhere' / 'small'}: no runs lie here\n1 thing does not hold;")
    Path("runs").rename("moved")
    code, text = call("--verify", "reports/small", "--json")
    document = json.loads(text)
    assert (code, document["holds"], document["compared"], document["runs"]) == (0, True, "files", None)
    code, text = call("--verify", "reports/small")
    assert code == 0 and "its runs are not at hand" in text
    Path("moved").rename("runs")
    assert json.loads(call(str(file), "--verify", "reports/small", "--json")[1])["compared"] == "report"


def test_forms_and_languages(file: Path) -> None:
    call(str(file), "--format", "md", "--output", "one")
    assert not Path("one/report.html").exists()
    call(str(file), "--format", "html", "--output", "one")
    assert Path("one/report.html").exists() and Path("one/report.md").exists()
    call(str(file), "--format", "md", "--output", "one")
    assert not Path("one/report.html").exists()  # the page of before would tell of other runs one day
    for option, value in (("--format", "pdf"), ("--language", "fr"), ("--source", "disk")):
        with pytest.raises(HarnessError) as refused:
            call(str(file), option, value)
        assert refused.value.where == option


def test_what_is_missing_is_said(file: Path) -> None:
    with pytest.raises(HarnessError, match="FILE is missing"):
        call()
    with pytest.raises(StoreError, match="no report lies here"):
        call("--verify", "runs")
    call(str(file), "--format", "md")
    other = file.with_name("other.toml")
    other.write_text(TEXT.replace('"small"', '"other"'), encoding="utf-8")
    with pytest.raises(HarnessError, match="the report is of 'small', FILE is 'other'"):
        call(str(other), "--verify", "reports/small")
    with pytest.raises(HarnessError, match="without FILE"):
        call("--verify", "reports/small", "--source", "mlflow")


def test_a_damaged_checkpoint_ends_with_exit_code_1(file: Path) -> None:
    run = read_experiment(read_experiment_file(file).plan, Path("runs")).runs[0]
    assert run.directory is not None
    run.directory.checkpoint(400).write_bytes(b"other")
    with pytest.raises(EvidenceError) as refused:
        call(str(file))
    assert refused.value.exit_code == 1
    assert not Path("reports/small/report.md").exists()
