"""Contestants in processes of their own that run a few steps whenever it is their turn, and stand still otherwise."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import torch
from by_hand import train_by_hand

from harness.design.experiment import TrainingSettings
from harness.design.factors import Hyperparameters
from harness.execution.devices import allow_determinism
from harness.execution.spawning import quicken_memory
from harness.gan.training import TrainingTask, make_deterministic, train
from harness.store.rundir import RunDirectory

PER_CHECKPOINT = 1000
"""Steps between checkpoints in experiment A."""


@dataclass(frozen=True)
class Contestant:
    """One process, or `processes` alike at the same time. threads: of each.

    hp: what is trained; by_hand: by the hand-written loop, or by harness; channels: of the images.
    """

    name: str
    hp: Hyperparameters
    by_hand: bool
    threads: int
    processes: int = 1
    device: str = "cpu"
    channels: int = 1


class Standing:
    """A contestant's processes, up and warm. Seconds are of the slowest of its processes."""

    def __init__(self, contestant: Contestant, warm_up: int, steps: int) -> None:
        """steps: that it will be asked for in all, beside those to get warm."""
        self.contestant = contestant
        context = multiprocessing.get_context("spawn")
        before = dict(os.environ)
        if not contestant.by_hand:
            quicken_memory()  # as workers of `harness run` have it
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(contestant.processes):
            here, there = context.Pipe()
            process = context.Process(target=_contest, args=(contestant, warm_up + steps, there))
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        os.environ.clear()
        os.environ.update(before)
        self.take(warm_up)

    def take(self, steps: int) -> float:
        """Seconds that `steps` steps take, in all processes at the same time."""
        for pipe in self._pipes:
            pipe.send(steps)
        return max(pipe.recv() for pipe in self._pipes)

    def finish(self) -> float:
        """Seconds of the checkpoint at the end, which all processes write."""
        return self.take(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=10)
            process.kill()


class _Turns:
    """Told after every step; waits where the turn is over. Its clock counts turns alone."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._left = 0
        self.leaving = False
        self._await()

    def step_done(self) -> bool:
        """Whether to go on."""
        self._left -= 1
        if self._left <= 0:
            self.over()
            self._await()
        return not self.leaving

    def over(self) -> None:
        self._wait_for_device()
        self._pipe.send(time.perf_counter() - self._started)

    def _await(self) -> None:
        self._left = self._pipe.recv()
        self.leaving = self._left == 0
        self._started = time.perf_counter()

    @staticmethod
    def _wait_for_device() -> None:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()


def _contest(contestant: Contestant, steps: int, pipe: Connection) -> None:
    torch.set_num_threads(contestant.threads)
    with TemporaryDirectory() as folder:
        try:
            turns = _Turns(pipe)
            if contestant.by_hand:
                _by_hand(contestant, Path(folder), turns)
            else:
                _by_harness(contestant, steps, Path(folder), turns)
            turns.over()
        except (EOFError, OSError):
            return  # the benchmark is over


def _by_hand(contestant: Contestant, folder: Path, turns: _Turns) -> None:
    hp = contestant.hp
    train_by_hand(
        hp.latent_dim,
        hp.generator_hidden_dim,
        folder,
        torch.device(contestant.device),
        lambda _: turns.step_done(),
    )


def _by_harness(contestant: Contestant, steps: int, folder: Path, turns: _Turns) -> None:
    hp, device = contestant.hp, torch.device(contestant.device)
    allow_determinism()
    make_deterministic(device)
    shape = (60_000 if hp.resolution <= 32 else 6_000, contestant.channels, hp.resolution, hp.resolution)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(device)
    task = TrainingTask(
        run=RunDirectory(folder),
        hyperparameters=hp,
        channels=contestant.channels,
        seed=0,
        key="0" * 64,
        settings=TrainingSettings(steps=steps, log_every=10, checkpoint_every=steps),
        samples=64,
        device=device,
        state_every_s=10**6,
    )
    train(task, images, _pausing(turns))


def _pausing(turns: _Turns) -> Callable[[], bool]:
    """Never says stop. `train` asks once before the first step, and then after every step."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked > 1:
            turns.step_done()
        return False

    return stop
