"""Damaged files of one run, mended by the process that holds its lock: each is named in the run's log first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from harness.execution.assignment import Assignment
from harness.gan.state import rewind
from harness.store import atomic, records
from harness.store.commits import discard_commit
from harness.store.findings import TRAINING_KINDS, Finding
from harness.store.rundir import RunDirectory
from harness.store.status import RunStatus

_log = logging.getLogger("harness")


def without_training(assignment: Assignment, status: RunStatus, findings: Sequence[Finding]) -> Assignment:
    """The assignment, reduced to `findings` where the run diverged and none of them needs training.

    A divergence is a result and stays as it was found; measured again is only what was measured before.
    """
    kinds = {finding.kind for finding in findings}
    if status.state != "diverged" or status.commit is None or assignment.retry or kinds & TRAINING_KINDS:
        return assignment
    evaluations = assignment.evaluations if "evaluation" in kinds else ()
    return replace(assignment, work="evaluate", evaluations=evaluations)


def mend(run: RunDirectory, findings: Sequence[Finding]) -> None:
    """Rewrites what can be told from other files and removes what is made again, so that the work goes on from there.

    Damaged records and states are left behind by resuming, run.json is written by claiming the run. StoreError where
    the disk refuses.
    """
    for finding in findings:
        _log.warning("%s", finding)
        match finding.kind:
            case "checkpoint":
                rewind(run, finding.step)
            case "commit" | "state" | "spare":
                discard_commit(run, finding.step)
            case "note":
                atomic.write_note(run.checkpoint(finding.step), atomic.file_sha256(run.checkpoint(finding.step)))
            case "evaluation" | "picture":
                finding.path.unlink(missing_ok=True)
            case "attempts":
                records.keep_intact(finding.path)
