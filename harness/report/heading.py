"""The report's title, and when its runs were made."""

from __future__ import annotations

from datetime import UTC, datetime

from harness.report.content import Content
from harness.report.markdown import escape


def title(content: Content) -> str:
    """`ablation: GANs on digits, 16 × 16 pixels, 12 cells × 2 seeds`, as Markdown."""
    language, experiment = content.language, content.view.plan.experiment
    sizes = [str(size) for size in sorted({cell.cell.hyperparameters.resolution for cell in content.cells})]
    pixels = language.all_of([language.say("{size} × {size}", size=size) for size in sizes])
    return language.say(
        "{name}: GANs on {data} at {pixels} pixels, {cells} × {seeds}",
        name=escape(experiment.name),
        data=escape(experiment.data.source),
        pixels=pixels,
        cells=language.plural("{n} cell", "{n} cells", len(content.cells)),
        seeds=_seeds(content),
    )


def _seeds(content: Content) -> str:
    counts = sorted({len(cell.runs) for cell in content.cells})
    if len(counts) == 1:
        return content.language.plural("{n} seed", "{n} seeds", counts[0])
    return content.language.say("{low} to {high} seeds", low=counts[0], high=counts[-1])


def dates(content: Content) -> str:
    """On which days (UTC) the runs were made, by what their attempts noted; empty where none has begun."""
    attempts = [attempt for run in content.runs for attempt in run.view.status.attempts]
    if not attempts:
        return ""
    first = _day(min(attempt.started for attempt in attempts))
    last = _day(max(attempt.started if attempt.ended is None else attempt.ended for attempt in attempts))
    if first == last:
        return content.language.say("The runs were made on {day} (UTC).", day=first)
    return content.language.say("The runs were made from {first} to {last} (UTC).", first=first, last=last)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).date().isoformat()
