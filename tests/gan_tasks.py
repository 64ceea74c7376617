"""Small training runs that several test files share: scikit-learn's digits at 8x8, four features a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from harness.data.own_code import OwnCode
from harness.design.experiment import TrainingSettings
from harness.design.factors import Hyperparameters, as_fields
from harness.gan.training import TrainingResult, TrainingTask, train
from harness.store.records import Record, read_records
from harness.store.rundir import RunDirectory

CPU = torch.device("cpu")
KEY = "ab" * 32
NO_OWN_CODE = OwnCode({})


@cache
def digits() -> torch.Tensor:
    """The first 300 digits as uint8 [300, 1, 8, 8]."""
    images = load_digits().images[:300]
    return torch.from_numpy(np.round(images * (255 / 16)).astype(np.uint8)).unsqueeze(1)


def small(**levels: Any) -> Hyperparameters:
    """Levels by field or by alias over the smallest networks."""
    widths = {"latent_dim": 6, "generator_hidden_dim": 4, "discriminator_hidden_dim": 4}
    return Hyperparameters(**{"resolution": 8, "batch_size": 32} | widths | as_fields(levels))


def small_task(
    root: Path, *, steps: int = 40, log_every: int = 7, checkpoint_every: int = 10, **levels: Any
) -> TrainingTask:
    settings = TrainingSettings(steps=steps, log_every=log_every, checkpoint_every=checkpoint_every)
    return TrainingTask(RunDirectory(root), small(**levels), 1, 0, KEY, settings, samples=4, device=CPU)


def with_settings(task: TrainingTask, **changes: int) -> TrainingTask:
    return replace(task, settings=task.settings.model_copy(update=changes))


def run(task: TrainingTask, stop: Callable[[], bool] = lambda: False) -> TrainingResult:
    return train(task, digits(), stop)


@dataclass
class StopAfter:
    """Says stop when asked more than `calls` times; training asks before the first step and at each step."""

    calls: int

    def __call__(self) -> bool:
        self.calls -= 1
        return self.calls < 0


class Killed(BaseException):
    """Stands for the end of the process at a place that a test chooses."""


@dataclass
class KillAfter(StopAfter):
    def __call__(self) -> bool:
        if super().__call__():
            raise Killed
        return False


def stored_state(run: RunDirectory) -> dict[str, Any]:
    """The newest state's document, without what the clock puts into it."""
    document: dict[str, Any] = torch.load(run.state(run.committed_steps()[0]), weights_only=True)
    del document["seconds"]
    return document


def records(run: RunDirectory) -> list[Record]:
    """All records, without what the clock puts into them."""
    clock = ("time", "seconds")
    return [{k: v for k, v in record.items() if k not in clock} for record in read_records(run.metrics)]


def assert_equal(left: Any, right: Any, where: str = "") -> None:
    """Equal to the bit, tensors and all, at any depth."""
    assert type(left) is type(right), where
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype and torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for name in left:
            assert_equal(left[name], right[name], f"{where}/{name}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_equal(one, other, f"{where}/{index}")
    else:
        assert left == right, where


def assert_same_run(left: RunDirectory, right: RunDirectory) -> None:
    """Same weights, optimizers, unfinished interval, records and checkpoint files."""
    assert_equal(stored_state(left), stored_state(right))
    assert records(left) == records(right)
    one, other = ({p.name: p.read_bytes() for p in run.checkpoints.iterdir()} for run in (left, right))
    assert one == other
