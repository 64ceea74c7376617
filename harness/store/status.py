"""What state a run is in, told from its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.store.attempts import Attempt, read_attempts
from harness.store.commits import Commit, newest_commit
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
    """step: the last committed step; missing: (step, protocol) of required evaluations that are not there yet."""

    state: RunState
    step: int
    attempts: tuple[Attempt, ...]
    commit: Commit | None
    missing: tuple[tuple[int, str], ...]
    reason: str = ""

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
    attempts = tuple(read_attempts(run))
    commit = newest_commit(run)
    step = commit.step if commit else 0
    missing = missing_evaluations(run, commit, required or ())
    last = attempts[-1] if attempts else None
    outcome = last.outcome if last else None
    state: RunState
    if is_held(run.lock):
        state = "running"
    elif step >= steps and required is not None and not missing:
        state = "complete"
    elif outcome == "diverged" and step < steps:
        state = "diverged"
    elif outcome == "failed":
        state = "failed"
    else:
        state = "interrupted" if commit else "pending"
    reason = last.reason if last and state in ("diverged", "failed") else ""
    return RunStatus(state, step, attempts, commit, missing, reason)


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
