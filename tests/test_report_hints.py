"""What the command line says of a report to its author, so that it need not stand in the text."""

from __future__ import annotations

from pathlib import Path

from report_data import small_plan

from harness.cli.report_hints import report_hints


def test_notes_are_named_for_the_sections_of_the_report() -> None:
    shown = {"samples": 16, "sections": ["summary", "samples"]}
    (hint,) = report_hints(small_plan(report=shown).experiment, Path("out"))
    assert "out/notes/NAME.md" in hint and hint.endswith("one of summary, samples")


def test_a_price_is_named_only_where_it_is_missing_and_shown() -> None:
    assert [hint for hint in report_hints(small_plan().experiment, Path("out")) if "[cost] per_hour" in hint]
    priced = small_plan(cost={"per_hour": 1.0}).experiment
    assert not [hint for hint in report_hints(priced, Path("out")) if "[cost]" in hint]
