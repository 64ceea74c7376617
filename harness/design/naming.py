"""What cells and factors are called: by the levels that differ from the baseline's and that matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.design.factors import ALIASES, NO_LEVEL, Hyperparameters, Level, canonical_level, fields_of, levels_of
from harness.design.folding import Parameters, idle_factors

BASELINE = "baseline"

Levels = Mapping[str, Level]
"""By field, own parts' factors as `own.NAME`."""


@dataclass(frozen=True)
class ShownLevels:
    """All levels of a cell by field, and the fields among them that matter there."""

    levels: Levels
    visible: Levels


def display_factors(baseline: ShownLevels, cells: Sequence[ShownLevels]) -> dict[str, tuple[str, ...]]:
    """What varies: display name -> fields. An alias stands for its fields where these agree in every cell."""
    shown: dict[str, tuple[str, ...]] = {}
    for name, level in baseline.levels.items():
        if not any(cell.visible.get(name, level) != level for cell in cells):
            continue
        alias = next((alias for alias, fields in ALIASES.items() if name in fields), None)
        if alias and _stands_for_both(ALIASES[alias], baseline, cells):
            shown[alias] = ALIASES[alias]
        else:
            shown[name] = (name,)
    return shown


def _stands_for_both(fields: tuple[str, ...], baseline: ShownLevels, cells: Sequence[ShownLevels]) -> bool:
    """Whether the fields agree wherever they matter, and go away from the baseline together at least once."""
    for cell in (baseline, *cells):
        if len({cell.visible[name] for name in fields if name in cell.visible}) > 1:
            return False
    return any(all(cell.levels[name] != baseline.levels[name] for name in fields) for cell in cells)


def varied_levels(cell: ShownLevels, baseline: Levels, factors: Mapping[str, tuple[str, ...]]) -> dict[str, Level]:
    """The cell's levels that differ from the baseline's and matter, by display name."""
    varied: dict[str, Level] = {}
    for shown, fields in factors.items():
        levels = [cell.visible[name] for name in fields if cell.visible.get(name, baseline[name]) != baseline[name]]
        if levels:
            varied[shown] = levels[0]
    return varied


def shown_levels(hp: Hyperparameters, factors: Iterable[str], parameters: Parameters) -> dict[str, Level]:
    """A cell's level of each factor or alias, for tables: `-` where it changes nothing in that cell."""
    idle = set(idle_factors(hp, parameters))
    levels = {name: level for name, level in levels_of(hp).items() if name not in idle}
    return {name: next((levels[field] for field in fields_of(name) if field in levels), NO_LEVEL) for name in factors}


def name_and_label(
    names: Sequence[str], varied: Levels, labels: Mapping[str, str], *, is_baseline: bool
) -> tuple[str, str, tuple[str, ...]]:
    """Name, label and all names of a cell that the file calls `names`."""
    given = [name for name in names if name != BASELINE]
    parts = spelled(varied)
    name = given[0] if given and not is_baseline else ",".join(parts) or BASELINE
    all_names = tuple(dict.fromkeys([name, *names]))
    label = name if given or is_baseline else ", ".join(labels.get(part, part) for part in parts)
    return name, next((labels[called] for called in all_names if called in labels), label), all_names


def spelled(varied: Levels) -> list[str]:
    """`latent_dim=8` for each level."""
    return [f"{name}={canonical_level(level)}" for name, level in varied.items()]


def names_and_levels(cells: Iterable[tuple[tuple[str, ...], Levels]]) -> set[str]:
    """All that `[labels]` may name. cells: names and varied levels of each."""
    return {text for names, varied in cells for text in (*names, *spelled(varied))}
