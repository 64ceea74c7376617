"""Attempts: one entry per process that worked on a run, open until somebody says how it ended."""

from __future__ import annotations

import time
from pathlib import Path

from run_files import run_at

from harness.store.attempts import begin_attempt, end_attempt, read_attempts
from harness.store.records import append_record

MACHINE = {"torch": "2.15.0", "threads": 1}


def test_an_attempt_is_open_until_it_ends(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    assert read_attempts(run) == []
    before = time.time()
    begin_attempt(run, step=0, machine=MACHINE)
    (attempt,) = read_attempts(run)
    assert (attempt.machine, attempt.start_step, attempt.outcome, attempt.ended) == (MACHINE, 0, None, None)
    assert before <= attempt.started <= time.time()

    end_attempt(run, "interrupted", step=30)
    (attempt,) = read_attempts(run)
    assert (attempt.outcome, attempt.end_step, attempt.reason) == ("interrupted", 30, "")
    assert attempt.ended is not None and attempt.ended >= attempt.started


def test_a_killed_attempt_stays_open_and_the_next_is_its_own(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    begin_attempt(run, step=0, machine=MACHINE)
    begin_attempt(run, step=20, machine={**MACHINE, "threads": 2})
    end_attempt(run, "diverged", step=25, reason="a loss is not finite")
    killed, last = read_attempts(run)
    assert killed.outcome is None
    assert (last.start_step, last.machine["threads"], last.outcome, last.reason) == (
        20, 2, "diverged", "a loss is not finite",
    )  # fmt: skip


def test_a_parent_that_gives_up_closes_the_last(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    begin_attempt(run, step=0, machine=MACHINE)
    begin_attempt(run, step=0, machine=MACHINE)
    end_attempt(run, "failed", step=0, reason="died twice")
    assert [attempt.outcome for attempt in read_attempts(run)] == [None, "failed"]


def test_a_torn_end_leaves_the_attempt_open(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    begin_attempt(run, step=0, machine=MACHINE)
    end_attempt(run, "finished", step=9)
    run.attempts.write_bytes(run.attempts.read_bytes()[:-1])
    assert [attempt.outcome for attempt in read_attempts(run)] == [None]


def test_a_damaged_line_loses_nothing_behind_it(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    for step in (0, 10, 20):
        begin_attempt(run, step=step, machine=MACHINE)
        end_attempt(run, "interrupted", step=step + 10)
    lines = run.attempts.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"step"', b'"stop"')
    run.attempts.write_bytes(b"".join(lines))
    assert [(attempt.machine, attempt.end_step) for attempt in read_attempts(run)] == [
        (MACHINE, 10),
        ({}, 20),
        (MACHINE, 30),
    ]
    begin_attempt(run, step=30, machine=MACHINE)
    assert len(read_attempts(run)) == 4


def test_records_of_another_kind_are_no_attempts(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    for record in ({"event": "begin"}, {"event": "end", "time": 1.0}, {"event": "begin", "time": "x"}, {"a": 1}):
        append_record(run.attempts, record)
    assert read_attempts(run) == []
