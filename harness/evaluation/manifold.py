"""Metrics of nearest neighbors: improved precision and recall, density and coverage, closeness to training images.

A set of images stands for its manifold as the union of balls, one around each feature vector, that reach to its k-th
nearest other one. Kynkäänniemi et al. 2019 (arXiv:1904.06991), eqs. 1 and 2, ask which vectors of the other set lie in
that union (k = 3); Naeem et al. 2020 (arXiv:2002.09797), how many balls a vector lies in and which balls hold
one (k = 5). The boundary belongs to a ball. All in float64 and in blocks: memory does not grow with n times m. Before
each block of pairs `between_blocks` is called; what it raises ends the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.design.metrics import DENSITY_NEIGHBORS, METRICS, PRECISION_NEIGHBORS, MetricName
from harness.errors import HarnessError
from harness.evaluation.features import (
    Beat,
    Features,
    no_beat,
    require_count,
    require_features,
    require_same_dims,
)

Float64Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_ROWS_AT_ONCE = 1024
"""Of either side: 8 MiB of distances at once."""

_NEARER_THAN = 5.0
"""Percent of real images whose nearest other one is nearer than what `nearest_share` counts from."""


@dataclass(frozen=True, eq=False)
class Manifold:
    """features [n, d] and radii[k] [n]: the distance of each to its k-th nearest other (0 for a duplicate).

    between_blocks: called while `apart` is looked for.
    """

    features: Features
    radii: dict[int, Float64Array]
    between_blocks: Beat = field(default=no_beat, repr=False)

    @cached_property
    def apart(self) -> Float64Array:
        """[n]: the distance of each to the nearest that is not its duplicate; infinite where all are duplicates."""
        apart = self.radii[1].copy()
        duplicated = np.flatnonzero(apart == 0)
        if duplicated.size:
            apart[duplicated] = _nearest_different(self.features, duplicated, self.between_blocks)
        return apart


@dataclass(frozen=True, eq=False)
class Comparison:
    """Generated images against real ones. A metric raises HarnessError where there are too few images for it.

    within_real [n]: which generated images lie on the real manifold; within_generated [m]: the other way round;
    held: balls of the real manifold with a generated image in them, counted once for each such image; holding [m]:
    which balls hold any; nearest [n]: distance of each generated image to the nearest real one.
    """

    real: Manifold
    generated: Manifold
    within_real: BoolArray
    within_generated: BoolArray
    held: int
    holding: BoolArray
    nearest: Float64Array

    @property
    def precision(self) -> float:
        """Share of generated images on the real manifold, 0 to 1; Kynkäänniemi et al. 2019, eq. 2."""
        self._require("precision", self.real, PRECISION_NEIGHBORS)
        return float(self.within_real.mean())

    @property
    def recall(self) -> float:
        """Share of real images on the generated manifold, 0 to 1; Kynkäänniemi et al. 2019, eq. 2."""
        self._require("recall", self.generated, PRECISION_NEIGHBORS)
        return float(self.within_generated.mean())

    @property
    def density(self) -> float:
        """Real balls that a generated image lies in, divided by k: 1 is to be expected of real images, and more is
        possible; Naeem et al. 2020, sec. 3."""
        self._require("density", self.real, DENSITY_NEIGHBORS)
        return self.held / (DENSITY_NEIGHBORS * len(self.nearest))

    @property
    def coverage(self) -> float:
        """Share of real balls that hold a generated image, 0 to 1; Naeem et al. 2020, sec. 3."""
        self._require("coverage", self.real, DENSITY_NEIGHBORS)
        return float(self.holding.mean())

    @property
    def nearest_ratio(self) -> float:
        """Median distance of a generated image to the nearest real one, over that of a real one to the nearest that is
        not its duplicate (`Manifold.apart`): about 1 for further real images, 0 for copies."""
        self._require("nearest_ratio", self.real, 1)
        return float(np.median(self.nearest) / np.median(self._apart()))

    @property
    def nearest_share(self) -> float:
        """Share of generated images nearer to a real one than the 5th percentile of `Manifold.apart`: 0.05 is to be
        expected of further real images, 1 of copies."""
        self._require("nearest_share", self.real, 1)
        return float((self.nearest < np.percentile(self._apart(), _NEARER_THAN)).mean())

    def _apart(self) -> Float64Array:
        apart = self.real.apart
        if np.isinf(apart).any():  # of one then of all, for all are each other's duplicates
            raise HarnessError(
                "all real images have the same features, so there is no distance to compare with",
                remedy="Look at the data; or leave nearest_ratio and nearest_share out.",
            )
        return apart

    def _require(self, metric: MetricName, balls: Manifold, neighbors: int) -> None:
        for side in (self.generated, self.real):
            require_count(len(side.features), least=METRICS[metric].least, what=METRICS[metric].title)
        if neighbors not in balls.radii:
            raise ValueError(f"{metric} is of the {neighbors} nearest neighbors, which were not looked for")


def manifold_of(
    features: Features,
    neighbors: Sequence[int] = (1, PRECISION_NEIGHBORS, DENSITY_NEIGHBORS),
    *,
    between_blocks: Beat = no_beat,
) -> Manifold:
    """The manifold of features [n, d], with the radii of those k in `neighbors` that n images have (k < n).

    HarnessError for fewer than two images or features that are not finite.
    """
    require_features(features, least=2, what="a comparison of nearest neighbors")
    possible = sorted(k for k in neighbors if k < len(features))
    distances = _nearest_others(features, max(possible, default=1), between_blocks)
    return Manifold(features, {k: np.ascontiguousarray(distances[:, k - 1]) for k in possible}, between_blocks)


def compare(real: Manifold, generated: Manifold, *, between_blocks: Beat = no_beat) -> Comparison:
    """Every metric of this file in one pass over all pairs; ValueError for unequal dims."""
    require_same_dims(generated.features, real.features)
    center = real.features.mean(axis=0, dtype=np.float64)
    ours, theirs = _Blocks(generated.features, center), _Blocks(real.features, center)
    precise, dense = (_squares(real, k) for k in (PRECISION_NEIGHBORS, DENSITY_NEIGHBORS))
    recalled = _squares(generated, PRECISION_NEIGHBORS)
    within_real, within_generated, holding = (np.zeros(n, dtype=bool) for n in (len(ours), len(theirs), len(theirs)))
    held = 0
    nearest = _Nearest(len(ours), 1)
    for rows, row_vectors in ours:
        for columns, column_vectors in theirs:
            between_blocks()
            squares = _squared_distances(row_vectors, ours.norms[rows], column_vectors, theirs.norms[columns])
            within_real[rows] |= (squares <= precise[columns]).any(axis=1)
            within_generated[columns] |= (squares <= recalled[rows, None]).any(axis=0)
            balls = squares <= dense[columns]
            held += int(np.count_nonzero(balls))
            holding[columns] |= balls.any(axis=0)
            nearest.update(rows, columns, squares)
    everyone = np.arange(len(ours))
    distances = _exact(generated.features, everyone, real.features, nearest.index, between_blocks)[:, 0]
    return Comparison(real, generated, within_real, within_generated, held, holding, distances)


class _Blocks:
    """Blocks of centered rows in float64, and what their squared lengths add to squared distances.

    |x - y|^2 = |x|^2 + |y|^2 - 2 x . y rounds by at most about d eps (|x|^2 + |y|^2). The lengths are shortened by as
    much, so that what is equal, or lies on a boundary, never comes out farther.
    """

    def __init__(self, features: Features, center: Float64Array) -> None:
        self._features = features
        self._center = center
        slack = 2 * (features.shape[1] + 4) * float(np.finfo(np.float64).eps)
        self.norms = np.concatenate([(1 - slack) * np.einsum("nd,nd->n", block, block) for _, block in self])

    def __len__(self) -> int:
        return len(self._features)

    def __iter__(self) -> Iterator[tuple[slice, Float64Array]]:
        return self.starting_at(0)

    def starting_at(self, first: int) -> Iterator[tuple[slice, Float64Array]]:
        for start in range(first, len(self), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(self)))
            yield rows, self._features[rows] - self._center


class _Nearest:
    """The k nearest found so far of each of n vectors: squares [n, k], index [n, k], in no order."""

    def __init__(self, count: int, k: int) -> None:
        self.squares = np.full((count, k), np.inf)
        self.index = np.zeros((count, k), dtype=np.int64)

    def update(self, rows: slice, columns: slice, squares: Float64Array) -> None:
        """squares: from each of `rows` to each of `columns`."""
        k = self.index.shape[1]
        changed = np.flatnonzero(squares.min(axis=1) < self.squares[rows].max(axis=1))
        if not changed.size:
            return
        here = squares[changed]
        picked = np.argpartition(here, min(k, here.shape[1]) - 1, axis=1)[:, :k]
        changed += rows.start
        found = np.concatenate([self.squares[changed], np.take_along_axis(here, picked, axis=1)], axis=1)
        index = np.concatenate([self.index[changed], picked + columns.start], axis=1)
        keep = np.argpartition(found, k - 1, axis=1)[:, :k]
        self.squares[changed] = np.take_along_axis(found, keep, axis=1)
        self.index[changed] = np.take_along_axis(index, keep, axis=1)


def _nearest_others(features: Features, k: int, between_blocks: Beat) -> Float64Array:
    """[n, k]: distances of each to its k nearest others, ascending."""
    blocks = _Blocks(features, features.mean(axis=0, dtype=np.float64))
    nearest = _Nearest(len(blocks), k)
    for rows, row_vectors in blocks:
        for columns, column_vectors in blocks.starting_at(rows.start):
            between_blocks()
            if columns == rows:
                column_vectors = row_vectors
            squares = _squared_distances(row_vectors, blocks.norms[rows], column_vectors, blocks.norms[columns])
            if columns == rows:
                np.fill_diagonal(squares, np.inf)
            else:
                nearest.update(columns, rows, squares.T)
            nearest.update(rows, columns, squares)
    return np.sort(_exact(features, np.arange(len(blocks)), features, nearest.index, between_blocks), axis=1)


def _nearest_different(features: Features, which: NDArray[np.int64], between_blocks: Beat) -> Float64Array:
    """Distances of features[which] to the nearest vector that is not equal up to rounding; infinite without one."""
    center = features.mean(axis=0, dtype=np.float64)
    some, everyone = _Blocks(features[which], center), _Blocks(features, center)
    nearest = _Nearest(len(some), 1)
    for rows, row_vectors in some:
        for columns, column_vectors in everyone:
            between_blocks()
            squares = _squared_distances(row_vectors, some.norms[rows], column_vectors, everyone.norms[columns])
            squares[squares <= 0] = np.inf
            nearest.update(rows, columns, squares)
    distances = _exact(features, which, features, nearest.index, between_blocks)[:, 0]
    return np.where(np.isinf(nearest.squares[:, 0]), np.inf, distances)


def _squared_distances(a: Float64Array, a_norms: Float64Array, b: Float64Array, b_norms: Float64Array) -> Float64Array:
    squares = a @ b.T
    squares *= -2.0
    squares += a_norms[:, None]
    squares += b_norms
    return squares


def _exact(
    a: Features, which: NDArray[np.int64], b: Features, index: NDArray[np.int64], between_blocks: Beat
) -> Float64Array:
    """Distances of a[which[i]] to each b[index[i]] from the differences themselves: exactly 0 for equal vectors."""
    distances = np.empty(index.shape)
    rows_at_once = max(1, _ROWS_AT_ONCE // index.shape[1])
    for start in range(0, len(index), rows_at_once):
        between_blocks()
        rows = slice(start, start + rows_at_once)
        differences = a[which[rows], None].astype(np.float64) - b[index[rows]]
        distances[rows] = np.sqrt(np.einsum("nkd,nkd->nk", differences, differences))
    return distances


def _squares(manifold: Manifold, k: int) -> Float64Array:
    """Squared radii; minus infinity, which holds nothing, where there are none."""
    radii = manifold.radii.get(k)
    return np.full(len(manifold.features), -np.inf) if radii is None else radii**2
