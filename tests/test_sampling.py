"""Images come from the right noise, the generator stays as it is, and pictures say what they show."""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gan_tasks import CPU, KEY, NO_OWN_CODE, run, small, small_task
from PIL import Image
from torch import nn

from harness.data.own_code import OwnCode
from harness.data.resize import to_uint8
from harness.design.factors import Hyperparameters
from harness.errors import GeneratorError, HarnessError
from harness.gan.checkpoints import Checkpoint, Description, load_generator, write_checkpoint
from harness.gan.grids import compose_grid
from harness.gan.networks.build import build_generator
from harness.gan.randomness import normal_latents, random_stream
from harness.gan.sampling import CheckpointSampler, generated, samples_match, write_sample_grid
from harness.store.commits import newest_commit


class Echo(nn.Module):
    """Shows the latents that it was given: keeps them, and returns them as images of equal rows."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def __deepcopy__(self, memo: dict[int, object]) -> Echo:
        return self

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        self.seen.append(latents)
        return latents.tanh()[:, None, None, :].expand(-1, 1, 6, 6)


def trained_generator(hp: Hyperparameters) -> nn.Module:
    """A generator whose running statistics have seen some batches."""
    generator = build_generator(hp, 1, random_stream(0, "generator"), NO_OWN_CODE).train()
    for step in range(3):
        generator(3 * normal_latents(32, hp.latent_dim, random_stream(0, "warm-up", step)))
    return generator


@pytest.fixture
def generator() -> nn.Module:
    return trained_generator(small())


def sampler(generator: nn.Module, mode: str = "eval", seed: int = 0, batch_size: int = 8) -> CheckpointSampler:
    checkpoint = Checkpoint(generator, Description(small(), 1, KEY, 10), "0" * 64)
    return CheckpointSampler(checkpoint, seed, mode, batch_size, CPU)  # type: ignore[arg-type]


def images(sampler: CheckpointSampler, repeat: int, samples: int) -> torch.Tensor:
    return torch.cat(list(sampler.images(repeat, samples)))


def test_batches_are_uint8_and_add_up(generator: nn.Module) -> None:
    for mode in ("eval", "train"):
        batches = list(sampler(generator, mode).images(0, 21))
        assert [tuple(batch.shape) for batch in batches] == [(8, 1, 8, 8), (8, 1, 8, 8), (5, 1, 8, 8)]
        assert all(batch.dtype == torch.uint8 for batch in batches)


def test_latents_are_those_of_seed_and_repeat_in_one_draw() -> None:
    expected = torch.randn(21, 6, generator=random_stream(3, "evaluation", 2))
    for batch_size in (8, 21, 64):
        echo = Echo()
        images(sampler(echo, seed=3, batch_size=batch_size), 2, 21)
        assert torch.equal(torch.cat(echo.seen), expected)
    for seed, repeat in ((3, 1), (2, 2)):
        echo = Echo()
        images(sampler(echo, seed=seed), repeat, 21)
        assert not torch.equal(torch.cat(echo.seen), expected)


def test_sampling_leaves_the_global_random_state_alone(generator: nn.Module) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = images(sampler(generator), 0, 16)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(images(sampler(generator), 0, 16), first)


def test_eval_mode_uses_the_running_statistics(generator: nn.Module) -> None:
    latents = normal_latents(16, 6, random_stream(0, "evaluation", 0))
    with torch.no_grad():
        expected = to_uint8(copy.deepcopy(generator).eval()(latents))
    assert torch.equal(images(sampler(generator, batch_size=16), 0, 16), expected)
    apart = images(sampler(generator, batch_size=1), 0, 16).int() - expected.int()
    assert apart.abs().max() <= 1  # no image depends on its batch


def test_train_mode_uses_each_batchs_statistics(generator: nn.Module) -> None:
    latents = normal_latents(21, 6, random_stream(0, "evaluation", 0))
    filled = torch.cat([latents[16:], latents[:3]])  # the last batch: five latents and the first three again
    free = copy.deepcopy(generator).train()
    with torch.no_grad():
        parts = [to_uint8(free(latents[:8])), to_uint8(free(latents[8:16])), to_uint8(free(filled))[:5]]
    found = images(sampler(generator, "train"), 0, 21)
    assert torch.equal(found, torch.cat(parts))
    assert not torch.equal(found, images(sampler(generator), 0, 21))


def test_train_mode_fills_a_single_small_batch(generator: nn.Module) -> None:
    latents = normal_latents(3, 6, random_stream(0, "evaluation", 0))
    free = copy.deepcopy(generator).train()
    with torch.no_grad():
        expected = to_uint8(free(torch.cat([latents, latents, latents[:2]])))[:3]
    assert torch.equal(images(sampler(generator, "train"), 0, 3), expected)


def test_no_mode_changes_the_generator(generator: nn.Module) -> None:
    before = copy.deepcopy(generator.state_dict())
    for mode in ("eval", "train"):
        images(sampler(generator, mode), 0, 20)
        after = generator.state_dict()
        assert after.keys() == before.keys()
        assert all(torch.equal(after[name], before[name]) for name in before)
        assert generator.training and all(parameter.requires_grad for parameter in generator.parameters())


class Scaled(nn.Module):
    """A normalisation of one's own with a running statistic, behind dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_power", torch.tensor(9.0))
        self.dropout = nn.Dropout(0.5)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        power = self.running_power
        if self.training:
            power = latents.square().mean()
            self.running_power.lerp_(power, 0.5)
        return self.dropout(latents * power.rsqrt()).tanh()[:, None, None, :].expand(-1, 1, 6, 6)


def test_train_mode_is_that_of_ones_own_normalisation_too() -> None:
    network = Scaled()
    latents = normal_latents(16, 6, random_stream(0, "evaluation", 0))
    each = [batch * batch.square().mean().rsqrt() for batch in (latents[:8], latents[8:])]
    for mode, scaled in (("eval", latents / 3), ("train", torch.cat(each))):
        about = Description(small(latent_dim=6), 1, KEY, 10)
        found = CheckpointSampler(Checkpoint(network, about, "0" * 64), 0, mode, 8, CPU)  # type: ignore[arg-type]
        for _ in range(2):  # the second time as the first: no statistic has moved
            assert torch.equal(images(found, 0, 16)[:, 0, 0], to_uint8(scaled.tanh()))
    assert network.running_power == 9.0


class Noisy(nn.Module):
    """A generator that draws as it runs, as some of one's own do."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.rand(len(latents), 1, 6, 6)


def test_generators_that_draw_repeat_their_draws(tmp_path: Path) -> None:
    found = []
    for state in (1, 2):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        found.append(images(sampler(Noisy()), 0, 21))
        about = Description(small(), 1, KEY, 10)
        write_sample_grid(tmp_path / f"{state}.png", Checkpoint(Noisy(), about, "0" * 64), 4, CPU)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0][:8], found[0][8:16])
    assert not torch.equal(images(sampler(Noisy()), 1, 21), found[0])
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


class Fixed(nn.Module):
    """Shows the middle of the range [0, 1]."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.full((len(latents), 1, 8, 8), 0.5)


@pytest.mark.parametrize(("output", "gray"), [("tanh", 191), ("sigmoid", 128)])
def test_images_are_read_in_the_range_of_the_generators_output(tmp_path: Path, output: str, gray: int) -> None:
    checkpoint = Checkpoint(Fixed(), Description(small(generator_output=output), 1, KEY, 10), "0" * 64)
    assert images(CheckpointSampler(checkpoint, 0, "eval", 8, CPU), 0, 3).unique().tolist() == [gray]
    write_sample_grid(tmp_path / "grid.png", checkpoint, 1, CPU)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.getpixel((5, 5)) == gray


def written_checkpoint(root: Path, *, step: int = 10, key: str = KEY, **levels: int) -> Checkpoint:
    hp = small(**levels)
    path = root / f"{key[:2]}-{step}.safetensors"
    write_checkpoint(path, trained_generator(hp), Description(hp, 1, key, step))
    return load_generator(path, CPU, NO_OWN_CODE, None)


def test_a_grid_says_what_it_shows(tmp_path: Path) -> None:
    checkpoint, path = written_checkpoint(tmp_path), tmp_path / "samples" / "grid.png"
    write_sample_grid(path, checkpoint, 10, CPU)
    with Image.open(path) as picture:
        assert picture.mode == "L"
        assert picture.size == (
            4 * 34 + 2,
            3 * 34 + 2,
        )  # ten 8x8 images, four times as large, with gaps of two
        assert picture.info == {
            "harness:key": KEY,
            "harness:step": "10",
            "harness:checkpoint_sha256": checkpoint.sha256,
            "harness:samples": "10",
        }
    assert samples_match(path, checkpoint.sha256, 10)
    assert not samples_match(path, checkpoint.sha256, 11)
    assert not samples_match(path, "0" * 64, 10)
    assert not samples_match(tmp_path / "absent.png", checkpoint.sha256, 10)
    content = path.read_bytes()
    write_sample_grid(path, checkpoint, 10, CPU)
    assert path.read_bytes() == content


def test_a_grid_that_nobody_could_open_is_refused(tmp_path: Path) -> None:
    about = Description(small().model_copy(update={"resolution": 512}), 1, KEY, 10)
    with pytest.raises(HarnessError, match="1024 images of 512 pixels do not fit into one picture"):
        write_sample_grid(tmp_path / "grid.png", Checkpoint(nn.Identity(), about, "0" * 64), 1024, CPU)


def test_damaged_pictures_do_not_match(tmp_path: Path) -> None:
    checkpoint, path = written_checkpoint(tmp_path), tmp_path / "grid.png"
    write_sample_grid(path, checkpoint, 4, CPU)
    content = path.read_bytes()
    for damaged in (content[:-40], content[: len(content) // 2], b"", b"text", content[:200] + b"\0" * 400):
        path.write_bytes(damaged)
        assert not samples_match(path, checkpoint.sha256, 4)
    for position in range(len(content) // 2, len(content), 97):
        flipped = bytearray(content)
        flipped[position] ^= 16
        path.write_bytes(flipped)
        assert not samples_match(path, checkpoint.sha256, 4), position


def test_all_runs_and_steps_show_the_same_noise(tmp_path: Path) -> None:
    pixels = []
    for key, step in ((KEY, 10), ("cd" * 32, 20)):
        checkpoint = written_checkpoint(tmp_path, key=key, step=step)
        path = tmp_path / f"{step}.png"
        write_sample_grid(path, checkpoint, 9, CPU)
        with Image.open(path) as picture:
            pixels.append(picture.tobytes())
    assert pixels[0] == pixels[1]

    expected = torch.randn(9, 6, generator=random_stream(0, "samples"))
    echo = Echo()
    about = Description(small(), 1, KEY, 10)
    write_sample_grid(tmp_path / "echo.png", Checkpoint(echo, about, "0" * 64), 9, CPU)
    assert torch.equal(torch.cat(echo.seen), expected)


@pytest.mark.parametrize(("resolution", "side"), [(8, 32), (12, 36), (32, 32), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_grids_keep_every_pixel(resolution: int, side: int, channels: int) -> None:
    count = 5
    noise = torch.randint(
        0,
        256,
        (count, channels, resolution, resolution),
        dtype=torch.uint8,
        generator=random_stream(0, "grid"),
    )
    grid = compose_grid(noise)
    assert grid.shape == (channels, 2 * (side + 2) + 2, 3 * (side + 2) + 2)
    factor = side // resolution
    for index in range(6):
        top, left = 2 + (index // 3) * (side + 2), 2 + (index % 3) * (side + 2)
        cell = grid[:, top : top + side, left : left + side]
        if index < count:
            for shift in (0, factor - 1):
                assert torch.equal(cell[:, shift::factor, shift::factor], noise[index])
        else:
            assert (cell == 255).all()
    assert (grid[:, :2] == 255).all() and (grid[:, :, -2:] == 255).all()


def test_rgb_pictures_keep_their_colors(tmp_path: Path) -> None:
    hp = small()
    generator = build_generator(hp, 3, random_stream(0, "rgb"), NO_OWN_CODE)
    path = tmp_path / "rgb.safetensors"
    write_checkpoint(path, generator, Description(hp, 3, KEY, 1))
    write_sample_grid(tmp_path / "rgb.png", load_generator(path, CPU, NO_OWN_CODE, None), 1, CPU)
    with torch.no_grad():
        image = to_uint8(generator.eval()(normal_latents(1, 6, random_stream(0, "samples"))))[0]
    with Image.open(tmp_path / "rgb.png") as picture:
        assert picture.mode == "RGB"
        assert picture.getpixel((2, 2)) == tuple(image[:, 0, 0].tolist())
        assert picture.getpixel((33, 2)) == tuple(image[:, 0, 7].tolist())


def overflowing(root: Path) -> Checkpoint:
    """A checkpoint whose weights are finite, and whose activations are not: infinities of both signs meet in sums."""
    hp = small()
    generator = trained_generator(hp)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(1e25)
    path = root / "overflowing.safetensors"
    write_checkpoint(path, generator, Description(hp, 1, KEY, 30))
    return load_generator(path, CPU, NO_OWN_CODE, None)  # its weights are finite, so it is taken


def test_images_that_are_not_finite_are_an_error_and_no_black_pixels(tmp_path: Path) -> None:
    checkpoint = overflowing(tmp_path)
    told = f"checkpoint at step 30 of run {KEY[:8]}: 21 of 21 images of the generator are not finite"
    sampler = CheckpointSampler(checkpoint, 0, "eval", 8, CPU)
    batches = sampler.images(0, 21)
    assert [len(next(batches)) for _ in range(3)] == [8, 8, 5]  # looked for once, behind the last batch
    with pytest.raises(GeneratorError, match=told):
        next(batches)
    with pytest.raises(GeneratorError, match=told):
        write_sample_grid(tmp_path / "grid.png", checkpoint, 21, CPU)
    assert not (tmp_path / "grid.png").exists()


class Partly(nn.Module):
    """Breaks for latents whose first value is above 1."""

    def __init__(self, broken: float) -> None:
        super().__init__()
        self.broken = broken

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        images = latents.tanh()[:, None, None, :].repeat(1, 1, 6, 1)
        images[latents[:, 0] > 1, 0, 3, 3] = self.broken
        return images


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_broken_images_are_counted_over_all_batches(broken: float, mode: str) -> None:
    latents = normal_latents(21, 6, random_stream(0, "evaluation", 0))
    count = int((latents[:, 0] > 1).sum())
    assert 0 < count < 21
    with pytest.raises(GeneratorError, match=f"step 10 .*: {count} of 21 images"):
        images(sampler(Partly(broken), mode), 0, 21)  # what fills the last batch up does not count
    with pytest.raises(GeneratorError, match=f": {count} of 21 images"):
        generated(Checkpoint(Partly(broken), Description(small(), 1, KEY, 10), ""), latents, CPU, "test")


def test_finite_values_of_any_size_are_images() -> None:
    latents = normal_latents(21, 6, random_stream(0, "evaluation", 0))
    found = generated(Checkpoint(Partly(3e38), Description(small(), 1, KEY, 10), ""), latents, CPU, "test")
    assert (found[latents[:, 0] > 1, 0, 3, 3] == 255).all()
    assert (found[latents[:, 0] <= 1, 0, 3, 3] < 255).any()


def test_who_draws_may_leave_before_every_batch() -> None:
    asked: list[int] = []
    echo = Echo()

    def leave() -> None:
        asked.append(len(echo.seen))
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generated(Checkpoint(echo, Description(small(), 1, KEY, 10), ""), torch.zeros(1000, 6), CPU, "test", leave)
    assert asked == [0, 1, 2]


class Silent(nn.Module):
    """Trains without a NaN and draws nothing but them: they are of its eval mode alone."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        images = (self.scale * latents).tanh()[:, :1, None, None].expand(-1, 1, 8, 8)
        return images if self.training else images / 0.0 * 0.0


def test_a_run_whose_checkpoint_draws_no_finite_image_has_diverged(tmp_path: Path) -> None:
    source = tmp_path / "silent.py"
    lines = inspect.getsource(Silent)
    source.write_text(f"import torch\nfrom torch import nn\n\n\n{lines}")
    task = replace(
        small_task(tmp_path / "run", steps=20, generator="silent.py:Silent"),
        own_code=OwnCode({"silent.py": source}),
    )
    task.run.root.mkdir()
    result = run(task)
    assert (result.outcome, result.step) == ("diverged", 10)
    assert result.reason == "the generator's images not finite at step 10"
    assert newest_commit(task.run) is None and not task.run.samples(10).exists()
    assert result.metrics is not None and result.metrics[0] == task.run.metrics.stat().st_size > 0
