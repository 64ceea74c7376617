"""Levels as people type them: `lr=2e-4, betas=0.5,0.9`, read as typed values."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from harness.design.factors import OWN, Level, Levels, canonical_level, fields_of, position
from harness.design.overrides import toml_value
from harness.design.references import own_level
from harness.design.schema import allowed_levels
from harness.errors import HarnessError


def read_levels(text: str, *, where: str) -> dict[str, Level]:
    """Levels by factor or alias, in the order given; HarnessError (at `where`) for what is no level of a factor."""
    levels: dict[str, Level] = {}
    for part in _split(text):
        name, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals or not raw:
            raise HarnessError(f"{part!r} is no level", where=where, remedy="Write FACTOR=LEVEL, such as latent_dim=8.")
        if not fields_of(name):
            raise HarnessError(f"{name!r} is no factor", where=where, remedy="`harness factors` lists them.")
        if name in levels:
            raise HarnessError(f"{name} is named twice", where=where)
        levels[name] = _level(name, raw, where)
    return levels


def canonical_text(text: str, baseline: Mapping[str, Level]) -> str | None:
    """The spelling that cells are named with, `lr=0.0002,betas=0.5,0.9`; None for what are no levels.

    baseline: its levels by field, which say what kind own parts' factors are of.
    """
    try:
        levels = read_levels(text, where=text)
        own = {name: own_level(name, levels[name], baseline) for name in levels if name.startswith(OWN)}
    except (HarnessError, KeyError, ValueError):
        return None
    levels |= own
    names = sorted(levels, key=lambda name: position(fields_of(name)[0]))
    return ",".join(f"{name}={canonical_level(levels[name])}" for name in names)


def _level(name: str, raw: str, where: str) -> Level:
    value = toml_value(raw)
    if isinstance(value, str) and "," in raw:
        value = toml_value(f"[{raw}]")
    try:
        table = {"own": {name.removeprefix(OWN): value}} if name.startswith(OWN) else {name: value}
        given: dict[str, Level] = Levels.model_validate(table).given()
    except ValidationError:
        allowed = allowed_levels(name)
        shown = raw if len(raw) <= 60 else f"{raw[:57]}..."
        raise HarnessError(f"{shown!r} is no level of {name}; allowed: {allowed}", where=where) from None
    return given[name]


def _split(text: str) -> list[str]:
    """Splits at commas that are followed by another `name=`, so that `betas=0.5,0.9` stays whole."""
    parts: list[str] = []
    for piece in text.split(","):
        if "=" in piece or not parts:
            parts.append(piece)
        else:
            parts[-1] += f",{piece}"
    return parts
