"""The words and numbers of `plan --check --time`. Loads no torch: what was timed comes from `timing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cli.console import columns, duration
from harness.design.expansion import Cell, Plan

if TYPE_CHECKING:
    from harness.cli.timing import CellTime, Estimate


def time_text(plan: Plan, estimate: Estimate) -> str:
    """The page for people: a row per cell, then all runs, then the cost."""
    timed = sorted({found.speed.steps for found in estimate.cells})
    steps = f"{timed[0]} to {timed[-1]}" if len(timed) > 1 else f"{timed[0]}"
    lines = [
        f"time on {estimate.device}, {_count(estimate.threads, 'thread')}: {steps} steps of each kind of cell on "
        "made-up images and one batch of each evaluation were timed, and multiplied; checkpoints, pictures and states "
        "were not",
        "",
        columns(_rows(plan, estimate), right=frozenset(range(1, 9))),
        "",
        _total(estimate),
    ]
    lines += [f"not timed: evaluation with {absent}" for absent in estimate.absent]
    lines += _cost_lines(plan, estimate)
    return "\n".join(lines)


def _rows(plan: Plan, estimate: Estimate) -> list[list[str]]:
    header = ["cell", "steps", "ms/step", "images/s", "epoch", "training", "evaluation", "runs left"]
    rows = [header + (["cost of a run"] if plan.experiment.cost else [])]
    for found in estimate.cells:
        epoch = _epoch_s(plan, found)
        rows.append([
            found.cell.name, str(found.cell.training.steps), _figure(1000 * found.speed.step_s),
            _figure(_images_of_a_step(found.cell) / found.speed.step_s), "?" if epoch is None else _short(epoch),
            _short(found.training_s), _short(found.evaluation_s), str(found.left),
        ])  # fmt: skip
        if plan.experiment.cost:
            seconds = (found.training_s + found.evaluation_s) / estimate.workers
            rows[-1].append(f"{_price(plan, seconds):.2f}")
    return rows


def _images_of_a_step(cell: Cell) -> int:
    """Real images: a batch for each update of the discriminator."""
    return cell.hyperparameters.batch_size * cell.hyperparameters.discriminator_steps


def _epoch_s(plan: Plan, found: CellTime) -> float | None:
    """Seconds of one pass over the cell's images; None where their number is not known before they are read."""
    hp = found.cell.hyperparameters
    images = plan.experiment.data.count if hp.limit == "all" else hp.limit
    if images is None:
        return None
    return found.speed.step_s * (images // hp.batch_size) / hp.discriminator_steps


def _total(estimate: Estimate) -> str:
    if not estimate.left:
        return f"all {estimate.runs} runs are done"
    done = estimate.runs - estimate.left
    runs = f"{estimate.left} of {estimate.runs} runs, the others being done" if done else f"all {estimate.runs} runs"
    return (
        f"{runs}: training {_short(estimate.training_s)}, evaluation {_short(estimate.evaluation_s)}; "
        f"{_with_workers(estimate)}"
    )


def _with_workers(estimate: Estimate) -> str:
    if estimate.workers == 1:
        return f"about {_short(estimate.wall_s)} with the one worker that `harness run` would start"
    return (
        f"about {_short(estimate.wall_s)} with the {estimate.workers} workers that `harness run` would start, if they "
        "do not slow each other"
    )


def _cost_lines(plan: Plan, estimate: Estimate) -> list[str]:
    cost = plan.experiment.cost
    if cost is None:
        return []
    training, evaluation = (
        _price(plan, seconds / estimate.workers) for seconds in (estimate.training_s, estimate.evaluation_s)
    )
    return [
        f"cost at {cost.per_hour:g} {cost.currency} an hour of this machine: {training + evaluation:.2f} "
        f"{cost.currency} (training {training:.2f}, evaluation {evaluation:.2f})"
    ]


def _price(plan: Plan, seconds: float) -> float:
    return plan.experiment.cost.per_hour * seconds / 3600 if plan.experiment.cost else 0.0


def time_document(plan: Plan, estimate: Estimate, document: dict[str, Any]) -> dict[str, Any]:
    """`plan --json` with `time` in each cell (seconds of one run) and of all runs."""
    by_name = {found.cell.name: found for found in estimate.cells}
    cells = [entry | {"time": _cell_document(by_name[entry["name"]])} for entry in document["cells"]]
    whole: dict[str, Any] = {
        "device": estimate.device,
        "threads": estimate.threads,
        "workers": estimate.workers,
        "runs": estimate.left,
        "training_s": estimate.training_s,
        "evaluation_s": estimate.evaluation_s,
        "wall_s": estimate.wall_s,
        "not_timed": list(estimate.absent),
    }
    if plan.experiment.cost:
        whole["cost"] = {"amount": _price(plan, estimate.wall_s), "currency": plan.experiment.cost.currency}
    return {**document, "cells": cells, "time": whole}


def _cell_document(found: CellTime) -> dict[str, float | int]:
    return {
        "step_s": found.speed.step_s,
        "steps_timed": found.speed.steps,
        "training_s": found.training_s,
        "evaluation_s": found.evaluation_s,
        "runs": found.left,
    }


def _short(seconds: float) -> str:
    """As `duration`, with a tenth where seconds are few."""
    return duration(seconds) if seconds >= 9.95 else f"{seconds:.1f} s"


def _figure(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
