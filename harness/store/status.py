"""What state a run is in, told from its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.store.atomic import stored_hash
from harness.store.attempts import Attempt, read_attempts
from harness.store.commits import Commit, metrics_match, newest_commit
from harness.store.evaluations import read_evaluation
from harness.store.locks import is_held
from harness.store.rundir import RunDirectory

RunState = Literal["pending", "running", "interrupted", "complete", "diverged", "failed"]


@dataclass(frozen=True)
class RequiredEvaluation:
    """One `[[evaluation]]` block as a run has to fulfil it: its protocol's fingerprint, steps, metrics, repeats."""

    protocol: str
    steps: tuple[int, ...]
    metrics: tuple[str, ...]
    repeats: int


@dataclass(frozen=True)
class RunStatus:
    """step: the last committed step, or where it diverged; metrics_offset, metrics_sha256: of the records that count.

    missing: (step, protocol) of required evaluations that are not there yet; damage: files that do not hold.
    """

    state: RunState
    step: int
    attempts: tuple[Attempt, ...]
    commit: Commit | None
    missing: tuple[tuple[int, str], ...]
    reason: str = ""
    metrics_offset: int = 0
    metrics_sha256: str = ""
    damage: tuple[str, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Whether an ordinary `run` has nothing to do here."""
        return self.state in ("complete", "diverged")


NEVER_STARTED = RunStatus("pending", 0, (), None, ())


def run_status(run: RunDirectory | None, steps: int, required: Sequence[RequiredEvaluation] | None) -> RunStatus:
    """The state of one run asked to stand at `steps` with every evaluation in `required`.

    required None: the protocols are not known yet (nothing was prepared), so nothing can be complete.
    """
    if run is None:
        return NEVER_STARTED
    is_running = is_held(run.lock)  # before the files: what ends in between is then told by them
    status = stored_status(run, steps, required)
    return replace(status, state="running", reason="") if is_running else status


def stored_status(run: RunDirectory, steps: int, required: Sequence[RequiredEvaluation] | None) -> RunStatus:
    """As `run_status`, for who holds the run's lock, or does not ask who does."""
    attempts = tuple(read_attempts(run))
    commit = newest_commit(run)
    step = commit.step if commit else 0
    missing = missing_evaluations(run, commit, required or ())
    damage = damaged_files(run, commit) if commit else ()
    last = next((attempt for attempt in reversed(attempts) if attempt.work != "evaluate"), None)
    outcome = last.outcome if last else None
    state: RunState
    if step >= steps and required is not None and not missing and not damage:
        state = "complete"
    elif outcome == "diverged" and step < steps:
        state = "diverged"
    elif outcome == "failed":
        state = "failed"
    else:
        state = "interrupted" if commit else "pending"
    status = RunStatus(
        state,
        step,
        attempts,
        commit,
        missing,
        metrics_offset=commit.metrics_offset if commit else 0,
        metrics_sha256=commit.metrics_sha256 if commit else "",
        damage=damage,
    )
    if last is None or state not in ("diverged", "failed"):
        return status
    if state == "failed":
        return replace(status, reason=last.reason)
    return _with_divergence(run, replace(status, reason=last.reason, step=last.end_step or step), last)


def damaged_files(run: RunDirectory, commit: Commit) -> tuple[str, ...]:
    """Files that `commit` counts and that are missing or, as far as a quick look tells, damaged.

    Records are read whole; of checkpoints only the noted hash is compared, their bytes when they are used.
    """
    damaged = [] if metrics_match(run, commit) else [str(run.metrics)]
    for step, digest in commit.checkpoints.items():
        if stored_hash(run.checkpoint(int(step))) != digest:
            damaged.append(str(run.checkpoint(int(step))))
    return tuple(damaged)


def _with_divergence(run: RunDirectory, status: RunStatus, attempt: Attempt) -> RunStatus:
    """The status with the records up to the divergence, where they still hold."""
    if attempt.metrics_offset is None:
        return status
    seen = Commit(status.step, "", attempt.metrics_offset, attempt.metrics_sha256)
    if not metrics_match(run, seen):
        return status
    return replace(status, metrics_offset=seen.metrics_offset, metrics_sha256=seen.metrics_sha256)


def missing_evaluations(
    run: RunDirectory, commit: Commit | None, required: Sequence[RequiredEvaluation]
) -> tuple[tuple[int, str], ...]:
    """(step, protocol) that are asked for at checkpoints that exist, and not stored with all metrics and repeats."""
    written = {int(step) for step in commit.checkpoints} if commit else set()
    missing = []
    for block in required:
        for step in block.steps:
            if step not in written:
                continue  # the checkpoint interval was another when that step was trained: shown as missing
            evaluation = read_evaluation(run, step, block.protocol)
            if evaluation is None or not evaluation.has(block.metrics, block.repeats):
                missing.append((step, block.protocol))
    return tuple(missing)
