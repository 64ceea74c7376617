"""All that a key is made from stands in MLflow's parameters and in report.json: also the total and own files."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from report_data import live, report

from experiments import write_file
from harness.design.experiment_file import read_experiment_file
from harness.tracking.content import child_content
from harness.tracking.reader import read_experiment

FILE = """
name = "tiny"
seeds = [0]
[baseline]
resolution = 8
[training]
steps = 40
log_every = 10
checkpoint_every = 20
[[cell]]
name = "mine"
generator_normalization = "norms(1).py:Norm"
[[cell]]
name = "slower"
lr_decay_from = 0.5
"""
NORM = "from torch import nn\n\n\nclass Norm(nn.BatchNorm2d):\n    def __init__(self, channels):\n"
NORM += "        super().__init__(channels, eps=1e-5)\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(folder: Path, *sets: str) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, object]]]:
    """MLflow's parameters and report.json's runs, by cell."""
    plan = read_experiment_file(write_file(folder, FILE), sets).plan
    live(plan, folder / "runs")
    report(plan, folder / "runs", folder / "report")
    runs = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))["runs"]
    view = read_experiment(plan, folder / "runs")
    params = {
        run.run.cell.name: child_content(view, run, run.directory, "parent").params
        for run in view.runs
        if run.directory
    }
    return params, {run["cell"]: run for run in runs}


def test_an_edited_own_file_is_seen_where_the_key_has_it(here: Path) -> None:
    (here / "norms(1).py").write_text(NORM, encoding="utf-8")
    before, reported = shown(here)
    name = "sources.norms_28_1_29_.py"
    assert reported["mine"]["sources"] == {"norms(1).py": before["mine"][name]}
    assert name not in before["baseline"] and "sources" not in reported["baseline"]
    (here / "norms(1).py").write_text(NORM + "        # a remark\n", encoding="utf-8")
    assert shown(here)[0] == before
    (here / "norms(1).py").write_text(NORM.replace("1e-5", "1e-4"), encoding="utf-8")
    after, reported_again = shown(here)
    assert after["mine"][name] != before["mine"][name]
    assert reported_again["mine"]["sources"] != reported["mine"]["sources"]
    assert reported_again["mine"]["key"] != reported["mine"]["key"]
    assert {other: before[other] for other in ("baseline", "slower")} == {
        other: after[other] for other in ("baseline", "slower")
    }


def test_the_total_is_there_where_a_schedule_reads_it(here: Path) -> None:
    (here / "norms(1).py").write_text(NORM, encoding="utf-8")
    params, reported = shown(here)
    assert {cell: found.get("steps") for cell, found in params.items()} == {
        "baseline": None, "mine": None, "slower": "40",
    }  # fmt: skip
    assert {cell: found.get("steps") for cell, found in reported.items()} == {
        "baseline": None, "mine": None, "slower": 40,
    }  # fmt: skip


def test_mlflow_takes_the_names(here: Path) -> None:
    validation: Any = importlib.import_module("mlflow.utils.validation")
    (here / "norms(1).py").write_text(NORM, encoding="utf-8")
    params, _ = shown(here)
    for name in params["mine"]:
        validation._validate_param_name(name)
