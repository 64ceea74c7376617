"""A run's key: the identity under which its directory, its MLflow run and every number of it are found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from harness.design.differences import Difference, differences
from harness.design.experiment import DataSettings
from harness.design.factors import ALIASES, INTRODUCED_DEFAULTS, OWN, Hyperparameters, as_fields
from harness.design.folding import reads_total, references_of
from harness.design.own_parts import is_own, split_reference

TRAINING_VERSION = 1
"""Raised only when the same settings would give other weights; every key changes with it."""


def run_key(
    hyperparameters: Hyperparameters, seed: int, data: DataSettings, steps: int, sources: Mapping[str, str]
) -> str:
    """SHA-256 (64 hex digits) of all that decides a run's weights, beside device, threads and versions.

    hyperparameters: of a cell, folded; steps, sources: see `key_parts`.
    """
    parts = key_parts(hyperparameters, seed, data, steps, sources)
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def key_parts(
    hyperparameters: Hyperparameters, seed: int, data: DataSettings, steps: int, sources: Mapping[str, str]
) -> dict[str, object]:
    """What a key hashes, as `status --explain` shows it; factors at the default they came with are left out.

    steps: all that the cell trains; in the key only where a schedule of the cell reads it. sources: own file ->
    `OwnSource.sha256`; in the key are those that the cell or its data refer to.
    """
    parts: dict[str, object] = {
        "hyperparameters": _hyperparameters(hyperparameters),
        "seed": seed,
        "data": data.declared(),
        "training_version": TRAINING_VERSION,
    }
    if reads_total(hyperparameters):
        parts["steps"] = steps
    references = [*references_of(hyperparameters).values(), *([data.source] if is_own(data.source) else [])]
    if references:
        files = sorted({split_reference(reference)[0] for reference in references})
        parts["sources"] = {file: sources[file] for file in files}
    return parts


def key_differences(
    before: Mapping[str, Mapping[str, object] | object], after: Mapping[str, Mapping[str, object] | object]
) -> tuple[Difference, ...]:
    """Which parts of a key differ: factors (an alias where all its fields went the same way), data, steps, the version,
    and own files (`sources.FILE`, eight digits of its hash).

    before, after: as `key_parts` gives them, or a run's manifest: factors that are not named have the default that they
    came with.
    """
    return _with_aliases(differences(_flat(before), _flat(after)))


def _hyperparameters(hyperparameters: Hyperparameters) -> dict[str, object]:
    levels = hyperparameters.model_dump(mode="json", exclude={"own"})
    parts = {name: value for name, value in levels.items() if value != _INTRODUCED[name]}
    generator, discriminator = ALIASES["normalization"]
    if parts.get(generator, "") == parts.get(discriminator):  # both networks had one factor when keys began
        level = parts.pop(generator)
        del parts[discriminator]
        parts["normalization"] = level
    return parts | {f"{OWN}{name}": level for name, level in hyperparameters.own}


def _flat(parts: Mapping[str, Mapping[str, object] | object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in parts.items():
        if not isinstance(value, Mapping):
            flat[name] = value
        elif name == "hyperparameters":
            levels = as_fields(value)
            own = dict(levels.pop("own", ()))
            flat |= {**_INTRODUCED, **levels, **{f"{OWN}{factor}": level for factor, level in own.items()}}
        elif name == "sources":
            flat |= {f"{name}.{file}": str(sha256)[:8] for file, sha256 in value.items()}
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


_INTRODUCED = {
    name: list(value) if isinstance(value, tuple) else value
    for name, value in INTRODUCED_DEFAULTS.items()
    if name != "own"
}
"""As JSON spells them."""
