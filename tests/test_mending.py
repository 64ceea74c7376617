"""What the thorough look finds, the worker mends under the run's lock: named in the log, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import TINY, run_here, views, write_file
from harness.cli.console import say
from harness.cli.damage import find_damage
from harness.execution.options import RunOptions
from harness.execution.runner import Summary
from harness.store import atomic
from harness.store.attempts import read_attempts
from harness.store.inspection import inspect_run
from harness.store.records import read_intact
from harness.store.rundir import RunDirectory
from harness.tracking.reader import RunView, read_experiment
from tests.experiments import opened

DIVERGING = TINY.replace('levels.architecture = ["mlp"]', "levels.lr = [1.0]\nlevels.betas = [[0.9, 0.0]]")
SETS = ("training.log_every=1", "grid.0.kind=paired", "baseline.resolution=16", "training.steps=20",
        "training.checkpoint_every=6")  # fmt: skip
DIVERGED = "lr=1.0,betas=0.9,0.0 seed 0"
BASELINE = "baseline seed 0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experiments, finished: `complete/tiny.toml`, and `diverged/tiny.toml` with one run that diverged."""
    folder = tmp_path_factory.mktemp("made")
    for name, text, sets in (("complete", TINY, ()), ("diverged", DIVERGING, SETS)):
        (folder / name).mkdir()
        path = write_file(folder / name, text)
        run_here(path, *sets)
        run_here(path, *sets, work="evaluate")
    return folder


@pytest.fixture
def complete(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "complete", tmp_path / "complete")) / "tiny.toml"


@pytest.fixture
def diverged(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "diverged", tmp_path / "diverged")) / "tiny.toml"


def call(path: Path, *sets: str, **options: Any) -> Summary:
    """As `harness run` or `evaluate`: the look first, then the work."""
    plan = opened(path, *sets).plan
    chosen = RunOptions(path.parent / "runs", frozenset(run.key for run in plan.runs), **options)
    found, warnings = find_damage(read_experiment(plan, chosen.runs_dir), chosen)
    for warning in warnings:
        say(warning)
    return run_here(path, *sets, damaged=found.damaged, **options)


def found(path: Path, name: str, *sets: str) -> tuple[RunView, RunDirectory]:
    view = views(path, *sets)[name]
    assert view.directory is not None
    return view, view.directory


def values(view: RunView) -> dict[int, object]:
    return {step: (evaluation := view.evaluation(0, step)) and evaluation.values for step in view.checkpoints()}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_nothing_damaged_is_nothing_to_do(complete: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(complete).results == {}
    assert capsys.readouterr().err == ""


def test_an_older_state_is_removed_and_the_weights_stay(complete: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = found(complete, BASELINE)
    before = run.state(24).stat().st_mtime_ns
    flip(run.state(12))
    assert [result.outcome for result in call(complete).results.values()] == ["finished"]
    named = f"{run.state(12)}: the state does not match its SHA-256; it is removed, as a newer state is whole"
    assert capsys.readouterr().err == f"warning: {named}\n"
    assert named in run.log.read_text(encoding="utf-8")
    assert run.committed_steps() == [24] and run.state(24).stat().st_mtime_ns == before
    assert call(complete).results == {}


def test_a_damaged_note_is_written_again_without_training(complete: Path) -> None:
    view, run = found(complete, BASELINE)
    state, note = run.state(24).stat().st_mtime_ns, atomic.note_of(run.checkpoint(12))
    content = note.read_bytes()
    for damaged in (b"", content[:-1], content.upper()):
        note.write_bytes(damaged)
        call(complete)
        assert note.read_bytes() == content
    assert run.state(24).stat().st_mtime_ns == state
    assert inspect_run(run, view.run.key) == ()


def test_damaged_attempts_lose_only_their_own_line(complete: Path) -> None:
    _, run = found(complete, BASELINE)
    before = read_attempts(run)
    records = read_intact(run.attempts)
    content = bytearray(run.attempts.read_bytes())
    content[5] ^= 1
    run.attempts.write_bytes(content)
    assert read_intact(run.attempts) == records[1:]
    call(complete)
    after = read_attempts(run)
    assert after[0].outcome == before[0].outcome == "finished"
    assert after[0].machine == {}  # what the damaged line said
    assert [attempt.outcome for attempt in after] == ["finished", "finished"]
    assert call(complete).results == {}


def test_evaluate_mends_what_needs_no_training(complete: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view, run = found(complete, BASELINE)
    before = values(view)
    evaluation = next(iter(sorted(run.evaluations.iterdir())))
    flip(run.state(24))
    flip(evaluation)
    assert [result.outcome for result in call(complete, work="evaluate").results.values()] == ["finished"]
    told = capsys.readouterr().err
    assert f"{run.state(24)}: the state does not match its SHA-256; `harness run` mends it" in told
    assert f"{evaluation}: " in told and "measured again" in told
    assert values(found(complete, BASELINE)[0]) == before
    assert [finding.path for finding in inspect_run(run, view.run.key)] == [run.state(24)]
    assert call(complete, work="evaluate").results == {}
    call(complete)
    assert inspect_run(run, view.run.key) == ()


def test_a_stale_evaluation_that_nothing_asks_for_goes_away(complete: Path) -> None:
    view, run = found(complete, BASELINE)
    stale = run.evaluation(12, "cd" * 32)
    stale.write_bytes(b"{}")
    call(complete)
    assert not stale.exists()
    assert inspect_run(run, view.run.key) == ()


def test_the_folder_of_another_run_is_refused(complete: Path) -> None:
    (view, run), (_, other) = found(complete, BASELINE), found(complete, "architecture=mlp seed 0")
    before = {path: path.read_bytes() for path in run.checkpoints.iterdir()}
    shutil.copy(other.run_json, run.run_json)
    result = call(complete).results[view.run.key]
    assert result.outcome == "failed" and "belongs to another run" in result.reason
    run.run_json.write_bytes(b"{}")
    assert call(complete).results[view.run.key].outcome == "finished"
    assert {path: path.read_bytes() for path in run.checkpoints.iterdir()} == before


def test_without_run_json_the_checkpoints_say_whose_folder_it_is(complete: Path) -> None:
    (view, run), (_, other) = found(complete, BASELINE), found(complete, "architecture=mlp seed 0")
    name = run.root
    shutil.rmtree(run.root)
    shutil.copytree(other.root, name)
    run.run_json.unlink()
    result = call(complete).results[view.run.key]
    assert result.outcome == "failed" and "belongs to another run" in result.reason


DAMAGE_THAT_NEEDS_TRAINING: list[Callable[[RunDirectory], Path]] = [
    lambda run: run.metrics,
    lambda run: run.checkpoint(6),
    lambda run: run.state(6),
    lambda run: run.commit(6),
]


@pytest.mark.parametrize("file_of", DAMAGE_THAT_NEEDS_TRAINING)
def test_a_diverged_run_is_trained_to_the_same_divergence(
    diverged: Path, file_of: Callable[[RunDirectory], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    view, run = found(diverged, DIVERGED, *SETS)
    assert view.status.state == "diverged" and view.status.commit and view.status.commit.step == 6
    checkpoints, losses = view.checkpoints(), [record["loss/generator"] for record in view.metrics()]
    flip(file_of(run))
    assert [result.outcome for result in call(diverged, *SETS).results.values()] == ["diverged"]
    assert str(file_of(run)) in capsys.readouterr().err
    assert str(file_of(run)) in run.log.read_text(encoding="utf-8")
    after, _ = found(diverged, DIVERGED, *SETS)
    assert (after.status.state, after.status.step, after.status.reason) == (
        "diverged", view.status.step, view.status.reason,
    )  # fmt: skip
    assert after.checkpoints() == checkpoints
    assert [record["loss/generator"] for record in after.metrics()] == losses
    assert values(after) == values(view)
    assert inspect_run(run, view.run.key) == ()
    assert call(diverged, *SETS).results == {}


@pytest.mark.parametrize("which", ["picture", "evaluation", "note", "manifest"])
def test_the_rest_of_a_diverged_run_is_mended_without_training(diverged: Path, which: str) -> None:
    view, run = found(diverged, DIVERGED, *SETS)
    files = {
        "picture": run.samples(6),
        "evaluation": next(iter(sorted(run.evaluations.iterdir()))),
        "note": atomic.note_of(run.checkpoint(6)),
        "manifest": run.run_json,
    }
    metrics, before = run.metrics.read_bytes(), values(view)
    assert before[6] is not None
    flip(files[which])
    call(diverged, *SETS)
    after, _ = found(diverged, DIVERGED, *SETS)
    assert (after.status.state, after.status.reason) == ("diverged", view.status.reason)
    assert run.metrics.read_bytes() == metrics
    assert values(after) == before
    assert inspect_run(run, view.run.key) == ()
    assert call(diverged, *SETS).results == {}


def test_evaluate_never_trains_a_run_without_a_state(complete: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, run = found(complete, BASELINE)
    shutil.rmtree(run.states)
    run.metrics.unlink()
    flip(run.run_json)
    flip(run.attempts)
    call(complete, work="evaluate")
    assert "run.json" in capsys.readouterr().err
    assert run.committed_steps() == [] and not run.metrics.exists()
    call(complete)
    assert run.committed_steps()[0] == 24


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here whose first byte is a read error")
def test_files_that_the_disk_does_not_give_back_are_made_again(complete: Path) -> None:
    view, run = found(complete, BASELINE)
    before = view.checkpoints()
    for place in (run.state(12), run.checkpoint(12)):
        place.unlink()
        place.symlink_to("/proc/self/mem")
    call(complete)
    view, _ = found(complete, BASELINE)
    assert (view.status.state, view.checkpoints()) == ("complete", before)
    assert inspect_run(run, view.run.key) == ()


def test_damaged_features_that_nobody_reads_are_removed_and_told_once(tmp_path: Path) -> None:
    """They are needed again only for another metric, and would be told by every command until then."""
    path = write_file(tmp_path)
    run_here(path)
    (features,) = (tmp_path / "runs" / "tiny" / "cache").glob("features-*.safetensors")
    whole = features.read_bytes()
    features.write_bytes(whole[:-9])
    plan = opened(path).plan
    options = RunOptions(tmp_path / "runs", frozenset(run.key for run in plan.runs))
    (warning,) = find_damage(read_experiment(plan, options.runs_dir), options)[1]
    assert features.name in warning
    assert not features.exists()
    assert find_damage(read_experiment(plan, options.runs_dir), options)[1] == []
    run_here(path, 'evaluation.0.metrics=["fid","kid"]')
    assert features.read_bytes() == whole
