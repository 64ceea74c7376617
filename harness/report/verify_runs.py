"""One run's directory as report.json speaks of it: what of it was read, and where the two contradict each other."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.errors import DamagedFileError, HarnessError, StoreError
from harness.store import atomic
from harness.store.attempts import read_attempts
from harness.store.commits import Commit, newest_commit
from harness.store.evaluations import Evaluation, read_evaluation
from harness.store.manifest import read_run_manifest
from harness.store.reading import read_bytes
from harness.store.records import scan
from harness.store.rundir import RunDirectory

Json = dict[str, Any]


@dataclass(frozen=True)
class Doubt:
    """Something in a report that does not hold. file: of the report, or of a run."""

    file: str
    what: str


def checked(doubts: Iterator[Doubt]) -> list[Doubt]:
    """All `doubts`, and one more where looking for them met a report.json of another form."""
    found: list[Doubt] = []
    try:
        for doubt in doubts:
            found.append(doubt)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        found.append(Doubt("report.json", f"has another form than a report's: {type(error).__name__} {error}"))
    except HarnessError as error:
        found.append(Doubt("report.json", f"has another form than a report's: {error.what}"))
    return found


@dataclass
class TracedRun:
    """told: what report.json says of the run; hashes: of checkpoint files that were read, None where one is gone."""

    directory: RunDirectory
    told: Json
    hashes: dict[int, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.told['cell']}, seed {self.told['seed']}"

    @property
    def is_complete(self) -> bool:
        return bool(self.told["state"] == "complete")

    @property
    def last_checkpoint(self) -> tuple[int, str] | None:
        """Step and SHA-256 of the last that the report counts."""
        steps = {int(step): str(digest) for step, digest in self.told["checkpoints"].items()}
        return (max(steps), steps[max(steps)]) if steps else None

    @cached_property
    def _commit(self) -> Commit | None:
        return newest_commit(self.directory)

    @property
    def committed(self) -> dict[str, str]:
        return self._commit.checkpoints if self._commit else {}

    def contradictions(self) -> Iterator[str]:
        """What the run's own files say otherwise; that it went on since is no contradiction."""
        with suppress(DamagedFileError):
            manifest = read_run_manifest(self.directory)
            if manifest is not None and manifest.seed != self.told["seed"]:
                yield f"its seed is {manifest.seed}"
        state, step = self.told["state"], self.told["step"]
        reached = self._commit.step if self._commit else 0
        attempts = read_attempts(self.directory)
        diverged = [attempt.end_step or reached for attempt in attempts if attempt.outcome == "diverged"]
        if state != "diverged" and step > reached:
            yield f"it did not reach step {step}"
        if state == "diverged" and step not in diverged:
            yield f"it did not diverge at step {step}"
        if state == "complete" and attempts and all(one.outcome in ("diverged", "failed") for one in attempts):
            yield "it was never completed"

    def records_among(self, pairs: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
        """Those of `pairs` (last step that is shown, SHA-256 of all records that counted) that its records give."""
        try:
            content = read_bytes(self.directory.metrics)
        except FileNotFoundError:
            return set()
        whole = [self._commit.metrics_offset] if self._commit else []
        whole += [attempt.metrics_offset for attempt in read_attempts(self.directory) if attempt.metrics_offset]
        running, offset, steps, found, totals = hashlib.sha256(), 0, set(), set(), set()
        shown = {step for step, _ in pairs}
        for record, end in scan(content):
            step = int(record["step"])
            running.update(content[offset:end])
            offset = end
            steps.add(step)
            if step in shown:
                found.add((step, running.hexdigest()))
            if end in whole:
                totals.add(running.hexdigest())
        return {pair for pair in pairs if pair in found or (pair[0] in steps and pair[1] in totals)}

    def file_sha256(self, step: int) -> str | None:
        """Of the checkpoint's bytes, None where its file is gone."""
        if step not in self.hashes:
            try:
                self.hashes[step] = atomic.file_sha256(self.directory.checkpoint(step))
            except FileNotFoundError:
                self.hashes[step] = None
        return self.hashes[step]

    def evaluation(self, step: int, protocol_sha256: str, checkpoint_sha256: str) -> Evaluation | None:
        """None where it is missing, damaged, or of another checkpoint."""
        try:
            return read_evaluation(self.directory, step, protocol_sha256, checkpoint_sha256)
        except StoreError:
            return None
