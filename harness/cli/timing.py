"""What `plan --check --time` tells: how long training and evaluation take here, and what that costs.

A few real steps of every kind of cell are trained on made-up images in a temporary folder, and one batch of every
evaluation is measured; the rest is multiplied. Checkpoints, pictures and states are not timed. Only runs that are not
done count, those that have begun as if they had not. Imports torch: only the command that times imports this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from harness.cli.documents import runs_left
from harness.cli.options import own_code_of
from harness.data.own_code import OwnCode
from harness.data.resize import resize, to_uint8
from harness.design.expansion import Cell, Plan
from harness.design.experiment import EvaluationSettings, TrainingSettings
from harness.design.factors import Hyperparameters
from harness.design.metrics import METRICS
from harness.errors import HarnessError, WeightsError
from harness.evaluation.extractor_weights import weights_file
from harness.evaluation.extractors import BATCH_SIZE, load_extractor
from harness.evaluation.image_set import ImagePair, ImageSet
from harness.execution.devices import allow_determinism, choose_device, choose_workers
from harness.execution.measure import SAMPLING_BATCH
from harness.execution.threads import thread_count, threads_before
from harness.gan.networks.build import build_generator
from harness.gan.randomness import normal_latents, random_stream
from harness.gan.training import TrainingTask, make_deterministic, train
from harness.store.reading import read_bytes
from harness.store.records import Record, scan
from harness.store.rundir import RunDirectory
from harness.tracking.reader import ExperimentView

MAX_STEPS = 20
ENOUGH_S = 3.0
"""So many steps are timed, or fewer where they and as many before them would take longer than so many seconds."""
WARM_UP = 2
"""First steps, which prepare whatever is prepared once; the last of them tells how many to time."""


@dataclass(frozen=True)
class Speed:
    """Of one kind of cell: seconds of a step, of `steps` timed ones, and of generating one image."""

    step_s: float
    steps: int
    image_s: float


@dataclass(frozen=True)
class Measuring:
    """Of one evaluation block: seconds of one image and of one distance; absent: why it could not be timed."""

    image_s: float = 0.0
    metrics_s: float = 0.0
    absent: str = ""


@dataclass(frozen=True)
class CellTime:
    """One run of a cell, in seconds; evaluation: of all its checkpoints under every block that could be timed; left:
    its runs that are not done."""

    cell: Cell
    speed: Speed
    training_s: float
    evaluation_s: float
    left: int


@dataclass(frozen=True)
class Estimate:
    """reference_s: statistics of the real images, once for all runs; absent: blocks that could not be timed; runs: of
    the plan, done or not."""

    device: str
    threads: int
    workers: int
    cells: tuple[CellTime, ...]
    reference_s: float
    absent: tuple[str, ...]
    runs: int

    @property
    def left(self) -> int:
        """Runs that are not done."""
        return sum(found.left for found in self.cells)

    @property
    def training_s(self) -> float:
        return sum(found.training_s * found.left for found in self.cells)

    @property
    def evaluation_s(self) -> float:
        """Of all runs that are left; statistics of the real images are for them alone."""
        measured = sum(found.evaluation_s * found.left for found in self.cells)
        return self.reference_s + measured if self.left else 0.0

    @property
    def wall_s(self) -> float:
        """With all workers busy all the time, and none slowed by the others."""
        return (self.training_s + self.evaluation_s) / self.workers


def time_plan(view: ExperimentView) -> Estimate:
    """Times what `view`'s plan asks for on the device and with the threads that `run` would use without options."""
    plan, own_code, left = view.plan, own_code_of(view.plan), runs_left(view)
    threads = thread_count(
        None, threads_before(view.manifest, view.directory), len(plan.runs), plan.experiment.resources.cpus
    )
    allow_determinism()
    name = choose_device("auto")
    device = torch.device(name)
    with _as_a_worker(device, threads):
        speeds: dict[str, Speed] = {}
        for cell in plan.cells:
            kind = kind_of(cell)
            if kind not in speeds:
                speeds[kind] = speed_of(cell.hyperparameters, plan.experiment.data.channels, own_code, device)
        blocks = [(settings, _measuring(settings, plan, device)) for settings in plan.experiment.evaluation]
    cells = tuple(_cell_time(cell, speeds[kind_of(cell)], blocks, left[cell.name]) for cell in plan.cells)
    return Estimate(
        name,
        threads,
        choose_workers(name, threads, max(1, sum(left.values())), plan.experiment.resources.runs_per_gpu),
        cells,
        sum(_reference_images(settings, plan) * found.image_s for settings, found in blocks),
        tuple(f"{settings.extractor_name}: {found.absent}" for settings, found in blocks if found.absent),
        len(plan.runs),
    )


@contextmanager
def _as_a_worker(device: torch.device, threads: int) -> Iterator[None]:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    make_deterministic(device)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def kind_of(cell: Cell) -> str:
    """Cells of one kind take the same time for a step."""
    fields = type(cell.hyperparameters).model_fields
    free = {name: fields[name].default for name in FREE}
    return cell.hyperparameters.model_copy(update=free).model_dump_json()


FREE = (
    "generator_output", "initialization", "discriminator_loss_reduction", "real_label", "fake_label",
    "generator_target", "label_swap_decay", "instance_noise_decay", "generator_lr", "discriminator_lr",
    "lr_decay_from", "generator_betas", "discriminator_betas", "generator_weight_decay",
    "discriminator_weight_decay", "limit",
)  # fmt: skip
"""Factors that hardly change how long a step takes: all but those of sizes, layers, losses, updates and averages."""


def speed_of(hp: Hyperparameters, channels: int, own_code: OwnCode, device: torch.device) -> Speed:
    shape = (hp.batch_size * max(2, hp.discriminator_steps), channels, hp.resolution, hp.resolution)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=random_stream(0, "samples")).to(device)
    with TemporaryDirectory(prefix="harness-time-") as folder:
        task = TrainingTask(
            run=RunDirectory(Path(folder)),
            hyperparameters=hp.model_copy(update={"limit": "all"}),
            channels=channels,
            seed=0,
            key="0" * 64,
            settings=_settings(WARM_UP, log_every=1),
            samples=1,
            device=device,
            own_code=own_code,
        )
        timed = _last_interval(task, images)
        steps = max(1, min(MAX_STEPS, int(ENOUGH_S / 2 / max(timed["seconds"], 1e-6))))
        if 2 * steps > WARM_UP:  # goes on: as many steps unseen, then those that are timed, without a stop in between
            timed = _last_interval(replace(task, settings=_settings(2 * steps, log_every=steps)), images)
    return Speed(timed["seconds"] / timed["n"], timed["n"], _generating(hp, channels, own_code, device))


def _settings(steps: int, log_every: int) -> TrainingSettings:
    return TrainingSettings(steps=steps, log_every=log_every, checkpoint_every=steps)


def _last_interval(task: TrainingTask, images: torch.Tensor) -> Record:
    """Trains to the end of the task; its last record, whose seconds are of training alone."""
    result = train(task, images, lambda: False)
    records = [record for record, _ in scan(read_bytes(task.run.metrics))]
    if not records:
        raise HarnessError(f"no step can be timed: {result.reason}", where="--time", remedy="Leave --time out.")
    return records[-1]


def _generating(hp: Hyperparameters, channels: int, own_code: OwnCode, device: torch.device) -> float:
    generator = build_generator(hp, channels, random_stream(0, "initialization", "generator"), own_code)
    generator.to(device).eval()
    latents = normal_latents(SAMPLING_BATCH, hp.latent_dim, random_stream(0, "samples")).to(device)
    with torch.no_grad():
        return _seconds(lambda: to_uint8(generator(latents), hp.generator_output).cpu()) / SAMPLING_BATCH


def _measuring(settings: EvaluationSettings, plan: Plan, device: torch.device) -> Measuring:
    """One batch through the extractor, and the metrics of one repeat between made-up features of as many images."""
    try:
        weights_file(settings, download=False)  # a plan brings nothing here
        extractor = load_extractor(settings, device)
    except WeightsError as error:
        return Measuring(absent=error.what)
    baseline = plan.experiment.baseline
    resolution = settings.resolution or baseline.resolution
    shape = (BATCH_SIZE, plan.experiment.data.channels, baseline.resolution, baseline.resolution)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=random_stream(0, "samples")).to(device)
    dims = extractor.feature_dim
    image_s = _seconds(lambda: extractor.features(resize(images, resolution))) / BATCH_SIZE
    draws = np.random.default_rng(0)
    real = ImageSet(draws.normal(size=(_reference_images(settings, plan) or settings.samples, dims)), extractor.logits)
    measured = [metric for metric in settings.metrics if not METRICS[metric].pooled]
    made_once = ImagePair(ImageSet(draws.normal(size=(settings.samples, dims)), extractor.logits), real)
    for metric in measured:
        made_once.value(metric)  # what the real side needs is made once for a whole grid
    pair = ImagePair(ImageSet(draws.normal(size=(settings.samples, dims)), extractor.logits), real)
    return Measuring(image_s, _seconds(lambda: [pair.value(metric) for metric in measured], warm=False))


def _seconds(work: Callable[[], object], *, warm: bool = True) -> float:
    """How long `work` takes, the second time where `warm`."""
    if warm:
        work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _cell_time(cell: Cell, speed: Speed, blocks: list[tuple[EvaluationSettings, Measuring]], left: int) -> CellTime:
    evaluation = sum(
        len(settings.steps_measured(cell.training))
        * settings.repeats
        * (settings.samples * (speed.image_s + found.image_s) + found.metrics_s)
        for settings, found in blocks
        if not found.absent
    )
    return CellTime(cell, speed, speed.step_s * cell.training.steps, evaluation, left)


def _reference_images(settings: EvaluationSettings, plan: Plan) -> int:
    """Real images of a block; those that are not counted before the data are read count as none."""
    return settings.reference if settings.reference != "all" else plan.experiment.data.count or 0
