"""Checkpoints: a generator's weights as safetensors, with all in the metadata that rebuilds the network.

Written by the process that trains the run, replaced only by their like; read by evaluation, pictures and
people.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from harness.design.factors import Hyperparameters
from harness.gan.networks.build import generator_with
from harness.store import atomic

_ENTRY = "harness"
"""One metadata entry, as safetensors writes several in no fixed order: equal weights shall be equal files."""


@dataclass(frozen=True)
class Description:
    """What a checkpoint says about itself. channels: of the images; step: steps trained."""

    hyperparameters: Hyperparameters
    channels: int
    key: str
    step: int


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint. generator: in eval mode, without gradients; sha256: of the file."""

    generator: nn.Module
    description: Description
    sha256: str


def write_checkpoint(path: Path, generator: nn.Module, description: Description) -> str:
    """Writes raw parameters and buffers, their SHA-256 beside; returns it. Same weights, same bytes."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in generator.state_dict().items()}
    document = {
        "hyperparameters": description.hyperparameters.model_dump(mode="json"),
        "channels": description.channels,
        "key": description.key,
        "step": description.step,
    }
    metadata = {_ENTRY: atomic.canonical_json(document).decode()}
    return atomic.write_hashed(path, save(tensors, metadata))


def load_generator(path: Path, device: torch.device) -> Checkpoint:
    """Rebuilds the generator from the file alone; DamagedFileError where it does not match its SHA-256."""
    content = atomic.read_hashed(path)
    document = _metadata(content)
    description = Description(
        Hyperparameters.model_validate(document["hyperparameters"]),
        document["channels"],
        document["key"],
        document["step"],
    )
    generator = generator_with(description.hyperparameters, description.channels, load(content))
    return Checkpoint(generator.to(device).eval().requires_grad_(False), description, atomic.sha256_of(content))


def _metadata(content: bytes) -> dict[str, Any]:
    """The header of a safetensors file: eight bytes of its length (little endian), then JSON."""
    length = int.from_bytes(content[:8], "little")
    document: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_ENTRY])
    return document
