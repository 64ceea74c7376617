"""The inline executor: all runs one after the other in this process. For tests, debuggers and machines without fork."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from harness.execution.assignment import Assignment, WorkResult
from harness.execution.compile_cache import share_compile_cache
from harness.execution.devices import allow_determinism
from harness.execution.events import Event, Observer, finished
from harness.execution.measure import LoadedExtractors
from harness.execution.worker import work_on
from harness.gan.training import make_deterministic


class InlineExecutor:
    """device, threads: of torch in this process."""

    def __init__(self, device: str, threads: int) -> None:
        self._device = device
        self._threads = threads

    def run(
        self,
        assignments: Sequence[Assignment],
        observe: Observer,
        stop: Callable[[], bool],
        save: Callable[[], bool] = lambda: False,
    ) -> dict[str, WorkResult]:
        """Works on every assignment in order; returns the results by key. Stops, or saves a state, when asked."""
        before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        torch.set_num_threads(self._threads)
        allow_determinism()
        share_compile_cache()
        make_deterministic(torch.device(self._device))
        extractors = LoadedExtractors(torch.device(self._device))
        results: dict[str, WorkResult] = {}

        def save_and_tell(name: str) -> bool:
            wanted = save()
            if wanted:
                observe(Event("note", text=f"asked to save: {name}"))
            return wanted

        try:
            for assignment in assignments:
                if stop():
                    break
                steps = assignment.training.steps
                observe(Event("started", assignment.name, steps=steps))
                result = results[assignment.key] = work_on(
                    assignment, extractors, stop, partial(save_and_tell, assignment.name)
                )
                observe(finished(assignment, result))
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])
        return results
