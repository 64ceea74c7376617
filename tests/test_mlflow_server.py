"""A real `mlflow server`, started with the very flags of docker-compose.yml, and a run projected into it over HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tracking_data import Laboratory

from harness.store import atomic
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import resolve_address

COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
STARTS_WITHIN_S = 90.0


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def server_flags(replaced: dict[str, str]) -> list[str]:
    """The server's arguments as the file has them, with other values for the flags in `replaced`."""
    command = list(services()["mlflow"]["command"])
    assert command[:2] == ["mlflow", "server"]
    for flag, value in replaced.items():
        command[command.index(flag) + 1] = value
    return command[2:]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server that is ended, with all its processes, whatever happens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = server_flags(
        {
            "--backend-store-uri": f"sqlite:///{tmp_path}/server.db",
            "--artifacts-destination": str(tmp_path / "artifacts"),
            "--host": "127.0.0.1",
            "--port": str(port),
        }
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= services()["mlflow"]["environment"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *flags],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", process, tmp_path / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.2)
    pytest.fail(f"the server did not come up:\n{log.read_text(errors='replace')[-2000:]}")


def test_a_run_goes_to_a_server_once_with_its_files(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lab = Laboratory(tmp_path / "runs")
    lab.complete(0, 1)
    report = tmp_path / "report"
    report.mkdir()
    for name in ("report.md", "old.csv"):
        (report / name).write_text("a,b", encoding="utf-8")
    atomic.write_json(report / "report.json", {"files": {"report.md": "", "old.csv": ""}})
    address = resolve_address(server, lab.runs_dir)
    done = project(lab.view(), address)
    assert (done.changed, done.rebuilt) == (2, 0)
    finish(lab.view(), address, report)
    assert is_up_to_date(lab.view(), address, report)
    for cursor in lab.directory(1).root.rglob("tracking/*.json"):
        cursor.unlink()  # makes the second run anew
    (report / "old.csv").unlink()
    atomic.write_json(report / "report.json", {"files": {"report.md": ""}})
    assert project(lab.view(), address).rebuilt == 1
    finish(lab.view(), address, report)
    assert capfd.readouterr() == ("", "")
    with connected(address) as client:
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        by_key = {run.data.tags.get("harness.key"): run for run in runs}
        assert len(runs) == len(by_key) == 3
        assert {run.info.status for run in runs} == {"FINISHED"}
        for index in (0, 1):
            run = by_key[lab.plan.runs[index].key]
            history = [point for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name)]
            assert set(Counter((point.key, point.step) for point in history).values()) == {1}
            values = {(point.key, point.step): point.value for point in history}
            assert values == pytest.approx(lab.expected_points(index))
        child, parent = by_key[lab.plan.runs[0].key], by_key[None]
        records = Path(client.download_artifacts(child.info.run_id, "metrics.jsonl", str(tmp_path)))
        shared = [file.path for file in client.list_artifacts(parent.info.run_id, "report")]
        assert sorted(shared) == ["report/report.json", "report/report.md"]
        models = client.search_logged_models([experiment.experiment_id])
        assert {model.source_run_id for model in models} == {by_key[run.key].info.run_id for run in lab.plan.runs[:2]}
        assert child.outputs is not None and len(child.outputs.model_outputs) == 1
    commit = lab.view().runs[0].status.commit
    assert commit is not None
    assert records.read_bytes() == lab.directory(0).metrics.read_bytes()[: commit.metrics_offset]


def test_the_file_binds_to_this_machine_and_has_no_password() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    for service in services().values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["healthcheck"]["test"]
    assert services()["database"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert set(re.findall(r"\$\{(\w+)(\W+)", text)) == {("POSTGRES_PASSWORD", ":?")}
    flags = server_flags({})
    assert flags[flags.index("--backend-store-uri") + 1].startswith("postgresql+psycopg://")
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", services()["database"]["image"])
    recipe = services()["mlflow"]["build"]["dockerfile_inline"]
    assert re.search(r'FROM python:\d+\.\d+\.\d+-\S+\nRUN pip install --no-cache-dir "mlflow==[\d.]+"', recipe)
