"""The state of a run as its files alone tell it, in the words of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_files import PROTOCOL, commit_at, evaluate_at, holder_of, run_at

from harness.store import atomic
from harness.store.attempts import Outcome, begin_attempt, end_attempt
from harness.store.rundir import RunDirectory
from harness.store.status import NEVER_STARTED, RequiredEvaluation, missing_evaluations, run_status

BLOCK = RequiredEvaluation(PROTOCOL, (10, 20), ("fid",), repeats=2)
MACHINE = {"host": "here"}


def finished(folder: Path) -> RunDirectory:
    """A run at step 20 with both evaluations."""
    run = run_at(folder)
    begin_attempt(run, step=0, machine=MACHINE)
    commit_at(run, 20, checkpoints=(10, 20))
    evaluate_at(run, 10)
    evaluate_at(run, 20)
    end_attempt(run, "finished", step=20)
    return run


def attempted(run: RunDirectory, outcome: Outcome | None, *, step: int = 0, reason: str = "") -> None:
    begin_attempt(run, step=step, machine=MACHINE)
    if outcome:
        end_attempt(run, outcome, step=step, reason=reason)


def test_pending_before_anything_was_kept(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    assert run_status(None, 20, [BLOCK]) is NEVER_STARTED
    assert run_status(run, 20, [BLOCK]).state == "pending"
    attempted(run, None)
    atomic.write_bytes(run.state(5), b"not committed")
    status = run_status(run, 20, [BLOCK])
    assert (status.state, status.step, len(status.attempts), status.commit) == ("pending", 0, 1, None)
    assert not status.is_settled


@pytest.mark.parametrize("outcome", [None, "interrupted"])
def test_interrupted_where_a_state_exists(tmp_path: Path, outcome: Outcome | None) -> None:
    run = run_at(tmp_path)
    attempted(run, outcome)
    commit = commit_at(run, 10, checkpoints=(10,))
    status = run_status(run, 20, [BLOCK])
    assert (status.state, status.step, status.commit) == ("interrupted", 10, commit)
    assert status.missing == ((10, PROTOCOL),)
    assert not status.is_settled


def test_complete_at_the_files_steps_with_every_required_evaluation(tmp_path: Path) -> None:
    run = finished(tmp_path)
    status = run_status(run, 20, [BLOCK])
    assert (status.state, status.step, status.missing, status.reason) == ("complete", 20, (), "")
    assert status.is_settled
    assert run_status(run, 20, []).state == "complete"


def test_raised_steps_more_repeats_metrics_or_blocks_make_it_incomplete(tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert run_status(run, 21, [BLOCK]).state == "interrupted"
    more = [
        RequiredEvaluation(PROTOCOL, (10, 20), ("fid",), repeats=3),
        RequiredEvaluation(PROTOCOL, (10, 20), ("fid", "kid"), repeats=2),
        RequiredEvaluation("cd" * 32, (20,), ("fid",), repeats=1),
    ]
    for block in more:
        assert run_status(run, 20, [block]).state == "interrupted"
    assert run_status(run, 20, more).missing == (
        (10, PROTOCOL), (20, PROTOCOL), (10, PROTOCOL), (20, PROTOCOL), (20, "cd" * 32),
    )  # fmt: skip


def test_lowered_steps_stay_complete(tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert run_status(run, 10, [RequiredEvaluation(PROTOCOL, (10,), ("fid",), 2)]).state == "complete"


def test_a_lost_or_damaged_evaluation_makes_it_incomplete(tmp_path: Path) -> None:
    run = finished(tmp_path)
    path = run.evaluation(10, PROTOCOL)
    path.write_bytes(path.read_bytes()[:-1])
    status = run_status(run, 20, [BLOCK])
    assert (status.state, status.missing) == ("interrupted", ((10, PROTOCOL),))


def test_checkpoints_that_were_never_asked_for_are_not_missing(tmp_path: Path) -> None:
    run = finished(tmp_path)
    block = RequiredEvaluation(PROTOCOL, (5, 10, 15, 20), ("fid",), repeats=2)
    assert missing_evaluations(run, run_status(run, 20, []).commit, [block]) == ()
    assert run_status(run, 20, [block]).state == "complete"


def test_nothing_is_complete_before_the_protocols_are_known(tmp_path: Path) -> None:
    assert run_status(finished(tmp_path), 20, None).state == "interrupted"


def test_a_damaged_newest_commit_takes_the_run_back(tmp_path: Path) -> None:
    run = finished(tmp_path)
    commit_at(run, 30, checkpoints=(10, 20, 30))
    run.commit(30).write_bytes(b"{}")
    assert (run_status(run, 30, [BLOCK]).state, run_status(run, 30, [BLOCK]).step) == ("interrupted", 20)


def test_diverged_is_a_result_until_somebody_tries_again(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    attempted(run, "diverged", step=13, reason="a loss is not finite")
    status = run_status(run, 20, [BLOCK])
    assert (status.state, status.step, status.reason) == ("diverged", 13, "a loss is not finite")
    assert status.is_settled
    assert run_status(run, 30, [BLOCK]).state == "diverged"
    attempted(run, None, step=10)
    assert (run_status(run, 20, [BLOCK]).state, run_status(run, 20, [BLOCK]).reason) == ("interrupted", "")


def test_what_diverged_later_than_the_file_now_asks_for_is_no_divergence(tmp_path: Path) -> None:
    run = finished(tmp_path)
    attempted(run, "diverged", step=25, reason="a loss is not finite")
    status = run_status(run, 20, [BLOCK])
    assert (status.state, status.reason) == ("complete", "")
    more = RequiredEvaluation(PROTOCOL, (10, 20), ("fid",), repeats=3)
    assert run_status(run, 20, [more]).state == "interrupted"


def test_failed_names_its_reason_and_is_tried_again(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    attempted(run, "failed", reason="no such image: a.png")
    assert (run_status(run, 20, [BLOCK]).state, run_status(run, 20, [BLOCK]).reason) == (
        "failed",
        "no such image: a.png",
    )
    commit_at(run, 20, checkpoints=(10, 20))
    status = run_status(run, 20, [BLOCK])
    assert status.state == "failed"
    assert not status.is_settled
    attempted(run, "interrupted", step=20)
    assert run_status(run, 20, [BLOCK]).state == "interrupted"


def test_failed_once_and_finished_since_is_complete(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    attempted(run, "failed", reason="full disk")
    run = finished(tmp_path)
    assert run_status(run, 20, [BLOCK]).state == "complete"


def test_running_while_a_live_process_holds_the_lock(tmp_path: Path) -> None:
    runs = [finished(tmp_path / "finished"), run_at(tmp_path / "fresh")]
    attempted(runs[1], "failed", reason="earlier")
    before = [run_status(run, 20, [BLOCK]).state for run in runs]
    for run, state in zip(runs, before, strict=True):
        with holder_of(run.lock) as process:
            status = run_status(run, 20, [BLOCK])
            assert (status.state, status.reason, status.is_settled) == ("running", "", False)
            process.kill()
            process.wait()
            assert run_status(run, 20, [BLOCK]).state == state
    assert before == ["complete", "failed"]


def test_what_a_live_process_replaces_is_no_damage(tmp_path: Path) -> None:
    """Between two looks it commits, and removes the state that was the newest."""
    run = finished(tmp_path)
    commit_at(run, 30)
    run.state(30).unlink()
    run.commit(20).write_bytes(b"{")
    assert run_status(run, 40, []).damage and run_status(run, 40, []).broken_commits
    with holder_of(run.lock):
        status = run_status(run, 40, [])
    assert (status.state, status.damage, status.broken_commits, status.reason) == ("running", (), (), "")
