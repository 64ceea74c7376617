"""`harness doctor`: whether this machine, and what belongs to it, can do what is asked, else what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.console import columns, say, show, show_json
from harness.cli.executors import Executor, RayAddress, executor_name
from harness.cli.options import RUNS, Json, RunsDir, Sets, TrackingUri
from harness.errors import HarnessError
from harness.store.checkup import Fact, Finding

FACTS = ("harness", "python", "torch", "mlflow", "cores", "cuda", "mps", "free disk")
"""Names of the facts of `--json`, whether or not they were found out."""

TIME_LIMIT_S = 30.0

OptionalFile = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="An experiment file: also what it needs.", show_default=False),
]
Language = Annotated[str, typer.Option("--language", metavar="en|zh", help="Language of reports that are wanted.")]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", metavar="SECONDS", min=1.0, help="Patience with each check; all run at once.")
]


def doctor(
    file: OptionalFile = None,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    tracking_uri: TrackingUri = None,
    executor: Executor = "local",
    ray_address: RayAddress = None,
    language: Language = "en",
    time_limit: TimeLimit = TIME_LIMIT_S,
) -> None:
    """Check this machine, and with FILE what it needs: each finding with its remedy.

    Looked at are versions, devices, cores, memory, disk, shared storage, Ray, Slurm, the tracking store, data, weights,
    networks and fonts. Exit 1 where something would stop a run, or was asked for and is not there.
    """
    from harness.cli.doctor_processes import look
    from harness.cli.doctor_request import Request
    from harness.cli.doctor_topics import OF_FILES, TOPICS
    from harness.execution.interruption import Interruption
    from harness.report.language import language_named

    if sets and file is None:
        raise HarnessError("there is no file to set it in", where="--set", remedy="Name the experiment file.")
    request = Request(
        file=None if file is None else str(file),
        sets=tuple(sets or ()),
        runs_dir=str(runs_dir),
        tracking_uri=tracking_uri,
        executor=executor_name(executor),
        ray_address=ray_address,
        language=language_named(language).code,
    )
    topics = [topic for topic in TOPICS if topic not in OF_FILES or request.opened is not None]
    with Interruption() as interruption, interruption.at_once():
        found = look(topics, request, time_limit)
    findings = together([one for one in found if isinstance(one, Finding)])
    if as_json:
        show_json(document([one for one in found if isinstance(one, Fact)], findings))
    else:
        show(page(findings))
        say(summary(findings))
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def document(facts: Sequence[Fact], findings: Sequence[Finding]) -> dict[str, Any]:
    """`doctor --json`: the facts by name, null where one was not found out, and all findings."""
    known: dict[str, str | None] = dict.fromkeys(FACTS)
    return {**known, **{fact.name: fact.value for fact in facts}, "findings": [asdict(one) for one in findings]}


def together(findings: Sequence[Finding]) -> list[Finding]:
    """Findings on one topic one after the other, topics as they first come."""
    topics = list(dict.fromkeys(one.topic for one in findings))
    return sorted(findings, key=lambda one: topics.index(one.topic))


def page(findings: Sequence[Finding]) -> str:
    """A line for each finding, and below it, where there is one, its remedy."""
    rows = columns([[one.topic, one.state, one.found] for one in findings]).splitlines()
    indent = " " * (max(len(one.topic) for one in findings) + 2)
    lines: list[str] = []
    for row, one in zip(rows, findings, strict=True):
        lines += [row, f"{indent}  {one.remedy}"] if one.remedy else [row]
    return "\n".join(lines)


def summary(findings: Sequence[Finding]) -> str:
    counts = [(sum(one.state == state for one in findings), state) for state in ("problem", "note")]
    told = [f"{count} {state}{'s' if count > 1 else ''}" for count, state in counts if count]
    return ", ".join(told) or "nothing to remark"
