"""The benchmark of scale: its table, and what it says of a side that does not work. No test looks at a time."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.design.experiment_file import read_experiment_file

ROOT = Path(__file__).resolve().parents[1]
MACHINE = {"cpu": "a processor", "gpu": None, "threads": 1, "cores": 2, "torch": "2.15.0", "system": "Linux x86_64"}


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module(name)


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("scale", monkeypatch)


@pytest.mark.parametrize("runs", [2, 8, 20, 400, 5000])
def test_every_side_gets_the_same_grid(runs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("scale_job", monkeypatch)
    (tmp_path / "trivial.toml").write_text(job.experiment_text(runs))
    plan = read_experiment_file(tmp_path / "trivial.toml").plan
    assert len(plan.runs) == len(job.rates(runs)) * len(job.seeds(runs)) >= runs
    assert {run.cell.hyperparameters.generator_lr for run in plan.runs} == set(job.rates(runs))


def test_the_job_is_one_step_of_harness_own_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("scale_job", monkeypatch)
    losses = job.train_once(tmp_path / "run", 1e-4, 0)
    assert set(losses) == {"loss/generator", "loss/discriminator"}
    assert losses == job.train_once(tmp_path / "again", 1e-4, 0) != job.train_once(tmp_path / "other", 1e-4, 1)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "checkpoints", "metrics.jsonl", "samples", "state"
    ]  # fmt: skip


def test_figures_are_of_the_watched_command_and_a_failure_tells_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = module("scale_watch", monkeypatch)
    code = "import time; held = bytearray(60_000_000); time.sleep(1)"
    taken = watch.watched([sys.executable, "-c", code], tmp_path, {})
    assert taken.seconds > 1 and 60 < taken.half_mb <= taken.peak_mb < 600
    with pytest.raises(watch.CommandFailed, match=r"^the last line$"):
        watch.watched([sys.executable, "-c", "print('first'); raise SystemExit('the last line')"], tmp_path, {})


def found(scale: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """4,000 runs of which each takes 10 ms and 1 KB, after a start of 2 s and 100 MB; and a side that did not work."""
    sides, watch = module("scale_sides", monkeypatch), module("scale_watch", monkeypatch)
    commands, table = module("scale_commands", monkeypatch), module("scale_table", monkeypatch)

    def taken(runs: int) -> object:
        mb = 100 + runs / 1000
        return watch.Taken(2 + 0.01 * runs, mb, mb, mb, 1.0)

    both = (taken(2000), taken(4000))
    return table.Found(
        "python benchmarks/scale.py --runs 4000",
        MACHINE,
        (
            sides.Measured("alone", "the job alone", "no grid", 4000, 1, *both),
            sides.Measured("files", "harness", "no report", 4000, 2, *both),
            sides.Measured("ray", "harness, Ray", "no report", 4000, 2, failed="no ray | here"),
        ),
        (commands.Command("status", 4000, *both), commands.Command("report", 4000, failed="no report")),
        commands.Folder(4000, 60_000, 400.0),
    )


def test_overhead_growth_and_what_a_million_would_take(scale: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    text = module("scale_table", monkeypatch).text(found(scale, monkeypatch)).splitlines()
    (line,) = [line.split() for line in text if line.startswith("harness  ")]
    assert line[:9] == ["harness", "4,000", "2", "42", "10.5", "5.5", "10", "104", "104"]  # 42 s / 4000, less 10 ms / 2
    assert line[9] == "1"  # KB a further run
    (line,) = [line.split() for line in text if line.startswith("status")]
    assert line == ["status", "4,000", "42", "10", "104", "10,002", "1,100"]
    assert any("not measured" in line and "no ray | here" in line for line in text)
    assert "15 files and 100 KB a run" in text[-1] and "15 million files of 100 GB" in text[-1]


def test_limits_come_in_the_order_in_which_they_are_met(scale: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    of = found(scale, monkeypatch)
    find = module("scale_limits", monkeypatch).limits
    told = {limit.what: limit.runs for limit in find(of.sides, of.commands, of.folder)}
    assert list(told.values()) == sorted(told.values()) and len(told) == 6
    assert told["`status` takes a minute"] == pytest.approx(5_800, abs=2)  # 2 s + 10 ms a run
    assert told["the folder of the runs takes 100 GB"] == pytest.approx(1_000_000)
    assert not find([], [replace(command, runs=40) for command in of.commands], None)


def test_the_page_is_filled_in_and_figures_are_kept_as_json(scale: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    table = module("scale_table", monkeypatch)
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    filled = table.page_part(page, found(scale, monkeypatch))
    assert "| harness, Ray | 4,000 | 2 | not measured |" in filled and "no ray   here" in filled
    assert filled.split("<!-- measured end -->")[1] == page.split("<!-- measured end -->")[1]
    with pytest.raises(ValueError, match="no single part"):
        table.part_of("a page without it")
    document = json.loads(json.dumps(scale.document(found(scale, monkeypatch))))
    assert document["training_ms"] == pytest.approx(10) and document["sides"][1]["ms_a_run"] == pytest.approx(10.5)


def test_unknown_sides_and_too_few_runs_are_refused(scale: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--only", "slurm"], ["--runs", "1"]):
        with pytest.raises(SystemExit):
            scale.parsed(arguments)
    assert "--only knows alone, files" in capsys.readouterr().err


def test_committed_figures_are_those_of_the_page(scale: ModuleType) -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    shown = page.split("<!-- measured: scale on cpu -->")[1].split("<!-- measured end -->")[0].strip()
    committed = ROOT / "benchmarks" / "measured" / "scale.json"
    assert committed.exists() == bool(shown)
    document = json.loads(committed.read_text(encoding="utf-8")) if shown else {"command": "", "sides": []}
    assert document["command"] in shown
    for side in document["sides"]:
        assert f"| {side['what']} | {side['runs']:,} |" in shown
