"""A run's key: the identity under which its directory, its MLflow run and every number of it are found."""

from __future__ import annotations

import hashlib
import json

from harness.design.experiment import DataSettings
from harness.design.factors import INTRODUCED_DEFAULTS, Hyperparameters

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


def _document(hyperparameters: Hyperparameters, seed: int, data: DataSettings) -> bytes:
    return json.dumps(key_parts(hyperparameters, seed, data), sort_keys=True, separators=(",", ":")).encode()


_INTRODUCED = {name: list(value) if isinstance(value, tuple) else value for name, value in INTRODUCED_DEFAULTS.items()}
"""As JSON spells them."""
