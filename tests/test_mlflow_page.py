"""MLflow's own page on a projected experiment, in a headless Chromium, at the address that `harness ui` prints."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import chromium
from PIL import Image
from services import require_program
from tracking_data import Laboratory, children, database

from harness.store import atomic
from harness.store.records import append_record
from harness.tracking.projection import project_and_finish
from harness.tracking.stores import StoreAddress, resolve_address
from harness.tracking.ui import comparison_page, ui_command

pytestmark = pytest.mark.services
pytest_plugins = ["tracking_fixtures"]

STARTS_WITHIN_S = 180.0
PATIENCE_S = 180.0


@contextmanager
def served(address: StoreAddress, folder: Path) -> Iterator[str]:
    """The address of MLflow's page, served as `harness ui` serves it, for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ui_command(address, port), cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            end = time.monotonic() + STARTS_WITHIN_S
            while not _is_healthy(root):
                assert process.poll() is None and time.monotonic() < end, (folder / "server.log").read_text()[-2000:]
                time.sleep(0.5)
            yield root
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_healthy(root: str) -> bool:
    try:
        with urllib.request.urlopen(f"{root}/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def finished_experiment(lab: Laboratory) -> None:
    """Two cells with two seeds, with pictures and samples of their processes."""
    lab.complete(0, 1, 2, 3)
    for index, view in enumerate(lab.view().runs):
        for step in view.checkpoints():
            content = io.BytesIO()
            Image.new("L", (64, 64), color=20 * index + step).save(content, "PNG")
            atomic.write_bytes(lab.directory(index).samples(step), content.getvalue())
        for number in range(3):
            sample = {"step": number, "time": lab.clock + number, "system/process_memory_megabytes": 100.0 + number}
            append_record(lab.directory(index).system, sample)


@pytest.mark.timeout(900)
def test_the_page_shows_everything_with_no_set_up(lab: Laboratory, address: StoreAddress, tmp_path: Path) -> None:
    program = require_program("chromium", "chromium-browser", "google-chrome")
    finished_experiment(lab)
    project_and_finish(lab.view(), address, None)
    run = children(database(lab))[lab.plan.runs[2].key]
    with served(address, tmp_path) as root, chromium(program) as page:
        page.open(f"{root}{comparison_page(lab.view(), address)}")
        page.wait_for_text("Comparison", "Parallel Coordinates", timeout_s=PATIENCE_S)
        page.wait_for_text(*(view.run.cell.name + f" seed {view.run.seed}" for view in lab.view().runs))
        page.wait_for("document.querySelectorAll('.parcoords').length > 0", PATIENCE_S)
        page.wait_for_text("latent_dim", "eval/fid.digits", "4 matching runs")
        images = "[...document.querySelectorAll('img')].filter(i => i.src.includes('step%2B40') && i.naturalWidth)"
        page.wait_for(f"{images}.length == 4", PATIENCE_S)
        assert "Error" not in page.text()

        here = f"{root}/#/experiments/{experiment_id(lab)}/runs/{run.run_id}"
        page.open(here)
        page.wait_for_text("latent_dim=7 seed 0", "digits train", "system/process_memory_megabytes")
        page.open(f"{here}/system-metrics")
        page.wait_for_text("System metrics", "process_memory_megabytes")
        page.open(f"{here}/model-metrics")
        page.wait_for_text("fid.digits", "Model metrics")
        assert page.errors == []


def experiment_id(lab: Laboratory) -> str:
    """MLflow's, as its page's address has it."""
    page = comparison_page(lab.view(), resolve_address(None, lab.runs_dir))
    return page.split("/")[3]
