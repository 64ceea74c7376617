"""What a call may work on, and which runs there is something to do for. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.design.factors import Hyperparameters
from harness.store.attempts import Work
from harness.tracking.reader import ExperimentView, RunView

ExecutorName = Literal["local", "inline", "ray", "slurm"]
DeviceChoice = Literal["auto", "cpu", "cuda", "mps"]

STALL_TIMEOUT_S = 900.0
"""Far longer than anything that a worker does between two steps or batches."""


@dataclass(frozen=True)
class RunOptions:
    """keys: the runs that may be worked on; retry: keys of diverged runs to try again; sets: `--set` texts.

    damaged: keys of runs with files to be mended, whatever their state.
    stall_timeout_s: after which a worker without progress is killed; only the local executor can. loading_for: CPU
    threads of the workers for which `spawning.start_loading` was called. ray_address: of a running Ray cluster, as
    `ray.init` takes it; None: one of this command's own, on this machine. submit: hand the runs to Slurm and leave.
    """

    runs_dir: Path
    keys: frozenset[str]
    work: Work = "train and evaluate"
    retry: frozenset[str] = frozenset()
    executor: ExecutorName = "local"
    workers: int | None = None
    threads: int | None = None
    device: DeviceChoice = "auto"
    wait: bool = True
    damaged: frozenset[str] = frozenset()
    sets: tuple[str, ...] = ()
    stall_timeout_s: float = STALL_TIMEOUT_S
    loading_for: int | None = None
    ray_address: str | None = None
    submit: bool = False

    @property
    def on_cluster(self) -> bool:
        """Whether runs train on other machines than this one."""
        return self.executor in ("ray", "slurm")


def open_runs(view: ExperimentView, options: RunOptions, tried: frozenset[str] = frozenset()) -> list[RunView]:
    """The runs that there is something to do for and that nobody else holds, longest first."""
    chosen = [
        run
        for run in view.runs
        if run.run.key in options.keys and run.run.key not in tried and _is_open(view, run, options)
    ]
    return sorted(chosen, key=lambda run: -cost(run.run.cell.hyperparameters))


def lacks_real_images(view: ExperimentView, options: RunOptions) -> bool:
    """Whether an experiment whose data were looked up has not all grids of real images that its report shows."""
    return options.work != "evaluate" and bool(view.missing_real_images())


def cost(hp: Hyperparameters) -> float:
    """Roughly how long a step takes, for ordering alone: multiply-adds of the widest layers of both networks.

    A network of one's own counts as a cnn of its width.
    """
    generator = _network_cost(hp.generator, hp.generator_hidden_dim, hp.resolution)
    discriminator = _network_cost(hp.discriminator, hp.discriminator_hidden_dim, hp.resolution)
    images = 8.0 * (hp.generator_steps + hp.discriminator_steps) * hp.resolution**2
    return hp.batch_size * (hp.generator_steps * generator + 2 * hp.discriminator_steps * discriminator + images)


def _network_cost(architecture: str, hidden: int, resolution: int) -> float:
    if architecture in ("mlp", "mlp_conv"):
        return hidden * resolution**2 + 10.0 * hidden * hidden
    return 4.0 * hidden * hidden * resolution**2


def _is_open(view: ExperimentView, run: RunView, options: RunOptions) -> bool:
    status = run.status
    if status.state == "running":
        return False
    if not status.is_readable:
        return True
    if options.work == "evaluate" and status.commit is None:
        return False  # whatever is damaged there, only training mends
    if run.run.key in options.damaged:
        return True
    if options.work == "evaluate":
        return bool(status.missing or status.missing_pictures) or not view.is_prepared
    if status.is_settled and status.lacks_networks:
        return True
    return not status.is_settled or (status.state == "diverged" and run.run.key in options.retry)
