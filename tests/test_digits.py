"""The digits are scikit-learn's own, wherever it keeps them, and reading them does not import it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from harness.data import digits


@pytest.mark.parametrize("table", [digits.TABLE, Path("elsewhere", "digits.csv.gz")])
def test_images_and_labels_are_those_of_scikit_learn(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "TABLE", table)
    images, labels = digits.read_digits()
    given = load_digits()
    assert images.dtype == given.images.dtype
    np.testing.assert_array_equal(images, given.images)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, given.target)


def test_scikit_learn_is_not_imported() -> None:
    code = "import sys; from harness.data.digits import read_digits; read_digits(); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
