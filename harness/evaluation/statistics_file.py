"""Mean and covariance of features as .npz files in pytorch-fid's format, and how ours were made.

pytorch-fid reads the arrays `mu` [d] and `sigma` [d, d] and nothing else. Files written here also hold `made_by`, a
JSON text: which extractor with which weights saw how many images, and how. Whoever writes a file writes it whole, and
an existing one is never replaced. Nothing in a file is ever executed (no pickles).
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, ProtocolError
from harness.evaluation.frechet import Float64Array, Moments, frechet_distance, is_rank_deficient
from harness.evaluation.protocol import INCEPTION_SHA256, RESIZE
from harness.store import atomic

MAX_DIMS = 16_384
"""Largest features taken; a covariance of theirs has 2 GiB."""

OTHER_FILE = "Make it again: `harness fid FOLDER --save-stats FILE.npz`, or with pytorch-fid's --save-stats."


@dataclass(frozen=True)
class Making:
    """How statistics were made: two of different making never go into one number.

    resolution: pixels that every image was brought to first by `resize`, both None where images kept their own size.
    """

    extractor: str
    extractor_sha256: str
    precision: str
    resolution: int | None
    resize: str | None

    @classmethod
    def of(cls, extractor: str, extractor_sha256: str, precision: str, resolution: int | None) -> Making:
        return cls(extractor, extractor_sha256, precision, resolution, None if resolution is None else RESIZE)

    @property
    def verified(self) -> bool:
        """Whether the weights are the known ones, so that numbers compare with published ones."""
        return self.extractor != "inception" or self.extractor_sha256 == INCEPTION_SHA256


@dataclass(frozen=True)
class Origin:
    """Of which file or folder statistics are, their dims, and how they were made: None where nobody noted it."""

    where: str
    dims: int
    making: Making | None


@dataclass(frozen=True, eq=False)
class Statistics:
    """mean [d] and covariance [d, d], float64, of the features of `count` images (None: not known)."""

    origin: Origin
    mean: Float64Array
    covariance: Float64Array
    count: int | None

    @property
    def is_rank_deficient(self) -> bool | None:
        """Whether there are too few images for a covariance of full rank; None where their number is not known."""
        return None if self.count is None else is_rank_deficient(self.count, self.mean.size)

    def moments(self) -> Moments:
        """For the distance; an unknown count is taken for large enough to give the covariance full rank."""
        return Moments(self.count or self.mean.size + 1, self.mean, self.covariance)


def distance(a: Statistics, b: Statistics) -> float:
    """The squared Fréchet distance (`frechet.py`); raises as `require_comparable`."""
    require_comparable(a.origin, b.origin)
    # Eigenvalues that are zero but for rounding are found on the decomposed side: that of the unknown count.
    first, second = (b, a) if b.count is None else (a, b)
    return frechet_distance(first.moments(), second.moments())


def require_comparable(a: Origin, b: Origin) -> None:
    """ProtocolError where both are known to be made differently, with what they differ in; DataError for other dims."""
    if a.making and b.making and a.making != b.making:
        raise ProtocolError(
            "statistics that were made differently never go into one number; these differ in "
            f"{', '.join(differences(a.making, b.making))}",
            where=f"{a.where} and {b.where}",
            remedy="Measure both alike: --extractor, --weights, --precision and --resolution say how.",
        )
    if a.dims != b.dims:
        raise DataError(
            f"features of {a.dims} and of {b.dims} dims cannot be compared",
            where=f"{a.where} and {b.where}",
            remedy="Use statistics of one extractor; pytorch-fid's have 2048 dims unless its --dims said otherwise.",
        )


def differences(one: Making, other: Making) -> list[str]:
    """Where two makings differ, a text each: `extractor digits and inception`; empty for one and the same."""
    a, b = asdict(one), asdict(other)
    return [f"{name} {_short(a[name])} and {_short(b[name])}" for name in a if a[name] != b[name]]


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Writes measured statistics as an .npz that pytorch-fid reads.

    ValueError for statistics of unknown making; DataError where something lies at `path`, StoreError where the disk
    refuses.
    """
    if statistics.count is None or statistics.origin.making is None:
        raise ValueError("only statistics of known making are written")
    if path.exists():
        raise DataError("the file exists", where=str(path), remedy="Give another name, or move it away.")
    made_by = np.array(json.dumps({"images": statistics.count, **asdict(statistics.origin.making)}))
    content = io.BytesIO()
    np.savez_compressed(content, mu=statistics.mean, sigma=statistics.covariance, made_by=made_by)
    atomic.make_folder(path.parent)
    atomic.write_bytes(path, content.getvalue())


def read_statistics(path: Path) -> Statistics:
    """What `write_statistics` or pytorch-fid wrote; DataError for anything else, NaN and wrong shapes included."""
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), remedy=OTHER_FILE)
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no .npz archive, or is cut off")
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in ("mu", "sigma") if name not in archive.files]
            if missing:
                raise ValueError(f"it has no array {' and no array '.join(missing)}; it has {archive.files}")
            _check_size(archive)
            mean, covariance = _real(archive["mu"], "mu"), _real(archive["sigma"], "sigma")
            made_by = str(archive["made_by"][()]) if "made_by" in archive.files else None
        _check(mean, covariance)
        count, making = (None, None) if made_by is None else _making(made_by)
    except (
        OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, NotImplementedError, RuntimeError,
        MemoryError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"not statistics in pytorch-fid's format: {reason[:300]}", where=str(path), remedy=OTHER_FILE
        ) from error
    return Statistics(Origin(str(path), mean.size, making), mean, covariance, count)


def _check_size(archive: Any) -> None:
    """A small file may unpack to anything; looked at before it does."""
    for name in ("mu", "sigma"):
        if archive.zip.getinfo(f"{name}.npy").file_size > 8 * MAX_DIMS**2 + 4096:
            raise ValueError(f"{name} has more than {MAX_DIMS} dims")


def _real(array: NDArray[Any], name: str) -> Float64Array:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds {array.dtype}, not real numbers")
    return array.astype(np.float64)


def _check(mean: Float64Array, covariance: Float64Array) -> None:
    if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
        raise ValueError(f"mu {list(mean.shape)} and sigma {list(covariance.shape)} are not [d] and [d, d]")
    for name, array in (("mu", mean), ("sigma", covariance)):
        wrong = np.count_nonzero(~np.isfinite(array))
        if wrong:
            raise ValueError(f"{wrong} of {array.size} values of {name} are NaN or infinite")
    largest = float(np.abs(covariance).max())
    asymmetry = float(np.abs(covariance - covariance.T).max())
    if asymmetry > 1e-3 * largest or float(np.diagonal(covariance).min()) < -1e-6 * largest:
        raise ValueError("sigma is no covariance: it is not symmetric, or a variance is negative")


def _making(text: str) -> tuple[int, Making]:
    try:
        document = json.loads(text)
        count = document.pop("images")
        if type(count) is not int or count < 2:
            raise ValueError(f"it names {count} images")
        return count, Making(**document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"made_by is not what `harness fid --save-stats` writes: {error}") from error


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text
