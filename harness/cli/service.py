"""Commands around the runs: fetch, ui, prune."""

from __future__ import annotations

import socket
import subprocess
from typing import Annotated

import psutil
import typer

from harness.cli.console import columns, say, show, show_json
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, TrackingUri, open_file, own_code_of, view_of
from harness.design.own_parts import is_own
from harness.errors import HarnessError, WeightsError
from harness.execution.interruption import Interruption
from harness.store.pruning import find_leftovers, remove_run
from harness.store.rundir import experiment_directory

SERVER_CLOSES_S = 10.0
"""How long MLflow's server may take to end after Ctrl-C."""


def fetch(file: File, sets: Sets = None, runs_dir: RunsDir = RUNS, as_json: Json = False) -> None:
    """Bring the data set and the extractors' weights here, once, with their checksums."""
    from harness.data.own_images import own_images
    from harness.data.sources import content_sha256
    from harness.data.sources import fetch as fetch_data
    from harness.evaluation.extractor_weights import weights_file, weights_sha256

    opened = open_file(file, sets)
    experiment = opened.experiment
    fetch_data(experiment.data)
    own = own_images(experiment.data, own_code_of(opened.plan)) if is_own(experiment.data.source) else None
    found = [
        {
            "what": experiment.data.source,
            "where": experiment.data.root,
            "sha256": content_sha256(experiment.data, own),
        }
    ]
    for settings in experiment.evaluation:
        try:
            digest = weights_sha256(settings)
        except WeightsError:
            if settings.required:
                raise
            say(f"{settings.extractor_name}: no weights; its evaluation is not required and will be left out")
            continue
        found.append({"what": settings.extractor_name, "where": str(weights_file(settings)), "sha256": digest})
    if as_json:
        show_json(found)
    else:
        show(
            columns(
                [
                    ["what", "where", "SHA-256"],
                    *([item["what"], item["where"], item["sha256"]] for item in found),
                ]
            )
        )


def ui(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    tracking_uri: TrackingUri = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open MLflow's page on the projected runs."""
    from harness.tracking.probes import check_database
    from harness.tracking.stores import resolve_address
    from harness.tracking.ui import comparison_page, ui_command

    view = view_of(open_file(file, sets), runs_dir)
    if tracking_uri == "none":
        raise HarnessError("there is no page without a store", where="--tracking-uri none")
    address = resolve_address(tracking_uri, runs_dir)
    command, page = ui_command(address, port), comparison_page(view, address)
    if as_json:
        show_json({"address": address.shown, "command": command, "page": page})
        return
    if not command:
        say(f"MLflow's page: {address.shown}{page}")
        return
    _check_port(port)
    check_database(address)
    say(f"MLflow's page, in some seconds (Ctrl-C ends it): http://127.0.0.1:{port}{page}")
    raise typer.Exit(_serve(command))


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise HarnessError(
                f"port {port} cannot be used: {error.strerror}",
                where="--port",
                remedy=f"Try --port {port % 65535 + 1}.",
            ) from error


def _serve(command: list[str]) -> int:
    """Runs MLflow's server until it ends or this command is asked to; its own children end with it."""
    with Interruption() as interruption, subprocess.Popen(command) as server:
        children: list[psutil.Process] = []
        try:
            with interruption.at_once():
                return server.wait()
        finally:
            if server.poll() is None:
                children = psutil.Process(server.pid).children(recursive=True)
                server.terminate()
            try:
                server.wait(timeout=SERVER_CLOSES_S)
            except subprocess.TimeoutExpired:
                server.kill()
            for child in psutil.wait_procs(children, timeout=2.0)[1]:
                child.kill()


def prune(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only listed.")] = False,
) -> None:
    """Remove run folders that the file no longer names (lists them first)."""
    plan = open_file(file, sets).plan
    directory = experiment_directory(runs_dir, plan.experiment.name)
    left = find_leftovers(directory, plan.experiment.name, {run.key for run in plan.runs})
    removed: list[str] = []
    kept = [str(folder) for folder in left.foreign]
    for folder in left.foreign:
        say(f"not a run, kept: {folder}")
    for run in left.runs:
        if yes and not remove_run(run):
            say(f"in use, kept: {run.root}")
            kept.append(str(run.root))
        else:
            removed.append(str(run.root))
    if as_json:
        show_json({"removed" if yes else "would_remove": removed, "kept": kept})
        return
    for path in removed:
        show(path)
    say(
        f"{len(removed)} run folders "
        + ("removed" if yes else "would be removed; add --yes" if removed else "to remove")
    )
