"""Whether the files that reports, claims and frames of results are made of are still those that their runs committed.

A file that is gone is no lie: what it held is shown as missing, and numbers that were measured before stay, with the
hash of their checkpoint. A file that is there and holds something else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.errors import DamagedFileError, EvidenceError
from harness.store import atomic
from harness.store.commits import records_match
from harness.store.evaluations import read_evaluation
from harness.store.findings import Finding
from harness.store.heartbeat import is_worked_on
from harness.store.many import of_each
from harness.store.networks import read_networks
from harness.store.pictures import PICTURE_KINDS
from harness.store.png import damage, picture_damage
from harness.store.reading import is_there, read_bytes
from harness.store.real_images import asked_real_images
from harness.store.rundir import RunDirectory
from harness.tracking.reader import ExperimentView, RunView

_MOST_NAMED = 5


def require_intact(view: ExperimentView) -> None:
    """EvidenceError where a file does not match what was committed or noted of it: of a run, its records, a checkpoint,
    an evaluation, a picture, the sizes of its networks; of the experiment, the grids of real images.

    Runs that a process works on are left alone: what it replaces is no damage. Reads every checkpoint whole.
    """
    found = [finding for of_run in of_each(lambda run: findings(view, run), view.runs) for finding in of_run]
    found += _real_images(view)
    if not found:
        return
    others = [str(finding.path) for finding in found[1:_MOST_NAMED]]
    more = f" So are: {', '.join(others)}" if others else ""
    if len(found) > _MOST_NAMED:
        more += f" and {len(found) - _MOST_NAMED} more"
    raise EvidenceError(
        f"{found[0].what}, so that nothing is told of these runs.{more}{'.' if more else ''}",
        where=str(found[0].path),
        remedy="`harness run FILE` makes again what is damaged.",
    )


def findings(view: ExperimentView, run: RunView) -> list[Finding]:
    """What of one run's files does not match its commit; nothing of a run that a process works on."""
    directory, status = run.directory, run.status
    if directory is None or not status.is_readable or status.state == "running":
        return []
    found = [*_records(directory, run), *_checkpoints(directory, run), *_evaluations(view, run)]
    found += [*_pictures(directory, run), *_networks(directory)]
    return [] if found and is_worked_on(directory) else found  # somebody began to work on it since it was read


def _records(directory: RunDirectory, run: RunView) -> Iterator[Finding]:
    status = run.status
    matches = str(directory.metrics) not in status.damage and (
        not status.metrics_offset or records_match(directory, status.metrics_offset, status.metrics_sha256)
    )
    if not matches:
        yield Finding(directory.metrics, "metrics", "the records do not match the SHA-256 that was committed")


def _checkpoints(directory: RunDirectory, run: RunView) -> Iterator[Finding]:
    for step, digest in run.checkpoints().items():
        path = directory.checkpoint(step)
        try:
            matches = atomic.file_sha256(path) == digest
        except FileNotFoundError:
            continue
        if not matches:
            yield Finding(path, "checkpoint", "the checkpoint does not match the SHA-256 that was committed", step)


def _evaluations(view: ExperimentView, run: RunView) -> Iterator[Finding]:
    """Files that do not count although they lie where an evaluation that the file asks for belongs."""
    directory, checkpoints = run.directory, run.checkpoints()
    for index, (block, protocol) in enumerate(zip(view.blocks, run.protocols, strict=True)):
        for step in block.settings.steps_measured(run.run.cell.training):
            if directory is None or protocol is None or step not in checkpoints or run.evaluation(index, step):
                continue
            path, digest = directory.evaluation(step, protocol.sha256), checkpoints[step]
            if is_there(path) and read_evaluation(directory, step, protocol.sha256, digest) is None:
                yield Finding(path, "evaluation", _why_it_does_not_count(path, step, digest), step)


def _why_it_does_not_count(path: Path, step: int, checkpoint_sha256: str) -> str:
    try:
        document = atomic.read_json(path)
    except (DamagedFileError, FileNotFoundError):
        return "the evaluation does not match its SHA-256"
    if document.get("checkpoint_sha256") != checkpoint_sha256:
        return f"the evaluation was made of another checkpoint than the committed one of step {step}"
    return "the file holds no evaluation of this step and protocol"


def _networks(directory: RunDirectory) -> Iterator[Finding]:
    if is_there(directory.networks) and read_networks(directory) is None:
        yield Finding(directory.networks, "networks", "the sizes of the networks do not match their SHA-256")


def _real_images(view: ExperimentView) -> Iterator[Finding]:
    """Those that are there and not whole; of other data than the file's, they are as good as missing."""
    for grid in asked_real_images(view.plan, view.manifest):
        path = view.directory.real_images(grid.resolution)
        if is_there(path) and (what := damage(read_bytes(path))):
            yield Finding(path, "real images", what)


def _pictures(directory: RunDirectory, run: RunView) -> Iterator[Finding]:
    for step, digest in run.checkpoints().items():
        for path in (directory.samples(step), *(directory.picture(step, kind) for kind in PICTURE_KINDS)):
            try:
                what = picture_damage(read_bytes(path), digest)
            except FileNotFoundError:
                continue
            if what:
                yield Finding(path, "picture", what, step)
