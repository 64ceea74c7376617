"""The benchmark of scale for real, with few runs: every side does its job, and every row has its figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def test_one_command_prints_overhead_per_run_beside_hydra_and_ray_tune(tmp_path: Path) -> None:
    sides = ["alone", "files", "mlflow", "ray", "hydra", "hydra-mlflow", "tune"]
    done = subprocess.run(
        [
            *(sys.executable, "benchmarks/scale.py", "--runs", "8", "--only", ",".join(sides)),
            *("--folder", str(tmp_path / "work"), "--json", str(tmp_path / "scale.json")),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "scale.json").read_text(encoding="utf-8"))
    assert [side["name"] for side in document["sides"]] == sides
    for side in document["sides"]:
        assert side["ms_a_run"] > 0 and side["whole"]["end_mb"] > 10, side
        assert side["what"] in done.stdout
    assert {command["name"] for command in document["commands"]} >= {"plan", "status", "report"}
    assert all(command["whole"]["seconds"] > 0 for command in document["commands"])
    assert document["folder"]["files"] > 8 * 8
    folders = {name: (tmp_path / "work" / f"{name}-8").rglob("metrics.jsonl") for name in sides}
    trained = {name: sum("mlartifacts" not in path.parts for path in found) for name, found in folders.items()}
    assert trained == dict.fromkeys(sides, 8)
