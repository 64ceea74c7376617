"""What the author of a report may want to add to it: said on the command line, not in the text that is handed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from harness.design.experiment import Experiment
from harness.design.report_settings import SectionName


def report_hints(experiment: Experiment, output: Path) -> Iterator[str]:
    """A line each. output: the report's folder."""
    names = experiment.report.sections or get_args(SectionName)
    yield f"your own text: {output / 'notes' / 'NAME.md'} is set into section NAME, one of {', '.join(names)}"
    if experiment.cost is None and "cost" in names:
        yield "what the runs cost: name a price in the experiment file, [cost] per_hour = 0.10"
