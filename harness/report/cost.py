"""What an experiment cost: time of training and measuring, sizes of networks, and the price of the machine's time."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.report.content import Content, ReportCell, ReportRun
from harness.store.networks import Networks, read_networks

Interval = tuple[float, float]
"""From when to when, in seconds since 1970."""


@dataclass(frozen=True)
class RunCost:
    """One run's times in seconds; None where they are not known.

    step_s: of one step, from the records of training, in which pauses, states and pictures do not count; epoch_s: of
    one pass over the images; images_per_s: real images trained on; training_s, measuring_s: of the whole run, of
    complete ones alone; present_s: while any attempt worked on it.
    """

    key: str
    seed: int
    step_s: float | None
    epoch_s: float | None
    images_per_s: float | None
    training_s: float | None
    measuring_s: float | None
    present_s: float
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Over:
    """A mean over runs. sd: their sample standard deviation, None for one run."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True, eq=False)
class CellCost:
    """runs: those that have begun; networks: None where no run has noted them."""

    cell: ReportCell
    runs: tuple[RunCost, ...]
    networks: Networks | None

    def over(self, name: str) -> Over | None:
        """The mean of one of `RunCost`'s times over the runs that have it."""
        return mean_over(value for run in self.runs if (value := getattr(run, name)) is not None)


@dataclass(frozen=True)
class MachineTime:
    """How long machines were at work, each moment of each machine counted once.

    busy_s: that time; present_s: the runs' times added up; most: runs at work at once on one machine.
    """

    busy_s: float
    present_s: float
    most: int

    @property
    def at_once(self) -> float:
        """Runs at work at the same time, on average."""
        return self.present_s / self.busy_s if self.busy_s else 0.0


def cell_costs(content: Content, cells: Sequence[ReportCell] | None = None) -> list[CellCost]:
    """One per cell; None: of all, in the report's order."""
    measuring: dict[str, float] = {}
    for (_, key, _), evaluation in content.sources.items():
        measuring[key] = measuring.get(key, 0.0) + evaluation.seconds
    costs = []
    for cell in content.cells if cells is None else cells:
        images = images_per_epoch(content, cell)
        begun = tuple(_run_cost(run, images, measuring.get(run.key)) for run in cell.runs if run.view.status.attempts)
        noted = (read_networks(run.view.directory) for run in cell.runs if run.view.directory)
        costs.append(CellCost(cell, begun, next((networks for networks in noted if networks), None)))
    return costs


def machine_time(content: Content) -> MachineTime:
    """Of all attempts of all runs; those that were killed count until their last record."""
    by_host: dict[str, list[Interval]] = {}
    for run in content.runs:
        for host, interval in _presence(run):
            by_host.setdefault(host, []).append(interval)
    found = [_united(intervals) for intervals in by_host.values()]
    present = sum(end - start for intervals in by_host.values() for start, end in intervals)
    return MachineTime(sum(busy for busy, _ in found), present, max((most for _, most in found), default=0))


def images_per_epoch(content: Content, cell: ReportCell) -> int | None:
    """Images that the cell trains on; None where their number was not noted."""
    data = content.view.plan.experiment.data
    manifest = content.view.manifest
    count = (manifest.image_count_of(data.declared()) if manifest else None) or data.count
    limit = cell.cell.hyperparameters.limit
    if count is None:
        return None
    return count if limit == "all" else min(limit, count)


def epochs_of(content: Content, cell: ReportCell, steps: int) -> float | None:
    """So many steps of a cell as passes over its images; None where their number was not noted."""
    images, hp = images_per_epoch(content, cell), cell.cell.hyperparameters
    batches = images // hp.batch_size if images else 0
    return steps * hp.discriminator_steps / batches if batches else None


def price(content: Content, seconds: float) -> float | None:
    """Of so much time of one machine; None where the file names no price."""
    settings = content.view.plan.experiment.cost
    return settings.per_hour * seconds / 3600 if settings else None


def mean_over(values: Iterable[float]) -> Over | None:
    found = list(values)
    if not found:
        return None
    return Over(statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else None, len(found))


def cost_numbers(content: Content) -> dict[str, Any]:
    """What report.json says of costs: every run's times with its key, and the networks' sizes by cell."""
    whole, costs = machine_time(content), cell_costs(content)
    return {
        "networks": {cost.cell.cell.name: asdict(cost.networks) for cost in costs if cost.networks},
        "machine_s": whole.busy_s,
        "runs_at_once": whole.at_once,
        "runs": [
            {
                "cell": cost.cell.cell.name,
                "seed": run.seed,
                "key": run.key,
                "step_s": run.step_s,
                "epoch_s": run.epoch_s,
                "images_per_s": run.images_per_s,
                "training_s": run.training_s,
                "measuring_s": run.measuring_s,
                "present_s": run.present_s,
            }
            for cost in costs
            for run in cost.runs
        ],
    }


def _run_cost(run: ReportRun, images: int | None, measuring_s: float | None) -> RunCost:
    """images: of an epoch; measuring_s: of all its evaluations."""
    hp = run.view.run.cell.hyperparameters
    steps, seconds = run.metrics.total("n"), run.metrics.total("seconds")
    step_s = seconds / steps if steps and seconds > 0 else None
    steps_per_epoch = images // hp.batch_size / hp.discriminator_steps if images else None
    is_complete = run.view.status.state == "complete"
    machines = [attempt.machine for attempt in run.view.status.attempts]
    return RunCost(
        key=run.key,
        seed=run.seed,
        step_s=step_s,
        epoch_s=step_s * steps_per_epoch if step_s and steps_per_epoch else None,
        images_per_s=hp.batch_size * hp.discriminator_steps / step_s if step_s else None,
        training_s=seconds if is_complete and step_s else None,
        measuring_s=measuring_s if is_complete else None,
        present_s=sum(end - start for _, (start, end) in _presence(run)),
        devices=tuple(dict.fromkeys(str(machine["device"]) for machine in machines if "device" in machine)),
    )


def _presence(run: ReportRun) -> list[tuple[str, Interval]]:
    """From when to when each attempt worked, with the machine's name."""
    attempts = run.view.status.attempts
    found = []
    for index, attempt in enumerate(attempts):
        following = attempts[index + 1].started if index + 1 < len(attempts) else float("inf")
        end = _last_record(run, attempt.started, following) if attempt.ended is None else attempt.ended
        if end > attempt.started:
            found.append((str(attempt.machine.get("host", "")), (attempt.started, end)))
    return found


def _last_record(run: ReportRun, started: float, following: float) -> float:
    """When the last record of an attempt was written, in seconds since 1970; `started` where it wrote none.

    following: when the next attempt began.
    """
    times = (time for time in run.metrics.column("time") if started <= time < following)
    return max(times, default=started)


def _united(intervals: Sequence[Interval]) -> tuple[float, int]:
    """The length of what the intervals cover together, and how many of them overlap at most."""
    changes = sorted([(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals])
    covered, at_work, most, since = 0.0, 0, 0, 0.0
    for moment, change in changes:
        if at_work:
            covered += moment - since
        at_work, since = at_work + change, moment
        most = max(most, at_work)
    return covered, most
