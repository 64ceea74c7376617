"""scikit-learn's handwritten digits, from the file that it ships with: importing it takes longer than all of them."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path("datasets", "data", "digits.csv.gz")
"""Below scikit-learn's folder: a line per digit, its 64 pixels of 0..16 and its label."""


def read_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What `sklearn.datasets.load_digits` gives: images float64 [1797, 8, 8] of 0..16, labels int64 [1797]."""
    table = _table()
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def _table() -> NDArray[np.float64]:
    spec = find_spec("sklearn")  # found, not imported
    path = Path(spec.origin).parent / TABLE if spec and spec.origin else TABLE
    if not path.is_file():  # another scikit-learn, which keeps it elsewhere
        from sklearn.datasets import load_digits

        digits = load_digits()
        return np.column_stack([digits.data, digits.target])
    with gzip.open(path, "rt", encoding="ascii") as file:
        return np.loadtxt(file, delimiter=",")
