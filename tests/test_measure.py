"""What a worker measures: exactly what is missing, stored after each repeat, with the floor beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import TINY, opened, run_directories, run_here, statuses, views, write_file
from harness.design.experiment import EvaluationSettings
from harness.errors import GeneratorError
from harness.evaluation.protocol import Protocol
from harness.execution import measure
from harness.execution.assignment import EvaluationAssignment
from harness.execution.events import Event
from harness.execution.options import RunOptions
from harness.execution.runner import run_experiment
from harness.store import atomic
from harness.store.evaluations import Evaluation

NO_PROTOCOL = Protocol("digits", "", 150, 16, "", "uint8", "", "", 200, "eval", "raw", None)

ALL_METRICS = (
    'evaluation.0.metrics=["fid","fid_pooled","fid_infinity","kid","precision","recall","density","coverage",'
    '"inception_score","missing_classes","class_kl","nearest_ratio","nearest_share"]'
)
ONLY_BASELINE = TINY.replace('\n[[grid]]\nkind = "one-at-a-time"\nlevels.architecture = ["mlp"]\n', "")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_file(tmp_path_factory.mktemp("measure"), ONLY_BASELINE)
    run_here(path)
    return path


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / finished.name


def at(path: Path, step: int, *sets: str) -> Evaluation:
    found = views(path, *sets)["baseline seed 0"].evaluation(0, step)
    assert found is not None
    return found


def checkpoints_and_times(path: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in path.parent.rglob("*.safetensors") if "checkpoints" in file.parts}


def test_a_floor_stands_beside_every_value(finished: Path) -> None:
    evaluation = at(finished, 24)
    assert evaluation.floor is not None
    assert (evaluation.floor.samples, evaluation.floor.reference) == (64, 200)
    assert len(evaluation.floor.values["fid"]) == 3
    assert min(evaluation.values["fid"]) > max(evaluation.floor.values["fid"])
    assert evaluation.feature_dims == 64


def test_the_floor_is_one_for_all_checkpoints(finished: Path) -> None:
    assert at(finished, 12).floor == at(finished, 24).floor


def test_metrics_that_are_added_are_measured_and_nothing_else_changes(copy: Path) -> None:
    before, weights = at(copy, 24), checkpoints_and_times(copy)
    added = 'evaluation.0.metrics=["fid","kid","recall"]'
    assert {status.state for status in statuses(copy, added).values()} == {"interrupted"}
    run_here(copy, added, work="evaluate")
    after = at(copy, 24, added)
    assert after.values["fid"] == before.values["fid"]
    assert len(after.values["kid"]) == len(after.values["recall"]) == 2
    assert after.floor is not None and set(after.floor.values) == {"fid", "kid", "recall"}
    assert checkpoints_and_times(copy) == weights
    assert {status.state for status in statuses(copy, added).values()} == {"complete"}
    assert run_here(copy, added, work="evaluate").results == {}


def test_all_metrics_of_a_real_run(copy: Path) -> None:
    sets = (ALL_METRICS, 'evaluation.0.reference="all"')
    run_here(copy, *sets, work="evaluate")
    evaluation = at(copy, 24, *sets)
    assert len(evaluation.values) == 11
    assert all(len(values) == 2 for values in evaluation.values.values())
    assert set(evaluation.pooled) == {"fid_pooled", "fid_infinity"}
    assert evaluation.pooled["fid_infinity"]["2"] < evaluation.pooled["fid_pooled"]["2"]
    assert [sum(counts) for counts in evaluation.class_counts] == [64, 64]
    assert sum(evaluation.reference_class_counts) == 1797
    assert evaluation.classes == [str(digit) for digit in range(10)]


def test_more_repeats_give_other_pooled_values_and_keep_the_old_ones(copy: Path) -> None:
    metrics = 'evaluation.0.metrics=["fid","fid_infinity","class_kl"]'
    run_here(copy, metrics, work="evaluate")
    two = at(copy, 24, metrics)
    run_here(copy, metrics, "evaluation.0.repeats=4", work="evaluate")
    four = at(copy, 24, metrics, "evaluation.0.repeats=4")
    assert four.values["fid"][:2] == two.values["fid"]
    assert len(four.values["fid"]) == len(four.class_counts) == 4
    assert set(four.pooled["fid_infinity"]) == {"2", "4"}
    assert four.pooled["fid_infinity"]["2"] == two.pooled["fid_infinity"]["2"]
    fresh = shutil.copytree(copy.parent, copy.parent.parent / f"{copy.parent.name}-fresh")
    for file in fresh.rglob("evaluations/*.json"):
        file.unlink()
    run_here(fresh / copy.name, metrics, "evaluation.0.repeats=4", work="evaluate")
    assert at(fresh / copy.name, 24, metrics, "evaluation.0.repeats=4").values == four.values
    assert at(fresh / copy.name, 24, metrics, "evaluation.0.repeats=4").pooled["fid_infinity"]["4"] == pytest.approx(
        four.pooled["fid_infinity"]["4"], rel=1e-9
    )


def test_what_was_measured_before_a_stop_is_kept(copy: Path) -> None:
    """Stopped in the middle of ten repeats: the whole ones stand, and the rest is all that is measured next."""
    sets = ("evaluation.0.repeats=10", 'evaluation.0.at="last"')
    file = opened(copy, *sets)
    calls = iter(range(10**6))

    def stop() -> bool:
        return next(calls) > 12

    options = RunOptions(
        runs_dir=copy.parent / "runs",
        keys=frozenset(run.key for run in file.plan.runs),
        executor="inline",
        device="cpu",
        sets=sets,
        work="evaluate",
    )
    ignored: list[Event] = []
    run_experiment(file, options, ignored.append, stop)
    kept = at(copy, 24, *sets)
    assert 2 < len(kept.values["fid"]) < 10
    run_here(copy, *sets, work="evaluate")
    whole = at(copy, 24, *sets)
    assert len(whole.values["fid"]) == 10
    assert whole.values["fid"][: len(kept.values["fid"])] == kept.values["fid"]


def test_a_reference_that_is_cached_is_not_made_again(copy: Path) -> None:
    cache = copy.parent / "runs" / "tiny" / "cache"
    before = {file: file.stat().st_mtime_ns for file in cache.glob("*-digits-*")}
    assert {file.name.split("-")[0] for file in before if file.suffix == ".safetensors"} == {
        "features",
        "reference",
        "spare64",
    }
    run_here(copy, "evaluation.0.repeats=3", work="evaluate")
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_an_evaluation_from_before_there_were_floors_gets_one(copy: Path) -> None:
    before = at(copy, 24)
    (run,) = run_directories(copy).values()
    for path in run.evaluations.glob("*.json"):
        document = atomic.read_json(path)
        atomic.write_json(path, {**document, "floor": None})
    assert {status.state for status in statuses(copy).values()} == {"interrupted"}
    run_here(copy, work="evaluate")
    assert at(copy, 24) == before
    assert {status.state for status in statuses(copy).values()} == {"complete"}


def test_a_checkpoint_that_cannot_be_measured_bars_no_other(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = measure.load_generator

    def spoiled(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "step-000012.safetensors":
            raise GeneratorError("64 of 64 images are not finite", where="step 12")
        return real(path, *arguments, **options)

    monkeypatch.setattr(measure, "load_generator", spoiled)
    (result,) = run_here(copy, "evaluation.0.repeats=3", work="evaluate").results.values()
    assert result.outcome == "failed" and "not finite" in result.reason
    assert len(at(copy, 24, "evaluation.0.repeats=3").values["fid"]) == 3
    assert len(at(copy, 12, "evaluation.0.repeats=3").values["fid"]) == 2


def test_further_real_images_are_none_of_the_reference(tmp_path: Path) -> None:
    """Images that are their own number, so that each can be told from all others."""
    numbers = np.arange(500, dtype=np.uint16)
    images = np.stack([numbers // 256, numbers % 256], axis=1).astype(np.uint8).reshape(500, 1, 1, 2)
    np.save(tmp_path / "images.npy", images)
    settings = EvaluationSettings(reference=200, samples=150)
    block = EvaluationAssignment(settings, NO_PROTOCOL, tmp_path / "images.npy", images=1)

    def numbered(some: np.ndarray[Any, Any]) -> set[int]:
        return {int(first) * 256 + int(second) for first, second in some.reshape(-1, 2)}

    reference, spare = numbered(measure._reference_images(block)), numbered(measure._spare_images(block, 150))
    assert len(reference) == 200 and len(spare) == 150
    assert not reference & spare
    assert len(numbered(measure._spare_images(block, 1000))) == 300
    assert numbered(measure._spare_images(block, 0)) == set()


def test_fid_is_stored_with_what_is_pooled_of_it(copy: Path) -> None:
    sets = ('evaluation.0.metrics=["fid_infinity"]', 'evaluation.0.extractor="mnist"', 'evaluation.0.at="last"')
    run_here(copy, *sets, work="evaluate")
    evaluation = at(copy, 24, *sets)
    assert len(evaluation.values["fid"]) == 2
    assert evaluation.pooled["fid_infinity"].keys() == {"2"}
