"""Precision: bfloat16 within the networks and nowhere else, the same bits each time, TF32 only where there is a GPU."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import (
    CPU,
    NO_OWN_CODE,
    KillAfter,
    Killed,
    StopAfter,
    assert_same_run,
    digits,
    records,
    run,
    small,
    small_task,
    stored_state,
)
from torch import nn

from experiments import TINY, opened, write_file
from harness.data.own_code import OwnCode
from harness.errors import DeviceError
from harness.execution.devices import require_precisions
from harness.gan.adversarial import Rules, adversarial_step
from harness.gan.batches import Batches
from harness.gan.checkpoints import Description, load_generator, write_checkpoint
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.losses import adversarial_loss
from harness.gan.networks.build import build_generator
from harness.gan.precision import gpu_arithmetic, has_fast_bfloat16, outputs
from harness.gan.preflight import PreflightError, check_networks
from harness.gan.randomness import random_stream
from harness.gan.sampling import CheckpointSampler
from harness.gan.state import discriminator_layout, initial_state
from harness.gan.training import train

CELLS: dict[str, dict[str, Any]] = {
    "cnn": {},
    "mlp": {"architecture": "mlp", "dropout": 0.3},
    "gradient penalty": {"loss": "wasserstein_gp", "discriminator_normalization": "spectral"},
    "several updates": {"discriminator_steps": 2, "generator_steps": 2, "ema_decay": 0.9, "instance_noise": 0.2},
}


def dtypes(value: Any) -> set[torch.dtype]:
    if isinstance(value, torch.Tensor):
        return {value.dtype} if value.is_floating_point() else set()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return set().union(*map(dtypes, inner))


@pytest.mark.parametrize("cell", CELLS)
def test_only_the_networks_compute_in_bfloat16(cell: str) -> None:
    """All that is kept, and all that leaves a network, is float32; its hidden layers are not."""
    hp = small(precision="bf16", **CELLS[cell])
    state = initial_state(hp, 1, 0, CPU, NO_OWN_CODE)
    inside: set[torch.dtype] = set()
    outside: set[torch.dtype] = set()
    for network in (state.generator, state.discriminator):
        first = next(
            module for module in network.modules() if isinstance(module, nn.Linear | nn.ConvTranspose2d | nn.Conv2d)
        )
        first.register_forward_hook(lambda module, inputs, output: inside.add(output.dtype))
        network.register_forward_pre_hook(lambda module, inputs: outside.add(inputs[0].dtype))
    rules = Rules(hp, adversarial_loss(hp, NO_OWN_CODE), discriminator_layout(hp, CPU))
    inputs = DrawnInputs(Batches(digits(), hp.batch_size, 0), Draws(hp, 0, 4, CPU), 0)
    values = adversarial_step(state, inputs, rules)
    assert values.dtype == torch.float32 and values.isfinite().all()
    assert outside == {torch.float32}
    assert inside == ({torch.bfloat16, torch.float32} if cell == "gradient penalty" else {torch.bfloat16})
    assert all(
        parameter.grad is not None and parameter.grad.dtype == torch.float32
        for parameter in state.generator.parameters()
    )


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_stored_is_float32_and_close_to_what_float32_gives(tmp_path: Path, cell: str) -> None:
    tasks = [small_task(tmp_path / level, steps=8, precision=level, **CELLS[cell]) for level in ("float32", "bf16")]
    for task in tasks:
        assert run(task).outcome == "finished"
    stored = [stored_state(task.run) for task in tasks]
    assert dtypes({name: value for name, value in stored[1].items() if name != "sums"}) == {torch.float32}
    for name, weights in stored[0]["generator"].items():
        other = stored[1]["generator"][name]
        assert other.dtype == weights.dtype and torch.allclose(other.float(), weights.float(), atol=0.02), name
    first = [list(records(task.run)[0].values())[2:6] for task in tasks]
    assert first[0] == pytest.approx(first[1], abs=0.05) and first[0] != first[1]


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_again_and_across_kill_and_stop(tmp_path: Path, cell: str) -> None:
    whole, again, broken = (
        small_task(tmp_path / name, steps=9, log_every=4, checkpoint_every=6, precision="bf16", **CELLS[cell])
        for name in ("whole", "again", "broken")
    )
    run(whole)
    run(again)
    assert_same_run(whole.run, again.run)
    assert run(broken, StopAfter(4)).outcome == "interrupted"
    with pytest.raises(Killed):
        run(broken, KillAfter(4))
    assert run(broken).outcome == "finished"
    assert_same_run(whole.run, broken.run)


def test_weights_are_rounded_anew_for_every_update() -> None:
    """What autocast keeps within one call of `outputs` does not outlive it: weights change in between."""
    layer = nn.Linear(1, 1, bias=False)
    ones = torch.ones(1, 1)
    for value in (1.0, 3.0):
        with torch.no_grad():
            layer.weight.fill_(value)
        assert [answer.item() for answer in outputs(layer, "bf16", ones, 2 * ones)] == [value, 2 * value]


def test_float32_leaves_outputs_alone() -> None:
    double = torch.ones(1, 1, dtype=torch.float64)
    assert outputs(nn.Identity(), "float32", double)[0] is double


def test_tf32_on_a_cpu_is_an_error_before_anything_trains(tmp_path: Path) -> None:
    task = small_task(tmp_path, precision="tf32")
    with pytest.raises(DeviceError, match="tf32 needs an NVIDIA GPU") as caught:
        run(task)
    assert caught.value.where == "cpu" and 'precision = "float32"' in caught.value.remedy
    assert not task.run.metrics.exists()
    plan = opened(write_file(tmp_path, TINY.replace("[baseline]", '[baseline]\nprecision = "tf32"'))).plan
    with pytest.raises(DeviceError, match=r"tf32 .* \(cell baseline\)"):
        require_precisions("mps", plan.cells)


@pytest.mark.parametrize(("level", "allowed"), [("float32", False), ("bf16", False), ("tf32", True)])
@pytest.mark.parametrize("before", [(False, True), (True, False)])
def test_a_gpu_multiplies_as_asked_and_afterwards_as_before(
    level: Any, allowed: bool, before: tuple[bool, bool]
) -> None:
    """The settings are there without a GPU, too."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    at_first = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32, cudnn.allow_tf32 = before
        with pytest.raises(KeyError), gpu_arithmetic(level, torch.device("cuda")):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
            with gpu_arithmetic("float32", torch.device("cuda")):
                assert (matmul.allow_tf32, cudnn.allow_tf32) == (False, False)
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
            raise KeyError
        assert (matmul.allow_tf32, cudnn.allow_tf32) == before
        with gpu_arithmetic(level, CPU):
            assert (matmul.allow_tf32, cudnn.allow_tf32) == before
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = at_first


def test_a_cpu_without_bfloat16_trains_and_says_that_it_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", "avx2": True})
    assert not has_fast_bfloat16(CPU)
    with caplog.at_level(logging.WARNING, "harness"):
        assert run(small_task(tmp_path / "bf16", steps=3, precision="bf16")).outcome == "finished"
        assert run(small_task(tmp_path / "float32", steps=3)).outcome == "finished"
    told = [record.getMessage() for record in caplog.records]
    assert told == ["precision bf16: cpu has no instructions for bfloat16, so it is slower than float32"]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert has_fast_bfloat16(CPU)


OWN = """
import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, latent_dim, resolution):
        super().__init__()
        self.pixels = nn.Linear(latent_dim, resolution**2)
        self.resolution = resolution

    def forward(self, z):
        return self.pixels(z).tanh().view(-1, 1, self.resolution, self.resolution)


class Careless(Generator):
    def __init__(self, latent_dim, resolution):
        super().__init__(latent_dim, resolution)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, z):
        maps = self.pixels(z)
        self.mean.lerp_(maps.detach().mean(), 0.5)
        return maps.tanh().view(-1, 1, self.resolution, self.resolution)
"""


def test_parts_of_ones_own_are_tried_in_bfloat16_before_training(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    code = OwnCode({"own.py": path})
    check_networks(small(generator="own.py:Generator", precision="bf16"), 1, code)
    check_networks(small(generator="own.py:Careless"), 1, code)
    with pytest.raises(PreflightError, match="BFloat16") as caught:
        check_networks(small(generator="own.py:Careless", precision="bf16"), 1, code)
    assert caught.value.what.startswith("generator own.py:Careless with precision bf16: ")
    assert caught.value.where == "own.py:23" and "maps.float()" in caught.value.remedy

    task = small_task(tmp_path / "run", steps=4, generator="own.py:Generator", precision="bf16")
    assert train(replace(task, own_code=code), digits(), lambda: False).outcome == "finished"


def test_images_are_generated_in_float32(tmp_path: Path) -> None:
    """Pictures and evaluation do without bfloat16: they see the weights as they are stored."""
    task = small_task(tmp_path, steps=2, precision="bf16")
    run(task)
    checkpoint = load_generator(task.run.checkpoint(2), CPU, NO_OWN_CODE, task.hyperparameters)
    assert checkpoint.description.hyperparameters.precision == "bf16"
    seen: set[torch.dtype] = set()
    for module in checkpoint.generator.modules():
        module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    images = torch.cat([*CheckpointSampler(checkpoint, 0, "train", 8, CPU).images(0, 8)])
    assert seen == {torch.float32} and images.dtype == torch.uint8


def test_a_checkpoint_of_float32_is_the_file_it_was_before_there_was_a_choice(tmp_path: Path) -> None:
    header = {}
    for precision in ("float32", "bf16"):
        hp = small(precision=precision)
        generator = build_generator(hp, 1, random_stream(0, "initialization", "generator"), OwnCode({}))
        path = tmp_path / f"{precision}.safetensors"
        write_checkpoint(path, generator, Description(hp, 1, "0" * 64, 3))
        header[precision] = b"precision" in path.read_bytes()
        found = load_generator(path, torch.device("cpu"), OwnCode({}), hp).description
        assert found.hyperparameters.precision == precision
    assert header == {"float32": False, "bf16": True}
