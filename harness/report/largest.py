"""The largest effect and the largest improvement, in sentences: the latter with its price in time and parameters."""

from __future__ import annotations

from harness.analysis.statistics import Difference
from harness.analysis.verdicts import is_beyond_chance
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.cost import CellCost, cell_costs
from harness.report.effects import change_text_of
from harness.report.factor_changes import changes
from harness.report.markdown import escape
from harness.report.rounding import significant
from harness.report.unfinished import unfinished_of
from harness.report.variance_tables import shared_error_text
from harness.report.verdicts import duration, interval_text, p_equation, ratio_number, sized

ALIKE = 1.1
"""Times of training that differ by less are about the same."""

Found = tuple[ReportCell, Difference]


def with_verdict(against: ColumnComparison, *verdicts: str) -> list[Found]:
    """Cells of these verdicts, the largest difference first; those without an estimate last."""
    found = [(cell, one) for cell in against.others if (one := against.of(cell)) and one.verdict in verdicts]
    return sorted(found, key=lambda item: -abs(item[1].estimate) if item[1].estimate is not None else 1.0)


def largest_text(content: Content, against: ColumnComparison) -> str:
    """The largest effect that is sure, and the largest improvement where that is another one; what p rests on."""
    sure = [item for item in with_verdict(against, "helps", "hurts", "differs") if item[1].estimate is not None]
    if not sure:
        return _nothing(content, against)
    helping = [item for item in sure if item[1].verdict == "helps"]
    texts = [_largest(content, against, sure[0])] if sure[0] not in helping else []
    if helping:
        texts.append(_improvement(content, against, helping[0], is_largest=not texts))
    return content.language.paragraph(*texts, shared_error_text(content, against))


def _nothing(content: Content, against: ColumnComparison) -> str:
    """That nothing differs beyond chance; empty where something did that diverged runs bar, or nothing was tested."""
    tested = [one for one in against.comparison.differences if one.p_holm is not None]
    if not tested or with_verdict(against, "helps", "hurts", "differs") or any(map(is_beyond_chance, tested)):
        return ""
    return content.language.say(
        "No cell differs from the baseline in {metric} beyond what chance explains; that does not show that nothing "
        "matters.",
        metric=escape(content.language.say(against.column.measures.title)),
    )


def _shown(content: Content, against: ColumnComparison, item: Found) -> dict[str, object]:
    cell, one = item
    return {
        "what": factors_text(content, cell),
        "step": against.steps[cell.cell.name],
        "metric": escape(content.language.say(against.column.measures.title)),
        "change": sized(one),
        "interval": interval_text(content.language, one),
        "seeds": len(one.shared_seeds),
        "p": p_equation(one.p_holm if one.p_holm is not None else 1.0),
    }


def _largest(content: Content, against: ColumnComparison, item: Found) -> str:
    column = against.column
    if any(one.cell == item[0].cell.name for one in unfinished_of(content, column).stuck):
        return content.language.plural(
            "The largest effect is that of {what}: after {step} steps {metric} **{change}** (95 % interval {interval}; "
            "{seeds} seeds; {p}), which says that its generator has not begun to learn by then, and nothing of such "
            "networks in general.",
            "The largest effect is that of {what}: after {step} steps {metric} **{change}** (95 % interval {interval}; "
            "{seeds} seeds; {p} after adjustment for {n} comparisons), which says that its generator has not begun to "
            "learn by then, and nothing of such networks in general.",
            against.comparison.family,
            **_shown(content, against, item),
        )
    return content.language.plural(
        "The largest effect is that of {what}: after {step} steps {metric} **{change}** (95 % interval {interval}; "
        "{seeds} seeds; {p}).",
        "The largest effect is that of {what}: after {step} steps {metric} **{change}** (95 % interval {interval}; "
        "{seeds} seeds; {p} after adjustment for {n} comparisons).",
        against.comparison.family,
        **_shown(content, against, item),
    )


def _improvement(content: Content, against: ColumnComparison, item: Found, *, is_largest: bool) -> str:
    """is_largest: no effect is larger, so that none was named before."""
    language, baseline = content.language, against.baseline
    shown = _shown(content, against, item) | {"n": against.comparison.family}
    priced = _price(content, item[0], baseline) if baseline else ""
    if not priced and is_largest:
        return language.say(
            "The largest effect is an improvement, that of {what}: after {step} steps {metric} **{change}** (95 % "
            "interval {interval}; {seeds} seeds; {p} after adjustment for {n} comparisons).",
            **shown,
        )
    if not priced:
        return language.say(
            "The largest improvement is that of {what}: {metric} **{change}** (95 % interval {interval}; {p} after "
            "the same adjustment).",
            **shown,
        )
    if is_largest:
        return language.say(
            "The largest effect is an improvement, that of {what}: after {step} steps {metric} **{change}** (95 % "
            "interval {interval}; {seeds} seeds; {p} after adjustment for {n} comparisons), with {price}.",
            price=priced,
            **shown,
        )
    return language.say(
        "The largest improvement is that of {what}: {metric} **{change}** (95 % interval {interval}; {p} after the "
        "same adjustment), with {price}.",
        price=priced,
        **shown,
    )


def factors_text(content: Content, cell: ReportCell) -> str:
    """`architecture` cnn → mlp, and behind it the label where that says something else."""
    steps = content.language.all_of([change.text for change in changes(content, cell)])
    named = change_text_of(content, cell)
    if not steps or "→" not in named or named == content.language.listed(c.text for c in changes(content, cell)):
        return steps or named
    return content.language.say("{changes} ({cell})", changes=steps, cell=escape(cell.label))


def _price(content: Content, cell: ReportCell, baseline: ReportCell) -> str:
    """What a cell takes beside the baseline: training time of one run on the same kind of device, and parameters."""
    own, other = cell_costs(content, [cell, baseline])
    time, parameters = _time_text(content, own, other), _parameters_text(content, own, other)
    if time and parameters:
        return content.language.say("{time} and {parameters}", time=time, parameters=parameters)
    return time or parameters


def _time_text(content: Content, own: CellCost, other: CellCost) -> str:
    say, mine, base = content.language.say, own.over("training_s"), other.over("training_s")
    devices = [{device for run in cost.runs for device in run.devices} for cost in (own, other)]
    if mine is None or base is None or base.mean <= 0 or devices[0] != devices[1] or len(devices[0]) > 1:
        return ""
    ratio = mine.mean / base.mean
    if 1 / ALIKE < ratio < ALIKE:
        return say("about the same training time")
    return say(
        "{ratio} times the training time ({time} a run instead of {other})",
        ratio=_times(ratio),
        time=duration(content.language, mine.mean / 60),
        other=duration(content.language, base.mean / 60),
    )


def _parameters_text(content: Content, own: CellCost, other: CellCost) -> str:
    say = content.language.say
    if own.networks is None or other.networks is None:
        return ""
    g = own.networks.generator.parameters / max(1, other.networks.generator.parameters)
    d = own.networks.discriminator.parameters / max(1, other.networks.discriminator.parameters)
    if g == d == 1:
        return say("as many parameters")
    return say("{g} times the parameters in G and {d} times in D", g=_times(g), d=_times(d))


def _times(ratio: float) -> str:
    """`22`, `9.6`, `1.0`: two significant digits."""
    return significant(ratio, 2) if abs(ratio - 1) >= 0.05 or ratio == 1 else ratio_number(ratio)
