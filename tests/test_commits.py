"""A commit is what makes a state count; the newest two are kept, and damage lets the one before take over."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from run_files import commit_at, flips, run_at

from harness.store import atomic
from harness.store.commits import Commit, discard_commit, metrics_match, newest_commit, read_commits, write_commit
from harness.store.rundir import RunDirectory


def steps(run: RunDirectory) -> list[int]:
    return [commit.step for commit in read_commits(run)]


def files_of(run: RunDirectory) -> list[str]:
    return sorted(path.name for path in run.states.iterdir())


def test_nothing_is_committed_at_first(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    assert read_commits(run) == []
    assert newest_commit(run) is None


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    written = [commit_at(run, step) for step in (5, 10, 999_999, 1_000_000)]
    assert read_commits(run) == [written[3], written[2]]
    assert newest_commit(run) == written[3]
    assert files_of(run) == ["step-1000000.json", "step-1000000.pt", "step-999999.json", "step-999999.pt"]


def test_a_commit_holds_what_status_and_resuming_need(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit = commit_at(run, 10, checkpoints=(5, 10))
    assert newest_commit(run) == commit
    assert commit.checkpoints == {
        "5": atomic.stored_hash(run.checkpoint(5)),
        "10": atomic.stored_hash(run.checkpoint(10)),
    }
    assert commit.state_sha256 == atomic.file_sha256(run.state(10))
    assert set(asdict(commit)) == {"step", "state_sha256", "metrics_offset", "metrics_sha256", "checkpoints"}


def test_a_damaged_commit_lets_the_one_before_take_over(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    before, damaged = commit_at(run, 10), commit_at(run, 20)
    content = run.commit(20).read_bytes()
    for changed in list(flips(content))[::37]:
        run.commit(20).write_bytes(changed)
        assert read_commits(run) == [before]
    for length in range(0, len(content), 7):
        run.commit(20).write_bytes(content[:length])
        assert newest_commit(run) == before
    run.commit(20).write_bytes(content)
    assert newest_commit(run) == damaged


def test_a_state_without_its_commit_does_not_count(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10)
    atomic.write_bytes(run.state(20), b"written, then killed")
    assert steps(run) == [10]


def test_what_another_version_wrote_does_not_count(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit = commit_at(run, 10)
    atomic.write_json(run.commit(20), {**asdict(commit), "step": 20, "extra": 1})
    atomic.write_json(run.commit(30), {"step": 30})
    assert steps(run) == [10]


def test_going_on_from_an_older_state_keeps_the_newer_until_it_is_discarded(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    for step in (10, 20):
        commit_at(run, step)
    commit_at(run, 15)
    assert steps(run) == [20, 15, 10]
    discard_commit(run, 20)
    assert steps(run) == [15, 10]
    assert not run.state(20).exists()
    discard_commit(run, 20)


def test_discarding_takes_the_commit_before_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10)
    commit_at(run, 20)
    removed: list[str] = []
    unlink = Path.unlink

    def note(path: Path, missing_ok: bool = False) -> None:
        removed.append(path.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", note)
    discard_commit(run, 20)
    assert removed == ["step-000020.json", "step-000020.pt"]
    removed.clear()
    commit_at(run, 30)
    commit_at(run, 40)
    assert removed == ["step-000010.json", "step-000010.pt"]


def test_metrics_are_compared_up_to_the_offset_alone(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit = commit_at(run, 10)
    assert metrics_match(run, commit)
    content = run.metrics.read_bytes()
    run.metrics.write_bytes(content + b"later and torn")
    assert metrics_match(run, commit)
    for changed in flips(content):
        run.metrics.write_bytes(changed)
        assert not metrics_match(run, commit)
    run.metrics.write_bytes(content[:-1])
    assert not metrics_match(run, commit)
    run.metrics.unlink()
    assert not metrics_match(run, commit)
    empty = Commit(0, "", 0, atomic.sha256_of(b""))
    assert metrics_match(run, empty)
    write_commit(run, empty)
    assert steps(run) == [10, 0]
