"""What state a run is in, told from its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.errors import StoreError
from harness.store.atomic import note_of, stored_hash
from harness.store.attempts import Attempt, read_attempts
from harness.store.commits import Commit, look_at_commits, metrics_match, records_match
from harness.store.evaluations import read_evaluation
from harness.store.heartbeat import is_worked_on
from harness.store.left_behind import LeftBehind, lacks_on_purpose, left_behind
from harness.store.manifest import require_own_folder
from harness.store.networks import read_networks
from harness.store.pictures import AskedPicture, PictureKind, missing_pictures
from harness.store.reading import is_there
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

    missing: (step, protocol) of required evaluations that are not there yet; missing_pictures: asked for of the last
    checkpoint and not there; lacks_networks: whether networks.json is not there, which bars no run from being complete;
    damage: files that do not hold;
    broken_commits: files that are not whole, so that the commit before counts;
    is_stateless: whether its state stayed on the machine that it was brought from, so that it cannot go on;
    is_readable: False where something in the folder cannot be read, so that nothing but the reason is known.
    """

    state: RunState
    step: int
    attempts: tuple[Attempt, ...]
    commit: Commit | None
    missing: tuple[tuple[int, str], ...]
    missing_pictures: tuple[PictureKind, ...] = ()
    reason: str = ""
    metrics_offset: int = 0
    metrics_sha256: str = ""
    damage: tuple[str, ...] = ()
    broken_commits: tuple[str, ...] = ()
    is_readable: bool = True
    is_stateless: bool = False
    lacks_networks: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether an ordinary `run` has nothing to do here but, where it is lacking, to write networks.json."""
        return self.state == "complete" or (self.state == "diverged" and not self.damage)


NEVER_STARTED = RunStatus("pending", 0, (), None, ())


def run_status(
    run: RunDirectory | None,
    steps: int,
    required: Sequence[RequiredEvaluation] | None,
    pictures: Sequence[AskedPicture] = (),
) -> RunStatus:
    """The state of one run asked to stand at `steps` with every evaluation in `required` and `pictures` of that step.

    required None: the protocols are not known yet (nothing was prepared), so nothing can be complete.
    """
    if run is None:
        return NEVER_STARTED
    is_running = is_worked_on(run)  # before the files: what ends in between is then told by them
    status = stored_status(run, steps, required, pictures)
    if not is_running:
        return status
    # What a live process replaces between two looks is no damage.
    return replace(status, state="running", reason="", damage=(), broken_commits=())


def isolated_status(
    run: RunDirectory | None,
    key: str,
    steps: int,
    required: Sequence[RequiredEvaluation] | None,
    pictures: Sequence[AskedPicture] = (),
) -> RunStatus:
    """As `run_status` for the run `key`; failed, with the reason, where its folder is another's or cannot be read.

    One run that cannot be read says nothing about the others. A settled one is read again only where a file or folder
    that its state rests on changed, and the run's `looks` hold what was found.
    """

    def look() -> RunStatus:
        if run is not None:
            require_own_folder(run, key)
        return run_status(run, steps, required, pictures)

    try:
        if run is None or run.looks is None or is_worked_on(run):
            return look()
        question = (run.root, run.has_weights, key, steps, None if required is None else tuple(required), (*pictures,))
        return run.looks.at_all(question, look, lambda found: _rests_on(run, found, required or (), pictures))
    except StoreError as error:
        return RunStatus("failed", 0, (), None, (), reason=str(error), is_readable=False)


def _rests_on(
    run: RunDirectory, status: RunStatus, required: Sequence[RequiredEvaluation], pictures: Sequence[AskedPicture]
) -> list[Path]:
    """Every file that was read for a settled run's status, and the folders where others appear; none of other runs."""
    if not status.is_settled or status.commit is None:
        return []
    commit = status.commit
    checkpoints = [run.checkpoint(int(step)) for step in commit.checkpoints]
    evaluations = [run.evaluation(step, block.protocol) for block in required for step in block.steps]
    drawn = [run.picture(commit.step, picture.kind) for picture in pictures]
    folders = (run.root, run.states, run.checkpoints, run.evaluations, run.pictures)
    files = (run.run_json, run.networks, run.attempts, run.metrics, run.state(commit.step))
    commits = map(run.commit, run.committed_steps())
    return [*folders, *files, *commits, *checkpoints, *map(note_of, checkpoints), *evaluations, *drawn]


def stored_status(
    run: RunDirectory,
    steps: int,
    required: Sequence[RequiredEvaluation] | None,
    pictures: Sequence[AskedPicture] = (),
) -> RunStatus:
    """As `run_status`, for who holds the run's lock, or does not ask who does."""
    attempts = tuple(read_attempts(run))
    committed = look_at_commits(run)
    commit = committed.whole[0] if committed.whole else None
    step = commit.step if commit else 0
    left = left_behind(run, commit) if commit and run.has_weights else None
    missing = missing_evaluations(run, commit, required or (), left)
    undrawn = _undrawn(run, commit, steps, pictures)
    damage = damaged_files(run, commit, left) if commit else ()
    broken = [str(run.commit(found)) for found in sorted(committed.broken)]
    last = next((attempt for attempt in reversed(attempts) if attempt.work != "evaluate"), None)
    outcome = last.outcome if last else None
    state: RunState
    if step >= steps and required is not None and not (missing or undrawn or damage):
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
        undrawn,
        metrics_offset=commit.metrics_offset if commit else 0,
        metrics_sha256=commit.metrics_sha256 if commit else "",
        damage=damage,
        broken_commits=tuple(broken),
        is_stateless=left is not None,
        lacks_networks=commit is not None and read_networks(run) is None,
    )
    if last and state == "failed":
        status = replace(status, reason=last.reason)
    elif last and state == "diverged":
        status = _with_divergence(run, replace(status, reason=last.reason, step=last.end_step or step), last)
    return _with_damage(run, status)


def damaged_files(run: RunDirectory, commit: Commit, left: LeftBehind | None) -> tuple[str, ...]:
    """Files that `commit` counts and that are missing or, as far as a quick look tells, damaged; not those in `left`.

    Records are read whole; of the state only its being there is asked, of checkpoints the noted hash. Their bytes are
    read by `inspection`, before any work.
    """
    damaged = [] if metrics_match(run, commit) else [str(run.metrics)]
    if not run.has_weights:
        return tuple(damaged)
    if left is None and not is_there(run.state(commit.step)):
        damaged.append(str(run.state(commit.step)))
    for step, digest in commit.checkpoints.items():
        if stored_hash(run.checkpoint(int(step))) != digest and not lacks_on_purpose(run, left, int(step)):
            damaged.append(str(run.checkpoint(int(step))))
    return tuple(damaged)


def _undrawn(
    run: RunDirectory, commit: Commit | None, step: int, pictures: Sequence[AskedPicture]
) -> tuple[PictureKind, ...]:
    """Pictures of the checkpoint at `step` that are asked for and not there."""
    digest = commit.checkpoints.get(str(step)) if commit else None
    return tuple(picture.kind for picture in missing_pictures(run, step, digest, pictures)) if digest else ()


def _with_divergence(run: RunDirectory, status: RunStatus, attempt: Attempt) -> RunStatus:
    """The status with the records up to the divergence; where they do not hold any more, they are damage."""
    if attempt.metrics_offset is None:
        return status
    if not records_match(run, attempt.metrics_offset, attempt.metrics_sha256):
        return replace(status, damage=tuple(dict.fromkeys([*status.damage, str(run.metrics)])))
    return replace(status, metrics_offset=attempt.metrics_offset, metrics_sha256=attempt.metrics_sha256)


def _with_damage(run: RunDirectory, status: RunStatus) -> RunStatus:
    """The status whose reason names the damaged files too, as they are called inside the run's folder."""
    files = (*status.broken_commits, *status.damage)
    if not files:
        return status
    names = ", ".join(Path(file).relative_to(run.root).as_posix() for file in files)
    damaged = f"damaged: {names}; `harness run` mends it"
    return replace(status, reason="; ".join(part for part in (status.reason, damaged) if part))


def missing_evaluations(
    run: RunDirectory,
    commit: Commit | None,
    required: Sequence[RequiredEvaluation],
    left: LeftBehind | None = None,
) -> tuple[tuple[int, str], ...]:
    """(step, protocol) asked for at checkpoints that exist and not stored with all metrics and repeats and a floor."""
    written = {int(step): digest for step, digest in commit.checkpoints.items()} if commit else {}
    missing = []
    for block in required:
        for step in block.steps:
            if step not in written:
                continue  # the checkpoint interval was another when that step was trained: shown as missing
            is_elsewhere = not run.has_weights or lacks_on_purpose(run, left, step)
            digest = written[step] if is_elsewhere else None  # a checkpoint that is gone is made and measured again
            evaluation = read_evaluation(run, step, block.protocol, digest)
            if evaluation is None or evaluation.floor is None or not evaluation.has(block.metrics, block.repeats):
                missing.append((step, block.protocol))
    return tuple(missing)
