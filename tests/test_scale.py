"""Many runs: what is read, written and held grows with what changed, not with how many runs there are.

Counts, not times: a part whose work for one more run grows with the number of runs shows in how often files are opened.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from report_data import Story, live, many_cells, prepare, write_run

from harness.design.expansion import Plan
from harness.report import live as live_page
from harness.report import live_reader
from harness.report.live import MOST_CELLS, MOST_RUNS, LivePage, render_live
from harness.report.live_reader import LiveReader
from harness.store.looks import SETTLED_NS, Looks
from harness.store.records import append_record
from harness.store.rundir import RunDirectory, experiment_directory
from harness.tracking.reader import ExperimentView, read_experiment

RUNNING = LivePage("small", "told", 1.7e9, True, "FID")
QUIET = Story(pictured=False)


class _Opened:
    """Counts what this process opens or lists, by the name of the file; an audit hook cannot be taken away again."""

    def __init__(self) -> None:
        self.names: Counter[str] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.names is not None and event in ("open", "os.scandir") and isinstance(arguments[0], str | Path):
            self.names[Path(arguments[0]).name] += 1

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        self.names = names = Counter()
        try:
            yield names
        finally:
            self.names = None


@pytest.fixture(scope="module")
def opened() -> _Opened:
    return _Opened()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at a time when every file of the test was written long ago."""
    now = time.time_ns() + 10**6 * SETTLED_NS
    monkeypatch.setattr("harness.store.looks.time.time_ns", lambda: now)


def looked_at(plan_runs: int, runs_dir: Path, looks: Looks) -> Callable[[], ExperimentView]:
    plan = many_cells(plan_runs // 2)
    live(plan, runs_dir, {cell.name: QUIET for cell in plan.cells})
    return lambda: read_experiment(plan, runs_dir, looks=looks)


@pytest.mark.usefixtures("settled")
def test_of_settled_runs_only_the_locks_are_asked_again(tmp_path: Path, opened: _Opened) -> None:
    read = looked_at(20, tmp_path, Looks())
    first = read()
    assert {run.status.state for run in first.runs} == {"complete"}
    read()
    with opened.counted() as names:
        again = read()
    assert [run.status for run in again.runs] == [run.status for run in first.runs]
    assert {name for name, count in names.items() if count > 4} <= {"lock", "state"}, names


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "networks.json",
        "attempts.jsonl",
        "metrics.jsonl",
        "state/*.json",
        "state/*.pt",
        "checkpoints/*.safetensors",
        "checkpoints/*.sha256",
        "evaluations/*.json",
    ],
)
@pytest.mark.parametrize("change", ["damaged", "removed"])
def test_whatever_changes_in_a_settled_run_is_seen(tmp_path: Path, name: str, change: str) -> None:
    """By a look at files that were looked at before, exactly as by the first one."""
    looks = Looks()
    read = looked_at(4, tmp_path, looks)
    run = read().runs[0]
    read()
    assert run.directory is not None
    for path in sorted(run.directory.root.glob(name))[-1:]:
        if change == "removed":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-3] + b"@@\n")  # of the same size
    fresh = read_experiment(read().plan, tmp_path)
    assert [one.status for one in read().runs] == [one.status for one in fresh.runs]


def test_the_live_page_reads_only_what_changed_and_lists_the_folder_as_often_for_many(
    tmp_path: Path, opened: _Opened
) -> None:
    plan = many_cells(15)
    live(plan, tmp_path, {cell.name: QUIET for cell in plan.cells})
    reader = LiveReader(plan, tmp_path)
    with opened.counted() as names:
        reader.look()
    assert names["small"] <= 3  # the folder of all 30 runs
    with opened.counted() as names:
        reader.look()
    assert set(names) <= {"small", "experiment.json"}
    drawn = next(place for place, run in enumerate(reader.look()) if run.losses and place > 5)
    changed = experiment_directory(tmp_path, "small").runs()[plan.runs[drawn].key[:8]]
    append_record(changed.metrics, {"step": 401, "n": 1, "seconds": 0.1, "loss/generator": 1.0, "time": 0.0})
    with opened.counted() as names:
        found = reader.look()
    assert found[drawn].losses["loss/generator"][-1] == (401.0, 1.0)
    assert names["metrics.jsonl"] <= 4 and names["run.json"] <= 2, names


def test_losses_are_held_of_a_bounded_number_of_runs_that_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "MOST_CURVES", 3)
    plan = many_cells(6)
    live(plan, tmp_path, {cell.name: QUIET for cell in plan.cells})
    reader = LiveReader(plan, tmp_path)
    for _ in range(2):
        found = reader.look()
        assert len([run for run in found if run.losses]) == 3
        assert all(run.measured for run in found)
    page = render_live(RUNNING, found, tmp_path)
    assert page.count("<h3>") == 6


def test_a_run_that_is_over_and_goes_on_shows_all_its_losses_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_reader, "MOST_CURVES", 0)
    plan = many_cells(1)
    live(plan, tmp_path, {cell.name: QUIET for cell in plan.cells})
    reader = LiveReader(plan, tmp_path)
    assert not any(run.losses for run in reader.look())
    monkeypatch.setattr(live_reader, "MOST_CURVES", 9)
    changed = experiment_directory(tmp_path, "small").runs()[plan.runs[0].key[:8]]
    append_record(changed.metrics, {"step": 401, "n": 1, "seconds": 0.1, "loss/generator": 1.0, "time": 0.0})
    (losses,) = [run.losses["loss/generator"] for run in reader.look() if run.losses]
    assert (losses[0][0], losses[-1][0]) == (10.0, 401.0) and len(losses) == 41


def test_the_page_is_bounded_and_shows_what_went_wrong_first(tmp_path: Path) -> None:
    plan = many_cells(400)
    live_of(plan, tmp_path, plan.runs[-1].name, Story("failed", reached=200))
    live_of(plan, tmp_path, plan.runs[500].name, Story("diverged", reached=200))
    text = render_live(RUNNING, LiveReader(plan, tmp_path).look(), tmp_path)
    assert len(re.findall('class="state ', text)) == MOST_RUNS
    assert text.count('class="state failed"') == text.count('class="state diverged"') == 1
    assert text.count("<h3>") == MOST_CELLS
    assert f"{800 - MOST_RUNS} more runs are counted above" in text
    assert f"{400 - MOST_CELLS} more cells are not drawn, here and above" in text
    smaller = render_live(RUNNING, LiveReader(many_cells(200), tmp_path).look(), tmp_path)
    assert len(text) < 1.1 * len(smaller)


def test_a_page_with_room_for_all_says_nothing_of_it(tmp_path: Path) -> None:
    text = render_live(RUNNING, LiveReader(many_cells(5), tmp_path).look(), tmp_path)
    assert "more runs are counted" not in text and "are not drawn" not in text


def test_every_state_has_its_rank() -> None:
    states = {"pending", "running", "interrupted", "complete", "diverged", "failed"}
    assert set(live_page._RANKS) == states


def live_of(plan: Plan, runs_dir: Path, name: str, story: Story) -> RunDirectory:
    """One run of the plan alone."""
    prepare(plan, runs_dir)
    (run,) = [run for run in plan.runs if run.name == name]
    return write_run(run, plan, runs_dir, story)
