"""Main effects and two-factor interactions of a factorial grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparison import CellValues, Comparison, FactorEffect
from harness.analysis.paired import estimate
from harness.analysis.variance import seed_means, shared_means

Levels = tuple[str, ...]


def factorial_effects(
    grid_cells: Mapping[Levels, CellValues], factors: Sequence[str], comparison: Comparison
) -> tuple[FactorEffect, ...]:
    """Every main effect, then every two-factor interaction, on the scale and with the error of `comparison`.

    grid_cells: by levels in the order of `factors`; the first level of each factor is its reference. An effect is the
    mean over the other factors' levels at which all its cells were measured; seeds are those that all of these cells
    share. Effects without such cells or seeds are left out.
    """
    means = {levels: seed_means(cell, comparison.scale) for levels, cell in grid_cells.items()}
    measured = {levels: of_seed for levels, of_seed in means.items() if of_seed}
    found = []
    for places, levels in _effects(list(grid_cells), len(factors)):
        weights = _contrast(list(grid_cells), list(measured), places, levels)
        if not weights:
            continue
        seeds, values = shared_means([measured[cell] for cell in weights])
        if not seeds:
            continue
        by_seed = [float(value) for value in np.array(list(weights.values())) @ values]
        names = {grid_cells[cell].cell for cell in weights}
        loud = not names.isdisjoint(comparison.pool.louder)
        size = float(np.abs(values).max())
        effect = estimate(by_seed, list(weights.values()), comparison.pool, loud=loud, size=size)
        found.append(
            FactorEffect(
                factors=tuple(factors[place] for place in places),
                levels=levels,
                estimate=effect.value,
                se=effect.se,
                freedom=effect.freedom,
                low=effect.low,
                high=effect.high,
                p=effect.p,
                seeds=len(seeds),
                cells=len(weights),
                at_levels=_at_levels(weights, values, places[1], levels[1]) if len(places) == 2 else None,
            )
        )
    return tuple(found)


def _at_levels(
    weights: Mapping[Levels, float], values: NDArray[np.float64], place: int, level: str
) -> tuple[float, float]:
    """The two differences that an interaction is the difference of: at the reference of the factor at `place`, and at
    `level`. values: shape (cells, seeds), cells as in `weights`."""
    low, high = 0.0, 0.0
    for (cell, weight), mean in zip(weights.items(), values.mean(axis=1), strict=True):
        if cell[place] == level:
            high += weight * float(mean)
        else:
            low -= weight * float(mean)
    return low, high


def _effects(cells: Sequence[Levels], factors: int) -> Iterator[tuple[tuple[int, ...], Levels]]:
    """Places of the factors and their levels: main effects first."""
    levels = [_levels(cells, place) for place in range(factors)]
    for order in (1, 2):
        for places in combinations(range(factors), order):
            for chosen in product(*(levels[place][1:] for place in places)):
                yield places, chosen


def _levels(cells: Sequence[Levels], place: int) -> list[str]:
    return list(dict.fromkeys(cell[place] for cell in cells))


def _contrast(
    cells: Sequence[Levels], measured: Sequence[Levels], places: tuple[int, ...], levels: Levels
) -> dict[Levels, float]:
    """Weights of cells: level minus reference, or the difference of two such, mean over the other factors' levels."""
    references = tuple(_levels(cells, place)[0] for place in places)
    have = set(measured)
    sets: list[dict[Levels, float]] = []
    for cell in cells:
        if tuple(cell[place] for place in places) != levels:
            continue
        corners = {
            _at(cell, places, corner): float(
                np.prod([1 if one == level else -1 for one, level in zip(corner, levels, strict=True)])
            )
            for corner in product(*zip(levels, references, strict=True))
        }
        if have.issuperset(corners):
            sets.append(corners)
    return {cell: weight / len(sets) for corners in sets for cell, weight in corners.items()}


def _at(cell: Levels, places: tuple[int, ...], levels: Levels) -> Levels:
    """`cell` with other levels at these places."""
    changed = dict(zip(places, levels, strict=True))
    return tuple(changed.get(place, level) for place, level in enumerate(cell))
