"""`harness claims`: a sentence per claim, every cell without claims, and what is said before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, live

from harness.cli.app import app
from harness.design.experiment_file import read_experiment_file
from harness.errors import EvidenceError

FILE = """
name = "small"
seeds = [0, 1, 2]
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
[[grid]]
kind = "one-at-a-time"
levels.latent_dim = [100]
levels.normalization = ["none"]
[labels]
"normalization=none" = "without *norm*"
"""
CLAIM = '[[claim]]\ncell = "without *norm*"\nsmallest_effect = 0.1\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lived(here: Path, text: str) -> None:
    """Runs of the file in which taking normalization out makes FID fifteen times as large."""
    (here / "small.toml").write_text(text)
    live(read_experiment_file(here / "small.toml").plan, here / "runs", {"normalization=none": Story(fid=300)})


def call(*arguments: str) -> None:
    app(["claims", "small.toml", *arguments], standalone_mode=False)


def test_each_claim_has_its_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived(here, FILE + CLAIM)
    call()
    output = capsys.readouterr()
    (line,) = output.out.splitlines()
    assert line.startswith("without *norm* against baseline: FID ")
    assert "The whole interval lies beyond 10 %, the smallest difference that matters." in line
    assert "(95 % interval " in line and "; 3 seeds): hurts." in line
    assert "**" not in line and "`" not in line and "\\" not in line
    assert "The file makes 1 claim, which is the whole family of tests." in output.err


def test_without_claims_every_cell_is_told_of(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived(here, FILE)
    call()
    output = capsys.readouterr()
    assert [line.split(" against ")[0] for line in output.out.splitlines()] == ["latent_dim=100", "without *norm*"]
    assert "The file makes no [[claim]], so every cell is tested against the baseline" in output.err


def test_json_has_the_numbers_behind_each_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived(here, FILE + CLAIM)
    call("--json")
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (document["experiment"], document["declared"]) == ("small", True)
    (entry,) = document["claims"]
    assert (entry["metric"], entry["cell"], entry["against"]) == ("fid", "normalization=none", "baseline")
    assert (entry["verdict"], entry["seeds"], entry["family"]) == ("hurts", [0, 1, 2], 1)
    assert entry["ratio"] > 10 and entry["low"] < entry["estimate"] < entry["high"] and entry["p_holm"] < 0.05
    assert entry["se"] > 0 and entry["freedom"] > 0 and (entry["diverged"], entry["against_diverged"]) == (0, 0)
    assert entry["smallest_effect"] == 0.1 and entry["within_smallest"] is False
    assert entry["sentence"].startswith("without *norm* against baseline: FID")


def test_a_claim_may_be_set_on_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived(here, FILE)
    call("--set", 'claim=[{cell="latent_dim=100", against="without *norm*"}]')
    assert capsys.readouterr().out.startswith("latent_dim=100 against without *norm*: FID 30")


def test_before_anything_is_measured_it_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "small.toml").write_text(FILE + CLAIM)
    call()
    output = capsys.readouterr()
    assert output.out == "without *norm* against baseline: not measured yet.\n"
    assert "no runs at" in output.err
    assert not (here / "runs").exists()


def test_a_file_that_measures_nothing_has_nothing_to_compare(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, tail = FILE.split("[[evaluation]]")
    (here / "small.toml").write_text(head + tail[tail.index("[[grid]]") :])
    call()
    output = capsys.readouterr()
    assert output.out.strip() == "" and "there is nothing to compare" in output.err


def test_of_damaged_runs_nothing_is_claimed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lived(here, FILE + CLAIM)
    path = max((here / "runs" / "small").glob("normalization*/evaluations/*400*.json"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(EvidenceError):
        call()
    assert capsys.readouterr().out == ""
