"""Captured steps: the bits of steps run one by one where buffers are all that differs; on a GPU their losses."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
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
    assert_equal,
    assert_same_run,
    digits,
    records,
    run,
    small,
    small_task,
)
from torch import Tensor

from harness.gan import captured, training
from harness.gan.adversarial import Rules
from harness.gan.batches import Batches
from harness.gan.buffers import StaticInputs
from harness.gan.captured import MAX_UPDATES, CapturedStep, Work, obstacle
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.losses import adversarial_loss
from harness.gan.schedules import learning_rate_factor
from harness.gan.state import TrainingState, discriminator_layout, initial_state
from harness.gan.training import TrainingTask, make_deterministic, train

RATE = 2.0**-12
"""Exact as float32, which captured steps have for learning rates."""

CELLS: dict[str, dict[str, Any]] = {
    "cnn": {},
    "mlp": {"architecture": "mlp"},
    "noise that falls to nothing": {"instance_noise": 0.3, "instance_noise_decay": 0.5},
    "labels drawn and swapped": {"real_label": (0.7, 1.0), "label_swap": 0.5, "label_swap_decay": 0.5},
    "gradient penalty": {"loss": "wasserstein_gp", "discriminator_normalization": "spectral"},
    "several updates": {"discriminator_steps": 3, "generator_steps": 2, "fake_batch": "fresh"},
    "rates that fall, moving average": {"lr_decay_from": 0.5, "ema_decay": 0.5},
    "bfloat16": {"precision": "bf16"},
}


def task_of(root: Path, cell: str) -> TrainingTask:
    return small_task(root, steps=8, log_every=3, checkpoint_every=6, lr=RATE, **CELLS[cell])


def in_place_of_a_graph(work: Work, device: torch.device) -> Work:
    """Warms up as a capture does; what is repeated is the work itself."""
    for _ in range(2):
        work()
    return work


def step_of(task: TrainingTask, state: TrainingState, batches: Batches, rules: Rules) -> CapturedStep:
    hp, steps = task.hyperparameters, task.settings.steps
    draws = Draws(hp, task.seed, steps, CPU)
    return CapturedStep(
        state,
        rules,
        lambda step: DrawnInputs(batches, draws, step),
        lambda step: learning_rate_factor(hp.lr_decay_from, step, steps),
        in_place_of_a_graph,
    )


@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(training, "_captured_step", step_of)


@pytest.mark.parametrize("cell", CELLS)
def test_static_buffers_give_the_bits_of_single_steps(tmp_path: Path, cell: str, capturing: Callable[[], None]) -> None:
    """Warming up changes nothing, and states are the same, so that either goes on from the other's."""
    eager, whole, broken = (task_of(tmp_path / name, cell) for name in ("eager", "whole", "broken"))
    run(eager)
    assert run(broken, StopAfter(2)).outcome == "interrupted"
    capturing()
    run(whole)
    assert_same_run(eager.run, whole.run)
    assert run(broken, StopAfter(4)).outcome == "interrupted"
    with pytest.raises(Killed):
        run(broken, KillAfter(1))
    assert run(broken).outcome == "finished"
    assert_same_run(eager.run, broken.run)


def parts_of(**levels: Any) -> tuple[TrainingState, Rules, Callable[[int], DrawnInputs]]:
    hp = small(**levels)
    batches, draws = Batches(digits(), hp.batch_size, 0), Draws(hp, 0, 100, CPU)
    rules = Rules(hp, adversarial_loss(hp, NO_OWN_CODE), discriminator_layout(hp, CPU))
    return initial_state(hp, 1, 0, CPU, NO_OWN_CODE), rules, lambda step: DrawnInputs(batches, draws, step)


def test_inputs_change_and_their_buffers_do_not_move() -> None:
    _, rules, drawn = parts_of(real_label=(0.5, 1.0), instance_noise=0.1, instance_noise_decay=0.02)
    static = StaticInputs(drawn(0), rules.hp, CPU)
    places: list[list[int]] = []
    values: list[list[float]] = []
    for step in (0, 1, 2):
        static.load(drawn(step))
        tensors = [tensor for tensor in (*static.discriminator(0), *static.generator(0)) if tensor is not None]
        places.append([tensor.data_ptr() for tensor in tensors])
        values.append([tensor.double().abs().sum().item() for tensor in tensors])
        assert torch.equal(static.discriminator(0).real, drawn(step).discriminator(0).real)
    assert places[0] == places[1] == places[2] and len(places[0]) == 7
    assert [first != second for first, second in zip(*values[:2], strict=True)] == [True, True, True, False] + 3 * [
        True
    ]
    assert values[2][4:] == [0, 0, 0]  # the noise has fallen to nothing


def everything(state: TrainingState) -> list[Any]:
    optimizers = (state.generator_optimizer, state.discriminator_optimizer)
    return [copy.deepcopy(part.state_dict()) for part in (state.generator, state.discriminator, *optimizers)]


def test_what_cuda_refuses_to_capture_runs_one_by_one_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refusing(work: Callable[[], Tensor], device: torch.device) -> Work:
        work()
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(captured, "cuda_graph", refusing)
    state, rules, drawn = parts_of()
    before = everything(state)[:2]
    with caplog.at_level(logging.INFO, "harness"):
        assert captured.captured(state, rules, drawn, lambda step: 1.0) is None
    assert_equal(before, everything(state)[:2])
    groups = [group for found in everything(state)[2:] for group in found["param_groups"]]
    assert all(group["lr"] == 2e-4 and group["capturable"] is False for group in groups)
    moments = [
        value for found in everything(state)[2:] for moment in found["state"].values() for value in moment.values()
    ]
    assert moments and not any(value.any() for value in moments)
    assert "steps run one by one" in caplog.text
    assert "(CUDA refuses: operation not permitted when stream is capturing)" in caplog.text


def test_running_out_of_memory_is_no_reason_to_go_on_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else bits would depend on what else the GPU does."""

    def full(work: Work, device: torch.device) -> Work:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(captured, "cuda_graph", full)
    state, rules, drawn = parts_of()
    with pytest.raises(torch.OutOfMemoryError):
        captured.captured(state, rules, drawn, lambda step: 1.0)


def test_levels_that_are_not_captured_are_named() -> None:
    assert obstacle(small()) is None
    assert obstacle(small(loss="wasserstein_gp", discriminator_normalization="none")) is None
    for levels in ({"dropout": 0.1}, {"loss": "own.py:Loss"}, {"generator_normalization": "own.py:Norm"}):
        assert "draw as they run" in str(obstacle(small(**levels)))
    assert obstacle(small(discriminator_steps=MAX_UPDATES - 1)) is None
    assert "updates" in str(obstacle(small(discriminator_steps=MAX_UPDATES)))


def test_a_cpu_captures_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "harness"):
        run(small_task(tmp_path, steps=2))
    assert "CUDA" not in caplog.text


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    make_deterministic(torch.device("cuda"))
    yield torch.device("cuda")
    torch.use_deterministic_algorithms(False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="captured steps need a CUDA GPU")
@pytest.mark.parametrize("cell", CELLS)
def test_captured_and_single_steps_agree_on_a_gpu(
    tmp_path: Path, cell: str, gpu: torch.device, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Losses over the first 200 steps within float rounding as training amplifies it, also across an interruption."""
    losses = {}
    for name in ("captured", "resumed", "eager"):
        if name == "eager":
            monkeypatch.setattr(training, "_captured_step", lambda *parts: None)
        task = small_task(tmp_path / name, steps=200, log_every=1, checkpoint_every=200, **CELLS[cell])
        task = replace(task, device=gpu)
        with caplog.at_level(logging.INFO, "harness"):
            if name == "resumed":
                assert train(task, digits().to(gpu), StopAfter(90)).outcome == "interrupted"
            assert train(task, digits().to(gpu), lambda: False).outcome == "finished"
        losses[name] = torch.tensor([[r["loss/generator"], r["loss/discriminator"]] for r in records(task.run)])
    assert "captured as one CUDA graph" in caplog.text and "one by one" not in caplog.text
    assert torch.equal(losses["captured"], losses["resumed"])
    torch.testing.assert_close(losses["captured"][:20], losses["eager"][:20], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(losses["captured"], losses["eager"], rtol=0.1, atol=0.1)
