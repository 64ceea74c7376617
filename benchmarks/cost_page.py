"""The cost model as the measured part of a page, and as a picture of four panels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

from cost_figures import CostModel, StepPoint, line_through
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from PIL import Image
from results import machine, require_part
from step_profile import is_convolution

from harness.report.figures.few_colors import with_few_colors

MEASURED, LIMIT, ALONE = "#1f4e79", "#8c2d04", "#777777"
OTHER_MEASURED = "#3a8f5c"
KINDS = ("forward", "data gradient", "weight gradient")
SMALLEST_SHARE = 0.005
"""Of a step; what takes less everywhere stands in one line."""


def into_page(text: str, command: str, model: CostModel) -> str:
    """`text` with the measured part replaced; ValueError where the page has none or several."""
    body = page_part(command, model)
    return require_part(text, "cpu", "cost").sub(lambda found: f"{found[1]}{body}{found[2]}", text)


def page_part(command: str, model: CostModel) -> str:
    of = machine()
    rates = (median(model.operations_s) / 1e9, median(model.bytes_s) / 1e9)
    stated = (
        f"`{command}` on {of['cpu']}, {of['cores']} cores, torch {of['torch']}, {of['system']}: one thread, medians of "
        f"{len(model.operations_s)} rounds. Best rates met: {rates[0]:.0f} GFLOP/s, {rates[1]:.0f} GB/s."
    )
    parts = [
        stated,
        _table(
            ("a training step", "ms (lowest to highest)", "GFLOP", "MB", "limit, ms", "share", "convolutions alone"),
            step_lines(model),
        ),
        run_text(model),
        _table(
            ("a whole run", "one, s", "two side by side, s", "times quicker than one after the other"), run_lines(model)
        ),
        _table(("evaluation", "s", "GFLOP", "limit, s", "share"), evaluation_lines(model)),
        profile_text(model),
        _table(("share of a step", *map(_size, model.profiles)), profile_lines(model)),
        _table(("convolutions of", *(f"{kind}, GFLOP/s" for kind in KINDS), "ms a step"), layer_lines(model)),
    ]
    return "\n\n".join(parts) + "\n"


def step_lines(model: CostModel) -> list[tuple[str, ...]]:
    return [
        (
            f"{_size(one)}, {one.resolution}x{one.resolution}",
            _with_range([1e3 * taken for taken in one.rounds.seconds]),
            f"{one.operations / 1e9:.2f}",
            f"{one.moved_bytes / 1e6:.0f}",
            f"{1e3 * median(one.rounds.limit_s):.1f}",
            f"{one.rounds.share:.0%}",
            f"{one.rounds.share_alone:.0%}",
        )
        for one in model.steps
    ]


def run_text(model: CostModel) -> str:
    """The lines through the measured runs."""
    steps = [one.steps for one in model.runs]
    one, two = (
        line_through(steps, [median(seconds) for seconds in side])
        for side in ([run.one_s for run in model.runs], [run.two_s for run in model.runs])
    )
    return (
        f"A run at (16, 16): {one.intercept_s:.2f} s, and {1e3 * one.slope_s:.1f} ms a step (no point further than "
        f"{one.off:.0%} from this line). Two side by side, one thread each: {two.intercept_s:.2f} s, and "
        f"{1e3 * two.slope_s:.1f} ms a step of both."
    )


def run_lines(model: CostModel) -> list[tuple[str, ...]]:
    return [
        (
            f"{run.steps} steps",
            f"{median(run.one_s):.2f}",
            f"{median(run.two_s):.2f}",
            f"{median(2 * one / two for one, two in zip(run.one_s, run.two_s, strict=True)):.2f}",
        )
        for run in model.runs
    ]


def evaluation_lines(model: CostModel) -> list[tuple[str, ...]]:
    return [
        (
            f"`{one.extractor}`, {one.samples:,} samples",
            f"{one.rounds.median_s:.2f}",
            f"{one.operations / 1e9:.2f}",
            f"{median(one.rounds.limit_s):.2f}",
            f"{one.rounds.share:.0%}",
        )
        for one in model.evaluations
    ]


def profile_lines(model: CostModel) -> list[tuple[str, ...]]:
    """Convolutions in all and by layer, then all else, the largest first; what is small everywhere in one line."""
    kinds = {kind for one in model.profiles for kind in one.shares}
    of = {kind: [one.shares.get(kind, 0.0) for one in model.profiles] for kind in kinds}
    small = {kind for kind in kinds if max(of[kind]) < SMALLEST_SHARE}
    named = sorted(kinds - small, key=lambda kind: (-sum(of[kind]), kind))
    convolutions = [kind for kind in kinds if is_convolution(kind)]
    lines = [("convolutions in all", *_shares(of, convolutions))]
    lines += [(f"- {kind}", *_shares(of, [kind])) for kind in named if is_convolution(kind)]
    lines += [(kind, *_shares(of, [kind])) for kind in named if not is_convolution(kind)]
    if rest := [kind for kind in small if not is_convolution(kind)]:
        lines.append(("all that take less", *_shares(of, rest)))
    return lines


def profile_text(model: CostModel) -> str:
    """How far the profiler slowed each step down."""
    plain = {(one.latent_dim, one.hidden_dim): one.rounds.median_s for one in model.steps if one.resolution == 32}
    told = [
        f"{1e3 * one.profiled_s:.1f} ms at {_size(one)}, where it takes "
        f"{1e3 * plain[one.latent_dim, one.hidden_dim]:.1f} ms without"
        for one in model.profiles
    ]
    return f"Under the profiler a step took {' and '.join(told)}. Its time by kind:"


def layer_lines(model: CostModel) -> list[tuple[str, ...]]:
    return [
        (
            f"{one.layer}, {_size(one)}",
            *(f"{one.gflops[kind]:.1f}" if kind in one.gflops else "" for kind in KINDS),
            f"{one.step_ms:.1f}",
        )
        for one in model.layers
    ]


def write_plot(path: Path, model: CostModel) -> None:
    figure = Figure(figsize=(9.0, 6.6), layout="constrained")
    FigureCanvasAgg(figure)
    (runs, widths), (resolutions, evaluations) = figure.subplots(2, 2)
    _plot_runs(runs, model)
    _plot_steps(widths, model.widths(), "hidden_dim", [one.hidden_dim for one in model.widths()])
    _plot_steps(resolutions, model.resolutions(), "resolution", [one.resolution for one in model.resolutions()])
    widths.set_xlabel("hidden_dim (features next to the image)")
    resolutions.set_xlabel("resolution (pixels)")
    _plot_evaluations(evaluations, model)
    for axes in (runs, widths, resolutions, evaluations):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    with_few_colors(Image.open(buffer).convert("RGB")).save(path, optimize=True)


def _plot_runs(axes: Axes, model: CostModel) -> None:
    steps = [one.steps for one in model.runs]
    axes.set_title("Whole runs, latent_dim 16, hidden_dim 16", fontsize=10)
    axes.plot(
        steps, [median(one.two_s) for one in model.runs], "s-", color=OTHER_MEASURED, label="two runs side by side"
    )
    axes.plot(steps, [median(one.one_s) for one in model.runs], "o-", color=MEASURED, label="one run")
    axes.plot(steps, [one.limit_s for one in model.runs], "--", color=LIMIT, label="limit of one run's steps")
    axes.set(xlabel="steps", ylabel="time (s)", xlim=(0, None), ylim=(0, None))


def _plot_steps(axes: Axes, points: Sequence[StepPoint], what: str, amounts: Sequence[int]) -> None:
    axes.set_title(f"A training step against {what}", fontsize=10)
    axes.loglog(amounts, [1e3 * one.rounds.median_s for one in points], "o-", color=MEASURED, label="measured")
    alone = [1e3 * median(one.rounds.alone_s) for one in points]
    axes.loglog(amounts, alone, ":", color=ALONE, label="its convolutions by themselves")
    axes.loglog(amounts, [1e3 * median(one.rounds.limit_s) for one in points], "--", color=LIMIT, label="limit")
    axes.xaxis.set_major_locator(FixedLocator(list(amounts)))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylabel("time a step (ms)")


def _plot_evaluations(axes: Axes, model: CostModel) -> None:
    axes.set_title("Evaluation: generating, features, FID", fontsize=10)
    for extractor, color, marker in (("mnist", OTHER_MEASURED, "s"), ("digits", MEASURED, "o")):
        points = model.evaluations_of(extractor)
        samples = [one.samples for one in points]
        taken = [one.rounds.median_s for one in points]
        axes.plot(samples, taken, f"{marker}-", color=color, label=f"extractor {extractor}")
        limits = [median(one.rounds.limit_s) for one in points]
        axes.plot(samples, limits, "--", color=color, label=f"limit, {extractor}")
    axes.set(xlabel="samples", ylabel="time (s)", xlim=(0, None), ylim=(0, None))


def _shares(of: Mapping[str, Sequence[float]], kinds: Iterable[str]) -> list[str]:
    """The sum over `kinds` in each profile, as text."""
    return [f"{sum(shares):.1%}" for shares in zip(*(of[kind] for kind in kinds), strict=True)]


def _with_range(values: Sequence[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def _size(one: Any) -> str:
    return f"({one.latent_dim}, {one.hidden_dim})"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines))
