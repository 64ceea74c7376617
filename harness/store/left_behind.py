"""What was left on the machine that a run was brought from: its state, and its checkpoints if nobody wanted them.

Written by `harness unpack` into the run's folder, read by whoever misses one of these files. A mark speaks of one
commit: once the run has another, it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from harness.errors import DamagedFileError, StoreError
from harness.store import atomic
from harness.store.commits import Commit
from harness.store.findings import Finding
from harness.store.reading import is_there
from harness.store.rundir import RunDirectory

BRING_STATES = "`harness pack FILE --with-states` on the machine that trained it, and unpack that"

Missed = Literal["training", "damaged", "checkpoints"]


@dataclass(frozen=True)
class LeftBehind:
    """step, state_sha256: of the commit whose state was left; checkpoints: whether all its checkpoints were, too."""

    step: int
    state_sha256: str
    checkpoints: bool

    def __post_init__(self) -> None:
        """TypeError for what `note_left_behind` never writes."""
        if type(self.step) is not int or type(self.checkpoints) is not bool or not isinstance(self.state_sha256, str):
            raise TypeError("step is a whole number, checkpoints true or false, state_sha256 text")


def note_left_behind(run: RunDirectory, commit: Commit, *, checkpoints: bool) -> None:
    """checkpoints: whether the checkpoints of `commit` were left behind with its state."""
    atomic.write_json(run.left_behind, asdict(LeftBehind(commit.step, commit.state_sha256, checkpoints)))


def left_behind(run: RunDirectory, commit: Commit) -> LeftBehind | None:
    """What was left behind of `commit`; None where nothing was, or its state came later.

    A damaged mark is taken for one of this commit's state: else the run would be trained from step 0.
    """
    if is_there(run.state(commit.step)):
        return None
    try:
        found = LeftBehind(**atomic.read_json(run.left_behind))
    except FileNotFoundError:
        return None
    except (DamagedFileError, TypeError):
        return LeftBehind(commit.step, commit.state_sha256, checkpoints=False)
    return found if (found.step, found.state_sha256) == (commit.step, commit.state_sha256) else None


def lacks_on_purpose(run: RunDirectory, left: LeftBehind | None, step: int) -> bool:
    """Whether the checkpoint of `step` is not there because it was left behind; one that is there has to hold."""
    return left is not None and left.checkpoints and not is_there(run.checkpoint(step))


def without_left(run: RunDirectory, newest: Commit | None, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Those of `findings`, on states and checkpoints, that do not merely miss what was left behind."""
    left = left_behind(run, newest) if newest else None
    for finding in findings:
        is_state = left is not None and finding.path == run.state(left.step)
        if not is_state and not (finding.kind == "checkpoint" and lacks_on_purpose(run, left, finding.step)):
            yield finding


def cannot_go_on(run: RunDirectory, step: int, missed: Missed) -> StoreError:
    """Why nothing is trained or measured where that would begin the run again from step 0, and what to do."""
    away = "its state was left on the machine that it was packed on"
    match missed:
        case "training":
            what = f"the run stands at step {step} and {away}, so that it cannot be trained further here"
            remedy = f"Use {BRING_STATES}; or remove this folder, and it is trained from the start."
        case "damaged":
            what = f"files of the run are damaged and {away}, so that they are not made again here"
            remedy = "`harness unpack` brings them back; or remove this folder, and it is trained from the start."
        case "checkpoints":
            what = "its checkpoints were left on the machine that it was packed on: nothing can be measured or drawn"
            remedy = "Unpack what `harness pack` makes there without --no-checkpoints, then run the same command again."
    return StoreError(what, where=str(run.root), remedy=remedy)
