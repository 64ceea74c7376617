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
from harness.errors import DamagedFileError
from harness.gan.networks.build import generator_with
from harness.store import atomic
from harness.store.reading import open_file

_ENTRY = "harness"
"""One metadata entry, as safetensors writes several in no fixed order: equal weights shall be equal files."""
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 1 << 24
"""Far more than the header of the largest generator."""


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
    """Rebuilds the generator from the file alone; DamagedFileError for anything that `write_checkpoint` did not make.

    That holds for files whose checksum was made to fit, too: nothing in the file is ever executed.
    """
    content = atomic.read_hashed(path)
    try:
        description = _description(content)
        weights = load(content)
        generator = generator_with(description.hyperparameters, description.channels, weights)
    except Exception as error:  # a file from elsewhere makes its readers raise whatever it likes
        raise _not_ours(path, _first_line(error)) from error
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise _not_ours(path, "it holds weights that are not finite")
    return Checkpoint(generator.to(device).eval().requires_grad_(False), description, atomic.sha256_of(content))


def described_key(path: Path) -> str | None:
    """The key of the run that a checkpoint says it is of; None where it is missing or says nothing."""
    try:
        with open_file(path) as file:
            head = file.read(_LENGTH_BYTES)
            length = int.from_bytes(head, "little")
            return _description(head + file.read(length)).key if length <= _MAX_HEADER_BYTES else None
    except Exception:  # noqa: BLE001 - a file from elsewhere makes its readers raise whatever it likes
        return None


def _description(content: bytes) -> Description:
    """From the header of a safetensors file: eight bytes of its length (little endian), then JSON."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    document: dict[str, Any] = json.loads(header["__metadata__"][_ENTRY])
    channels, key, step = document["channels"], document["key"], document["step"]
    if type(channels) is not int or type(step) is not int or not isinstance(key, str):
        raise TypeError("channels and step are whole numbers, key is text")
    return Description(Hyperparameters.model_validate(document["hyperparameters"]), channels, key, step)


def _not_ours(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        f"the file is no checkpoint of this harness: {what}",
        where=str(path),
        remedy="Remove it; `harness run` makes it again.",
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
