"""What of an experiment failed, diverged, was left out or is missing, as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.design.metrics import METRICS
from harness.report.columns import Column, joined_title
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.floors import differing_floors
from harness.report.language import Language
from harness.report.markdown import code, escape
from harness.report.states import state_word


def left_out(content: Content) -> list[str]:
    """One sentence per block that was left out."""
    language = content.language
    return [
        language.plural(
            "{metrics} ({extractor}) was left out: its weights are missing, and the file does not require it.",
            "{metrics} ({extractor}) were left out: its weights are missing, and the file does not require it.",
            len(block.settings.metrics),
            metrics=language.listed(language.say(METRICS[metric].title) for metric in block.settings.metrics),
            extractor=escape(block.column),
        )
        for block in content.left_out
    ]


def problems(content: Content, missing_pictures: Iterable[str]) -> list[str]:
    """What failed, diverged or is missing, one item each; empty where nothing is.

    missing_pictures: `Sample grid of CELL, seed 0: why`.
    """
    language = content.language
    found = [_stopped(cell, run, language) for cell in content.cells for run in cell.runs if _is_stopped(run)]
    found += [
        _standing(cell, run, language)
        for cell in content.cells
        for run in cell.runs
        if not _is_stopped(run) and (run.view.status.reason or run.view.status.state in ("interrupted", "running"))
    ]
    pending = sum(run.view.status.state == "pending" for run in content.runs)
    if pending:
        found.append(language.plural("{n} run has not started yet.", "{n} runs have not started yet.", pending))
    found += [
        text
        for group in content.groups
        for cell in content.cells_in(group[0])
        for text in _unmeasured(content, group, cell)
    ]
    found += [language.sentence(escape(reason)) for reason in missing_pictures]
    return found + differing_floors(content) + left_out(content)


def _is_stopped(run: ReportRun) -> bool:
    return run.view.status.state in ("diverged", "failed")


def _stopped(cell: ReportCell, run: ReportRun, language: Language) -> str:
    status, say = run.view.status, language.say
    head = say(
        "{cell}, seed {seed}: **{state}** after step {step}",
        cell=escape(cell.label),
        seed=run.seed,
        state=state_word(status.state, language),
        step=status.step,
    )
    log = say(
        "Its log is {log} in the run's folder, whose name ends in {key}.", log=code("log.txt"), key=code(run.key[:8])
    )
    return language.paragraph(_with_reason(head, status.reason, language), log if status.state == "failed" else "")


def _with_reason(head: str, reason: str, language: Language) -> str:
    """The sentence that `head` begins, with the reason as the run told it."""
    if not reason:
        return language.sentence(head)
    return language.sentence(language.say("{what}: {reason}", what=head, reason=_told(reason)))


def _told(reason: str) -> str:
    """What is wrong and its remedy, which stand on lines of their own, as sentences on one."""
    *heads, last = [escape(line) for line in reason.splitlines() if line.strip()] or [""]
    return " ".join([*(head if head.endswith((".", "!", "?", ":")) else f"{head}." for head in heads), last])


def _standing(cell: ReportCell, run: ReportRun, language: Language) -> str:
    status, say = run.view.status, language.say
    head = say(
        "{cell}, seed {seed}: {state} at step {step}",
        cell=escape(cell.label),
        seed=run.seed,
        state=state_word(status.state, language),
        step=status.step,
    )
    return _with_reason(head, status.reason, language)


def _unmeasured(content: Content, group: Sequence[Column], cell: ReportCell) -> list[str]:
    """Which evaluations of a cell are missing or have fewer repeats than asked, among those that have started.

    Metrics of one protocol that lack the same are named together.
    """
    language = content.language
    by_lack: dict[str, list[Column]] = {}
    for column in group:
        lacking = []
        for run in content.runs_in(cell, column):
            if run.view.status.state == "pending":
                continue
            values = content.run_values(run, column)
            steps = [str(step) for step in column.steps(cell.cell) if len(values.get(step, ())) < column.values_asked]
            if steps:
                lacking.append(language.say("seed {seed} at {steps}", seed=run.seed, steps=language.shortened(steps)))
        if lacking:
            by_lack.setdefault(language.clauses(lacking), []).append(column)
    return [
        language.plural(
            "{cell}: {metrics} is missing or has fewer than {repeats} repeats: {where}.",
            "{cell}: {metrics} are missing or have fewer than {repeats} repeats: {where}.",
            len(columns),
            cell=escape(cell.label),
            metrics=escape(joined_title(columns, language)),
            repeats=group[0].block.settings.repeats,
            where=where,
        )
        for where, columns in by_lack.items()
    ]
