"""Seconds of training beside the loop that people write by hand, in turns, on the same machine.

    python benchmarks/training.py                    experiment A at (16, 16) and (100, 100), minutes on two CPU cores
    python benchmarks/training.py --rounds 7 --output training.json
    python benchmarks/training.py --dcgan-example examples/dcgan/main.py     PyTorch's own example as a second peer

Batch 64, MNIST's shape at 32x32. By hand a run takes all cores, and a grid is one run after the other. Ours: one run
with all cores, or a grid of as many runs at a time as there are cores. Time is end to end: steps with their records,
and for every 1000 of them a checkpoint with its picture, and by harness a state; evaluation apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from dcgan_example import example_rows
from evaluation import teller
from measurements import Tell
from results import machine
from rows import Row
from turns import PER_CHECKPOINT, Contestant, Standing

from harness.design.factors import Hyperparameters
from harness.execution.devices import available_cores
from harness.execution.threads import thread_count
from harness.gan.precision import has_fast_bfloat16

BY_HAND = "by hand"
ROUNDS = 5
WARM_UP = 4
"""First steps, which nobody times."""


@dataclass(frozen=True)
class Scenario:
    """Experiment A at one size. steps: of one turn; one, grid, bf16: the targets, None where there is none."""

    latent_dim: int
    hidden_dim: int
    steps: int
    one: float
    grid: float
    bf16: float | None

    @property
    def name(self) -> str:
        return f"{self.latent_dim},{self.hidden_dim}"

    def hyperparameters(self, precision: str = "float32") -> Hyperparameters:
        return Hyperparameters(
            latent_dim=self.latent_dim,
            generator_hidden_dim=self.hidden_dim,
            discriminator_hidden_dim=self.hidden_dim,
            precision=precision,
        )


CPU = (
    Scenario(16, 16, steps=100, one=1.7, grid=2.2, bf16=None),
    Scenario(100, 100, steps=10, one=1.45, grid=1.6, bf16=2.2),
)
CUDA = (
    Scenario(16, 16, steps=500, one=10.0, grid=10.0, bf16=None),
    Scenario(100, 100, steps=200, one=5.0, grid=5.0, bf16=None),
)


@dataclass(frozen=True)
class Times:
    """Seconds that one run's 1000 steps take in each round, its checkpoint included, and of the checkpoint alone."""

    contestant: Contestant
    rounds: tuple[float, ...]
    checkpoint_s: float


def measure(tell: Tell, rounds: int = ROUNDS) -> list[Row]:
    """The rows of all scenarios on the CPU, and on a GPU where there is one."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return [row for device in devices for row in measure_on(device, tell, rounds)]


def measure_on(device: str, tell: Tell, rounds: int) -> list[Row]:
    rows = []
    for scenario in CPU if device == "cpu" else CUDA:
        times = measure_scenario(scenario, contestants(scenario, device), rounds, tell)
        rows += scenario_rows(scenario, times, device)
    return rows


def contestants(scenario: Scenario, device: str) -> list[Contestant]:
    cores = available_cores()
    hp, bf16 = scenario.hyperparameters(), scenario.hyperparameters("bf16")
    found = [Contestant(BY_HAND, hp, True, cores, device=device)]  # one thread is slower at both sizes
    if device != "cpu":
        return [*found, Contestant("one run", hp, False, 1, device=device)]
    alone = thread_count(None, None, runs=1)
    found += [Contestant("one run", hp, False, alone), Contestant("grid", hp, False, 1, cores)]
    if has_fast_bfloat16(torch.device(device)):
        found += [Contestant("one run, bf16", bf16, False, alone), Contestant("grid, bf16", bf16, False, 1, cores)]
    return found


def measure_scenario(scenario: Scenario, against: Sequence[Contestant], rounds: int, tell: Tell) -> list[Times]:
    """Every contestant's turns, round by round; the others stand still meanwhile."""
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in against}
    checkpoints: dict[str, float] = {}
    with ExitStack() as up:
        tell(f"({scenario.name}): starting {len(against)} contestants")
        standing = [up.enter_context(Standing(one, WARM_UP, rounds * scenario.steps)) for one in against]
        for number in range(rounds):
            tell(f"({scenario.name}): round {number + 1} of {rounds}")
            for one in standing:
                seconds[one.contestant.name].append(one.take(scenario.steps))
        for one in standing:
            checkpoints[one.contestant.name] = one.finish()
    return [
        Times(
            one,
            tuple(
                (PER_CHECKPOINT / scenario.steps * turn + checkpoints[one.name]) / one.processes
                for turn in seconds[one.name]
            ),
            checkpoints[one.name],
        )
        for one in against
    ]


def scenario_rows(scenario: Scenario, times: Sequence[Times], device: str) -> list[Row]:
    """Each contestant beside the hand-written loop of its own round."""
    hand = next(found for found in times if found.contestant.by_hand)
    rows = []
    for found in times:
        if found is hand:
            continue
        ratios = [peer / ours for ours, peer in zip(found.rounds, hand.rounds, strict=True)]
        name = found.contestant.name
        target = {"one run": scenario.one, "grid": scenario.grid, "grid, bf16": scenario.bf16}.get(name)
        rows.append(
            Row(
                name=f"training.{device}.{scenario.name}.{name.replace(', ', '-').replace(' ', '-')}",
                what=f"training at ({scenario.latent_dim}, {scenario.hidden_dim}), {name}",
                ours=median(found.rounds),
                ours_unit="ms a step",
                peer=median(hand.rounds),
                peer_what="the loop by hand",
                ratio=median(ratios),
                noise=(max(ratios) - min(ratios)) / median(ratios),
                target=target,
                target_of="ratio",
                note=f"{found.contestant.processes} x {found.contestant.threads} threads",
            )
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Training beside the loop by hand.", allow_abbrev=False)
    made.add_argument("--rounds", type=int, default=ROUNDS)
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument("--dcgan-example", type=Path, help="main.py of PyTorch's DCGAN example")
    made.add_argument("--output", type=Path)
    options = made.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("error: torch cannot use a CUDA GPU here; leave out --device", file=sys.stderr)
        return 2
    tell = teller()
    rows = measure_on(options.device, tell, options.rounds)
    if options.dcgan_example:
        rows += example_rows(options.dcgan_example, tell)
    for row in rows:
        print(f"{row.what}: {row.ours:.1f} {row.ours_unit}, {row.peer_what} {row.peer:.1f}: {row.ratio:.2f} times")
    if options.output:
        document = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
