"""Random streams as torch generators on the CPU, so that every device sees the same numbers.

Names in use: ("initialization", network), ("data order", epoch), ("latents", step), ("evaluation", repeat),
("samples",).
"""

from __future__ import annotations

import torch

from harness.design.streams import stream_seed


def random_stream(seed: int, *name: str | int) -> torch.Generator:
    """A fresh generator at the beginning of the stream `name` of a run with `seed`."""
    return torch.Generator().manual_seed(stream_seed(seed, *name))


def normal_latents(count: int, latent_dim: int, stream: torch.Generator) -> torch.Tensor:
    """z ~ N(0, 1) as float32 [count, latent_dim] on the CPU, drawn in one call."""
    return torch.randn(count, latent_dim, generator=stream)
