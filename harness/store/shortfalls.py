"""Why an evaluation counts as missing, and what is wrong with a file that a commit counts: reasons for people.

A quick look, as `status` takes: notes and names, no bytes of checkpoints or states.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import StoreError
from harness.store import atomic
from harness.store.evaluations import Evaluation
from harness.store.reading import is_there
from harness.store.rundir import RunDirectory
from harness.store.status import RequiredEvaluation


def why_missing(run: RunDirectory, step: int, block: RequiredEvaluation) -> str:
    """Why the evaluation of `step` does not fulfil `block`."""
    try:
        evaluation = Evaluation(**atomic.read_json(run.evaluation(step, block.protocol)))
    except FileNotFoundError:
        return "not measured yet"
    except (StoreError, TypeError):
        return "its file is damaged; it is measured again"
    if evaluation.protocol_sha256 != block.protocol:
        return "its file is of another protocol; it is measured again"
    if evaluation.checkpoint_sha256 != atomic.stored_hash(run.checkpoint(step)):
        return "measured on another checkpoint than the one there; it is measured again"
    parts = []
    for metric in block.metrics:
        repeats = len(evaluation.values.get(metric, ()))
        if repeats < block.repeats:
            parts.append(f"{metric} has {repeats} of {block.repeats} repeats")
    return ", ".join(parts) or "measured meanwhile"


def why_damaged(run: RunDirectory, path: Path) -> str:
    """What is wrong with a file that the newest commit counts."""
    if not is_there(path):
        return "missing"
    if path == run.metrics:
        return "does not begin with the records that the newest state counts"
    if path.parent == run.checkpoints and atomic.stored_hash(path) is None:
        return "its SHA-256 note is missing or unreadable"
    return "does not match the SHA-256 that was committed"
