"""Replicates of one cell trained as one batched program, beside training them one by one, as harness does it.

    python benchmarks/seeds_together.py                        minutes on two CPU cores
    python benchmarks/seeds_together.py --cell mlp-16 --rounds 7 --output seeds.json

The peer is a grid's step: one seed at a time in each of two processes with one thread. Every seed's losses are
compared with those of separate training first. A seed-step is one step of one seed, its draws included; records,
states and checkpoints are not. docs/performance.md says what came of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from results import machine
from seeds_batched import CPU, Way, difference, program
from torch import Tensor

from harness.design.factors import Hyperparameters
from harness.execution.spawning import worker_context
from harness.gan.training import fresh_memory, make_deterministic

TOLERANCE = 1e-4
COMPARED_STEPS = 2
"""One update of everything lies between. Noise grows: separate training with 1 and with 2 threads is itself 1e-4 apart
after 3 steps, 4e-4 after 8."""

SEEDS = (2, 4, 8)
TURN_S = 0.4


def _cell(hidden: int, family: str) -> Hyperparameters:
    return Hyperparameters(
        latent_dim=16,
        generator_hidden_dim=hidden,
        discriminator_hidden_dim=hidden,
        generator=family,
        discriminator=family,
    )


CELLS = {"cnn-16": _cell(16, "cnn"), "cnn-8": _cell(8, "cnn"), "mlp-16": _cell(16, "mlp")}


@dataclass(frozen=True)
class Contestant:
    """`processes` alike at the same time, of `threads` each, every one with `seeds` seeds."""

    way: Way
    seeds: int
    processes: int
    threads: int


PEER = Contestant("separate", 1, 2, 1)


def contestants(hp: Hyperparameters, counts: Sequence[int]) -> list[Contestant]:
    """The peer; separate steps with both threads; and every way with both threads, or one in each of two processes."""
    maps: list[Way] = ["grouped NCHW"] if hp.generator == "cnn" else []
    ways: list[Way] = ["vmap", "grouped", *maps]
    batched = [Contestant(way, seeds, *on) for seeds in counts for way in ways for on in ((1, 2), (2, 1))]
    return [PEER, Contestant("separate", 1, 1, 2), *batched]


@dataclass(frozen=True)
class Found:
    """seconds: of one seed-step, in each round; ratio: the peer's seconds over these, median over rounds."""

    cell: str
    contestant: Contestant
    difference: float
    seconds: tuple[float, ...]
    ratio: float
    noise: float


class Standing:
    """A contestant's processes, up and warm; they do nothing where it is not their turn."""

    def __init__(self, contestant: Contestant, hp: Hyperparameters) -> None:
        self._contestant = contestant
        context = worker_context(1)
        self._pipes: list[Connection] = []
        for _ in range(contestant.processes):
            here, there = context.Pipe()
            context.Process(target=_stand, args=(contestant, hp, there), daemon=True).start()
            self._pipes.append(here)
        self._turn = 5
        self.take()
        self._turn = max(3, round(TURN_S / (self.take() * contestant.seeds * contestant.processes)))

    def take(self) -> float:
        """Seconds of one seed-step in a turn; the slowest process counts."""
        for pipe in self._pipes:
            pipe.send(self._turn)
        slowest = max(pipe.recv() for pipe in self._pipes)
        return slowest / (self._turn * self._contestant.seeds * self._contestant.processes)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send(0)
            pipe.close()


def _stand(contestant: Contestant, hp: Hyperparameters, pipe: Connection) -> None:
    torch.set_num_threads(contestant.threads)
    make_deterministic(CPU)
    with fresh_memory(filled=False):
        trained = program(contestant.way, hp, contestant.seeds, made_up(hp, 10_000))
        while steps := pipe.recv():
            started = time.perf_counter()
            for _ in range(steps):
                trained.step()
            pipe.send(time.perf_counter() - started)


def made_up(hp: Hyperparameters, count: int) -> Tensor:
    """Gray images uint8 [count, 1, R, R]."""
    shape = (count, 1, hp.resolution, hp.resolution)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def measure(cell: str, counts: Sequence[int], rounds: int) -> list[Found]:
    """All contestants in turns, values first; ValueError where a way trains something else."""
    hp, against = CELLS[cell], contestants(CELLS[cell], counts)
    images, apart = made_up(hp, 1000), {}
    for one in against:
        if one.way != "separate" and (one.way, one.seeds) not in apart:
            apart[one.way, one.seeds] = difference(one.way, hp, one.seeds, images, COMPARED_STEPS)
    if wrong := {one: far for one, far in apart.items() if not far <= TOLERANCE}:
        raise ValueError(f"{cell}: losses differ from separate training: {wrong}")
    with ExitStack() as up:
        standing = [Standing(one, hp) for one in against]
        for one in standing:
            up.callback(one.close)
        seconds = list(zip(*([one.take() for one in standing] for _ in range(rounds)), strict=True))
    found = []
    for one, turns in zip(against, seconds, strict=True):
        ratios = [peer / ours for ours, peer in zip(turns, seconds[0], strict=True)]
        noise = (max(ratios) - min(ratios)) / median(ratios)
        far = apart.get((one.way, one.seeds), 0.0)
        found.append(Found(cell, one, far, tuple(turns), median(ratios), noise))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Seeds trained together, beside one by one.", allow_abbrev=False)
    made.add_argument("--cell", choices=CELLS, action="append", help="one cell; several times for several")
    made.add_argument("--seeds", type=int, action="append", help="seeds together; likewise (2, 4 and 8)")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--output", type=Path)
    options = made.parse_args(arguments)
    found = []
    for cell in options.cell or CELLS:
        found += measure(cell, options.seeds or SEEDS, options.rounds)
        for one in found:
            if one.cell == cell:
                who = f"{one.contestant.way} x {one.contestant.seeds}"
                on = f"{one.contestant.processes} x {one.contestant.threads} threads"
                took = f"{1000 * median(one.seconds):.2f} ms a seed-step"
                print(f"{cell}, {who}, {on}: {took}, {one.ratio:.2f} times, apart {one.difference:.0e}", flush=True)
    if options.output:
        document = {"machine": machine(), "rows": [asdict(one) for one in found]}
        options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
