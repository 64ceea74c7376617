"""What the cost model's processes carry out when it is their turn: training, evaluation, limits and profiles."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import torch
from machine_limit import Convolution, Rates, Work, best_rates, convolution_seconds, counted
from step_profile import Profile, Shapes, layers, profiling, shares

from harness.data.own_code import OwnCode
from harness.design.evaluation_settings import EvaluationSettings, ExtractorName
from harness.design.experiment import Experiment, TrainingSettings
from harness.design.factors import Hyperparameters
from harness.evaluation.evaluate import evaluate
from harness.evaluation.extractors import feature_matrix, load_extractor, weights_sha256
from harness.evaluation.image_set import ImageSet
from harness.evaluation.protocol import protocol_of
from harness.execution.devices import allow_determinism
from harness.execution.spawning import quicken_memory
from harness.gan.adversarial import Rules, whole_step
from harness.gan.batches import Batches
from harness.gan.checkpoints import load_generator
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.losses import adversarial_loss
from harness.gan.sampling import CheckpointSampler
from harness.gan.state import discriminator_layout, initial_state
from harness.gan.training import TrainingTask, make_deterministic, train
from harness.store.rundir import RunDirectory

CPU = torch.device("cpu")
WARM_UP = 3
"""Steps that no step's time is taken from."""
CHANNELS = 1
NO_OWN_CODE = OwnCode({})


class Order(Protocol):
    def carry_out(self) -> Any: ...


@dataclass(frozen=True)
class Trained:
    """Seconds of a whole run with its checkpoint and state, and of one of its steps: the mean after the warm-up."""

    whole_s: float
    step_s: float


@dataclass(frozen=True)
class Train:
    """A run from nothing."""

    hp: Hyperparameters
    steps: int

    def carry_out(self) -> Trained:
        with TemporaryDirectory() as folder:
            images, times = made_up_images(self.hp), list[float]()
            began = time.perf_counter()
            train(
                _task(self.hp, self.steps, Path(folder)), images, _after_each(lambda: times.append(time.perf_counter()))
            )
            whole = time.perf_counter() - began
        first = min(WARM_UP, len(times) - 2)
        return Trained(whole, (times[-1] - times[first]) / (len(times) - 1 - first))


@dataclass(frozen=True)
class CountStep:
    """What one step asks of the machine."""

    hp: Hyperparameters

    def carry_out(self) -> Work:
        hp = self.hp
        state = initial_state(hp, CHANNELS, 0, CPU, NO_OWN_CODE)
        inputs = DrawnInputs(Batches(made_up_images(hp, hp.batch_size), hp.batch_size, 0), Draws(hp, 0, 1000, CPU), 0)
        rules = Rules(hp, adversarial_loss(hp, NO_OWN_CODE), discriminator_layout(hp, CPU))
        return counted(lambda: whole_step(state, inputs, rules))


@dataclass(frozen=True)
class TimeConvolutions:
    """Seconds of each convolution of some work by itself, and the best rates that come of them."""

    work: Work

    def carry_out(self) -> tuple[dict[Convolution, float], Rates]:
        seconds = convolution_seconds(self.work)
        return seconds, best_rates(seconds)


@dataclass(frozen=True)
class Evaluate:
    """The FID of each number of samples, once: generating them included, extractor and real images ready before."""

    extractor: ExtractorName
    hp: Hyperparameters
    samples: Sequence[int]
    real: int
    counting: bool

    def carry_out(self) -> list[Any]:
        """Seconds of each; with `counting`, the Work of each."""
        extractor = load_extractor(EvaluationSettings(extractor=self.extractor), CPU)
        features = feature_matrix(extractor, [made_up_images(self.hp, self.real)])
        real = ImageSet(features, extractor.logits)
        assert len(real.reference.mean) == extractor.feature_dim  # decomposed now, as in a grid
        with TemporaryDirectory() as folder:
            task = _task(self.hp, 1, Path(folder))
            train(task, made_up_images(self.hp), lambda: False)
            checkpoint = load_generator(task.run.checkpoint(1), CPU, NO_OWN_CODE, self.hp)
        found: list[Any] = []
        for samples in self.samples:
            sampler = CheckpointSampler(checkpoint, 0, "eval", self.hp.batch_size, CPU)
            protocol = self._protocol(samples)
            work = lambda sampler=sampler, protocol=protocol: evaluate(sampler, protocol, real, extractor, 0, ("fid",))  # noqa: E731
            if self.counting:
                found.append(counted(work))
                continue
            began = time.perf_counter()
            work()
            found.append(time.perf_counter() - began)
        return found

    def _protocol(self, samples: int) -> Any:
        settings = EvaluationSettings(extractor=self.extractor, samples=samples)
        experiment = Experiment(name="cost", baseline=self.hp)
        sha256 = weights_sha256(settings)
        return protocol_of(settings, experiment, data_sha256="0" * 64, extractor_sha256=sha256, batch_size=64)


@dataclass(frozen=True)
class ProfileSteps:
    """Where the time of some steps goes; the profiler itself is warm before."""

    hp: Hyperparameters
    steps: int

    def carry_out(self) -> Profile:
        hp = self.hp
        named = named_layers(hp)
        with TemporaryDirectory() as folder, profiling({}, named):
            train(_task(hp, 2, Path(folder)), made_up_images(hp), lambda: False)
        seconds: dict[str, float] = {}
        with TemporaryDirectory() as folder:
            whole = _profiled(_task(hp, WARM_UP + self.steps + 1, Path(folder)), seconds, named)
        return Profile(hp.latent_dim, hp.generator_hidden_dim, self.steps, whole / self.steps, shares(seconds, whole))


def named_layers(hp: Hyperparameters) -> dict[Shapes, str]:
    """The names of both networks' convolutions."""
    state = initial_state(hp, CHANNELS, 0, CPU, NO_OWN_CODE)
    return layers(state.generator, state.discriminator, torch.randn(hp.batch_size, hp.latent_dim))


class Site:
    """A process of one thread that carries out orders one by one, and stands still otherwise."""

    def __init__(self) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        quicken_memory()
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,))
        self._process.start()
        there.close()

    def begin(self, order: Order) -> None:
        self._pipe.send(order)

    def result(self) -> Any:
        """What the order that was begun came to."""
        return self._pipe.recv()

    def carry_out(self, order: Order) -> Any:
        self.begin(order)
        return self.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(timeout=10)
        self._process.kill()


def made_up_images(hp: Hyperparameters, count: int = 6_000) -> torch.Tensor:
    """uint8 [count, 1, R, R]; a step's time does not depend on them."""
    shape = (count, CHANNELS, hp.resolution, hp.resolution)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _serve(pipe: Connection) -> None:
    torch.set_num_threads(1)
    allow_determinism()
    make_deterministic(CPU)
    try:
        while True:
            pipe.send(pipe.recv().carry_out())
    except (EOFError, OSError):
        return  # the benchmark is over


def _task(hp: Hyperparameters, steps: int, folder: Path) -> TrainingTask:
    """Experiment A's way: records every ten steps; its one checkpoint at the end."""
    return TrainingTask(
        run=RunDirectory(folder),
        hyperparameters=hp,
        channels=CHANNELS,
        seed=0,
        key="0" * 64,
        settings=TrainingSettings(steps=steps, log_every=10, checkpoint_every=steps),
        samples=64,
        device=CPU,
        state_every_s=10**6,
    )


def _after_each(note: Callable[[], object]) -> Callable[[], bool]:
    """Never says stop. `train` asks it once before the first step, and then after every step."""

    def stop() -> bool:
        note()
        return False

    return stop


def _profiled(task: TrainingTask, into: dict[str, float], named: Mapping[Any, str]) -> float:
    """Seconds of the steps between the warm-up and the last one, which alone are profiled."""
    asked, began, ended = 0, 0.0, 0.0
    block = profiling(into, named)

    def note() -> None:
        nonlocal asked, began, ended
        asked += 1
        if asked == WARM_UP + 1:
            block.__enter__()
            began = time.perf_counter()
        elif asked == task.settings.steps:
            ended = time.perf_counter()
            block.__exit__(None, None, None)

    train(task, made_up_images(task.hyperparameters), _after_each(note))
    return ended - began
