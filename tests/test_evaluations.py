"""A stored evaluation counts for the checkpoint and the protocol that it was made with, and for nothing else."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from run_files import FLOOR, PROTOCOL, commit_at, evaluate_at, flips, run_at

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


def full() -> Evaluation:
    """Two repeats with class counts, pooled values and a floor."""
    empty = Evaluation(10, "", PROTOCOL, {}, {}, floor=FLOOR, classes=["0", "1"], reference_class_counts=[5, 5])
    first = empty.with_repeat(0, {"fid": 1.0, "class_kl": 0.5}, [7, 3], seconds=2.0)
    second = first.with_repeat(1, {"fid": 2.0, "class_kl": 0.25}, [6, 4], seconds=1.0)
    return second.with_pooled(2, {"fid_infinity": 0.75})


def test_everything_that_it_holds_comes_back(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    digest = atomic.stored_hash(run.checkpoint(10))
    assert digest is not None
    evaluation = replace(full(), checkpoint_sha256=digest)
    write_evaluation(run, evaluation)
    assert read_evaluation(run, 10, PROTOCOL) == evaluation
    assert evaluation.class_counts == [[7, 3], [6, 4]]
    assert evaluation.seconds == 3.0


def test_files_from_before_there_were_floors_are_read(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    evaluate_at(run, 10)
    path = run.evaluation(10, PROTOCOL)
    document = atomic.read_json(path)
    later = ("pooled", "classes", "class_counts", "reference_class_counts", "floor", "feature_dims")
    atomic.write_json(path, {name: value for name, value in document.items() if name not in later})
    found = read_evaluation(run, 10, PROTOCOL)
    assert found is not None and found.floor is None and found.pooled == {} and found.has(["fid"], 1)


def test_pooled_values_are_of_exactly_so_many_repeats() -> None:
    evaluation = full()
    assert evaluation.has(["fid", "fid_infinity"], 2)
    assert evaluation.series("fid_infinity", 2) == [0.75]
    assert not evaluation.has(["fid_infinity"], 1) and not evaluation.has(["fid_infinity"], 3)
    more = evaluation.with_pooled(3, {"fid_infinity": 0.5})
    assert more.series("fid_infinity", 2) == [0.75] and more.series("fid_infinity", 3) == [0.5]


def test_it_tells_what_a_repeat_lacks() -> None:
    evaluation = full()
    assert evaluation.lacking(["fid", "kid", "fid_infinity"], 1) == ["kid"]
    assert evaluation.lacking(["fid", "kid", "fid_infinity"], 2) == ["fid", "kid"]


def test_repeats_are_added_in_order() -> None:
    with pytest.raises(ValueError, match="2 is not the next"):
        Evaluation(1, "", PROTOCOL, {}, {"fid": [1.0]}).with_repeat(2, {"fid": 1.0}, None, seconds=0.0)


def test_series_stops_at_the_repeats_that_are_asked_for() -> None:
    assert full().series("fid", 1) == [1.0]
    assert full().series("kid", 5) == []


@pytest.mark.parametrize(
    "nonsense",
    [
        {"pooled": {"fid_infinity": 3.0}},
        {"pooled": []},
        {"floor": {"samples": 3}},
        {"floor": {"samples": "x", "reference": None, "values": {}}},
        {"class_counts": None},
        {"class_counts": [["a"]]},
        {"classes": 3},
        {"classes": ["0", "1"]},
        {"feature_dims": "many"},
        {"seconds": "long"},
    ],
)
def test_nonsense_in_it_is_absence(nonsense: dict[str, object], tmp_path: Path) -> None:
    run = run_at(tmp_path)
    commit_at(run, 10, checkpoints=(10,))
    evaluation = evaluate_at(run, 10)
    atomic.write_json(run.evaluation(10, PROTOCOL), {**asdict(evaluation), **nonsense})
    assert read_evaluation(run, 10, PROTOCOL) is None
