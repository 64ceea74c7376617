"""One run, brought to its last step with all its evaluations, under its lock. The same code for every executor."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from harness import __version__
from harness.data.cache import open_images, to_device, training_indices
from harness.data.own_code import OwnCode
from harness.design.keys import TRAINING_VERSION, key_parts
from harness.errors import DamagedFileError, DataError, DeviceError, HarnessError, StoreError
from harness.evaluation.protocol import required_evaluation
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.ending import Ending, ending_of, trouble_of
from harness.execution.machine import describe_machine
from harness.execution.measure import LoadedExtractors, Save, Stop, draw_samples, leave_if_asked, measure
from harness.execution.mending import mend, without_training
from harness.execution.pictures import draw_pictures
from harness.execution.run_log import log_file
from harness.execution.usage import sampled
from harness.gan.checkpoints import described_key
from harness.gan.networks.sizes import network_sizes
from harness.gan.state import rewind
from harness.gan.training import TrainingResult, TrainingTask, train
from harness.store import atomic
from harness.store.attempts import begin_attempt, end_attempt, read_attempts
from harness.store.changes import BIT_RELEVANT, attempt_reports
from harness.store.commits import Commit, metrics_match, newest_commit
from harness.store.findings import TRAINING_KINDS, Finding, mended_by_work
from harness.store.heartbeat import beats_elsewhere, job_id
from harness.store.inspection import inspect_run
from harness.store.left_behind import cannot_go_on, lacks_on_purpose, left_behind
from harness.store.locks import held
from harness.store.manifest import RunManifest, read_run_manifest, require_own_folder, write_run_manifest
from harness.store.networks import read_networks, write_networks
from harness.store.presence import require_experiment_folder, require_run_folder
from harness.store.reading import is_there
from harness.store.rundir import ExperimentDirectory, RunDirectory
from harness.store.status import RunStatus, stored_status

LOCK_PATIENCE_S = 2.0
"""Longer than any look at a lock takes, so that `status` never turns a worker away."""

_log = logging.getLogger("harness")


def work_on(assignment: Assignment, extractors: LoadedExtractors, stop: Stop, save: Save = lambda: False) -> WorkResult:
    """Trains and evaluates one run until it is complete, `stop` says yes, or something ends it.

    `save` is asked at every step of training; whenever it says yes, a state is written and the work goes on.

    Never raises for what belongs to the run: the outcome and its reason are in the result and in attempts.jsonl. A run
    that another process has settled since the assignment was made is left alone. Damaged files are mended first.
    """
    run = assignment.directory
    try:
        require_experiment_folder(ExperimentDirectory(run.root.parent))
        with held(run.lock, timeout_s=LOCK_PATIENCE_S) as mine:
            if not mine or beats_elsewhere(run, job_id()):
                return WorkResult("elsewhere")
            require_own_folder(run, assignment.key)
            findings = mended_by_work(inspect_run(run, assignment.key), assignment.work)
            status = _status(assignment)
            if status.is_settled and status.lacks_networks:
                _write_networks(assignment)
            if findings:
                reduced = without_training(assignment, status, findings)
                return _logged_attempt(reduced, extractors, stop, save, findings)
            return _settled_meanwhile(assignment, status) or _logged_attempt(assignment, extractors, stop, save)
    except DeviceError as error:  # before the attempt began
        trouble = trouble_of(error)
        return WorkResult("failed", reason=str(error), trouble="no device" if trouble == "device" else trouble)
    except (HarnessError, OSError) as error:  # the run's own folder refuses: nothing can be noted there
        return WorkResult("failed", reason=str(error))


def _status(assignment: Assignment) -> RunStatus:
    required = [
        required_evaluation(block.settings, block.protocol, assignment.training) for block in assignment.evaluations
    ]
    return stored_status(assignment.directory, assignment.training.steps, required, assignment.pictures)


def _settled_meanwhile(assignment: Assignment, status: RunStatus) -> WorkResult | None:
    if status.state == "complete":
        return WorkResult("finished", status.step)
    if status.state == "diverged" and not assignment.retry and assignment.work != "evaluate":
        return WorkResult("diverged", status.step, status.reason)
    return None


def _logged_attempt(
    assignment: Assignment,
    extractors: LoadedExtractors,
    stop: Stop,
    save: Save,
    findings: Sequence[Finding] = (),
) -> WorkResult:
    run = assignment.directory
    machine = describe_machine(assignment.device, assignment.threads)
    with log_file(run), sampled(run, assignment.device):
        begin_attempt(run, step=_step(run), machine=machine, work=assignment.work)
        _note_changes(run)
        _log.info("attempt from step %d: %s", _step(run), ", ".join(f"{name} {machine[name]}" for name in BIT_RELEVANT))
        ending = ending_of(run, lambda: _claimed_work(assignment, extractors, stop, save, findings), assignment.alone)
        step = _step(run) if ending.step is None else ending.step
        _note_ending(run, ending, step)
        _log.info("%s at step %d%s", ending.outcome, step, f": {ending.reason}" if ending.reason else "")
    return WorkResult(ending.outcome, step, ending.reason, ending.trouble)


def _note_ending(run: RunDirectory, ending: Ending, step: int) -> None:
    """Where the disk refuses, the attempt stays open, as that of a killed process; the result still has the reason."""
    try:
        require_run_folder(run)
        end_attempt(run, ending.outcome, step=step, reason=ending.reason, metrics=ending.metrics)
    except StoreError as error:
        _log.error("%s", error)


def _claimed_work(
    assignment: Assignment, extractors: LoadedExtractors, stop: Stop, save: Save, findings: Sequence[Finding]
) -> TrainingResult:
    _claim(assignment)
    _refuse_beginning_again(assignment, findings)
    if read_networks(assignment.directory) is None:
        _write_networks(assignment)
    mend(assignment.directory, findings)
    with assignment.own_code.told():
        return _train_and_evaluate(assignment, extractors, stop, save)


def _claim(assignment: Assignment) -> None:
    """Writes run.json, or compares with the one there. DataError when the run was trained on other data."""
    run, steps = assignment.directory, assignment.training.steps
    parts = key_parts(assignment.hyperparameters, assignment.seed, assignment.data, steps, assignment.sources)
    sources = parts.get("sources", {})
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
        steps=steps if "steps" in parts else None,
        sources=dict(sources) if isinstance(sources, Mapping) else {},
    )
    try:
        found = read_run_manifest(run)
    except DamagedFileError:
        found = None  # told by the inspection
    if found is None:
        _refuse_foreign_weights(assignment)
        write_run_manifest(run, manifest)
        return
    if found.data_sha256 != assignment.data_sha256:
        raise DataError(
            f"the run was trained on other data (SHA-256 {found.data_sha256[:16]}, now {assignment.data_sha256[:16]})",
            where=str(run.run_json),
            remedy="Bring the data back, or use another experiment name or --runs-dir.",
        )
    if found.cell != assignment.cell:
        write_run_manifest(run, replace(found, cell=assignment.cell))


def _refuse_beginning_again(assignment: Assignment, findings: Sequence[Finding]) -> None:
    """StoreError where the run was brought here without its state and would now be trained from step 0."""
    run, commit = assignment.directory, newest_commit(assignment.directory)
    if commit is None:
        if is_there(run.left_behind) and not any(run.states.glob("*.pt")):
            raise cannot_go_on(run, 0, "damaged")  # the one commit that came with it does not hold
        return
    left = left_behind(run, commit)
    if left is None:
        return
    if any(finding.kind in TRAINING_KINDS for finding in findings):
        raise cannot_go_on(run, commit.step, "damaged")
    if assignment.work != "evaluate" and commit.step < assignment.training.steps:
        raise cannot_go_on(run, commit.step, "training")
    if any(lacks_on_purpose(run, left, int(step)) for step in commit.checkpoints):
        raise cannot_go_on(run, commit.step, "checkpoints")


def _write_networks(assignment: Assignment) -> None:
    """Writes networks.json; with code of its own, so that the networks that train find the user's modules untouched."""
    own_code = OwnCode(assignment.own_code.files)
    with own_code.told():
        sizes = network_sizes(assignment.hyperparameters, assignment.data.channels, own_code)
    write_networks(assignment.directory, sizes)


def _refuse_foreign_weights(assignment: Assignment) -> None:
    """StoreError where run.json cannot say whose folder this is, and a checkpoint says that it is another run's."""
    run = assignment.directory
    commit = newest_commit(run)
    keys = [described_key(run.checkpoint(int(step))) for step in (commit.checkpoints if commit else ())]
    foreign = next((key for key in keys if key not in (None, assignment.key)), None)
    if foreign is not None:
        raise StoreError(f"the folder belongs to another run ({foreign[:16]})", where=str(run.root))


def _train_and_evaluate(assignment: Assignment, extractors: LoadedExtractors, stop: Stop, save: Save) -> TrainingResult:
    """Trains, then draws and measures every checkpoint; a checkpoint that is damaged is made again by replay."""
    run = assignment.directory
    for _ in range(2 + len(assignment.training.checkpoint_steps())):
        result = _train(assignment, stop, save)
        if result.outcome != "finished":
            return result
        commit = newest_commit(run)
        if commit is None:
            raise StoreError("no state after training", where=str(run.states))
        damaged = _damaged_checkpoint(run, commit)
        if damaged is None:
            for step in sorted(int(step) for step in commit.checkpoints):
                draw_samples(assignment, step, stop)
            problems: list[HarnessError] = []
            for evaluation in assignment.evaluations:
                problems += measure(assignment, evaluation, commit, extractors, stop)
            if str(assignment.training.steps) in commit.checkpoints:
                beat = partial(leave_if_asked, stop)
                classifier = partial(extractors.get, between_pieces=beat)
                draw_pictures(assignment, assignment.training.steps, classifier, beat)
            if problems:
                raise problems[0]
            return result
        if assignment.work == "evaluate":
            raise DamagedFileError(
                "the checkpoint is missing or damaged",
                where=str(run.checkpoint(damaged)),
                remedy="`harness run` makes it again.",
            )
        if left_behind(run, commit):
            raise cannot_go_on(run, commit.step, "damaged")
        _log.warning("%s: missing or damaged; it is made again", run.checkpoint(damaged))
        rewind(run, damaged)
    raise StoreError("checkpoints do not stay whole on this disk", where=str(run.checkpoints))


def _train(assignment: Assignment, stop: Stop, save: Save) -> TrainingResult:
    run = assignment.directory
    commit = newest_commit(run)
    if assignment.work == "evaluate" and commit is None:
        raise StoreError("there is no state to measure", where=str(run.states), remedy="`harness run` trains it.")
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
        own_code=assignment.own_code,
        samples=assignment.samples,
        device=device,
    )
    return train(task, to_device(assignment.images, indices, device), stop, save)


def _is_trained(run: RunDirectory, commit: Commit, steps: int) -> bool:
    has_state = is_there(run.state(commit.step)) or left_behind(run, commit) is not None
    return commit.step >= steps and has_state and metrics_match(run, commit)


def _damaged_checkpoint(run: RunDirectory, commit: Commit) -> int | None:
    """The first step whose checkpoint is not the one that was committed."""
    for step in sorted(int(step) for step in commit.checkpoints):
        try:
            digest = atomic.file_sha256(run.checkpoint(step))
        except OSError:  # missing, or the disk does not give it back
            return step
        if digest != commit.checkpoints[str(step)] or digest != atomic.stored_hash(run.checkpoint(step)):
            return step
    return None


def _step(run: RunDirectory) -> int:
    commit = newest_commit(run)
    return commit.step if commit else 0


def _note_changes(run: RunDirectory) -> None:
    """Says in what the attempt that has just begun differs from the one before that names its machine."""
    changes = attempt_reports(read_attempts(run))[-1].changes
    if changes:
        told = ", ".join(map(str, changes))
        _log.warning("since the last attempt: %s; bit-identical weights are not promised", told)
