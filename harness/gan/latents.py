"""Latents of pictures: the fixed noise of sample grids, and walks between two latents."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.gan.randomness import normal_latents, random_stream
from harness.store.pictures import Interpolations

PARALLEL = 1e-6
"""Sine of the angle below which two latents have one line in common, and the great circle between them none."""


def sample_latents(count: int, latent_dim: int) -> Tensor:
    """z ~ N(0, 1) [count, latent_dim] of a sample grid: the same at every step, for all seeds and cells.

    Only of equal count and latent_dim: the latents of a smaller grid need not be the first of a larger one.
    """
    return normal_latents(count, latent_dim, random_stream(0, "samples"))


def walk_latents(walk: Interpolations, latent_dim: int) -> Tensor:
    """z [pairs, points, latent_dim], float32: a row for each pair, t ascending.

    Each pair has a stream of its own, so that it is the same whatever else is asked for, for all seeds and for all
    cells of equal latent_dim.
    """
    ends = [normal_latents(2, latent_dim, random_stream(0, "interpolations", pair)) for pair in range(walk.pairs)]
    first, second = torch.stack(ends, dim=1).double()
    t = walk_times(walk)
    match walk.path:
        case "lerp":
            return lerp(first, second, t).float()
        case "slerp":
            return slerp(first, second, t).float()


def walk_times(walk: Interpolations) -> Tensor:
    """t [points], float64, evenly spaced from `start` to `end`, both included; 0 and 1 are met exactly."""
    return torch.linspace(walk.start, walk.end, walk.points, dtype=torch.float64).round(decimals=12)


def lerp(first: Tensor, second: Tensor, t: Tensor) -> Tensor:
    """(1 - t) z0 + t z1: [P, L], [P, L], [K] -> [P, K, L]; the straight line, beyond [0, 1] as well."""
    t = t[:, None]
    return (1 - t) * first[:, None] + t * second[:, None]


def slerp(first: Tensor, second: Tensor, t: Tensor) -> Tensor:
    """sin((1 - t) a) / sin(a) z0 + sin(t a) / sin(a) z1 with a the angle between z0 and z1 (Shoemake 1985).

    White 2016 (arXiv:1609.04468), section 2.1, for latents: normal ones lie near a sphere, which the straight line
    leaves. Shapes as `lerp`. Outside [0, 1] the same formula goes on along the great circle. Latents in one direction
    or in opposite ones, of which a zero is one, have no great circle of their own: there `lerp`.
    """
    norms = [z.norm(dim=1, keepdim=True) for z in (first, second)]
    u, v = first / norms[0], second / norms[1]
    angle = 2 * torch.atan2((u - v).norm(dim=1), (u + v).norm(dim=1))[:, None, None]  # exact near 0 and pi, too
    sine = torch.sin(angle)
    t3 = t[None, :, None]
    arc = torch.sin((1 - t3) * angle) / sine * first[:, None] + torch.sin(t3 * angle) / sine * second[:, None]
    return torch.where(sine > PARALLEL, arc, lerp(first, second, t))
