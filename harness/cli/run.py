"""Commands that work on runs: run and evaluate."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.closing import (
    Ending,
    Worked,
    bring_report,
    check_output,
    closing_text,
    idle_text,
    submitted_text,
)
from harness.cli.console import fail, say, show_json
from harness.cli.damage import find_damage
from harness.cli.documents import status_document
from harness.cli.executors import (
    Device,
    Executor,
    NoWait,
    RayAddress,
    StallTimeout,
    Submit,
    Threads,
    Workers,
    device_choice,
    executor_name,
    ray_address_of,
    require_slurm,
    stall_timeout_s,
)
from harness.cli.jobs import with_jobs
from harness.cli.live import LiveScreen
from harness.cli.options import (
    REPORTS,
    RUNS,
    File,
    Json,
    Only,
    RunsDir,
    SeedRange,
    Sets,
    TrackingUri,
    chosen_keys,
    find_cell,
    open_file,
    view_of,
)
from harness.cli.tracker import Tracker
from harness.design.experiment_file import ExperimentFile
from harness.errors import HarnessError
from harness.execution.events import Event
from harness.execution.interruption import Interruption
from harness.execution.options import RunOptions, lacks_real_images, open_runs
from harness.execution.spawning import start_loading
from harness.execution.threads import thread_count, threads_before
from harness.store.looks import Looks
from harness.store.presence import folder_gone
from harness.tracking.reader import ExperimentView


def run(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    executor: Executor = "local",
    workers: Workers = None,
    threads: Threads = None,
    device: Device = "auto",
    only: Only = None,
    seeds: SeedRange = None,
    retry: Annotated[
        list[str] | None, typer.Option("--retry", metavar="CELL", help="Try this cell's diverged runs again.")
    ] = None,
    tracking_uri: TrackingUri = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    no_wait: NoWait = False,
    stall_timeout: StallTimeout = None,
    ray_address: RayAddress = None,
    submit: Submit = False,
) -> None:
    """Do whatever is missing: train, evaluate, project into MLflow, report. Stopped, the same command goes on."""
    opened = open_file(file, sets)
    view = view_of(opened, runs_dir)
    retried = {find_cell(view, text, "--retry") for text in retry or ()}
    options = RunOptions(
        runs_dir=runs_dir,
        keys=chosen_keys(view, only, seeds),
        retry=frozenset(run.key for run in view.plan.runs if run.cell.name in retried),
        executor=executor_name(executor),
        workers=workers,
        threads=threads,
        device=device_choice(device),
        wait=not no_wait,
        sets=tuple(sets or ()),
        ray_address=ray_address_of(ray_address, executor),
        submit=require_slurm(submit, executor),
        stall_timeout_s=stall_timeout_s(stall_timeout, executor),
    )
    output = None if no_report or submit else REPORTS / opened.experiment.name
    ending = _work(opened, view, options, tracking_uri, output)
    if as_json:
        report = output / "report.md" if output and not ending.error else None
        document: dict[str, Any] = status_document(*with_jobs(view_of(opened, runs_dir)))
        show_json({**document, "report": str(report) if report and report.exists() else None})
    ending.leave()


def evaluate(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    executor: Executor = "local",
    workers: Workers = None,
    device: Device = "auto",
    only: Only = None,
    seeds: SeedRange = None,
    no_wait: NoWait = False,
    stall_timeout: StallTimeout = None,
    ray_address: RayAddress = None,
) -> None:
    """Do only the missing evaluations of checkpoints that exist; train nothing."""
    opened = open_file(file, sets)
    options = RunOptions(
        runs_dir=runs_dir,
        keys=chosen_keys(view_of(opened, runs_dir), only, seeds),
        work="evaluate",
        executor=executor_name(executor),
        workers=workers,
        device=device_choice(device),
        wait=not no_wait,
        sets=tuple(sets or ()),
        ray_address=ray_address_of(ray_address, executor),
        stall_timeout_s=stall_timeout_s(stall_timeout, executor),
    )
    ending = _work(opened, view_of(opened, runs_dir), options, "none", None)
    if as_json:
        show_json(status_document(*with_jobs(view_of(opened, runs_dir))))
    ending.leave()


def _work(
    file: ExperimentFile,
    view: ExperimentView,
    options: RunOptions,
    tracking_uri: str | None,
    output: Path | None,
) -> Ending:
    """Runs, reports, projects; returns how it ended. Does nothing, and says so, where nothing is missing."""
    tracker = Tracker.of("none" if options.submit else tracking_uri, options.runs_dir)
    worked = Worked()
    with Interruption() as interruption:
        with interruption.at_once():
            view = _with_protocols(file, view, options)
            options, warnings = find_damage(view, options)
            busy = any(run.status.state == "running" for run in view.runs if run.run.key in options.keys)
            waiting = open_runs(view, options)
            is_work = bool(waiting) or busy or lacks_real_images(view, options)
            started = time.monotonic()
            check_output(output)
            options = _loading(view, options) if waiting else options
        with LiveScreen(file.plan, options.runs_dir, output if is_work else None, interruption) as live:
            for warning in warnings:
                say(warning)
            if is_work:
                worked = _execute(file, options, tracker, interruption, live)
                if worked.code >= 128:
                    return Ending(worked.code)
                if options.submit:
                    say(submitted_text(file.path))
                    return Ending(worked.code)
                view = view_of(file, options.runs_dir, Looks())
                if not view.directory.root.is_dir():
                    fail(folder_gone(view.directory.root, "experiment"))
                    return Ending(1)
            with interruption.at_once():
                reported = bring_report(view, output)
            if reported.error:
                live.lose_report()
            elif reported.told:
                say(reported.told)
        with interruption.at_once():
            tracked = tracker.finish(view, None if reported.error else output)
    if waiting:
        say(closing_text(view, options, worked.failed, time.monotonic() - started))
    elif not is_work and (reported.error or (reported.was_current and tracked == "current")):
        say(idle_text(options, None if reported.error else output))
    return Ending(worked.code, reported.error)


def _with_protocols(file: ExperimentFile, view: ExperimentView, options: RunOptions) -> ExperimentView:
    """`view`, made anew where evaluations were put off that are possible now."""
    if all(block.available for block in view.blocks):
        return view
    from harness.execution.prepare import look_again

    look_again(file.experiment, view.directory)
    return view_of(file, options.runs_dir)


def _loading(view: ExperimentView, options: RunOptions) -> RunOptions:
    """Has torch loaded for the workers from now on, while this process loads it, too, and prepares."""
    if options.executor != "local":
        return options
    cpus = view.plan.experiment.resources.cpus
    threads = thread_count(options.threads, threads_before(view.manifest, view.directory), len(view.plan.runs), cpus)
    start_loading(threads)
    return replace(options, loading_for=threads)


def _execute(
    file: ExperimentFile, options: RunOptions, tracker: Tracker, interruption: Interruption, live: LiveScreen
) -> Worked:
    """Works. What the runs need going away in the middle is no reason to leave what they have done untold."""
    from harness.cli.display import display
    from harness.execution.runner import run_experiment

    looks, began = Looks(), False
    lost: HarnessError | None = None
    keys = {run.name: run.key for run in file.plan.runs}
    failed: dict[str, str] = {}

    def read() -> ExperimentView:
        return view_of(file, options.runs_dir, looks)

    with display(file.plan, tracker.note) as screen, tracker.background(read, interruption):

        def observe(event: Event) -> None:
            nonlocal began
            began = began or event.kind in ("progress", "measured", "finished")
            if event.kind == "finished" and event.outcome == "failed":
                failed[keys[event.run]] = event.text
            screen.observe(event)
            live.observe(event)

        try:
            summary = run_experiment(file, options, observe, interruption, interruption.at_once, interruption.save)
        except HarnessError as error:
            if interruption() or not began or options.submit:
                raise
            lost = error
            observe(Event("note", text=f"{error.what}; what is done is kept"))
    if lost is not None:
        live.lose_work()
        fail(lost)
        return Worked(1, failed)
    if interruption():
        say("stopped; the newest states count. The same command goes on from there.")
        return Worked(interruption.exit_code)
    failed = {key: result.reason for key, result in summary.results.items() if result.outcome == "failed"}
    if summary.held_elsewhere:
        say(f"another process holds: {', '.join(summary.held_elsewhere)}")
        return Worked(3, failed)
    return Worked(1 if failed else 0, failed)
