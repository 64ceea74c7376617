"""What a run costs: time against steps, width, resolution, seeds and samples, beside the machine's limit.

    python benchmarks/cost_model.py                                   some minutes on two idle CPU cores
    python benchmarks/cost_model.py --docs docs/performance.md        also fills in that page, and docs/cost-model.png

Experiment A's networks, batch 64, gray. Everything runs on one thread, in rounds in which every point has its turn, so
that all meet the machine in the same mood. docs/performance.md says how the limit comes about.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cost_figures import CostModel, EvaluationPoint, LayerRates, Rounds, RunPoint, StepPoint
from cost_orders import CountStep, Evaluate, ProfileSteps, Site, TimeConvolutions, Train, named_layers
from cost_page import into_page, page_part, write_plot
from evaluation import positive, teller
from machine_limit import Convolution, Rates, Work
from measurements import Tell
from results import machine, require_part

from harness.design.evaluation_settings import ExtractorName
from harness.design.factors import Hyperparameters

ROUNDS = 3
RUN_STEPS = (20, 60, 180)
SAMPLES = (500, 1000, 2000)
EXTRACTORS: tuple[ExtractorName, ...] = ("digits", "mnist")
REAL = 1000
PICTURE = "cost-model.png"


@dataclass(frozen=True)
class Size:
    """One point. steps: of one turn, a few seconds at most; profiled: steps under the profiler, 0 for none."""

    latent_dim: int
    hidden_dim: int
    resolution: int
    steps: int
    profiled: int = 0

    @property
    def hp(self) -> Hyperparameters:
        return Hyperparameters(
            latent_dim=self.latent_dim,
            generator_hidden_dim=self.hidden_dim,
            discriminator_hidden_dim=self.hidden_dim,
            resolution=self.resolution,
        )

    @property
    def name(self) -> str:
        return f"({self.latent_dim}, {self.hidden_dim}) at {self.resolution}x{self.resolution}"


SIZES = (
    Size(16, 8, 32, steps=25),
    Size(16, 16, 32, steps=25, profiled=20),
    Size(16, 32, 32, steps=15),
    Size(16, 64, 32, steps=8),
    Size(16, 128, 32, steps=6),
    Size(16, 16, 16, steps=25),
    Size(16, 16, 64, steps=10),
    Size(100, 100, 32, steps=6, profiled=4),
)
USUAL = SIZES[1]


@dataclass
class _Found:
    """What the rounds have found so far; lists with one entry for each round."""

    steps: dict[Size, list[float]] = field(default_factory=lambda: {size: [] for size in SIZES})
    convolutions: dict[Size, list[Mapping[Convolution, float]]] = field(
        default_factory=lambda: {size: [] for size in SIZES}
    )
    rates: list[Rates] = field(default_factory=list)
    one: dict[int, list[float]] = field(default_factory=lambda: {steps: [] for steps in RUN_STEPS})
    two: dict[int, list[float]] = field(default_factory=lambda: {steps: [] for steps in RUN_STEPS})
    evaluations: dict[ExtractorName, list[list[float]]] = field(
        default_factory=lambda: {name: [] for name in EXTRACTORS}
    )


def measure(tell: Tell, rounds: int = ROUNDS) -> CostModel:
    with ExitStack() as up:
        tell("starting two processes, counting operations")
        one, other = up.enter_context(Site()), up.enter_context(Site())
        works = {size: one.carry_out(CountStep(size.hp)) for size in SIZES}
        counted = {name: one.carry_out(evaluation(name, counting=True)) for name in EXTRACTORS}
        found = _Found()
        for number in range(rounds):
            for size in SIZES:
                tell(f"round {number + 1} of {rounds}: {size.name}")
                found.steps[size].append(one.carry_out(Train(size.hp, size.steps)).step_s)
                seconds, rates = one.carry_out(TimeConvolutions(works[size]))
                found.convolutions[size].append(seconds)
                found.rates.append(rates)
            tell(f"round {number + 1} of {rounds}: whole runs")
            for steps in RUN_STEPS:
                _take_runs(one, other, Train(USUAL.hp, steps), found)
            tell(f"round {number + 1} of {rounds}: evaluation")
            for name in EXTRACTORS:
                found.evaluations[name].append(one.carry_out(evaluation(name, counting=False)))
        tell("profiles")
        profiles = [one.carry_out(ProfileSteps(size.hp, size.profiled)) for size in SIZES if size.profiled]
    best = best_of_rounds(found.rates, rounds)
    return CostModel(
        operations_s=tuple(rates.operations for rates in best),
        bytes_s=tuple(rates.bytes for rates in best),
        steps=tuple(step_point(size, works[size], found, best) for size in SIZES),
        runs=tuple(run_point(steps, works[USUAL], found, best) for steps in RUN_STEPS),
        evaluations=tuple(
            evaluation_point(name, index, counted[name][index], found, best)
            for name in EXTRACTORS
            for index in range(len(SAMPLES))
        ),
        layers=tuple(
            rates
            for size in SIZES
            if size.profiled
            for rates in layer_rates(size, works[size], found.convolutions[size])
        ),
        profiles=tuple(profiles),
    )


def evaluation(name: ExtractorName, *, counting: bool) -> Evaluate:
    return Evaluate(name, USUAL.hp, SAMPLES, REAL, counting)


def _take_runs(one: Site, other: Site, order: Train, found: _Found) -> None:
    """One run alone, then two at the same time: the time until both are done."""
    found.one[order.steps].append(one.carry_out(order).whole_s)
    one.begin(order)
    other.begin(order)
    found.two[order.steps].append(max(site.result().whole_s for site in (one, other)))


def best_of_rounds(rates: Sequence[Rates], rounds: int) -> list[Rates]:
    """The best of all points in each round; `rates` round after round."""
    each = len(rates) // rounds
    turns = [rates[start : start + each] for start in range(0, len(rates), each)]
    return [Rates(max(one.operations for one in turn), max(one.bytes for one in turn)) for turn in turns]


def step_point(size: Size, work: Work, found: _Found, best: Sequence[Rates]) -> StepPoint:
    alone = [
        sum(seconds[one] * times for one, times in work.convolutions.items()) + work.moved_bytes / rates.bytes
        for seconds, rates in zip(found.convolutions[size], best, strict=True)
    ]
    limits = tuple(rates.limit_s(work) for rates in best)
    rounds = Rounds(tuple(found.steps[size]), limits, tuple(alone))
    return StepPoint(size.latent_dim, size.hidden_dim, size.resolution, work.operations, work.moved_bytes, rounds)


def run_point(steps: int, work: Work, found: _Found, best: Sequence[Rates]) -> RunPoint:
    limits = sorted(rates.limit_s(work) for rates in best)
    return RunPoint(steps, tuple(found.one[steps]), tuple(found.two[steps]), steps * limits[len(limits) // 2])


def evaluation_point(
    name: ExtractorName, index: int, work: Work, found: _Found, best: Sequence[Rates]
) -> EvaluationPoint:
    """Its convolutions are not timed by themselves."""
    seconds = tuple(taken[index] for taken in found.evaluations[name])
    limits = tuple(rates.limit_s(work) for rates in best)
    return EvaluationPoint(name, SAMPLES[index], work.operations, Rounds(seconds, limits, limits))


def layer_rates(size: Size, work: Work, rounds: Sequence[Mapping[Convolution, float]]) -> list[LayerRates]:
    """Each layer's convolutions, at the median of the rounds."""
    named = named_layers(size.hp)
    found: list[LayerRates] = []
    for shapes, layer in named.items():
        ours = [one for one in work.convolutions if (one.input.size, one.weight.size) == shapes]
        seconds = {one: sorted(taken[one] for taken in rounds)[len(rounds) // 2] for one in ours}
        gflops = {one.kind: 2 * one.multiply_adds / seconds[one] / 1e9 for one in ours}
        in_step = sum(seconds[one] * work.convolutions[one] for one in ours)
        found.append(LayerRates(size.latent_dim, size.hidden_dim, layer, gflops, 1e3 * in_step))
    return found


def document(command: str, model: CostModel) -> dict[str, Any]:
    """All figures as plain values."""
    shares = [{"share": one.rounds.share, "share_alone": one.rounds.share_alone} for one in model.steps]
    return {"command": command, "machine": machine(), "shares": shares, **asdict(model)}


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="What a run costs, beside the machine's limit.", allow_abbrev=False)
    made.add_argument("--rounds", type=positive, default=ROUNDS, help="turns of every point (default: %(default)s)")
    made.add_argument("--output", type=Path, help="write all figures as JSON")
    made.add_argument("--docs", type=Path, help=f"fill in the measured part of this page, and {PICTURE} beside it")
    options = made.parse_args(arguments)
    page = options.docs.read_text(encoding="utf-8") if options.docs else ""
    if options.docs:
        require_part(page, "cpu", "cost")
    shown = ["python", "benchmarks/cost_model.py"]
    shown += ["--rounds", str(options.rounds)] if options.rounds != ROUNDS else []
    command = shlex.join(shown)
    model = measure(teller(), options.rounds)
    print(page_part(command, model))
    if options.output:
        text = json.dumps(document(command, model), indent=1)
        options.output.write_text(text + "\n", encoding="utf-8")
    if options.docs:
        options.docs.write_text(into_page(page, command, model), encoding="utf-8")
        write_plot(options.docs.with_name(PICTURE), model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
