"""Why each run is what it is: its key, its attempts, what changed, what is missing. Gathered for `status --explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import __version__
from harness.design.differences import Difference, differences
from harness.design.keys import key_differences
from harness.errors import StoreError
from harness.evaluation.protocol import required_evaluation
from harness.store.changes import AttemptReport, attempt_reports, end_of_promise
from harness.store.commits import newest_commit
from harness.store.manifest import RunManifest, read_run_manifest
from harness.store.rundir import RunDirectory
from harness.store.shortfalls import why_damaged, why_missing
from harness.tracking.reader import ExperimentView, RunView

_Strangers = dict[tuple[str, int], list[tuple[RunDirectory, RunManifest]]]
"""Folders that the plan does not name, with what they say that they are, by cell and seed."""


@dataclass(frozen=True)
class OtherFolder:
    """A folder of the same cell and seed under another key. step: where its run stands; differences: of the keys."""

    folder: Path
    key: str
    step: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Shortfall:
    """Something that is missing or damaged, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """What `status --explain` tells of one run.

    key: as `keys.key_parts`; data_sha256: of the experiment's images, None before anything was prepared; not_promised:
    the first attempt that trained otherwise than those before, and in what; now: what a `run` would use instead of
    what the last attempt used; recorded: where run.json does not say what it has to; others: of a pending run alone.
    """

    view: RunView
    key: Mapping[str, Any]
    data_sha256: str | None
    attempts: tuple[AttemptReport, ...]
    not_promised: tuple[AttemptReport, tuple[Difference, ...]] | None
    now: tuple[Difference, ...]
    recorded: tuple[Difference, ...]
    others: tuple[OtherFolder, ...]
    missing: tuple[Shortfall, ...]
    damaged: tuple[Shortfall, ...]


def explanations(view: ExperimentView) -> list[Explanation]:
    """One for every run of the plan, in its order."""
    strangers = _other_folders(view) if any(run.status.state == "pending" for run in view.runs) else {}
    current = _current_machine(view)
    return [_explanation(view, run, current, strangers) for run in view.runs]


def _explanation(
    view: ExperimentView,
    run: RunView,
    current: Mapping[str, object],
    strangers: _Strangers,
) -> Explanation:
    data, key = view.plan.experiment.data, view.key_parts(run)
    expected = view.manifest.data_sha256_of(data.declared()) if view.manifest else None
    reports = attempt_reports(run.status.attempts)
    machine = next((attempt.machine for attempt in reversed(run.status.attempts) if attempt.machine), None)
    manifest, unreadable = _manifest(run.directory)
    must_be = {"key": run.run.key, "training_version": key["training_version"]}
    must_be |= {"data": expected} if expected else {}
    return Explanation(
        view=run,
        key=key,
        data_sha256=expected,
        attempts=reports,
        not_promised=end_of_promise(reports),
        now=_comparable(machine, current) if machine else (),
        recorded=differences(_recorded(manifest), must_be, must_be) if manifest else (),
        others=_others(run, key, strangers) if run.status.state == "pending" else (),
        missing=_missing(view, run),
        damaged=(*unreadable, *_damaged(run)) if run.status.is_readable else _unreadable(run),
    )


def _current_machine(view: ExperimentView) -> dict[str, object]:
    """What a `run` without options would use, as far as that is known without loading torch."""
    threads = {"threads": view.manifest.threads} if view.manifest else {}
    return {"torch": version("torch"), **threads, "harness": __version__}


def _comparable(machine: Mapping[str, object], current: Mapping[str, object]) -> tuple[Difference, ...]:
    """A build of torch (`+cu130`) is named by torch alone: installed packages may go without it."""
    recorded = dict(machine)
    if "+" not in str(current["torch"]) and "torch" in machine:
        recorded["torch"] = str(machine["torch"]).partition("+")[0]
    return differences(recorded, current, current)


def _recorded(manifest: RunManifest) -> dict[str, object]:
    return {"key": manifest.key, "data": manifest.data_sha256, "training_version": manifest.training_version}


def _manifest(run: RunDirectory | None) -> tuple[RunManifest | None, tuple[Shortfall, ...]]:
    if run is None:
        return None, ()
    try:
        return read_run_manifest(run), ()
    except StoreError as error:
        return None, (Shortfall(str(run.run_json), error.what),)


def _other_folders(view: ExperimentView) -> _Strangers:
    """Folders of this experiment that the plan does not name."""
    named = {run.run.key[:8] for run in view.runs}
    found: _Strangers = {}
    for key8, directory in view.directory.runs().items():
        manifest, _ = _manifest(directory) if key8 not in named else (None, ())
        if manifest is not None and manifest.experiment == view.plan.experiment.name:
            found.setdefault((manifest.cell, manifest.seed), []).append((directory, manifest))
    return found


def _others(run: RunView, key: Mapping[str, Any], strangers: _Strangers) -> tuple[OtherFolder, ...]:
    """The nearest first: those whose keys differ in the fewest parts."""
    found = []
    for directory, manifest in strangers.get((run.run.cell.name, run.run.seed), ()):
        before: dict[str, Any] = {
            "hyperparameters": manifest.hyperparameters,
            "seed": manifest.seed,
            "data": manifest.data,
            "training_version": manifest.training_version,
        }
        before |= {"steps": manifest.steps} if manifest.steps else {}
        before |= {"sources": manifest.sources} if manifest.sources else {}
        found.append(OtherFolder(directory.root, manifest.key, _step(directory), key_differences(before, key)))
    return tuple(sorted(found, key=lambda other: (len(other.differences), str(other.folder))))


def _step(directory: RunDirectory) -> int:
    """Where a run stands; 0 where that cannot be read."""
    try:
        commit = newest_commit(directory)
    except StoreError:
        return 0
    return commit.step if commit else 0


def _missing(view: ExperimentView, run: RunView) -> tuple[Shortfall, ...]:
    if run.directory is None or run.status.commit is None:
        return ()
    found = []
    for block, protocol in zip(view.blocks, run.protocols, strict=True):
        if protocol is None:
            continue
        required = required_evaluation(block.settings, protocol, run.run.cell.training)
        for step, fingerprint in run.status.missing:
            if fingerprint == protocol.sha256:
                reason = why_missing(run.directory, step, required)
                found.append(Shortfall(f"step {step}, {block.title}", reason))
    if run.status.lacks_networks:
        found.append(Shortfall(str(run.directory.networks), "not there, or not whole; `harness run` writes it"))
    return tuple(found)


def _damaged(run: RunView) -> tuple[Shortfall, ...]:
    if run.directory is None:
        return ()
    commits = [Shortfall(path, "not whole; the state before takes over") for path in run.status.broken_commits]
    files = [Shortfall(path, why_damaged(run.directory, Path(path))) for path in run.status.damage]
    return (*commits, *files)


def _unreadable(run: RunView) -> tuple[Shortfall, ...]:
    """Of such a run nothing but the reason is known."""
    folder = run.directory.root if run.directory else Path(run.run.name)
    return (Shortfall(str(folder), "; ".join(line.strip() for line in run.status.reason.splitlines())),)


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """The `explain` object of `status --json --explain`."""
    since = explanation.not_promised
    return {
        "key": dict(explanation.key),
        "data_sha256": explanation.data_sha256,
        "attempts": [_attempt_document(report) for report in explanation.attempts],
        "not_promised_since_attempt": since[0].number if since else None,
        "now": [asdict(difference) for difference in explanation.now],
        "recorded": [asdict(difference) for difference in explanation.recorded],
        "other_folders": [
            {
                "folder": str(other.folder),
                "key": other.key,
                "step": other.step,
                "differences": [asdict(difference) for difference in other.differences],
            }
            for other in explanation.others
        ],
        "missing": [asdict(shortfall) for shortfall in explanation.missing],
        "damaged": [asdict(shortfall) for shortfall in explanation.damaged],
    }


def _attempt_document(report: AttemptReport) -> dict[str, Any]:
    attempt = report.attempt
    return {
        "number": report.number,
        "work": attempt.work,
        "started": moment(attempt.started),
        "ended": None if attempt.ended is None else moment(attempt.ended),
        "start_step": attempt.start_step,
        "end_step": report.end_step,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "machine": dict(attempt.machine),
        "changes": [asdict(difference) for difference in report.changes],
    }


def moment(seconds: float) -> str:
    """A time of the run files in UTC, ISO 8601 to the second; a number that is no time as it is."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return str(seconds)
