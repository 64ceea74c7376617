"""Sources that need no file, and what holds for all sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data import sources
from harness.design.experiment import DataSettings

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
