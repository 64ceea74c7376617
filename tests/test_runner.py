"""Whatever is missing is done, and nothing else: resuming, extending, editing, failing and diverging."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from experiments import TINY, final_tensors, opened, run_directories, run_here, statuses, views, write_file
from harness.errors import DataError, StoreError, WeightsError
from harness.execution.events import Event
from harness.execution.prepare import look_again
from harness.store import atomic
from harness.store.locks import held
from harness.store.records import read_records
from harness.store.rundir import RunDirectory, experiment_directory


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment; tests that change it work on a copy."""
    path = write_file(tmp_path_factory.mktemp("finished"))
    run_here(path)
    return path


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / finished.name


def hashes(path: Path) -> dict[str, str | None]:
    """SHA-256 of every checkpoint by run folder and name."""
    return {
        f"{run.root.name}/{file.name}": atomic.stored_hash(file)
        for run in run_directories(path).values()
        for file in run.checkpoints.glob("*.safetensors")
    }


def test_a_run_leaves_every_file_that_the_design_names(finished: Path) -> None:
    run = next(iter(run_directories(finished).values()))
    names = {str(file.relative_to(run.root)) for file in run.root.rglob("*") if file.is_file()}
    assert {
        "run.json", "attempts.jsonl", "log.txt", "lock", "metrics.jsonl", "state/step-000024.pt",
        "state/step-000024.json", "checkpoints/step-000012.safetensors", "checkpoints/step-000024.safetensors",
        "samples/step-000012.png", "samples/step-000024.png",
    } <= names  # fmt: skip
    assert sum(name.startswith("evaluations/step-000012--") for name in names) == 1
    assert (finished.parent / "runs" / "tiny" / "experiment.toml").read_text() == TINY
    assert {status.state for status in statuses(finished).values()} == {"complete"}


def test_a_finished_experiment_has_nothing_to_do(copy: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (copy.parent / "runs").rglob("*.*")}
    assert run_here(copy).results == {}
    assert {file: file.stat().st_mtime_ns for file in (copy.parent / "runs").rglob("*.*")} == before


def test_raised_steps_train_on_to_what_an_uninterrupted_run_gives(copy: Path, tmp_path: Path) -> None:
    run_here(copy, "training.steps=36")
    (tmp_path / "straight").mkdir()
    straight = write_file(tmp_path / "straight")
    run_here(straight, "training.steps=36")
    assert hashes(copy) == hashes(straight)
    for key, run in run_directories(copy).items():
        expected = final_tensors(run_directories(straight)[key])
        found = final_tensors(run)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert timeless(run) == timeless(run_directories(straight)[key])


def timeless(run: RunDirectory) -> list[dict[str, object]]:
    return [
        {name: value for name, value in record.items() if name not in ("time", "seconds")}
        for record in read_records(run.metrics)
    ]


def test_lowered_steps_delete_nothing_and_are_complete(copy: Path) -> None:
    before = hashes(copy)
    assert run_here(copy, "training.steps=12").results == {}
    assert hashes(copy) == before
    assert {status.state for status in statuses(copy, "training.steps=12").values()} == {"complete"}


def test_an_edited_level_runs_only_the_runs_whose_key_changed(copy: Path) -> None:
    sets = ('grid.0.levels={architecture=["mlp"], latent_dim=[5]}',)
    assert list(run_here(copy, *sets).results) == [views(copy, *sets)["latent_dim=5 seed 0"].run.key]


def test_more_repeats_only_add_evaluations(copy: Path) -> None:
    run = views(copy)["baseline seed 0"]
    before = run.evaluation(0, 24)
    attempts = len(run.status.attempts)
    weights = hashes(copy)
    run_here(copy, "evaluation.0.repeats=3")
    after = views(copy, "evaluation.0.repeats=3")["baseline seed 0"].evaluation(0, 24)
    assert before and after
    assert after.values["fid"][:2] == before.values["fid"]
    assert len(after.values["fid"]) == 3
    assert hashes(copy) == weights
    assert len(views(copy)["baseline seed 0"].status.attempts) == attempts + 1


def test_another_protocol_is_measured_beside_the_first(copy: Path) -> None:
    run_here(copy, "evaluation.0.samples=32")
    folder = views(copy)["baseline seed 0"].directory
    assert folder is not None
    assert len(list(folder.evaluations.glob("step-000024--*.json"))) == 2


def test_evaluate_measures_what_stands_and_trains_nothing(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY.replace("[[evaluation]]\nsamples = 64\nrepeats = 2\nreference = 200\n", ""))
    run_here(path)
    write_file(tmp_path)
    with_more = ("training.steps=48",)
    results = run_here(path, *with_more, work="evaluate").results
    assert {result.step for result in results.values()} == {24}
    assert views(path, *with_more)["baseline seed 0"].evaluation(0, 24) is not None
    assert {status.state for status in statuses(path, *with_more).values()} == {"interrupted"}


def test_a_lost_or_damaged_checkpoint_is_made_again_bit_for_bit(copy: Path) -> None:
    before = hashes(copy)
    lost, damaged = (view.directory for view in views(copy).values())
    assert lost and damaged
    lost.checkpoint(12).unlink()
    content = bytearray(damaged.checkpoint(12).read_bytes())
    content[-1] ^= 1
    damaged.checkpoint(12).write_bytes(content)
    run_here(copy, "evaluation.0.repeats=3")
    assert hashes(copy) == before
    assert {status.state for status in statuses(copy, "evaluation.0.repeats=3").values()} == {"complete"}


def test_divergence_is_a_result_and_stops_nobody(tmp_path: Path) -> None:
    path = write_file(
        tmp_path, TINY.replace('levels.architecture = ["mlp"]', "levels.lr = [1.0]\nlevels.betas = [[0.9, 0.0]]")
    )
    sets = ("grid.0.kind=paired", "baseline.resolution=16", "training.steps=60", "training.checkpoint_every=60")
    events: list[Event] = []
    run_here(path, *sets, events=events)
    found = statuses(path, *sets)
    assert found["baseline seed 0"].state == "complete"
    assert found["lr=1.0,betas=0.9,0.0 seed 0"].state == "diverged"
    assert "not finite at step" in found["lr=1.0,betas=0.9,0.0 seed 0"].reason
    assert run_here(path, *sets).results == {}
    key = views(path, *sets)["lr=1.0,betas=0.9,0.0 seed 0"].run.key
    assert run_here(path, *sets, retry=frozenset({key})).results[key].outcome == "diverged"


def test_records_up_to_a_divergence_are_kept(tmp_path: Path) -> None:
    path = write_file(
        tmp_path, TINY.replace('levels.architecture = ["mlp"]', "levels.lr = [1.0]\nlevels.betas = [[0.9, 0.0]]")
    )
    sets = ("grid.0.kind=paired", "baseline.resolution=16", "training.steps=60", "training.checkpoint_every=60")
    sets = (*sets, "training.log_every=1")
    run_here(path, *sets)
    view = views(path, *sets)["lr=1.0,betas=0.9,0.0 seed 0"]
    assert view.status.commit is None
    records = view.metrics()
    assert [record["step"] for record in records] == list(range(1, view.status.step))
    assert view.status.step > 1


def test_evaluating_a_diverged_run_leaves_it_diverged(tmp_path: Path) -> None:
    path = write_file(
        tmp_path, TINY.replace('levels.architecture = ["mlp"]', "levels.lr = [1.0]\nlevels.betas = [[0.9, 0.0]]")
    )
    sets = ("grid.0.kind=paired", "baseline.resolution=16", "training.steps=60", "training.checkpoint_every=2")
    run_here(path, *sets)
    name = "lr=1.0,betas=0.9,0.0 seed 0"
    before = views(path, *sets)[name]
    assert before.status.state == "diverged"
    assert before.checkpoints()
    run_here(path, *sets, "evaluation.0.repeats=3", work="evaluate")
    assert statuses(path, *sets)[name].state == "diverged"
    assert run_here(path, *sets, "evaluation.0.repeats=3").results == {}


def test_damaged_records_of_a_complete_run_are_made_again(copy: Path) -> None:
    run = views(copy)["baseline seed 0"].directory
    assert run is not None
    before, weights = timeless(run), hashes(copy)
    content = bytearray(run.metrics.read_bytes())
    content[30] ^= 4
    run.metrics.write_bytes(content)
    assert statuses(copy)["baseline seed 0"].damage == (str(run.metrics),)
    run_here(copy)
    assert statuses(copy)["baseline seed 0"].state == "complete"
    assert timeless(run) == before
    assert hashes(copy) == weights


def test_a_damaged_experiment_manifest_is_made_again(copy: Path) -> None:
    manifest = copy.parent / "runs" / "tiny" / "experiment.json"
    before = manifest.read_bytes()
    manifest.write_bytes(before.replace(b'"threads"', b'"thraeds"'))
    assert {status.state for status in statuses(copy).values()} == {"interrupted"}
    assert run_here(copy).results == {}
    assert manifest.read_bytes() == before


def test_a_failing_run_stops_nobody_and_is_tried_again(copy: Path) -> None:
    shutil.rmtree(copy.parent / "runs" / "tiny")
    baseline = views(copy)["baseline seed 0"].run
    folder = copy.parent / "runs" / "tiny" / f"baseline--s0--{baseline.key[:8]}"
    folder.mkdir(parents=True)
    (folder / "checkpoints").write_text("a file where a folder must be")
    results = run_here(copy).results
    assert results[baseline.key].outcome == "failed"
    assert str(folder / "checkpoints") in results[baseline.key].reason
    assert statuses(copy)["baseline seed 0"].state == "failed"
    assert statuses(copy)["architecture=mlp seed 0"].state == "complete"
    (folder / "checkpoints").unlink()
    run_here(copy)
    assert statuses(copy)["baseline seed 0"].state == "complete"


def test_other_data_under_the_same_name_are_refused(finished: Path, tmp_path: Path) -> None:
    experiment = finished.parent / "runs" / "tiny"
    shutil.copytree(experiment, tmp_path / "runs" / "tiny")
    path = write_file(tmp_path)
    manifest = atomic.read_json(tmp_path / "runs" / "tiny" / "experiment.json")
    manifest["data_sha256"] = dict.fromkeys(manifest["data_sha256"], "0" * 64)
    atomic.write_json(tmp_path / "runs" / "tiny" / "experiment.json", manifest)
    with pytest.raises(DataError, match="not those of the first run"):
        run_here(path)


def test_a_runs_folder_of_another_version_is_refused(copy: Path) -> None:
    manifest = copy.parent / "runs" / "tiny" / "experiment.json"
    atomic.write_json(manifest, {**atomic.read_json(manifest), "format": 99})
    with pytest.raises(StoreError, match="format 99"):
        run_here(copy)


def test_impossible_counts_are_refused_before_anything_trains(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    with pytest.raises(DataError, match="limit = 5000 is more than the 1797"):
        run_here(path, "baseline.limit=5000")
    with pytest.raises(DataError, match="batch_size = 32 is more than the 20"):
        run_here(path, "baseline.limit=20")
    with pytest.raises(DataError, match="reference = 9999"):
        run_here(path, "evaluation.0.reference=9999")
    folder = tmp_path / "five"
    folder.mkdir()
    for index in range(5):
        Image.new("L", (8, 8), 40 * index).save(folder / f"{index}.png")
    few = ("data.source=folder", f'data.root="{folder}"', 'data.color="gray"', "baseline.batch_size=2")
    with pytest.raises(DataError, match="density needs at least 6 real images, and there are 5"):
        run_here(path, *few, 'evaluation.0.metrics=["fid","density"]', 'evaluation.0.reference="all"')
    assert not list((tmp_path / "runs" / "tiny").glob("*--*"))


def test_missing_weights_are_an_error_unless_the_block_is_optional(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_INCEPTION_WEIGHTS", str(tmp_path / "nowhere.pth"))
    path = write_file(tmp_path, TINY + '\n[[evaluation]]\nextractor = "inception"\nsamples = 8\nrepeats = 1\n')
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        run_here(path)
    run_here(path, "evaluation.1.required=false")
    found = views(path, "evaluation.1.required=false")["baseline seed 0"]
    assert found.status.state == "complete"
    assert found.protocols[1] is None
    assert statuses(path)["baseline seed 0"].state == "interrupted"  # required again, it is due again
    with pytest.raises(WeightsError):
        run_here(path)


def test_optional_weights_that_appear_make_their_evaluation_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "late.pth"
    monkeypatch.setenv("HARNESS_INCEPTION_WEIGHTS", str(weights))
    block = '\n[[evaluation]]\nextractor = "inception"\nrequired = false\n'
    path = write_file(tmp_path, TINY + block)
    run_here(path)
    file = opened(path)
    directory = experiment_directory(tmp_path / "runs", "tiny")
    look_again(file.experiment, directory)
    assert statuses(path)["baseline seed 0"].state == "complete"
    weights.write_bytes(b"whatever: only its presence counts here")
    look_again(file.experiment, directory)
    assert statuses(path)["baseline seed 0"].state == "interrupted"


def test_a_run_that_another_process_holds_is_left_alone(copy: Path) -> None:
    run = views(copy)["baseline seed 0"].directory
    assert run is not None
    with held(run.lock, timeout_s=1.0) as mine:
        assert mine
        summary = run_here(copy, "training.steps=30", wait=False)
    assert summary.held_elsewhere == ("baseline seed 0",)
    assert statuses(copy, "training.steps=30")["architecture=mlp seed 0"].state == "complete"


def test_the_thread_count_of_the_first_run_is_reused(copy: Path) -> None:
    assert atomic.read_json(copy.parent / "runs" / "tiny" / "experiment.json")["threads"] == 1
    run_here(copy, "training.steps=30")
    attempts = views(copy)["baseline seed 0"].status.attempts
    assert {attempt.machine["threads"] for attempt in attempts} == {1}


def test_evaluation_latents_do_not_depend_on_which_cells_there_are(copy: Path, tmp_path: Path) -> None:
    """A run's numbers are its own: alone, it gives what it gave in the grid."""
    (tmp_path / "alone").mkdir()
    alone = write_file(tmp_path / "alone", TINY[: TINY.index("[[grid]]")])
    run_here(alone)
    pair = [views(path)["baseline seed 0"].evaluation(0, 24) for path in (alone, copy)]
    assert pair[0] and pair[1]
    assert replace(pair[0], seconds=0) == replace(pair[1], seconds=0)


def test_the_file_copy_notes_overrides(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    run_here(path, "training.steps=4", "seeds=[3]")
    text = (tmp_path / "runs" / "tiny" / "experiment.toml").read_text()
    assert text.startswith("# --set training.steps=4\n# --set seeds=[3]\n")
    assert opened(path).experiment.seeds == (0,)
