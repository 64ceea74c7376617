"""Brings the chosen runs of a plan to completion: what is missing is trained and measured, the rest left alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from harness.data.own_code import OwnCode
from harness.design.expansion import Cell
from harness.design.experiment_file import ExperimentFile
from harness.errors import DataError
from harness.evaluation.protocol import asked_class_sheet, block_protocols, weights_key
from harness.execution.assignment import Assignment, EvaluationAssignment, WorkResult
from harness.execution.checking import NetworkChecks
from harness.execution.devices import require_precisions
from harness.execution.events import Event, Observer
from harness.execution.executor import device_of, executor_of
from harness.execution.options import RunOptions, cost, lacks_real_images, open_runs
from harness.execution.prepare import Prepared, prepare
from harness.execution.slurm_following import GoneJobs
from harness.store.pictures import asked_pictures
from harness.store.rundir import experiment_directory
from harness.tracking.reader import RunView, read_experiment

WAIT_S = 0.5
ENDED = ("finished", "diverged", "failed")
"""Outcomes that are final for one call; what was interrupted, or held elsewhere, is looked at again."""


@dataclass(frozen=True)
class Summary:
    """results by key of what was worked on; held_elsewhere: runs that another process kept (with wait False)."""

    results: dict[str, WorkResult]
    held_elsewhere: tuple[str, ...] = ()


def run_experiment(
    file: ExperimentFile,
    options: RunOptions,
    observe: Observer,
    stop: Callable[[], bool],
    at_once: Callable[[], AbstractContextManager[None]] = nullcontext,
    save: Callable[[], bool] = lambda: False,
) -> Summary:
    """Trains and evaluates what is missing; waits for runs that other processes hold. Results are in the run files.

    stop: asked between steps, so that states are saved; at_once: a context in which being asked to stop breaks off what
    goes on, for work that leaves nothing half-done; save: asked now and then, whether all that trains should write
    a state and go on.
    """
    results: dict[str, WorkResult] = {}
    prepared: Prepared | None = None
    checks: NetworkChecks | None = None
    device, looked_for_images = "", False
    directory = experiment_directory(options.runs_dir, file.experiment.name)
    jobs = GoneJobs(directory) if options.executor == "slurm" else None
    while not stop():
        if jobs:
            jobs.forget()
        view = read_experiment(file.plan, options.runs_dir)
        todo = open_runs(view, options, frozenset(key for key, result in results.items() if result.outcome in ENDED))
        if todo:
            if prepared is None:
                with at_once():
                    device = device_of(options, file.experiment)
                    prepared = prepare(file, directory, observe, threads=options.threads, sets=options.sets)
                continue  # now that the protocols are known, some runs may turn out to be complete
            checks = checks or NetworkChecks(file.experiment.data.channels, prepared.own_code)
            with at_once():
                require_precisions(device, _trained(todo, options))
                checks.tell(_trained(todo, options), observe)
            images = _images_by_extractor(file)
            assignments = [_assignment(file, options, prepared, device, run, images) for run in todo]
            for assignment in assignments:
                expected = cost(assignment.hyperparameters) * assignment.training.steps
                observe(Event("queued", assignment.name, steps=assignment.training.steps, cost=expected))
            executor = executor_of(options, file.experiment, device, prepared.manifest.threads, len(todo))
            results |= executor.run(assignments, observe, stop, save)
            if options.submit:
                break
            continue
        if lacks_real_images(view, options) and not looked_for_images:
            looked_for_images = True
            with at_once():
                _add_real_images(file, options, observe)
        elsewhere = [run for run in view.runs if run.run.key in options.keys and run.status.state == "running"]
        if not elsewhere:
            break
        if options.submit:
            observe(Event("note", text=f"worked on already: {', '.join(run.run.name for run in elsewhere)}"))
            break
        if not options.wait:
            return Summary(results, tuple(run.run.name for run in elsewhere))
        observe(Event("elsewhere", text=", ".join(run.run.name for run in elsewhere)))
        time.sleep(WAIT_S)
    return Summary(results)


def _add_real_images(file: ExperimentFile, options: RunOptions, observe: Observer) -> None:
    """Makes the grids of real images of an experiment that lacks nothing else; told where the data are gone."""
    directory = experiment_directory(options.runs_dir, file.experiment.name)
    try:
        prepare(file, directory, observe, threads=options.threads, sets=options.sets)
    except DataError as error:
        observe(Event("note", text=f"no real images can be shown beside generated ones: {error}"))


def _trained(todo: Iterable[RunView], options: RunOptions) -> list[Cell]:
    """The cells of runs that are not at their last step yet."""
    if options.work == "evaluate":
        return []
    return [view.run.cell for view in todo if view.status.step < view.run.cell.training.steps]


def _assignment(
    file: ExperimentFile,
    options: RunOptions,
    prepared: Prepared,
    device: str,
    view: RunView,
    images: Mapping[str, int],
) -> Assignment:
    experiment, run = file.experiment, view.run
    directory = experiment_directory(options.runs_dir, experiment.name)
    hp = run.cell.hyperparameters
    protocols = block_protocols(experiment, prepared.manifest, hp.batch_size)
    return Assignment(
        directory=view.directory or directory.new_run(run.cell.name, run.seed, run.key),
        work=options.work,
        retry=run.key in options.retry,
        experiment=experiment.name,
        cell=run.cell.name,
        seed=run.seed,
        key=run.key,
        hyperparameters=hp,
        data=experiment.data,
        data_sha256=prepared.data_sha256,
        training=run.cell.training,
        own_code=OwnCode(prepared.own_code.files),  # a new one: no run sees what another left in the user's modules
        sources=file.plan.source_hashes,
        evaluations=tuple(
            EvaluationAssignment(
                settings,
                protocol,
                prepared.images[protocol.resolution],
                images=images[weights_key(settings)],
            )
            for settings, protocol in zip(experiment.evaluation, protocols, strict=True)
            if protocol is not None
        ),
        samples=experiment.report.samples,
        images=prepared.images[hp.resolution],
        cache=directory.cache,
        device=device,
        threads=prepared.manifest.threads,
        pictures=asked_pictures(experiment.report, asked_class_sheet(experiment, protocols)),
    )


def _images_by_extractor(file: ExperimentFile) -> Counter[str]:
    """Generated images that the whole experiment is measured on, by `weights_key`: of the file alone, done or not.

    What an extractor's loading has to pay off for, and so the same for all workers and at every resumption.
    """
    images: Counter[str] = Counter()
    for settings in file.experiment.evaluation:
        for run in file.plan.runs:
            checkpoints = len(settings.steps_measured(run.cell.training))
            images[weights_key(settings)] += checkpoints * settings.repeats * settings.samples
    return images
