"""Workers draw what the report asks for: once, whole, of the right checkpoint, with what it shows in its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gan_tasks import CPU, NO_OWN_CODE, run, small_task
from numpy.typing import NDArray
from PIL import Image

from harness.data.own_code import OwnCode
from harness.data.resize import resize
from harness.design.experiment import DataSettings, EvaluationSettings, Experiment, ReportSettings, TrainingSettings
from harness.errors import GeneratorError, HarnessError, StoreError
from harness.evaluation.extractor_weights import weights_sha256
from harness.evaluation.extractors import load_extractor
from harness.evaluation.protocol import asked_class_sheet, protocol_of
from harness.execution.assignment import Assignment, EvaluationAssignment
from harness.execution.pictures import draw_pictures, write_class_sheet, write_interpolations, write_progress
from harness.gan.checkpoints import Checkpoint, Description, load_generator, write_checkpoint
from harness.gan.latents import sample_latents, walk_latents
from harness.gan.networks.build import build_generator
from harness.gan.randomness import random_stream
from harness.gan.sampling import generated
from harness.gan.training import TrainingTask
from harness.store import atomic
from harness.store.pictures import (
    AskedPicture,
    ClassSheet,
    Interpolations,
    asked_pictures,
    is_drawn,
    missing_pictures,
    picture_settings,
)
from harness.store.rundir import RunDirectory

LAST = 20
WALK = Interpolations(3, 4)
SETTINGS = EvaluationSettings(samples=64, repeats=1)
SHEET = ClassSheet(50, "digits", weights_sha256(SETTINGS), "raw", 8)


class Halves:
    """Tells whether an image's left half is the brighter one: a classifier whose answers are known."""

    classes = ("left", "right", "neither")

    def features(self, images: torch.Tensor) -> NDArray[np.float64]:
        half = images.shape[-1] // 2
        parts = [images[..., :half], images[..., half:]]
        return torch.stack([part.double().mean(dim=(1, 2, 3)) for part in parts], dim=1).numpy()

    def logits(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([features, np.full((len(features), 1), -1.0)], axis=1)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TrainingTask:
    """A run with checkpoints at 10 and 20."""
    task = small_task(tmp_path_factory.mktemp("run"), steps=LAST)
    run(task)
    return task


@pytest.fixture
def directory(task: TrainingTask, tmp_path: Path) -> RunDirectory:
    """A run's folder with its checkpoints alone."""
    copy = RunDirectory(tmp_path / "run")
    copy.checkpoints.mkdir(parents=True)
    for file in task.run.checkpoints.iterdir():
        (copy.checkpoints / file.name).write_bytes(file.read_bytes())
    return copy


def assigned(task: TrainingTask, directory: RunDirectory, *pictures: AskedPicture) -> Assignment:
    settings = SETTINGS
    for picture in pictures:
        if isinstance(picture, ClassSheet):
            asked = {"generator_weights": picture.weights, "resolution": picture.resolution}
            settings = SETTINGS.model_copy(update=asked)
    protocol = protocol_of(
        settings, Experiment(name="x"), data_sha256="d" * 64, extractor_sha256=SHEET.extractor_sha256, batch_size=32
    )
    nowhere = directory.root / "nothing"
    return Assignment(
        directory=directory, work="train and evaluate", retry=False, experiment="x", cell="baseline", seed=0,
        key=task.key, hyperparameters=task.hyperparameters, data=DataSettings(), data_sha256="d" * 64,
        training=TrainingSettings(steps=LAST), own_code=OwnCode({}), sources={},
        evaluations=(EvaluationAssignment(settings, protocol, nowhere, images=64),), samples=4, images=nowhere,
        cache=nowhere, device="cpu", threads=1, pictures=pictures,
    )  # fmt: skip


def draw(assignment: Assignment, leave_if_asked: Any = lambda: None) -> list[EvaluationAssignment]:
    """Draws at the last step; returns the evaluations whose classifier was asked for."""
    asked: list[EvaluationAssignment] = []

    def classifier_of(block: EvaluationAssignment) -> Halves:
        asked.append(block)
        return Halves()

    draw_pictures(assignment, LAST, classifier_of, leave_if_asked)
    return asked


def texts(path: Path) -> dict[str, str]:
    with Image.open(path) as picture:
        picture.load()
        return {str(name): str(text) for name, text in picture.info.items()}


def loaded(directory: RunDirectory, step: int = LAST) -> Checkpoint:
    return load_generator(directory.checkpoint(step), CPU, NO_OWN_CODE, None)


def test_what_is_asked_for_is_drawn_with_what_it_shows(task: TrainingTask, directory: RunDirectory) -> None:
    asked = draw(assigned(task, directory, WALK, SHEET))
    assert [block.settings.extractor for block in asked] == ["digits"]
    walk, sheet = directory.picture(LAST, "interpolations"), directory.picture(LAST, "classes")
    assert (walk.name, sheet.name) == ("step-000020--interpolations.png", "step-000020--classes.png")
    assert sorted(directory.pictures.iterdir()) == [sheet, walk]
    digest = atomic.stored_hash(directory.checkpoint(LAST))
    common = {"harness:key": task.key, "harness:step": "20", "harness:checkpoint_sha256": digest}
    assert texts(walk) == {
        **common, "harness:settings": '{"from":0.0,"pairs":3,"path":"lerp","points":4,"to":1.0}',
    }  # fmt: skip
    found = texts(sheet)
    settings = json.loads(found.pop("harness:settings"))
    assert found == common
    counts, width = settings.pop("counts"), settings.pop("grid_width")
    assert 8 * 48 < width < 500  # up to the bars
    assert settings == {
        "images": 50, "extractor": "digits", "extractor_sha256": SHEET.extractor_sha256, "weights": "raw",
        "resolution": 8,
    }  # fmt: skip
    images = generated(loaded(directory), sample_latents(50, 6), CPU, "test").double()
    left = int((images[..., :4].mean(dim=(1, 2, 3)) >= images[..., 4:].mean(dim=(1, 2, 3))).sum())
    assert 0 < left < 50
    assert counts == {"left": left, "right": 50 - left, "neither": 0}


def test_only_what_is_missing_or_does_not_match_is_drawn(task: TrainingTask, directory: RunDirectory) -> None:
    walk, sheet = directory.picture(LAST, "interpolations"), directory.picture(LAST, "classes")
    draw(assigned(task, directory, WALK, SHEET))
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in (walk, sheet)]

    def same() -> list[bool]:
        return [
            (path.read_bytes(), path.stat().st_mtime_ns) == old for path, old in zip((walk, sheet), before, strict=True)
        ]

    assert draw(assigned(task, directory, WALK, SHEET)) == []  # no classifier is loaded for nothing
    assert same() == [True, True]
    draw(assigned(task, directory, replace(WALK, points=5), SHEET))
    assert same() == [False, True]
    draw(assigned(task, directory, WALK, SHEET))
    assert walk.read_bytes() == before[0][0]  # the same again, to the byte
    content = bytearray(sheet.read_bytes())
    content[len(content) // 2] ^= 1
    sheet.write_bytes(content)
    draw(assigned(task, directory, WALK, SHEET))
    assert sheet.read_bytes() == before[1][0]
    walk.write_bytes(sheet.read_bytes())
    draw(assigned(task, directory, WALK, SHEET))
    assert walk.read_bytes() == before[0][0]
    directory.checkpoint(10).replace(directory.checkpoint(LAST))
    atomic.write_note(directory.checkpoint(LAST), atomic.file_sha256(directory.checkpoint(LAST)))
    draw(assigned(task, directory, WALK))
    assert walk.read_bytes() != before[0][0]
    assert texts(walk)["harness:checkpoint_sha256"] == atomic.stored_hash(directory.checkpoint(LAST))


@pytest.mark.parametrize(
    "other",
    [
        replace(WALK, pairs=2), replace(WALK, points=3), replace(WALK, path="slerp"), replace(WALK, start=-0.5),
        replace(WALK, end=2.0), SHEET,
    ],
)  # fmt: skip
def test_pictures_match_by_all_that_they_depend_on(
    task: TrainingTask, directory: RunDirectory, other: AskedPicture
) -> None:
    draw(assigned(task, directory, WALK, SHEET))
    digest = atomic.stored_hash(directory.checkpoint(LAST))
    walk, sheet = directory.picture(LAST, "interpolations"), directory.picture(LAST, "classes")
    assert is_drawn(walk, digest, WALK) and is_drawn(sheet, digest, SHEET)
    assert not is_drawn(walk, digest, other)
    assert not is_drawn(walk, "0" * 64, WALK) and not is_drawn(walk, None, WALK)
    assert not is_drawn(walk.with_name("absent.png"), digest, WALK)
    for changed in (
        replace(SHEET, images=51), replace(SHEET, extractor="mnist"), replace(SHEET, extractor_sha256=""),
        replace(SHEET, weights="ema"), replace(SHEET, resolution=28),
    ):  # fmt: skip
        assert not is_drawn(sheet, digest, changed)
    assert missing_pictures(directory, LAST, digest, (WALK, SHEET)) == ()
    assert missing_pictures(directory, 10, digest, (WALK, SHEET)) == (WALK, SHEET)
    content = walk.read_bytes()
    for damaged in (b"", b"text", content[:-1], content[: len(content) // 2], content + b"more"):
        walk.write_bytes(damaged)
        assert missing_pictures(directory, LAST, digest, (WALK, SHEET)) == (WALK,)


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"pairs":3}', "[" * 100_000])
def test_settings_of_other_writers_match_nothing(text: str) -> None:
    found = picture_settings({"harness:settings": text})
    assert not WALK.settings.items() <= found.items()
    assert picture_settings({}) == {}


def test_what_the_report_asks_for_depends_on_what_can_tell_classes() -> None:
    report = ReportSettings(interpolations=(5, 10), classes=64)
    assert asked_pictures(ReportSettings(), None) == ()
    assert asked_pictures(report, None) == (Interpolations(5, 10),)
    assert asked_pictures(report, SHEET) == (Interpolations(5, 10), SHEET)


def test_the_first_evaluation_that_was_not_left_out_tells_classes() -> None:
    trained = EvaluationSettings(
        extractor="trained", extractor_weights="my-shoes.safetensors", generator_weights="ema", resolution=28
    )
    blocks = (EvaluationSettings(extractor="inception", required=False), trained, SETTINGS)
    experiment = Experiment(name="x", evaluation=blocks, report=ReportSettings(classes=64))
    protocols = [
        protocol_of(block, experiment, data_sha256="d" * 64, extractor_sha256=sha, batch_size=32)
        for block, sha in zip(blocks, "abc", strict=True)
    ]
    size = experiment.baseline.resolution
    assert asked_class_sheet(experiment, protocols) == ClassSheet(64, "inception", "a", "raw", size)
    assert asked_class_sheet(experiment, [None, *protocols[1:]]) == ClassSheet(64, "my-shoes", "b", "ema", 28)
    assert asked_class_sheet(experiment, [None, None, protocols[2]]) == ClassSheet(64, "digits", "c", "raw", size)
    assert asked_class_sheet(experiment, [None] * 3) is None
    assert asked_class_sheet(experiment.model_copy(update={"report": ReportSettings()}), protocols) is None


def test_classes_are_told_of_the_images_that_are_measured(tmp_path: Path) -> None:
    """Averaged weights, at the protocol's resolution; what the sheet shows stays at the cell's own."""
    task = small_task(tmp_path / "averaged", steps=LAST, ema_decay=0.9)
    run(task)
    seen: list[torch.Tensor] = []

    class Seeing(Halves):
        def features(self, images: torch.Tensor) -> NDArray[np.float64]:
            seen.append(images)
            return super().features(images)

    asked = replace(SHEET, weights="ema", resolution=28)
    draw_pictures(assigned(task, task.run, WALK, asked), LAST, lambda _: Seeing(), lambda: None)
    averaged, raw = (
        generated(load_generator(task.run.checkpoint(LAST), CPU, NO_OWN_CODE, None, weights=weights),
                  sample_latents(50, 6), CPU, "test")
        for weights in ("ema", "raw")
    )  # fmt: skip
    assert not torch.equal(averaged, raw)
    assert torch.equal(torch.cat(seen), resize(averaged, 28))
    sheet = task.run.picture(LAST, "classes")
    assert stands_in(sheet, averaged, 6) and not stands_in(sheet, raw, 6)
    walk = generated(loaded(task.run), walk_latents(WALK, 6).flatten(0, 1), CPU, "test")
    assert stands_in(task.run.picture(LAST, "interpolations"), walk, 6)  # as trained
    assert picture_settings(texts(sheet)).items() >= {"weights": "ema", "resolution": 28}.items()


def test_who_is_asked_to_leave_leaves_nothing_half_done(task: TrainingTask, directory: RunDirectory) -> None:
    class Asked(Exception):
        pass

    calls = 0

    def leave() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Asked

    with pytest.raises(Asked):
        draw(assigned(task, directory, Interpolations(30, 20), SHEET), leave)  # 600 images are three batches
    assert not directory.pictures.exists()
    draw(assigned(task, directory, WALK))
    assert [path.name for path in directory.pictures.iterdir()] == ["step-000020--interpolations.png"]


def test_a_folder_in_a_pictures_place_is_told_and_kept(task: TrainingTask, directory: RunDirectory) -> None:
    directory.picture(LAST, "interpolations").mkdir(parents=True)
    with pytest.raises(StoreError, match="a folder is where a file must be"):
        draw(assigned(task, directory, WALK))


def test_classes_are_left_out_where_their_evaluation_is(task: TrainingTask, directory: RunDirectory) -> None:
    assignment = replace(assigned(task, directory, WALK, SHEET), evaluations=())
    assert draw(assignment) == []
    assert [path.name for path in directory.pictures.iterdir()] == ["step-000020--interpolations.png"]


def test_the_digits_extractor_tells_classes(directory: RunDirectory, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    extractor = load_extractor(SETTINGS, CPU)
    counts = write_class_sheet(path, loaded(directory), SHEET, extractor, CPU, {"more": 1})
    assert list(counts) == list("0123456789") and sum(counts.values()) == 50
    settings = picture_settings(texts(path))
    assert settings == {**SHEET.settings, "counts": counts, "grid_width": settings["grid_width"], "more": 1}
    images = generated(loaded(directory), sample_latents(50, 6), CPU, "test")
    logits = extractor.logits(extractor.features(images))
    assert counts == {str(index): int((logits.argmax(axis=1) == index).sum()) for index in range(10)}


def stands_in(path: Path, images: torch.Tensor, factor: int) -> bool:
    """Whether every image stands somewhere on the sheet."""
    with Image.open(path) as picture:
        page = np.asarray(picture)
    side = images.shape[-1] * factor
    for image in images[:, 0].numpy().repeat(factor, axis=1).repeat(factor, axis=2):
        corners = np.argwhere(page[: 1 - side, : 1 - side] == image[0, 0])
        if not any(np.array_equal(page[y : y + side, x : x + side], image) for y, x in corners):
            return False
    return True


def test_a_walk_shows_the_generators_images(directory: RunDirectory, tmp_path: Path) -> None:
    walk = Interpolations(2, 3, "slerp", -0.5, 1.5)
    write_interpolations(tmp_path / "walk.png", loaded(directory), walk, CPU)
    images = generated(loaded(directory), walk_latents(walk, 6).flatten(0, 1), CPU, "test")
    assert stands_in(tmp_path / "walk.png", images, 6)
    assert not stands_in(tmp_path / "walk.png", generated(loaded(directory), sample_latents(6, 6), CPU, "test"), 6)


def test_progress_shows_one_noise_at_every_checkpoint(directory: RunDirectory, tmp_path: Path) -> None:
    path = tmp_path / "progress.png"
    write_progress(path, [lambda step=step: loaded(directory, step) for step in (10, LAST)], 5, CPU, {"weights": "raw"})
    for step in (10, LAST):
        assert stands_in(path, generated(loaded(directory, step), sample_latents(5, 6), CPU, "test"), 6)
    hashes = {str(step): loaded(directory, step).sha256 for step in (10, LAST)}
    assert picture_settings(texts(path)) == {"images": 5, "checkpoints": hashes, "weights": "raw"}
    assert "harness:checkpoint_sha256" not in texts(path)


def overflowing(task: TrainingTask, directory: RunDirectory) -> None:
    """Replaces the last checkpoint by one of finite weights whose activations are not."""
    generator = build_generator(task.hyperparameters, 1, random_stream(0, "generator"), NO_OWN_CODE)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(1e25)
    write_checkpoint(directory.checkpoint(LAST), generator, Description(task.hyperparameters, 1, task.key, LAST))


@pytest.mark.parametrize("asked", [WALK, SHEET])
def test_images_that_are_not_finite_are_no_picture(
    task: TrainingTask, directory: RunDirectory, asked: AskedPicture
) -> None:
    overflowing(task, directory)
    with pytest.raises(GeneratorError, match=r"step 20 .*: \d+ of (12|50) images of the generator are not finite"):
        draw(assigned(task, directory, asked))
    checkpoints: Sequence[Any] = [lambda step=step: loaded(directory, step) for step in (10, LAST)]
    with pytest.raises(GeneratorError, match=r"step 20 .*: \d of 8 images"):
        write_progress(directory.root / "p.png", checkpoints, 8, CPU)
    assert not directory.pictures.exists() and not (directory.root / "p.png").exists()


def test_a_picture_that_nobody_could_open_is_refused_before_it_is_drawn(
    directory: RunDirectory, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match="40000 images of 48 pixels do not fit"):
        write_interpolations(tmp_path / "walk.png", loaded(directory), Interpolations(200, 200), CPU)
