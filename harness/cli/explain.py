"""The page of `status --explain`: a part for every run, at most 100 columns where words allow it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.cli.console import duration
from harness.cli.explanation import Explanation, OtherFolder, Shortfall, moment
from harness.design.differences import Difference
from harness.design.factors import canonical_level
from harness.store.changes import AttemptReport

WIDTH = 100
INDENT = 14
MAX_OTHERS = 3
DIGEST = 16
"""Characters of a SHA-256 that are enough for the eye."""


def explain_text(found: Sequence[Explanation]) -> str:
    """The page for all runs of one experiment."""
    return "\n\n".join(_run_text(explanation) for explanation in found)


def _run_text(explanation: Explanation) -> str:
    run, status = explanation.view.run, explanation.view.status
    parts = [f"{run.name}: {status.state}, step {status.step} of {run.cell.training.steps}"]
    parts += _item("key", [run.key])
    parts += _item("made of", _key_lines(explanation))
    if explanation.data_sha256:
        parts += _item("images", [f"SHA-256 {explanation.data_sha256[:DIGEST]}..."])
    parts += _item("attempts", _attempts_lines(explanation.attempts))
    parts += _item("weights", _promise_lines(explanation))
    parts += _item("recorded", _recorded_lines(explanation.recorded))
    parts += _item("run now", [_now_line(explanation.now)] if explanation.now else [])
    parts += _item("missing", _shortfall_lines(explanation.missing))
    parts += _item("damaged", _shortfall_lines(explanation.damaged))
    parts += _item("other key", [line for other in explanation.others[:MAX_OTHERS] for line in _other_lines(other)])
    if len(explanation.others) > MAX_OTHERS:
        parts += _item("", [f"and {len(explanation.others) - MAX_OTHERS} more folders of this cell and seed"])
    return "\n".join(parts)


def _key_lines(explanation: Explanation) -> list[str]:
    key = explanation.key
    levels = [f"{name} {canonical_level(level)}" for name, level in key["hyperparameters"].items()]
    data = " ".join(f"{name} {value}" for name, value in key["data"].items())
    return [
        ", ".join([*levels, "the other factors at the defaults that they came with"]),
        f"seed {key['seed']}, data ({data}), training_version {key['training_version']}",
        *([f"steps {key['steps']}, which a schedule reads"] if "steps" in key else []),
        *(f"own file {file}, SHA-256 {sha256[:DIGEST]}..." for file, sha256 in key.get("sources", {}).items()),
    ]


def _attempts_lines(reports: Iterable[AttemptReport]) -> list[str]:
    """Two or three lines an attempt; the machine is named where it is not the one before."""
    lines: list[str] = []
    told = ""
    for report in reports:
        attempt = report.attempt
        head = f"{report.number}: {moment(attempt.started)}, {_work(report)}, {_ending(report)}"
        lines.append(head + (f": {attempt.reason}" if attempt.reason else ""))
        machine = _machine_line(report)
        if machine != told:
            lines.append(machine)
        if report.changes:
            lines.append(f"   changed: {_listed(report.changes)}")
        told = machine
    return lines


def _work(report: AttemptReport) -> str:
    start, end = report.attempt.start_step, report.end_step
    if report.attempt.work == "evaluate":
        return f"evaluated at step {start}"
    if end == start:
        return f"trained nothing at step {start}"
    return f"trained from step {start}" + ("" if end is None else f" to {end}")


def _ending(report: AttemptReport) -> str:
    attempt = report.attempt
    if attempt.outcome is None or attempt.ended is None:
        return "no end recorded (killed, or still at work)"
    took = attempt.ended - attempt.started
    return attempt.outcome + (f" after {duration(took)}" if took > 0 else "")


def _machine_line(report: AttemptReport) -> str:
    machine = report.attempt.machine
    if not machine:
        return "   ended before it could say on what it ran"
    names = ("torch", "device", "threads", "harness", "python")
    told = [f"{name} {machine[name]}" for name in names if name in machine]
    return f"   {', '.join(told)}" + (f", on {machine['host']}" if "host" in machine else "")


def _promise_lines(explanation: Explanation) -> list[str]:
    if not any(report.may_have_trained for report in explanation.attempts):
        return []
    if explanation.not_promised is None:
        return ["all of one kind: the same key, torch, device, threads and harness give the same bits"]
    report, changes = explanation.not_promised
    return [f"bit-identical weights are not promised since attempt {report.number}: {_listed(changes)}"]


def _recorded_lines(found: Iterable[Difference]) -> list[str]:
    """What run.json says and should not."""
    words = {
        "key": "the folder belongs to another run",
        "data": "trained on other images: a run refuses until the old ones are back",
        "training_version": "made by another version of training",
    }
    return [
        f"{words[difference.name]} ({difference.name} {_short(difference.before)}, now {_short(difference.after)})"
        for difference in found
    ]


def _now_line(found: Iterable[Difference]) -> str:
    parts = [f"{difference.name} {difference.after} instead of {difference.before}" for difference in found]
    return f"would use {', '.join(parts)}: bit-identical weights are then not promised"


def _shortfall_lines(found: Iterable[Shortfall]) -> list[str]:
    return [f"{_relative(shortfall.what)}: {shortfall.reason}" for shortfall in found]


def _other_lines(other: OtherFolder) -> list[str]:
    differs = _listed(other.differences) or "made in another way of the same parts"
    return [f"this run starts anew: {_relative(str(other.folder))} stands at step {other.step},", f"   but {differs}"]


def _listed(found: Iterable[Difference]) -> str:
    return ", ".join(
        f"{difference.name} {_short(difference.before)} -> {_short(difference.after)}" for difference in found
    )


def _short(text: str) -> str:
    is_digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return f"{text[:DIGEST]}..." if is_digest else text


def _relative(path: str) -> str:
    here = f"{Path.cwd()}{os.sep}"
    return path.removeprefix(here)


def _item(name: str, lines: Sequence[str]) -> list[str]:
    """`  name        text`, further lines below the text; long ones wrapped with a hanging indent."""
    set_lines = []
    for index, line in enumerate(lines):
        head = f"  {name}" if index == 0 else ""
        inner = len(line) - len(line.lstrip())
        set_lines += textwrap.wrap(
            line.lstrip(),
            WIDTH,
            initial_indent=head.ljust(INDENT + inner),
            subsequent_indent=" " * (INDENT + max(inner, 3)),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return set_lines
