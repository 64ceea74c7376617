"""A run may end anywhere and be damaged: the next call finishes it, bit for bit as if nothing had been."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gan_tasks import (
    KillAfter,
    Killed,
    StopAfter,
    assert_same_run,
    digits,
    records,
    run,
    small_task,
    stored_state,
    with_settings,
)

from harness.gan.state import rewind
from harness.gan.training import TrainingTask, train
from harness.store import atomic
from harness.store.commits import newest_commit
from harness.store.rundir import RunDirectory


def finished(root: Path, **options: object) -> TrainingTask:
    task = small_task(root, **options)  # type: ignore[arg-type]
    assert run(task).outcome == "finished"
    return task


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> TrainingTask:
    return finished(tmp_path_factory.mktemp("uninterrupted"))


@pytest.mark.parametrize("stops", [[1], [13], [23, 1, 5], [10], [39]])
def test_stopping_and_going_on_changes_nothing(tmp_path: Path, uninterrupted: TrainingTask, stops: list[int]) -> None:
    task = small_task(tmp_path)
    at = 0
    for steps in stops:
        at += steps
        result = run(task, StopAfter(steps))
        assert (result.outcome, result.step) == ("interrupted", at)
        commit = newest_commit(task.run)
        assert commit is not None and commit.step == at
    assert run(task).outcome == "finished"
    assert_same_run(task.run, uninterrupted.run)


@pytest.mark.parametrize("levels", [{}, {"generator": "mlp", "discriminator": "mlp", "normalization": "none"}])
def test_going_on_works_for_every_family(tmp_path: Path, levels: dict[str, str]) -> None:
    images = digits().repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    whole = small_task(tmp_path / "whole", steps=12, resolution=16, **levels)
    parts = small_task(tmp_path / "parts", steps=12, resolution=16, **levels)
    train(whole, images, lambda: False)
    assert train(parts, images, StopAfter(9)).step == 9
    train(parts, images, lambda: False)
    assert_same_run(parts.run, whole.run)


@pytest.mark.parametrize("steps", [3, 18, 36])
def test_a_killed_run_goes_on_from_its_newest_state(tmp_path: Path, uninterrupted: TrainingTask, steps: int) -> None:
    task = small_task(tmp_path)
    with pytest.raises(Killed):
        run(task, KillAfter(steps))
    with task.run.metrics.open("ab") as file:
        file.write(b'{"step": 999, "torn')
    assert run(task).outcome == "finished"
    assert_same_run(task.run, uninterrupted.run)


def test_death_at_any_write_loses_nothing(
    tmp_path: Path, uninterrupted: TrainingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at its k-th write, for every k; what it left behind is enough to finish equally."""
    write, done, deadly = atomic.write_bytes, 0, 0
    written: list[str] = []

    def dying_write(path: Path, content: bytes) -> None:
        nonlocal done
        done += 1
        if done == deadly:
            raise Killed
        written.append("/".join(path.parts[-2:]))
        write(path, content)

    monkeypatch.setattr(atomic, "write_bytes", dying_write)
    first = small_task(tmp_path / "first", steps=20)
    run(first)
    writes = done
    assert written[: writes // 2] == [
        "checkpoints/step-000010.safetensors",
        "checkpoints/step-000010.safetensors.sha256",
        "samples/step-000010.png",
        "state/step-000010.pt",
        "state/step-000010.json",
    ]
    for deadly in range(1, writes + 1):
        done = 0
        task = small_task(tmp_path / str(deadly), steps=20)
        with pytest.raises(Killed):
            run(task)
        done = -1000
        run(task)
        assert_same_run(task.run, first.run)
        assert len(list(task.run.states.iterdir())) == 4


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: list[tuple[Callable[[RunDirectory], Path], Callable[[Path], None]]] = [
    (lambda run: run.state(40), flip),
    (lambda run: run.state(40), truncate),
    (lambda run: run.state(40), Path.unlink),
    (lambda run: run.commit(40), flip),
]


@pytest.mark.parametrize(("file_of", "damage"), DAMAGES)
def test_the_state_before_takes_over(
    tmp_path: Path,
    uninterrupted: TrainingTask,
    caplog: pytest.LogCaptureFixture,
    file_of: Callable[[RunDirectory], Path],
    damage: Callable[[Path], None],
) -> None:
    task = finished(tmp_path)
    damage(file_of(task.run))
    first_asked: list[int] = []

    def stop() -> bool:
        first_asked.append(len(task.run.committed_steps()))
        return False

    with caplog.at_level(logging.WARNING, "harness"):
        assert run(task, stop).outcome == "finished"
    assert str(file_of(task.run)) in caplog.text
    assert len(first_asked) == 11  # it went on from step 30: once before the first step, once at each of ten
    assert first_asked[0] == 1  # the commit that did not hold was gone before training went on
    assert_same_run(task.run, uninterrupted.run)


def test_with_both_states_damaged_the_run_is_replayed(
    tmp_path: Path, uninterrupted: TrainingTask, caplog: pytest.LogCaptureFixture
) -> None:
    task = finished(tmp_path)
    flip(task.run.state(40))
    flip(task.run.state(30))
    with caplog.at_level(logging.WARNING, "harness"):
        run(task)
    assert str(task.run.state(40)) in caplog.text and str(task.run.state(30)) in caplog.text
    assert_same_run(task.run, uninterrupted.run)


def test_damaged_records_send_the_run_back(
    tmp_path: Path, uninterrupted: TrainingTask, caplog: pytest.LogCaptureFixture
) -> None:
    """The record of step 35 counts for the state of 40, but not yet for that of 30."""
    task = finished(tmp_path)
    truncate(task.run.metrics)
    with caplog.at_level(logging.WARNING, "harness"):
        run(task)
    assert str(task.run.metrics) in caplog.text
    assert_same_run(task.run, uninterrupted.run)


def test_a_state_of_another_run_is_refused(
    tmp_path: Path, uninterrupted: TrainingTask, caplog: pytest.LogCaptureFixture
) -> None:
    other = replace(small_task(tmp_path, steps=10), key="cd" * 32, seed=5)
    run(other)
    task = small_task(tmp_path)
    with caplog.at_level(logging.WARNING, "harness"):
        run(task)
    assert "another run" in caplog.text
    assert_same_run(task.run, uninterrupted.run)


def test_raising_steps_trains_on(tmp_path: Path, uninterrupted: TrainingTask) -> None:
    """23 is inside a log interval and between checkpoints: nothing but its own checkpoint may tell of it."""
    task = finished(tmp_path, steps=23)
    assert [record["step"] for record in records(task.run)] == [7, 14, 21]
    longer = with_settings(task, steps=40)
    assert run(longer).outcome == "finished"
    task.run.checkpoint(23).unlink()
    (task.run.checkpoints / "step-000023.safetensors.sha256").unlink()
    assert_same_run(task.run, uninterrupted.run)


def test_lowering_steps_changes_nothing(tmp_path: Path) -> None:
    task = finished(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run(with_settings(task, steps=15))
    assert (result.outcome, result.step) == ("finished", 40)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_left_to_do_writes_nothing(tmp_path: Path) -> None:
    task = finished(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert run(task).outcome == "finished"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_another_log_interval_applies_from_where_the_run_stands(tmp_path: Path) -> None:
    task = small_task(tmp_path, log_every=10)
    run(task, StopAfter(13))
    run(with_settings(task, log_every=9, checkpoint_every=20))
    assert [(r["step"], r["n"]) for r in records(task.run)] == [(10, 10), (18, 8), (27, 9), (36, 9)]
    assert task.run.checkpoint(20).exists() and not task.run.checkpoint(30).exists()


def test_a_stop_before_the_first_step_leaves_the_run_pending(tmp_path: Path) -> None:
    task = small_task(tmp_path)
    result = run(task, lambda: True)
    assert (result.outcome, result.step) == ("interrupted", 0)
    assert task.run.committed_steps() == []


def test_a_stop_at_the_last_step_is_a_finish(tmp_path: Path) -> None:
    assert run(small_task(tmp_path), StopAfter(40)).outcome == "finished"


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    task = small_task(tmp_path)
    run(task, StopAfter(12))
    stray = [task.run.states / "step-000017.pt", task.run.states / ".step-000017.json.4711.tmp"]
    for path in stray:
        path.write_bytes(b"stray")
    run(task)
    assert not any(path.exists() for path in stray)


def test_rewinding_makes_a_lost_checkpoint_again(tmp_path: Path) -> None:
    task = finished(tmp_path)
    path = task.run.checkpoint(30)
    lost = path.read_bytes()
    path.unlink()
    rewind(task.run, 30)
    run(task)
    assert path.read_bytes() == lost


def test_states_hold_nothing_random(tmp_path: Path) -> None:
    """Noise and order are functions of seed and step, so a state is the weights, Adam and the sums."""
    task = finished(tmp_path, steps=10)
    assert set(stored_state(task.run)) == {
        "key", "step", "generator", "discriminator", "generator_optimizer", "discriminator_optimizer",
        "metrics", "sums", "n",
    }  # fmt: skip
    assert stored_state(task.run)["sums"].dtype == torch.float64
