"""MNIST, Fashion-MNIST and CIFAR-10 as torchvision lays them out under `data.root`, read as they lie.

    data/MNIST/raw/train-images-idx3-ubyte    data/cifar-10-batches-py/data_batch_1 ...

Only the files with the images of the asked split are needed, uncompressed.
"""

from __future__ import annotations

import hashlib
import http.client
import pickle
import shutil
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.design.experiment import DataSettings
from harness.errors import DataError
from harness.store import atomic
from harness.store.locks import WAIT_FOR_EVER, held

FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "cifar-10-batches-py"}
"""torchvision's folder under `data.root`, by source."""

IDX_UINT8_3D = 0x00000803
"""The first four bytes of an IDX file with uint8 images [N, H, W], big-endian."""

IDX_SIDES = (28, 28)
"""Height and width of every image of MNIST and Fashion-MNIST."""

MAX_CIFAR_BATCH_BYTES = 2**25
"""Larger than any published batch (31 MB), so that no other file is read whole only to be refused."""

_SILENCE_S = 60.0
"""Seconds without a byte after which a download is given up."""


def image_files(data: DataSettings) -> tuple[Path, ...]:
    """The files that hold the images of `data.split`, there or not."""
    folder = _data_set(data)
    if data.source == "cifar10":
        names = [f"data_batch_{n}" for n in range(1, 6)] if data.split == "train" else ["test_batch"]
        return tuple(folder / name for name in names)
    prefix = "train" if data.split == "train" else "t10k"
    return (folder / "raw" / f"{prefix}-images-idx3-ubyte",)


def missing_file(data: DataSettings) -> Path | None:
    """The first file of `image_files` that is not there."""
    return next((path for path in image_files(data) if not path.is_file()), None)


def missing(data: DataSettings, path: Path) -> DataError:
    """The error for data that are not there."""
    return DataError(
        f"the {data.split} images of {data.source} are not there",
        where=str(path),
        remedy=f"Download them with `harness fetch FILE`, or put {path.name} (uncompressed) into {path.parent}.",
    )


def read(data: DataSettings) -> NDArray[np.uint8]:
    """All images of the split: uint8 [N, 1, 28, 28], of cifar10 [N, 3, 32, 32].

    Raises DataError that names the file which is missing or not what it should be.
    """
    path = missing_file(data)
    if path is not None:
        raise missing(data, path)
    if data.source == "cifar10":
        return np.concatenate([_read_cifar_batch(path) for path in image_files(data)])
    (path,) = image_files(data)
    return _read_idx(path)


def download(data: DataSettings) -> None:
    """Downloads the data set through torchvision, which compares its checksums; once, whoever else asks.

    Archives that lie at their place already are used. Files arrive in a folder beside and move when whole.
    Raises DataError with what to put where when that fails, StoreError where `data.root` is not writable.
    """
    beside = _data_set(data).parent
    atomic.make_folder(beside)
    with held(beside / f".{data.source}.lock", timeout_s=WAIT_FOR_EVER):
        path = missing_file(data)
        if path is None:
            return
        staging = beside / f".{data.source}.download"
        try:
            with _timeout(_SILENCE_S):
                _download_into(staging, data)
        except (OSError, RuntimeError, EOFError, http.client.HTTPException) as error:
            raise DataError(
                f"{data.source} could not be downloaded: {error}",
                where=str(path),
                remedy=f"Check the network and run the same command again, or put {path.name} (uncompressed) "
                f"from another machine into {path.parent}.",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _download_into(staging: Path, data: DataSettings) -> None:
    from torchvision import datasets

    shutil.rmtree(staging, ignore_errors=True)
    home = _data_set(data)
    arrived = staging / FOLDERS[data.source]
    match data.source:
        case "cifar10":
            _copy_archives(home.parent, staging)
            datasets.CIFAR10(staging, download=True)
        case "mnist":
            _copy_archives(home / "raw", arrived / "raw")
            datasets.MNIST(staging, download=True)
        case _:
            _copy_archives(home / "raw", arrived / "raw")
            datasets.FashionMNIST(staging, download=True)
    for file in sorted(arrived.rglob("*")):
        target = home / file.relative_to(arrived)
        if file.is_file() and file.suffix != ".gz" and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)


def _copy_archives(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for archive in source.glob("*.gz"):
        shutil.copyfile(archive, target / archive.name)


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """torchvision sets none, and would wait for ever on a network that swallows packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _data_set(data: DataSettings) -> Path:
    """The data set's own folder; `data.root` may name the one above it or itself."""
    root = Path(data.root).expanduser().absolute()
    name = FOLDERS[data.source]
    return root if root.name == name and not (root / name).is_dir() else root / name


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """The IDX format: http://yann.lecun.com/exdb/mnist/. Returns uint8 [N, 1, H, W]."""
    try:
        with path.open("rb") as file:
            header = file.read(16)
            there = path.stat().st_size - len(header)
            magic, count, height, width = struct.unpack(">4I", header)
            if magic != IDX_UINT8_3D:
                raise damaged(path, f"it begins with {magic:#010x} instead of {IDX_UINT8_3D:#010x}")
            if there != count * height * width or there == 0:  # before a byte of memory is asked for
                raise damaged(path, f"it has {there} pixels where {count} x {height} x {width} are announced")
            if (height, width) != IDX_SIDES:
                raise damaged(path, f"its images have {height} x {width} pixels instead of 28 x 28")
            pixels = np.fromfile(file, dtype=np.uint8)
    except (OSError, struct.error) as error:
        raise damaged(path, str(error)) from error
    return pixels.reshape(count, 1, height, width)


def _read_cifar_batch(path: Path) -> NDArray[np.uint8]:
    """uint8 [N, 3, 32, 32]."""
    return np.asarray(cifar_batch(path)["data"], dtype=np.uint8).reshape(-1, 3, 32, 32)


def cifar_batch(path: Path) -> dict[str, Any]:
    """One batch with its `data` and `labels`. The file is a pickle: it is opened only when it is the published one."""
    from torchvision.datasets import CIFAR10

    published = dict(CIFAR10.train_list + CIFAR10.test_list)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CIFAR_BATCH_BYTES)
    except OSError as error:
        raise damaged(path, str(error)) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != published[path.name]:
        raise damaged(path, "it does not match the published checksum")
    batch: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return batch


def damaged(path: Path, reason: str) -> DataError:
    """The error for a file that is not what it should be."""
    return DataError(
        f"this file is damaged: {reason}",
        where=str(path),
        remedy="Delete it and fetch it again with `harness fetch FILE`.",
    )
