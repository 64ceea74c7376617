"""What differs between two settings of the same thing: named entries, before and after, as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.design.factors import canonical_level

ABSENT = "not recorded"
"""Shown where one side says nothing of an entry."""


@dataclass(frozen=True)
class Difference:
    """One entry that is not the same. before, after: one spelling of each value, `not recorded` where there is none."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.name} {self.before} -> {self.after}"


def differences(
    before: Mapping[str, object], after: Mapping[str, object], names: Iterable[str] | None = None
) -> tuple[Difference, ...]:
    """Entries of `names` (default: all of both, in their order) that are not the same."""
    told = dict.fromkeys([*before, *after]) if names is None else names
    spelled = [(name, _spelled(before, name), _spelled(after, name)) for name in told]
    return tuple(Difference(name, old, new) for name, old, new in spelled if old != new)


def _spelled(entries: Mapping[str, object], name: str) -> str:
    value = entries.get(name)
    return ABSENT if value is None else canonical_level(value)
