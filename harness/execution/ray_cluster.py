"""The Ray executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.design.experiment import Experiment
from harness.errors import HarnessError
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.events import Observer
from harness.execution.options import RunOptions


class RayExecutor:
    """Not there yet."""

    def __init__(self, options: RunOptions, experiment: Experiment, device: str, threads: int) -> None:
        raise HarnessError("the Ray executor is not part of this version", where="--executor")

    def run(
        self,
        assignments: Sequence[Assignment],
        observe: Observer,
        stop: Callable[[], bool],
        save: Callable[[], bool] = lambda: False,
    ) -> dict[str, WorkResult]:
        raise NotImplementedError
