"""Labels of images: one each, in the order of the images, and refusals where there are no classes."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from harness.data.labels import CLASSES, has_split, label_file, labels
from harness.data.sources import load
from harness.design.experiment import DataSettings
from harness.errors import DataError


def folder_of(root: Path, grays: dict[str, int]) -> DataSettings:
    """A folder with one even image of each gray value."""
    for name, gray in grays.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), gray).save(file)
    return DataSettings(source="folder", root=str(root), color="gray")


def idx_labels(values: list[int], *, magic: int = 0x801, announced: int | None = None) -> bytes:
    return struct.pack(">2I", magic, len(values) if announced is None else announced) + bytes(values)


def test_digits() -> None:
    found, names = labels(DataSettings(source="digits"))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, load_digits().target)
    assert names == tuple("0123456789")


@pytest.mark.parametrize("split", ["train", "test"])
def test_real_mnist(split: str, shared_data: Path) -> None:
    data = DataSettings.model_validate({"source": "mnist", "root": str(shared_data), "split": split})
    found, names = labels(data)
    theirs = datasets.MNIST(shared_data, train=split == "train")
    np.testing.assert_array_equal(found, theirs.targets.numpy())
    assert [name.split()[0] for name in theirs.classes] == list(names)
    assert has_split(data)


def test_names_are_torchvisions() -> None:
    assert [name.lower() for name in datasets.FashionMNIST.classes] == [
        name.lower() for name in CLASSES["fashion-mnist"]
    ]
    assert {source: len(names) for source, names in CLASSES.items()} == dict.fromkeys(CLASSES, 10)


def test_a_folders_classes_follow_its_images(tmp_path: Path) -> None:
    grays = {"b/2.png": 20, "a/deep/er/9.png": 10, "b/1.png": 20, "a.x/0.png": 30, "a/1.png": 10}
    data = folder_of(tmp_path / "set", grays)
    found, names = labels(data)
    assert names == ("a", "a.x", "b")
    images = load(data, 4).images
    by_gray = {10: "a", 20: "b", 30: "a.x"}
    assert [names[label] for label in found] == [by_gray[int(image.max())] for image in images]


def test_skipped_images_have_no_label(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "set", {"a/1.png": 10, "a/2.png": 10, "b/1.png": 20})
    (tmp_path / "set" / "a" / "1.png").write_bytes(b"no image")
    data = data.model_copy(update={"corrupt": "skip"})
    loaded = load(data, 4)
    found, names = labels(data, loaded.skipped)
    assert [names[label] for label in found] == ["a", "b"]
    assert len(found) == len(loaded.images)


@pytest.mark.parametrize(
    ("grays", "what"),
    [
        ({"a.png": 1, "b.png": 2}, "a.png lies in no class's sub-folder"),
        ({"x/a.png": 1, "y/b.png": 2, "z.png": 3}, "z.png lies in no class's sub-folder"),
        ({"x/a.png": 1, "x/b.png": 2}, "all images are of one class, x"),
    ],
)
def test_a_folder_without_classes_is_refused(tmp_path: Path, grays: dict[str, int], what: str) -> None:
    with pytest.raises(DataError, match=what) as raised:
        labels(folder_of(tmp_path / "set", grays))
    assert str(tmp_path / "set") in str(raised.value) and "one sub-folder per class" in raised.value.remedy


def test_own_code_is_refused() -> None:
    with pytest.raises(DataError, match="come without labels") as raised:
        labels(DataSettings(source="shapes.py:images"))
    assert 'source = "folder"' in raised.value.remedy


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "the labels are not there"),
        (b"", "damaged"),
        (idx_labels([1, 2], magic=0x803), "begins with 0x00000803"),
        (idx_labels([1, 2], announced=3), "2 labels where 3 are announced"),
        (idx_labels([]), "0 labels"),
        (idx_labels([3, 10]), "a label 10"),
    ],
)
def test_damaged_label_files_are_named(tmp_path: Path, content: bytes | None, what: str) -> None:
    data = DataSettings(source="mnist", root=str(tmp_path))
    file = label_file(data)
    file.parent.mkdir(parents=True)
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=what) as raised:
        labels(data)
    assert str(file) in str(raised.value)
    assert not has_split(data)  # there are no images at all


def test_cifar10_in_the_order_of_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar, folder = datasets.CIFAR10, tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    sums = {}
    for number in range(1, 6):
        pixels = np.full((2, 3072), number, dtype=np.uint8)
        content = pickle.dumps({"data": pixels, "labels": [number, 9 - number]})
        (folder / f"data_batch_{number}").write_bytes(content)
        sums[f"data_batch_{number}"] = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(cifar, "train_list", list(sums.items()))
    data = DataSettings(source="cifar10", root=str(tmp_path))
    found, names = labels(data)
    assert found.tolist() == [1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
    assert load(data, 32).images[::2, 0, 0, 0].tolist() == found[::2].tolist()
    assert names[9] == "truck" and has_split(data) and not has_split(data.model_copy(update={"split": "test"}))
    (folder / "data_batch_2").write_bytes(b"code that is never run")
    with pytest.raises(DataError, match=r"data_batch_2.*checksum"):
        labels(data)


def test_cifar10_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data_batch_1"):
        labels(DataSettings(source="cifar10", root=str(tmp_path)))
