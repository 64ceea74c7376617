"""One run, brought to its last step with all its evaluations, under its lock. The same code for every executor."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from harness import __version__
from harness.data.cache import open_images, to_device, training_indices
from harness.design.keys import TRAINING_VERSION
from harness.errors import DamagedFileError, DataError, HarnessError, StoreError
from harness.evaluation.protocol import required_evaluation
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.machine import BIT_RELEVANT, describe_machine
from harness.execution.measure import LoadedExtractors, Stop, Stopped, draw_samples, measure
from harness.gan.state import rewind
from harness.gan.training import TrainingResult, TrainingTask, train
from harness.store import atomic
from harness.store.attempts import Outcome, begin_attempt, end_attempt, read_attempts
from harness.store.commits import Commit, metrics_match, newest_commit
from harness.store.locks import held
from harness.store.manifest import RunManifest, read_run_manifest, write_run_manifest
from harness.store.rundir import RunDirectory
from harness.store.status import stored_status

LOCK_PATIENCE_S = 2.0
"""Longer than any look at a lock takes, so that `status` never turns a worker away."""

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class _Ending:
    """How an attempt ended. step: None where the newest commit says it; metrics: as `end_attempt` takes them."""

    outcome: Outcome
    reason: str = ""
    step: int | None = None
    metrics: tuple[int, str] | None = None


def work_on(assignment: Assignment, extractors: LoadedExtractors, stop: Stop) -> WorkResult:
    """Trains and evaluates one run until it is complete, `stop` says yes, or something ends it.

    Never raises for what belongs to the run: the outcome and its reason are in the result and in attempts.jsonl. A run
    that another process has settled since the assignment was made is left alone.
    """
    run = assignment.directory
    try:
        with held(run.lock, timeout_s=LOCK_PATIENCE_S) as mine:
            if not mine:
                return WorkResult("elsewhere")
            return _settled_meanwhile(assignment) or _logged_attempt(assignment, extractors, stop)
    except (HarnessError, OSError) as error:  # the run's own folder refuses: nothing can be noted there
        return WorkResult("failed", reason=str(error))


def _settled_meanwhile(assignment: Assignment) -> WorkResult | None:
    required = [
        required_evaluation(block.settings, block.protocol, assignment.training) for block in assignment.evaluations
    ]
    status = stored_status(assignment.directory, assignment.training.steps, required)
    if status.state == "complete":
        return WorkResult("finished", status.step)
    if status.state == "diverged" and not assignment.retry and assignment.work != "evaluate":
        return WorkResult("diverged", status.step, status.reason)
    return None


def _logged_attempt(assignment: Assignment, extractors: LoadedExtractors, stop: Stop) -> WorkResult:
    run = assignment.directory
    machine = describe_machine(assignment.device, assignment.threads)
    with _log_file(run):
        _note_changes(run, machine)
        begin_attempt(run, step=_step(run), machine=machine, work=assignment.work)
        _log.info("attempt from step %d: %s", _step(run), ", ".join(f"{name} {machine[name]}" for name in BIT_RELEVANT))
        ending = _attempt(assignment, extractors, stop)
        step = _step(run) if ending.step is None else ending.step
        end_attempt(run, ending.outcome, step=step, reason=ending.reason, metrics=ending.metrics)
        _log.info("%s at step %d%s", ending.outcome, step, f": {ending.reason}" if ending.reason else "")
    return WorkResult(ending.outcome, step, ending.reason)


def _attempt(assignment: Assignment, extractors: LoadedExtractors, stop: Stop) -> _Ending:
    """Everything between the begin and the end of an attempt; whatever happens becomes an outcome."""
    try:
        _claim(assignment)
        result = _train_and_evaluate(assignment, extractors, stop)
        return _Ending(result.outcome, result.reason, result.step, result.metrics)
    except Stopped:
        return _Ending("interrupted")
    except HarnessError as error:
        _log.error("%s", error)
        return _Ending("failed", str(error))
    except MemoryError:
        return _Ending("failed", "out of memory; try a smaller batch_size, hidden_dim or fewer --workers")
    except OSError as error:
        _log.error("%s", traceback.format_exc())
        where = error.filename or str(assignment.directory.root)
        what = f"{where}: {error.strerror or error}"
        return _Ending("failed", f"{what}; free space or permission, then run the same command again")
    except Exception as error:  # noqa: BLE001 - one run's defect must not stop the others; the log has the traceback
        _log.error("%s", traceback.format_exc())
        return _Ending("failed", f"{type(error).__name__}: {error}")


def _claim(assignment: Assignment) -> None:
    """Writes run.json, or compares with the one there. DataError when the run was trained on other data."""
    run = assignment.directory
    manifest = RunManifest(
        key=assignment.key,
        experiment=assignment.experiment,
        cell=assignment.cell,
        seed=assignment.seed,
        hyperparameters=assignment.hyperparameters.model_dump(mode="json"),
        data=dict(assignment.data.declared()),
        data_sha256=assignment.data_sha256,
        training_version=TRAINING_VERSION,
        harness_version=__version__,
    )
    try:
        found = read_run_manifest(run)
    except DamagedFileError as error:
        _log.warning("%s; it is written again", error)
        found = None
    if found is None:
        write_run_manifest(run, manifest)
        return
    if found.key != assignment.key:
        raise StoreError(f"the folder belongs to another run ({found.key[:16]})", where=str(run.root))
    if found.data_sha256 != assignment.data_sha256:
        raise DataError(
            f"the run was trained on other data (SHA-256 {found.data_sha256[:16]}, now {assignment.data_sha256[:16]})",
            where=str(run.run_json),
            remedy="Bring the data back, or use another experiment name or --runs-dir.",
        )
    if found.cell != assignment.cell:
        write_run_manifest(run, replace(found, cell=assignment.cell))


def _train_and_evaluate(assignment: Assignment, extractors: LoadedExtractors, stop: Stop) -> TrainingResult:
    """Trains, then draws and measures every checkpoint; a checkpoint that is damaged is made again by replay."""
    run = assignment.directory
    for _ in range(2 + len(assignment.training.checkpoint_steps())):
        result = _train(assignment, stop)
        if result.outcome != "finished":
            return result
        commit = newest_commit(run)
        if commit is None:
            raise StoreError("no state after training", where=str(run.states))
        damaged = _damaged_checkpoint(run, commit)
        if damaged is None:
            for step in sorted(int(step) for step in commit.checkpoints):
                draw_samples(assignment, step)
            for evaluation in assignment.evaluations:
                measure(assignment, evaluation, commit, extractors, stop)
            return result
        if assignment.work == "evaluate":
            raise DamagedFileError(
                "the checkpoint is missing or damaged",
                where=str(run.checkpoint(damaged)),
                remedy="`harness run` makes it again.",
            )
        _log.warning("%s: missing or damaged; it is made again", run.checkpoint(damaged))
        rewind(run, damaged)
    raise StoreError("checkpoints do not stay whole on this disk", where=str(run.checkpoints))


def _train(assignment: Assignment, stop: Stop) -> TrainingResult:
    run = assignment.directory
    commit = newest_commit(run)
    if commit and (assignment.work == "evaluate" or _is_trained(run, commit, assignment.training.steps)):
        return TrainingResult("finished", commit.step)  # the images are not even looked at
    device = torch.device(assignment.device)
    count = len(open_images(assignment.images))
    indices = training_indices(count, assignment.hyperparameters.limit)
    task = TrainingTask(
        run=run,
        hyperparameters=assignment.hyperparameters,
        channels=assignment.data.channels,
        seed=assignment.seed,
        key=assignment.key,
        settings=assignment.training,
        samples=assignment.samples,
        device=device,
    )
    return train(task, to_device(assignment.images, indices, device), stop)


def _is_trained(run: RunDirectory, commit: Commit, steps: int) -> bool:
    return commit.step >= steps and run.state(commit.step).exists() and metrics_match(run, commit)


def _damaged_checkpoint(run: RunDirectory, commit: Commit) -> int | None:
    """The first step whose checkpoint is not the one that was committed."""
    for step in sorted(int(step) for step in commit.checkpoints):
        try:
            content = run.checkpoint(step).read_bytes()
        except FileNotFoundError:
            return step
        digest = atomic.sha256_of(content)
        if digest != commit.checkpoints[str(step)] or digest != atomic.stored_hash(run.checkpoint(step)):
            return step
    return None


def _step(run: RunDirectory) -> int:
    commit = newest_commit(run)
    return commit.step if commit else 0


def _note_changes(run: RunDirectory, machine: dict[str, str | int]) -> None:
    attempts = read_attempts(run)
    if not attempts or not attempts[-1].machine:
        return
    before = attempts[-1].machine
    changed = [
        f"{name} {before.get(name)} -> {machine[name]}" for name in BIT_RELEVANT if before.get(name) != machine[name]
    ]
    if changed:
        _log.warning("since the last attempt: %s; bit-identical weights are not promised", ", ".join(changed))


@contextmanager
def _log_file(run: RunDirectory) -> Iterator[None]:
    """Sends what this thread's work logs to the run's log.txt."""
    handler = logging.FileHandler(run.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)
        handler.close()
