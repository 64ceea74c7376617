"""Random streams as torch generators on the CPU, so that every device sees the same numbers.

Names in use: ("initialization", network), ("data order", epoch), ("latents", step), ("evaluation", repeat),
("samples",), ("interpolations", pair). Where a level asks for them also, with `update` the number of the update in
its step: ("latents", step, network, update) of further or fresh fakes, ("labels", step, update, kind), ("swaps",
step, update, kind), ("instance noise", step, network, update, kind), ("penalty mixing", step, update) with kind
"real" or "fake"; and of torch's global random state, for layers that draw from nothing else: ("dropout", step),
("generator noise", repeat, start), ("generator noise", "samples"), ("generator noise", "interpolations").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.design.streams import stream_seed


def random_stream(seed: int, *name: str | int) -> torch.Generator:
    """A fresh generator at the beginning of the stream `name` of a run with `seed`."""
    return torch.Generator().manual_seed(stream_seed(seed, *name))


def normal_latents(count: int, latent_dim: int, stream: torch.Generator) -> torch.Tensor:
    """z ~ N(0, 1) as float32 [count, latent_dim] on the CPU, drawn in one call."""
    return torch.randn(count, latent_dim, generator=stream)


@contextmanager
def global_stream(device: torch.device, seed: int, *name: str | int) -> Iterator[None]:
    """A block in which torch's global random state is at the beginning of a stream; it is as before afterwards.

    For dropout and for one's own layers, which take no generator. The state of the CPU and of a CUDA `device` are put
    back; Apple's MPS, which can be seeded alone, serves nothing else here.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(stream_seed(seed, *name))
        yield
