"""One moment of an experiment: what was read stays, and what does not belong together is left out."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from report_data import live, small_plan
from run_files import FLOOR
from tracking_data import Laboratory

from harness.design.expansion import Plan
from harness.store import atomic
from harness.store.evaluations import Evaluation, write_evaluation
from harness.store.looks import Looks
from harness.tracking.reader import ExperimentView, read_experiment
from harness.tracking.snapshot import read_snapshot

PAUSE_S = 0.05
"""Between two changes; reading everything takes some milliseconds."""


def test_a_snapshot_holds_what_the_files_hold(tmp_path: Path) -> None:
    plan = small_plan()
    live(plan, tmp_path)
    snapshot, view = read_snapshot(plan, tmp_path), read_experiment(plan, tmp_path)
    assert snapshot.fingerprint() == view.fingerprint()
    for frozen, run in zip(snapshot.runs, view.runs, strict=True):
        assert frozen.status == run.status
        assert frozen.metrics() == run.metrics() != []
        assert [frozen.evaluation(0, step) for step in (200, 400)] == [run.evaluation(0, step) for step in (200, 400)]
        assert frozen.evaluation(0, 200) is not None
        assert frozen.evaluation(0, 300) is None


def test_nothing_done_later_is_seen(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    lab.complete(0)
    snapshot = read_snapshot(lab.plan, tmp_path)
    run = snapshot.runs[0]
    before = (snapshot.fingerprint(), run.metrics(), run.checkpoints(), run.evaluation(0, 20))
    lab.roll_back(0)
    lab.train(0, 40)
    lab.measure(0, repeats=4)
    assert (snapshot.fingerprint(), run.metrics(), run.checkpoints(), run.evaluation(0, 20)) == before
    assert read_snapshot(lab.plan, tmp_path).fingerprint() != before[0]


def test_records_that_do_not_match_the_commit_are_left_out(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    lab.complete(0)
    metrics = lab.directory(0).metrics
    content = bytearray(metrics.read_bytes())
    content[-40] ^= 1  # inside the last record, or behind what counts: then the first
    content[20] ^= 1
    metrics.write_bytes(content)
    run = read_snapshot(lab.plan, tmp_path).runs[0]
    assert run.metrics() == []
    assert run.status.state == "interrupted"
    assert "metrics.jsonl" in run.status.reason


def test_an_evaluation_of_another_checkpoint_than_the_commit_names_is_left_out(tmp_path: Path) -> None:
    """A checkpoint that was written and measured behind the newest commit that holds."""
    lab = Laboratory(tmp_path)
    lab.complete(0)
    directory, protocol = lab.directory(0), lab.view().runs[0].protocols[0]
    assert protocol is not None
    digest = atomic.write_hashed(directory.checkpoint(40), b"other weights")
    write_evaluation(
        directory, Evaluation(40, digest, protocol.sha256, protocol.document(), {"fid": [1.0, 2.0, 3.0]}, floor=FLOOR)
    )
    assert lab.view().runs[0].evaluation(0, 40) is None
    snapshot = read_snapshot(lab.plan, tmp_path)
    assert snapshot.runs[0].evaluation(0, 40) is None
    assert snapshot.runs[0].evaluation(0, 20) is not None
    assert snapshot.fingerprint() == read_experiment(lab.plan, tmp_path, has_weights=False).fingerprint()


def test_a_change_between_two_looks_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run goes on behind the reader's back, then the second: never is the one shown old and the other new."""
    lab = Laboratory(tmp_path)
    lab.prepare()
    for index in (0, 1):
        lab.start(index)
        lab.train(index, 20)
    changes = [lambda: lab.train(0, 40), lambda: lab.train(1, 40), lambda: lab.measure(0)]
    count = 0

    def read(plan: Plan, runs_dir: Path, *, has_weights: bool, looks: Looks) -> ExperimentView:
        nonlocal count
        view = read_experiment(plan, runs_dir, has_weights=has_weights, looks=looks)
        count += 1
        if changes:
            changes.pop(0)()
        return view

    monkeypatch.setattr("harness.tracking.snapshot.read_experiment", read)
    snapshot = read_snapshot(lab.plan, tmp_path)
    assert count == 5
    assert snapshot.fingerprint() == lab.view().fingerprint()
    assert [run.status.step for run in snapshot.runs[:2]] == [40, 40]


def test_while_a_run_changes_its_records_and_evaluations_belong_together(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    lab.prepare()
    lab.start(0)
    ended = threading.Event()

    def write() -> None:
        for _ in range(10):
            for step in (20, 40):
                lab.train(0, step)
                lab.measure(0)
                time.sleep(PAUSE_S)
            for _ in range(2):
                lab.roll_back(0)
                time.sleep(PAUSE_S)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while not ended.is_set():
        run = read_snapshot(lab.plan, tmp_path).runs[0]
        seen.add(run.status.step)
        assert [record["step"] for record in run.metrics()] == list(range(10, run.status.step + 1, 10))
        for step, digest in run.checkpoints().items():
            found = run.evaluation(0, step)
            assert found is None or found.checkpoint_sha256 == digest
    thread.join()
    assert len(seen) > 1
