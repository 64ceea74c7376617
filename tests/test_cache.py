"""The cache: one array per content, whole or made again, made once, read by all."""

from __future__ import annotations

import json
import logging
import multiprocessing
import shutil
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import cache as module
from harness.data import sources
from harness.data.cache import (
    ImageCache,
    open_images,
    reference_indices,
    skipped_images,
    to_device,
    training_indices,
)
from harness.design.experiment import DataSettings
from harness.errors import DamagedFileError, DataError, StoreError
from harness.store import atomic

DIGITS = DataSettings()
HASH = "0" * 64


def prepare_digits(folder: Path) -> Path:
    return ImageCache(folder).prepare(DIGITS, HASH, 8)


def test_holds_the_loaded_images_read_only(tmp_path: Path) -> None:
    path = ImageCache(tmp_path).prepare(DIGITS, HASH, 16)
    images = open_images(path)
    assert isinstance(images, np.memmap) and not images.flags.writeable
    assert images.shape == (1797, 1, 16, 16) and images.dtype == np.uint8
    assert np.array_equal(images, sources.load(DIGITS, 16).images)
    assert atomic.stored_hash(path) == atomic.file_sha256(path)
    assert skipped_images(path) == ()


def test_several_chunks_make_one_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_CHUNK_BYTES", 500 * 64)
    path = prepare_digits(tmp_path)
    monkeypatch.undo()
    assert len(list(sources.load_chunks(DIGITS, 8))) == 1
    assert np.array_equal(open_images(path), sources.load(DIGITS, 8).images)


def test_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = prepare_digits(tmp_path)
    monkeypatch.setattr(module, "load_chunks", None)
    assert prepare_digits(tmp_path) == path


def test_everything_it_depends_on_has_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    cache = ImageCache(tmp_path / "cache")

    def folder(**settings: str) -> DataSettings:
        return DataSettings(source="folder", root=str(tmp_path), **settings)  # type: ignore[arg-type]

    paths = [
        cache.prepare(folder(), HASH, 8),
        cache.prepare(folder(color="gray"), HASH, 8),
        cache.prepare(folder(corrupt="skip"), HASH, 8),
        cache.prepare(folder(), "1" * 64, 8),
        cache.prepare(folder(), HASH, 4),
    ]
    monkeypatch.setattr(module, "RESIZE_FILTER", "another")
    paths.append(cache.prepare(folder(), HASH, 8))
    monkeypatch.setattr(module, "CACHE_VERSION", 2)
    paths.append(cache.prepare(folder(), HASH, 8))
    assert len(set(paths)) == len(paths) == len(list((tmp_path / "cache").glob("*.npy")))


def test_where_the_data_lie_is_not_in_the_key(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-moved")
    cache = ImageCache(tmp_path / "cache")
    paths = [
        cache.prepare(DataSettings(source="folder", root=str(root)), HASH, 8)
        for root in (tmp_path, tmp_path.parent / f"{tmp_path.name}-moved")
    ]
    assert paths[0] == paths[1]


@pytest.mark.parametrize("damage", ["flip", "truncate", "no checksum", "no notes", "broken notes"])
def test_damage_is_found_said_and_repaired(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = prepare_digits(tmp_path)
    whole = path.read_bytes()
    match damage:
        case "flip":
            path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
        case "truncate":
            path.write_bytes(whole[:-1])
        case "no checksum":
            path.with_name(path.name + ".sha256").unlink()
        case "no notes":
            path.with_suffix(".json").unlink()
        case _:
            notes = path.with_suffix(".json")
            notes.write_text(notes.read_text().replace("[]", '["x"]'))
    with caplog.at_level(logging.WARNING, "harness"):
        assert prepare_digits(tmp_path) == path
    assert str(path) in caplog.text and "made again" in caplog.text
    assert path.read_bytes() == whole and skipped_images(path) == ()
    caplog.clear()
    prepare_digits(tmp_path)
    assert not caplog.records


def test_a_killed_writer_leaves_nothing_for_ever(tmp_path: Path) -> None:
    path = prepare_digits(tmp_path)
    leftover = tmp_path / f".{path.name}.999999.tmp"
    leftover.write_bytes(b"half an array")
    path.unlink()
    prepare_digits(tmp_path)
    assert not list(tmp_path.glob(".*.tmp"))


def test_failing_data_leave_no_array(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    cache = ImageCache(tmp_path / "cache")
    with pytest.raises(DataError, match=r"b\.png"):
        cache.prepare(DataSettings(source="folder", root=str(tmp_path)), HASH, 8)
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.suffix != ".lock"]


def test_skipped_images_are_recorded_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first chunk has no readable image at all."""
    monkeypatch.setattr(sources, "_CHUNK_BYTES", 1)
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "c.png")
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    data = DataSettings(source="folder", root=str(tmp_path), corrupt="skip")
    path = ImageCache(tmp_path / "cache").prepare(data, HASH, 8)
    assert skipped_images(path) == ("a.png", "b.jpg")
    assert np.array_equal(open_images(path), np.full((1, 3, 8, 8), 9, np.uint8))
    assert "2 of 3 images cannot be read" in caplog.text
    notes = json.loads(path.with_suffix(".json").read_text())
    assert notes["data"]["corrupt"] == "skip" and notes["resolution"] == 8


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StoreError):
        prepare_digits(tmp_path / "cache")


def test_opening_what_is_no_array_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY")
    for name in ("x.npy", "gone.npy"):
        with pytest.raises(DamagedFileError, match="same command again"):
            open_images(tmp_path / name)


def _prepare_together(folder: Path, barrier: Barrier, results: Queue[tuple[str, int]]) -> None:
    sources.load(DIGITS, 8)  # imports everything, so that only the work itself lies behind the barrier
    barrier.wait(60)
    path = prepare_digits(folder)
    results.put((str(path), path.stat().st_ino))


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_prepare_together, args=(tmp_path, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    answers = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert answers[0] == answers[1]  # a second array would be another file


# draws


@pytest.mark.parametrize("draw", [training_indices, reference_indices])
def test_draws_are_fixed_ascending_and_nested(draw: object) -> None:
    assert callable(draw)
    few, many = draw(1797, 100), draw(1797, 1000)
    assert few.shape == (100,) and np.all(np.diff(few) > 0) and few.max() < 1797
    assert set(few) <= set(many) and np.array_equal(few, draw(1797, 100))
    assert few.max() > 1500 and abs(many.mean() - 898) < 60  # from everywhere, not the first ones
    for everything in (draw(1797, "all"), draw(1797, 1797)):
        assert np.array_equal(everything, np.arange(1797))


def test_the_draws_never_change() -> None:
    assert training_indices(60_000, 5).tolist() == [14999, 23187, 31495, 53362, 56948]
    assert reference_indices(60_000, 5).tolist() == [464, 2474, 3490, 15842, 35921]


@pytest.mark.parametrize(("draw", "name"), [(training_indices, "limit"), (reference_indices, "reference")])
def test_more_than_there_is_is_an_error(draw: object, name: str) -> None:
    assert callable(draw)
    with pytest.raises(DataError, match=f"{name} = 11 .* 10 "):
        draw(10, 11)


def test_copy_to_device(tmp_path: Path) -> None:
    path = prepare_digits(tmp_path)
    indices = training_indices(1797, 20)
    images = to_device(path, indices, "cpu")
    assert images.dtype == torch.uint8 and images.shape == (20, 1, 8, 8)
    assert np.array_equal(images.numpy(), open_images(path)[indices])
    images.zero_()
    assert open_images(path).max() == 255
