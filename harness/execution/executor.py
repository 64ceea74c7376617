"""Which executor a call works with. Each takes assignments and gives results; only how they get there differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from harness.design.experiment import Experiment
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.devices import choose_device, choose_workers, cluster_device
from harness.execution.events import Observer
from harness.execution.options import RunOptions
from harness.execution.placement import Places, on_gpus, on_this_machine
from harness.store.rundir import experiment_directory


class Executor(Protocol):
    """Brings runs to completion, somewhere."""

    def run(
        self,
        assignments: Sequence[Assignment],
        observe: Observer,
        stop: Callable[[], bool],
        save: Callable[[], bool] = lambda: False,
    ) -> dict[str, WorkResult]:
        """Works on `assignments` until all are done or `stop` says yes; returns the results by key.

        observe: is told what happens; save: asked now and then, whether all that trains should write a state.
        """


def device_of(options: RunOptions, experiment: Experiment) -> str:
    """The device that runs train on: of this machine, or what they reserve on a cluster. DeviceError as there."""
    if options.on_cluster:
        return cluster_device(options.device, options.executor, experiment.resources, experiment.slurm)
    return choose_device(options.device)


def executor_of(options: RunOptions, experiment: Experiment, device: str, threads: int, runs: int) -> Executor:
    """The executor that `options` name, for at most `runs` runs with `threads` CPU threads each."""
    match options.executor:
        case "inline":
            from harness.execution.inline import InlineExecutor

            return InlineExecutor(device, threads)
        case "local":
            from harness.execution.local import LocalExecutor

            places = _places(options, experiment, device, threads, runs)
            return LocalExecutor(places, device, threads, options.stall_timeout_s, options.loading_for)
        case "ray":
            from harness.execution.ray_executor import RayExecutor

            return RayExecutor(options, experiment, device, threads)
        case "slurm":
            from harness.execution.slurm import SlurmExecutor

            directory = experiment_directory(options.runs_dir, experiment.name)
            return SlurmExecutor(options, experiment, directory, device, threads)


def _places(options: RunOptions, experiment: Experiment, device: str, threads: int, runs: int) -> Places:
    """Where worker processes of this machine work. DeviceError where no GPU is left that they could use."""
    if device == "cuda":
        return on_gpus(threads, runs, options.workers, experiment.resources.runs_per_gpu)
    return on_this_machine(min(options.workers or choose_workers(device, threads, runs), runs))
