"""Walks between latents: their ends, their lines and circles, and that their noise is fixed."""

from __future__ import annotations

import math

import pytest
import torch

from harness.gan.latents import lerp, sample_latents, slerp, walk_latents, walk_times
from harness.gan.randomness import random_stream
from harness.store.pictures import Interpolations

T = torch.tensor([-0.5, 0.0, 0.25, 0.5, 1.0, 1.5], dtype=torch.float64)


def pairs(dims: int = 5, count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    stream = random_stream(0, "pairs")
    first, second = torch.randn(2, count, dims, generator=stream, dtype=torch.float64)
    return first, second


@pytest.mark.parametrize("path", [lerp, slerp])
def test_the_ends_are_the_two_latents_to_the_bit(path: type) -> None:
    first, second = pairs()
    walked = path(first, second, T)
    assert walked.shape == (4, 6, 5)
    assert torch.equal(walked[:, 1], first) and torch.equal(walked[:, 4], second)


def test_lerp_is_the_straight_line_beyond_its_ends_too() -> None:
    first, second = pairs()
    walked = lerp(first, second, T)
    for index, t in enumerate(T.tolist()):
        torch.testing.assert_close(walked[:, index], first + t * (second - first))


def test_slerp_keeps_the_length_and_turns_evenly() -> None:
    first, second = (z / z.norm(dim=1, keepdim=True) for z in pairs())
    walked = slerp(first, second, T)
    torch.testing.assert_close(walked.norm(dim=2), torch.ones(4, 6, dtype=torch.float64))
    angle = torch.arccos((first * second).sum(dim=1))
    for index, t in enumerate(T.tolist()):
        turned = torch.arccos((walked[:, index] * first).sum(dim=1).clamp(-1, 1))
        wanted = (t * angle).abs()
        torch.testing.assert_close(turned, torch.minimum(wanted, 2 * math.pi - wanted), atol=1e-7, rtol=0)


def test_slerp_of_known_vectors() -> None:
    """A quarter of a circle; White 2016: the angle is that of the directions, the lengths go along."""
    x, y = torch.tensor([[3.0, 0.0]]).double(), torch.tensor([[0.0, 5.0]]).double()
    root = math.sqrt(0.5)
    expected = torch.tensor([[[-3 * -root, 5 * -root], [3, 0], [3 * root, 5 * root], [0, 5], [-3 * root, 5 * root]]])
    t = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5], dtype=torch.float64)
    torch.testing.assert_close(slerp(x, y, t), expected.double())


@pytest.mark.parametrize("factor", [2.0, 1.0, 0.0, -1.0, -0.3, 1 + 1e-12, -1 - 1e-12])
def test_slerp_of_vectors_on_one_line_is_lerp(factor: float) -> None:
    first, _ = pairs()
    walked = slerp(first, factor * first, T)
    assert torch.equal(walked, lerp(first, factor * first, T))
    one_dimensional = [z[:, :1] for z in pairs()]
    assert torch.equal(slerp(*one_dimensional, T), lerp(*one_dimensional, T))


@pytest.mark.parametrize("angle", [1e-5, 1e-3, math.pi - 1e-3, math.pi - 1e-5])
def test_slerp_stays_on_the_circle_next_to_its_fall_back(angle: float) -> None:
    first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    second = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    turned = T * angle
    expected = torch.stack([turned.cos(), turned.sin()], dim=1)[None]
    torch.testing.assert_close(slerp(first, second, T), expected, atol=1e-9, rtol=0)


def test_times_hold_both_ends_and_meet_0_and_1() -> None:
    assert walk_times(Interpolations(1, 5)).tolist() == [0, 0.25, 0.5, 0.75, 1]
    t = walk_times(Interpolations(1, 17, "lerp", -0.3, 1.3)).tolist()
    assert (t[0], t[3], t[13], t[16]) == (-0.3, 0.0, 1.0, 1.3)
    assert t == sorted(t)


def test_each_pair_is_the_same_whatever_else_is_asked_for() -> None:
    walked = walk_latents(Interpolations(5, 10), 16)
    assert walked.shape == (5, 10, 16) and walked.dtype == torch.float32
    assert torch.equal(walk_latents(Interpolations(2, 10), 16), walked[:2])
    ends = walked[:, [0, -1]]
    for other in (Interpolations(5, 2), Interpolations(5, 7, "slerp"), Interpolations(5, 10, "slerp")):
        assert torch.equal(walk_latents(other, 16)[:, [0, -1]], ends)
    beyond = walk_latents(Interpolations(5, 5, "slerp", -0.5, 1.5), 16)
    assert torch.equal(beyond[:, [1, 3]], ends)
    expected = torch.randn(2, 16, generator=random_stream(0, "interpolations", 3))
    assert torch.equal(ends[3], expected)
    assert len(ends.flatten(0, 1).unique(dim=0)) == 10


def test_a_smaller_grid_need_not_be_the_first_of_a_larger_one() -> None:
    """What descriptions of pictures may not promise."""
    assert torch.equal(sample_latents(8, 16), sample_latents(64, 16)[:8])
    assert not torch.equal(sample_latents(5, 6), sample_latents(64, 6)[:5])


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    walk_latents(Interpolations(2, 3), 4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(sample_latents(9, 6), torch.randn(9, 6, generator=random_stream(0, "samples")))
