"""What may be in a state file: judged before any of it is used, as the file may come from elsewhere.

Only tensors and plain values are ever unpacked (`weights_only=True`), from an archive without compression, so that no
small file becomes a large one.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from harness.gan.state import TrainingState

_Document = dict[str, Any]


def decode_state(content: bytes) -> Any:
    """What `encode_state` packed, on the CPU. Raises whatever unpacking raises for anything else; executes nothing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("a compressed archive")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def state_fits(document: _Document, key: str, step: int, fresh: TrainingState) -> bool:
    """Whether `document` is a state of the run `key` at `step` that goes into networks and optimizers like `fresh`.

    May raise anything where it holds something else than a state.
    """
    return (
        document["key"] == key
        and type(document["step"]) is int
        and document["step"] == step
        and document["metrics"] == list(fresh.interval.names)
        and type(document["n"]) is int
        and document["n"] >= 0
        and math.isfinite(document["seconds"])
        and _sums_fit(document["sums"], len(fresh.interval.names))
        and _weights_fit(document["generator"], fresh.generator.state_dict())
        and _weights_fit(document["discriminator"], fresh.discriminator.state_dict())
        and (fresh.average is None) == ("average" not in document)
        and (fresh.average is None or _weights_fit(document["average"], fresh.average))
        and _optimizer_fits(document["generator_optimizer"], fresh.generator_optimizer, fresh.own_networks)
        and _optimizer_fits(document["discriminator_optimizer"], fresh.discriminator_optimizer, fresh.own_networks)
    )


def _sums_fit(sums: Any, count: int) -> bool:
    """Their precision may differ: Apple's MPS has no float64."""
    return (
        isinstance(sums, Tensor) and sums.shape == (count,) and sums.is_floating_point() and bool(sums.isfinite().all())
    )


def _weights_fit(weights: dict[str, Tensor], expected: dict[str, Any]) -> bool:
    """Same names, shapes and types, and finite, as training never keeps a state that is not."""
    return weights.keys() == expected.keys() and all(
        _is_like(weights[name], tensor) and bool(weights[name].isfinite().all()) for name, tensor in expected.items()
    )


def _optimizer_fits(found: _Document, optimizer: torch.optim.Adam, own: bool) -> bool:
    """Same groups with the same settings, and moments of every parameter's shape.

    own: whether the network may be one's own, whose parameters need not all have had gradients, and so moments.
    """
    groups, moments = found["param_groups"], found["state"]
    expected = optimizer.state_dict()["param_groups"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    every = range(len(parameters))
    return (
        len(groups) == len(expected)
        and all(_settings_agree(mine, other) for mine, other in zip(groups, expected, strict=True))
        and (not moments or (set(moments) <= set(every) if own else list(moments) == list(every)))
        and all(_moments_fit(moments[index], parameters[index]) for index in moments)
    )


def _settings_agree(found: _Document, expected: _Document) -> bool:
    """Settings that another version of torch added, or left out, say nothing."""
    return all(
        type(found[name]) is type(expected[name]) and found[name] == expected[name]
        for name in found.keys() & expected.keys()
    )


def _moments_fit(moments: dict[str, Tensor], parameter: Tensor) -> bool:
    counter = moments["step"]
    return (
        moments.keys() == {"step", "exp_avg", "exp_avg_sq"}
        and isinstance(counter, Tensor)
        and counter.shape == ()
        and _is_like(moments["exp_avg"], parameter)
        and _is_like(moments["exp_avg_sq"], parameter)
    )


def _is_like(found: Any, expected: Tensor) -> bool:
    return isinstance(found, Tensor) and found.shape == expected.shape and found.dtype == expected.dtype
