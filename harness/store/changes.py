"""What changed between the attempts of a run, and since when its weights are not promised bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.design.differences import Difference, differences
from harness.store.attempts import Attempt

BIT_RELEVANT = ("torch", "device", "threads", "harness")
"""Entries of an attempt's machine whose change ends the promise of bit-identical weights."""


@dataclass(frozen=True)
class AttemptReport:
    """One attempt seen beside those before it.

    number: from 1; end_step: where it ended, or where the next one went on if it was killed, None if that is not
    known; changes: what is relevant for bits and differs from the attempt before that names its machine.
    """

    number: int
    attempt: Attempt
    end_step: int | None
    changes: tuple[Difference, ...]

    @property
    def may_have_trained(self) -> bool:
        """Whether steps of this attempt may be in the weights."""
        return self.attempt.work != "evaluate" and (self.end_step is None or self.end_step > self.attempt.start_step)


def attempt_reports(attempts: Sequence[Attempt]) -> tuple[AttemptReport, ...]:
    """Every attempt with what changed since the one before it."""
    reports = []
    machine: Mapping[str, object] = {}
    for index, attempt in enumerate(attempts):
        end_step = attempt.end_step
        if end_step is None and index + 1 < len(attempts):
            end_step = attempts[index + 1].start_step
        changes = differences(machine, attempt.machine, BIT_RELEVANT) if machine and attempt.machine else ()
        reports.append(AttemptReport(index + 1, attempt, end_step, changes))
        machine = attempt.machine or machine
    return tuple(reports)


def end_of_promise(reports: Sequence[AttemptReport]) -> tuple[AttemptReport, tuple[Difference, ...]] | None:
    """The first attempt that trained otherwise than those before it, and in what; None while weights are promised."""
    trained = [report for report in reports if report.may_have_trained and report.attempt.machine]
    for before, after in pairwise(trained):
        changes = differences(before.attempt.machine, after.attempt.machine, BIT_RELEVANT)
        if changes:
            return after, changes
    return None
