"""Checkpoints: a generator's weights as safetensors, with all in the metadata that rebuilds the network.

Written by the process that trains the run, replaced only by their like; read by evaluation, pictures and
people.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters, as_fields, as_written
from harness.design.own_parts import is_own, split_reference
from harness.errors import DamagedFileError, HarnessError, OwnPartError, StoreError
from harness.gan.ema import Average
from harness.gan.networks.build import generator_with
from harness.store import atomic
from harness.store.reading import open_file

_ENTRY = "harness"
"""One metadata entry, as safetensors writes several in no fixed order: equal weights shall be equal files."""
_AVERAGE = "ema/"
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 1 << 24
"""Far more than the header of the largest generator."""

Weights = Literal["raw", "ema"]
"""A checkpoint's weights: those that were trained, or their moving average."""


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


def write_checkpoint(path: Path, generator: nn.Module, description: Description, average: Average | None = None) -> str:
    """Writes raw parameters and buffers, their SHA-256 beside; returns it. Same weights, same bytes.

    average: the moving average of them, kept as tensors whose names begin with `ema/`.
    """
    kept = {**generator.state_dict(), **{_AVERAGE + name: tensor for name, tensor in (average or {}).items()}}
    document = {
        "hyperparameters": as_written(description.hyperparameters.model_dump(mode="json")),
        "channels": description.channels,
        "key": description.key,
        "step": description.step,
    }
    metadata = {_ENTRY: atomic.canonical_json(document).decode()}
    return atomic.write_hashed(path, save(_apart(kept), metadata))


def load_generator(
    path: Path, device: torch.device, own_code: OwnCode, expected: Hyperparameters | None, weights: Weights = "raw"
) -> Checkpoint:
    """Rebuilds the generator; DamagedFileError for anything that `write_checkpoint` did not make.

    That holds for files whose checksum was made to fit, too: nothing in the file is ever executed, and none of the
    user's code because the file asks for it. own_code: the user's own parts. expected: the levels of the file's cell;
    a file of other levels is refused. Without them only built-in generators are built. OwnPartError where an own part
    is not expected, not there or does not work. weights: "ema" for the moving average; StoreError where there is none.
    """
    content = atomic.read_hashed(path)
    try:
        description = _description(content)
        tensors = load(content)
        hp = description.hyperparameters
        _require_expected(path, hp, expected)
        _require_own_parts(path, hp, expected, own_code)
        kept = _kept(tensors, averaged=hp.ema_decay > 0)
        generator = generator_with(hp, description.channels, kept.get(weights, kept["raw"]), own_code)
    except HarnessError:
        raise
    except Exception as error:  # a file from elsewhere makes its readers raise whatever it likes
        raise _not_ours(path, _first_line(error)) from error
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise _not_ours(path, "it holds weights that are not finite")
    if weights not in kept:
        raise StoreError(
            "the checkpoint holds no moving average of the weights",
            where=str(path),
            remedy='Only runs with ema_decay above 0 keep one; measure the others with generator_weights = "raw".',
        )
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
    levels = as_fields(document["hyperparameters"])  # files from before a factor was split hold its alias
    return Description(Hyperparameters.model_validate(levels), channels, key, step)


def _kept(tensors: dict[str, Tensor], *, averaged: bool) -> dict[Weights, dict[str, Tensor]]:
    """The tensors of a file by what they are; ValueError where the average does not go with the raw weights."""
    ours = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AVERAGE)}
    average = {name.removeprefix(_AVERAGE): tensors[name] for name in tensors if name.startswith(_AVERAGE)}
    if not averaged and not average:
        return {"raw": ours}
    if not averaged or {n: t.shape for n, t in ours.items()} != {n: t.shape for n, t in average.items()}:
        raise ValueError("the moving average is not that of the generator")
    return {"raw": ours, "ema": average}


def _require_expected(path: Path, hp: Hyperparameters, expected: Hyperparameters | None) -> None:
    """What is called, and with what, is the caller's to say; compared as text, in which 1 and true differ."""
    if expected is None or hp.model_dump_json() == expected.model_dump_json():
        return
    found, wanted = hp.model_dump(mode="json"), expected.model_dump(mode="json")
    name = next(name for name in found if repr(found[name]) != repr(wanted[name]))
    raise _not_ours(path, f"its {name} is {found[name]!r:.200}, and its run's is {wanted[name]!r:.200}")


def _require_own_parts(path: Path, hp: Hyperparameters, expected: Hyperparameters | None, own_code: OwnCode) -> None:
    """A file names the user's code; only what the caller hands in is ever imported."""
    for reference in (hp.generator, hp.generator_normalization):
        if is_own(reference) and expected is None:
            raise OwnPartError(
                f"the generator is built of {reference}, and a file alone decides about no code of one's own",
                where=str(path),
                remedy="Read it with the experiment file that it was trained by.",
            )
        if is_own(reference) and split_reference(reference)[0] not in own_code.files:
            raise OwnPartError(
                f"the generator is built of {reference}, which is not at hand",
                where=str(path),
                remedy="The copies lie in the experiment's folder source/; keep them with the runs.",
            )


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous on the CPU, and none in the memory of another, as one's own networks may share weights."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        apart[name] = plain.clone() if memory in seen else plain
        seen.add(memory)
    return apart


def _not_ours(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        f"the file is no checkpoint of this harness: {what}",
        where=str(path),
        remedy="Remove it; `harness run` makes it again.",
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
