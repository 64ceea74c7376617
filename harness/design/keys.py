"""A run's key: the identity under which its directory, its MLflow run and every number of it are found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from harness.design.differences import Difference, differences
from harness.design.experiment import DataSettings
from harness.design.factors import ALIASES, INTRODUCED_DEFAULTS, Hyperparameters

TRAINING_VERSION = 1
"""Raised only when the same settings would give other weights; every key changes with it."""


def run_key(hyperparameters: Hyperparameters, seed: int, data: DataSettings) -> str:
    """SHA-256 (64 hex digits) of all that decides a run's weights, beside device, threads and versions."""
    return hashlib.sha256(_document(hyperparameters, seed, data)).hexdigest()


def key_parts(hyperparameters: Hyperparameters, seed: int, data: DataSettings) -> dict[str, object]:
    """What a key hashes, as `status --explain` shows it; factors at the default they came with are left out."""
    return {
        "hyperparameters": {
            name: value for name, value in hyperparameters.model_dump(mode="json").items() if value != _INTRODUCED[name]
        },
        "seed": seed,
        "data": data.declared(),
        "training_version": TRAINING_VERSION,
    }


def key_differences(
    before: Mapping[str, Mapping[str, object] | object], after: Mapping[str, Mapping[str, object] | object]
) -> tuple[Difference, ...]:
    """Which parts of a key differ: factors (an alias where all its fields went the same way), data, the version.

    before, after: as `key_parts` gives them, or a run's manifest: factors that are not named have the default that they
    came with.
    """
    return _with_aliases(differences(_flat(before), _flat(after)))


def _flat(parts: Mapping[str, Mapping[str, object] | object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in parts.items():
        if not isinstance(value, Mapping):
            flat[name] = value
        elif name == "hyperparameters":
            flat |= {**_INTRODUCED, **value}
        else:
            flat |= {f"{name}.{entry}": inner for entry, inner in value.items()}
    return flat


def _with_aliases(found: Sequence[Difference]) -> tuple[Difference, ...]:
    by_name = {difference.name: difference for difference in found}
    for alias, fields in ALIASES.items():
        if len({(by_name[name].before, by_name[name].after) for name in fields if name in by_name}) != 1:
            continue
        if all(name in by_name for name in fields):
            first = by_name[fields[0]]
            by_name = {name: difference for name, difference in by_name.items() if name not in fields[1:]}
            by_name[fields[0]] = Difference(alias, first.before, first.after)
    return tuple(by_name.values())


def _document(hyperparameters: Hyperparameters, seed: int, data: DataSettings) -> bytes:
    return json.dumps(key_parts(hyperparameters, seed, data), sort_keys=True, separators=(",", ":")).encode()


_INTRODUCED = {name: list(value) if isinstance(value, tuple) else value for name, value in INTRODUCED_DEFAULTS.items()}
"""As JSON spells them."""
