"""One resize for the whole harness, and the exact way between uint8 and [-1, 1]."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate
from torchvision.transforms import v2 as transforms

from harness.data import resize as module
from harness.data.resize import RESIZE_FILTER, resize, resize_and_crop, to_float, to_uint8
from harness.design.factors import Output
from harness.evaluation.protocol import RESIZE


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("size", [5, 16, 64])
def test_is_the_antialiased_bilinear_filter_rounded(size: int) -> None:
    images = random_images(3, 3, 28, 28)
    exact = interpolate(images.double(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    resized = resize(images, size)
    assert resized.dtype == torch.uint8 and resized.shape == (3, 3, size, size)
    assert (resized.double() - exact).abs().max() <= 0.5 + 1e-3


def test_antialias_averages_a_checkerboard_to_gray() -> None:
    board = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).mul(255).byte()[None, None]
    inside = resize(board, 8)[..., 1:-1, 1:-1].float()
    assert (inside - 127.5).abs().max() <= 1


def test_identity_returns_the_same_tensor() -> None:
    images = random_images(2, 1, 8, 8)
    assert resize(images, 8) is images


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images(11, 3, 20, 20)
    whole = resize(images, 16)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 3 * 20 * 20 * 4)
    assert torch.equal(resize(images, 16), whole)


def test_few_images_are_floats_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 images of 28 x 28 brought to 64 x 64 would be 983 MB of floats."""
    largest = 0
    filtered = module._filtered

    def watched(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
        nonlocal largest
        scaled = filtered(images, height, width)
        largest = max(largest, scaled.numel() * 4)
        return scaled

    monkeypatch.setattr(module, "_filtered", watched)
    assert resize(torch.zeros(6000, 1, 28, 28, dtype=torch.uint8), 64).shape == (6000, 1, 64, 64)
    assert 0 < largest <= 2**26


def test_refuses_floats() -> None:
    with pytest.raises(ValueError, match="uint8"):
        resize(torch.zeros(1, 1, 8, 8), 4)


@pytest.mark.parametrize("shape", [(40, 60), (61, 40), (16, 33), (9, 9), (32, 90)])
def test_resize_and_crop_follows_torchvision(shape: tuple[int, int]) -> None:
    image = random_images(3, *shape)
    peer = transforms.functional.resize(image.float(), [16], antialias=True)
    peer = transforms.functional.center_crop(peer, [16, 16]).round().clamp(0, 255).byte()
    assert torch.equal(resize_and_crop(image, 16), peer)


def test_resize_and_crop_of_squares_is_resize() -> None:
    image = random_images(1, 50, 50)
    assert torch.equal(resize_and_crop(image, 24), resize(image[None], 24)[0])


def test_a_long_strip_keeps_its_middle() -> None:
    strip = torch.zeros(1, 2, 20_001, dtype=torch.uint8)
    strip[..., 9_000:11_000] = 200
    assert resize_and_crop(strip, 32).unique().tolist() == [200]
    assert resize_and_crop(strip.transpose(1, 2), 32).unique().tolist() == [200]


@pytest.mark.parametrize(("output", "lowest"), [("tanh", -1), ("sigmoid", 0)])
def test_float_and_uint8_are_exact_inverses(output: Output, lowest: int) -> None:
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_float(values, output)
    assert floats.dtype == torch.float32 and floats[0] == lowest and floats[-1] == 1
    assert torch.equal(to_uint8(floats, output), values)


def test_the_range_is_that_of_tanh_unless_said() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_float(values), to_float(values, "tanh"))
    assert torch.equal(to_uint8(to_float(values)), values)


def test_to_uint8_rounds_and_clamps() -> None:
    images = torch.tensor([-3.0, -1.0, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 1.0, 3.0])
    assert to_uint8(images).tolist() == [0, 0, 0, 1, 255, 255]
    images = torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 3.0])
    assert to_uint8(images, "sigmoid").tolist() == [0, 0, 0, 1, 255, 255]


def test_the_filter_has_one_name() -> None:
    """Pure modules cannot import this one; the name that they write down is held equal here."""
    assert RESIZE == RESIZE_FILTER
