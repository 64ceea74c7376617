"""A stored evaluation counts for the checkpoint and the protocol that it was made with, and for nothing else."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from run_files import PROTOCOL, commit_at, evaluate_at, flips, run_at

from harness.store import atomic
from harness.store.evaluations import Evaluation, read_evaluation, write_evaluation


def test_an_evaluation_comes_back_as_it_went(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    assert read_evaluation(run, 10, PROTOCOL) is None
    evaluation = evaluate_at(run, 10)
    assert read_evaluation(run, 10, PROTOCOL) == evaluation
    assert run.evaluation(10, PROTOCOL).name == "step-000010--abababab.json"


def test_it_has_what_has_enough_repeats_of_every_metric() -> None:
    evaluation = Evaluation(1, "", PROTOCOL, {}, {"fid": [1.0, 2.0], "kid": [1.0]})
    assert evaluation.has(["fid"], 2) and evaluation.has(["fid", "kid"], 1) and evaluation.has([], 9)
    assert not evaluation.has(["fid"], 3)
    assert not evaluation.has(["fid", "kid"], 2)
    assert not evaluation.has(["recall"], 1)


def test_another_checkpoint_makes_it_due_again(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    evaluate_at(run, 10)
    atomic.write_hashed(run.checkpoint(10), b"other weights")
    assert read_evaluation(run, 10, PROTOCOL) is None
    run.checkpoint(10).unlink()
    assert read_evaluation(run, 10, PROTOCOL) is None


def test_a_checkpoint_without_its_hash_has_no_evaluation(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    evaluate_at(run, 10)
    run.checkpoint(10).with_name("step-000010.safetensors.sha256").unlink()
    assert read_evaluation(run, 10, PROTOCOL) is None


def test_a_file_of_another_step_or_protocol_does_not_count(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 20, checkpoints=(10, 20))
    evaluation = evaluate_at(run, 10)
    run.evaluation(10, PROTOCOL).rename(run.evaluation(20, PROTOCOL))
    assert read_evaluation(run, 20, PROTOCOL) is None
    alike = PROTOCOL[:8] + "f" * 56
    atomic.write_json(run.evaluation(10, alike), asdict(replace(evaluation, protocol_sha256=alike)))
    assert read_evaluation(run, 10, PROTOCOL) is None
    assert read_evaluation(run, 10, alike) is not None


def test_damage_is_absence(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    path = run.evaluation(10, PROTOCOL)
    evaluation = evaluate_at(run, 10)
    for changed in list(flips(path.read_bytes()))[::29]:
        path.write_bytes(changed)
        assert read_evaluation(run, 10, PROTOCOL) is None
    atomic.write_json(path, {**asdict(evaluation), "of a later version": 1})
    assert read_evaluation(run, 10, PROTOCOL) is None
    write_evaluation(run, evaluation)
    assert read_evaluation(run, 10, PROTOCOL) == evaluation
