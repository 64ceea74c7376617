"""Sources that need no file, and what holds for all sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.data import sources
from harness.data.cache import ImageCache, open_images
from harness.data.own_code import OwnCode
from harness.data.own_images import own_images
from harness.design.experiment import DataSettings
from harness.errors import DataError, OwnPartError

DIGITS_SHA256 = "e55439cef5fa2bb99c1f81b178d7ea373c1f89bcd7efe195a2835be86dc9c8a7"


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    loaded = sources.load(DataSettings(), 8)
    assert loaded.images.shape == (1797, 1, 8, 8) and loaded.images.dtype == np.uint8
    assert loaded.images.flags.c_contiguous and loaded.skipped == ()
    assert np.abs(loaded.images[:, 0] - load_digits().images * 255 / 16).max() <= 0.5
    assert loaded.images.max() == 255 and loaded.images.min() == 0


def test_digits_need_nothing_and_hash_the_same_everywhere(tmp_path: Path) -> None:
    data = DataSettings(root=str(tmp_path / "nowhere"))
    assert sources.is_present(data)
    sources.fetch(data)
    assert sources.content_sha256(data) == DIGITS_SHA256
    assert not (tmp_path / "nowhere").exists()


def test_hashing_needs_no_torch(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    code = (
        "import sys; from harness.data import sources, cache;"
        "from harness.design.experiment import DataSettings;"
        f"sources.content_sha256(DataSettings(source='folder', root={str(tmp_path)!r}));"
        "assert 'torch' not in sys.modules and 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def own_data(folder: Path, text: str, **options: Any) -> tuple[DataSettings, OwnCode]:
    """Data that a file of one's own gives; `text` is the body of `load(root, split)`."""
    path = folder / "mydata.py"
    path.write_text(f"import numpy as np\n\ndef load(root, split):\n    return {text}\n", encoding="utf-8")
    return DataSettings(source="mydata.py:load", **options), OwnCode({"mydata.py": path})


def test_own_images_are_given_at_every_resolution(tmp_path: Path) -> None:
    data, code = own_data(tmp_path, "np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)")
    own = own_images(data, code)
    assert np.array_equal(own.ravel(), np.arange(384, dtype=np.uint8))
    assert sources.is_present(data)
    assert np.array_equal(sources.load(data, 8, own).images, own)
    assert sources.load(data, 4, own).images.shape == (2, 3, 4, 4)
    path = ImageCache(tmp_path / "cache").prepare(data, sources.content_sha256(data, own), 8, own)
    assert path.name.startswith("images-own-8-")
    assert np.array_equal(open_images(path), own)


def test_own_code_is_told_root_and_split(tmp_path: Path) -> None:
    text = "np.full((1, 4, 4), len(root) if split == 'test' else 0, dtype=np.uint8)"
    data, code = own_data(tmp_path, text, root="four", split="test", color="gray")
    assert np.all(own_images(data, code) == 4)


def test_the_middle_square_of_own_images_is_used(tmp_path: Path) -> None:
    text = "np.broadcast_to(np.arange(8, dtype=np.uint8), (5, 4, 8))"
    own = own_images(*own_data(tmp_path, text, color="gray"))
    assert own.shape == (5, 1, 4, 4)
    assert own[0, 0, 0].tolist() == [2, 3, 4, 5]
    assert own.flags.c_contiguous and own.flags.writeable


def test_the_hash_of_own_images_is_of_their_shape_and_values(tmp_path: Path) -> None:
    texts = [
        "np.zeros((4, 4, 4), np.uint8)",
        "np.zeros((4, 8, 8), np.uint8)",
        "np.eye(4, dtype=np.uint8)[None].repeat(4, 0)",
    ]
    hashes = []
    for text in [*texts, texts[0]]:
        data, code = own_data(tmp_path, text, color="gray")
        hashes.append(sources.content_sha256(data, own_images(data, code)))
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("np.full((4, 3, 8, 8), 0.5)", r"gives float64 \[4, 3, 8, 8\] instead of uint8.*values go from 0.5 to 0.5"),
        ("np.zeros((4, 64), np.uint8)", r"gives uint8 \[4, 64\] instead of .*It has 2 dimensions"),
        ("np.zeros((0, 8, 8), np.uint8)", r"gives uint8 \[0, 8, 8\].*no images in it"),
        (
            "np.zeros((4, 8, 8), np.uint8)",
            r'gives images of 1 channel, \[4, 1, 8, 8\], where color = "rgb" says 3.*color = "gray"',
        ),
        ("np.zeros((4, 8, 8, 3), np.uint8)", r"gives images of 8 channels.*transpose\(0, 3, 1, 2\)"),
        ("[[1, 2], [3]]", "gives list, which is no array"),
        ("None", r"gives object \[\]"),
    ],
)
def test_what_is_no_array_of_images_is_refused_with_its_shape(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError, match=f"(?s)mydata.py:load: {expected}"):
        own_images(*own_data(tmp_path, text))


def test_errors_of_own_data_are_told_at_their_line(tmp_path: Path) -> None:
    with pytest.raises(OwnPartError, match=r"^mydata.py:4: calling mydata.py:load: FileNotFoundError: .*nowhere"):
        own_images(*own_data(tmp_path, "np.load('nowhere.npy')"))
