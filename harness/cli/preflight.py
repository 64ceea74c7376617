"""What `plan --check` tells: every distinct pair of networks, the cells that share it, and the disk that they need.

Imports torch: only the command that checks imports this.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cli.console import columns
from harness.cli.documents import runs_left
from harness.cli.options import own_code_of
from harness.design.expansion import Cell, Plan
from harness.execution.checking import NetworkChecks
from harness.gan.preflight import NetworkCheck, NetworksCheck
from harness.store.file_systems import existing
from harness.tracking.reader import ExperimentView

MAX_NAMES = 6
"""Cells named at once; further ones are counted."""
OPTIMIZER_VALUES = 2
"""Values that Adam keeps for each parameter."""
FLOAT32_BYTES = 4
KEPT_STATES = 2


@dataclass(frozen=True)
class PairCheck:
    """One distinct pair of networks and the cells that train it."""

    networks: NetworksCheck
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Disk:
    """Bytes that the runs that are left need once they are done. largest: the most that one run needs, and its cell's
    name; runs: how many are left."""

    checkpoints: int
    states: int
    largest: tuple[int, str]
    runs: int

    @property
    def total(self) -> int:
        return self.checkpoints + self.states


def check_plan(plan: Plan) -> tuple[PairCheck, ...]:
    """Builds and tries every network that the plan names; PreflightError or OwnPartError, with the cell's name, for
    the first that does not work."""
    checks = NetworkChecks(plan.experiment.data.channels, own_code_of(plan))
    cells: dict[NetworksCheck, list[Cell]] = {}
    for cell in plan.cells:
        cells.setdefault(checks.of(cell), []).append(cell)
    return tuple(PairCheck(networks, tuple(of_pair)) for networks, of_pair in cells.items())


def disk_of(pairs: Iterable[PairCheck], left: Mapping[str, int]) -> Disk:
    """Checkpoints and states of the runs that are `left` of each cell, each from its beginning.

    Pictures, records, cached images and MLflow's files come on top.
    """
    checkpoints = states = 0
    largest = (0, "")
    for pair in pairs:
        for cell in pair.cells:
            of_checkpoints, of_states = _run_bytes(pair.networks, cell)
            checkpoints += of_checkpoints * left[cell.name]
            states += of_states * left[cell.name]
            if left[cell.name]:
                largest = max(largest, (of_checkpoints + of_states, cell.name))
    return Disk(checkpoints, states, largest, sum(left.values()))


def _run_bytes(networks: NetworksCheck, cell: Cell) -> tuple[int, int]:
    generator, discriminator = networks.generator, networks.discriminator
    kept = generator.weights_bytes * (2 if cell.hyperparameters.ema_decay else 1)
    adam = OPTIMIZER_VALUES * FLOAT32_BYTES * (generator.parameters + discriminator.parameters)
    return kept * len(cell.training.checkpoint_steps()), KEPT_STATES * (kept + discriminator.weights_bytes + adam)


def check_text(view: ExperimentView, pairs: Sequence[PairCheck], runs_dir: Path) -> str:
    """The page for people: a part for each pair of networks, then warnings, then the disk."""
    parts = [_pair_text(pair) for pair in pairs]
    warned = [f"warning: {text} ({_named(pair.cells)})" for pair in pairs for text in pair.networks.warnings]
    parts += ["\n".join(warned)] if warned else []
    return "\n\n".join([*parts, _disk_text(disk_of(pairs, runs_left(view)), len(view.runs), runs_dir)])


def _pair_text(pair: PairCheck) -> str:
    checked = (("generator", pair.networks.generator), ("discriminator", pair.networks.discriminator))
    rows = [["  network", "layer", "kind", "output", "parameters"]]
    for name, network in checked:
        rows += [
            [f"  {name}", layer.name, layer.kind, "x".join(map(str, layer.output)) or "1", f"{layer.parameters:,}"]
            for layer in network.layers
        ]
    head = "; ".join(f"{name} {_size(network)}" for name, network in checked)
    return f"{_named(pair.cells)}\n  {head}\n{columns(rows, right=frozenset({4}))}"


def _size(network: NetworkCheck) -> str:
    return f"{network.parameters:,} parameters, {bytes_text(network.weights_bytes)}"


def _named(cells: Sequence[Cell]) -> str:
    names = ", ".join(cell.name for cell in cells[:MAX_NAMES])
    more = f" and {len(cells) - MAX_NAMES} more" if len(cells) > MAX_NAMES else ""
    return f"{'cell' if len(cells) == 1 else f'{len(cells)} cells'}: {names}{more}"


def _disk_text(disk: Disk, runs: int, runs_dir: Path) -> str:
    if not disk.runs:
        return f"disk needed: none, all {runs} runs are done"
    size, name = disk.largest
    free = shutil.disk_usage(existing(runs_dir)).free
    who = f"{runs} runs" if disk.runs == runs else f"{disk.runs} of {runs} runs, the others being done"
    lines = [
        f"disk needed: {bytes_text(disk.total)} for {who} (checkpoints {bytes_text(disk.checkpoints)}, states "
        f"{bytes_text(disk.states)}), at most {bytes_text(size)} for one ({name}); {bytes_text(free)} are free",
        "pictures, records, cached images and MLflow's files come on top",
    ]
    if disk.total > free:
        lines.append("warning: that is more than is free; raise checkpoint_every, or choose another --runs-dir")
    return "\n".join(lines)


def bytes_text(count: float) -> str:
    """`5.2 KB`, `39.9 MB`: units of a thousand, three digits."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} TB" if count >= 100 else f"{count:.3g} TB"


def check_document(view: ExperimentView, pairs: Iterable[PairCheck], document: dict[str, Any]) -> dict[str, Any]:
    """`plan --json` with what the check found: `parameters` and `weights_bytes` in each cell, `disk_bytes`,
    `warnings`."""
    held = list(pairs)
    networks = {cell.name: pair.networks for pair in held for cell in pair.cells}
    cells = [entry | _networks_document(networks[entry["name"]]) for entry in document["cells"]]
    warnings = [
        {"cells": [cell.name for cell in pair.cells], "text": text} for pair in held for text in pair.networks.warnings
    ]
    return {**document, "cells": cells, "disk_bytes": disk_of(held, runs_left(view)).total, "warnings": warnings}


def _networks_document(networks: NetworksCheck) -> dict[str, Any]:
    generator, discriminator = networks.generator, networks.discriminator
    return {
        "parameters": {"generator": generator.parameters, "discriminator": discriminator.parameters},
        "weights_bytes": {"generator": generator.weights_bytes, "discriminator": discriminator.weights_bytes},
    }
