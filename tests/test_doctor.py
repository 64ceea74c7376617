"""`harness doctor` as a whole: exit codes, documents, and that nothing makes it hang."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from doctor_parts import PATIENT, doctor, first_on_path, hanging, is_alive, program, request

from experiments import harness, write_file
from harness.cli.doctor import FACTS, page, summary, together
from harness.cli.doctor_processes import look
from harness.cli.doctor_topics import UNFORESEEN
from harness.execution.devices import available_cores
from harness.store.checkup import Fact, Finding

UNTIL_S = 120.0


def test_a_file_that_can_be_run_is_no_problem(tmp_path: Path) -> None:
    code, document = doctor(tmp_path, str(write_file(tmp_path)), *PATIENT, HARNESS_CACHE_DIR=str(tmp_path))
    found = document["findings"]
    assert [one for one in found if one["state"] == "problem"] == []
    assert code == 0
    assert set(FACTS) < set(document)
    assert all(document[name] for name in FACTS)
    topics = [one["topic"] for one in found]
    assert {"versions", "devices", "machine", "disk", "ray", "slurm", "tracking", "data", "weights", "networks",
            "fonts"} <= set(topics)  # fmt: skip
    assert topics == sorted(topics, key=topics.index), "findings on one topic stand together"
    assert all(one["remedy"] for one in found if one["state"] != "ok")
    assert not (tmp_path / "runs").exists(), "looking makes nothing"
    assert not list(tmp_path.glob(".harness-doctor-*"))


def test_a_file_that_cannot_be_read_is_told_as_by_every_command(tmp_path: Path) -> None:
    path = write_file(tmp_path, 'name = "tiny"\n[baseline]\nlatent = 3\n')
    done = harness("doctor", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "tiny.toml:3: baseline.latent" in done.stderr
    done = harness("doctor", "--set", "seeds=[0]", cwd=tmp_path)
    assert (done.returncode, "--set" in done.stderr) == (2, True)
    assert harness("doctor", "--executor", "cloud", cwd=tmp_path).returncode == 2


def test_what_hangs_is_told_and_ended_and_hides_nothing_else(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    program(tools, "sbatch", "")
    notes = [hanging(tools, name) for name in ("nvidia-smi", "scontrol")]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code, document = doctor(
            tmp_path, *PATIENT, "--executor", "slurm", "--tracking-uri", f"http://127.0.0.1:{port}",
            PATH=first_on_path(tools),
        )  # fmt: skip
    assert code == 1
    problems = {one["topic"]: one for one in document["findings"] if one["state"] == "problem"}
    assert set(problems) == {"devices", "slurm", "tracking"}
    assert "no answer within" in problems["devices"]["found"]
    assert "no answer within" in problems["slurm"]["found"]
    assert "nothing within" in problems["tracking"]["found"]
    assert all(one["remedy"] for one in problems.values())
    assert {"versions", "machine", "disk", "weights", "fonts"} <= {
        one["topic"] for one in document["findings"] if one["state"] == "ok"
    }
    assert [note for note in notes if is_alive(note)] == []


def test_a_check_has_no_more_time_than_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    note = hanging(tools, "nvidia-smi")
    monkeypatch.setenv("PATH", first_on_path(tools))
    (late,) = look(("devices",), request(tmp_path), 4.0)
    assert isinstance(late, Finding)
    assert (late.topic, late.state, late.found) == ("devices", "problem", "no answer within 4 s")
    assert "--time-limit 16" in late.remedy
    assert not note.exists() or not is_alive(note)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_with_all_that_it_started(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    note = hanging(tools, "nvidia-smi")
    command = [sys.executable, "-m", "harness", "doctor", *PATIENT]
    environment = {**os.environ, "PATH": first_on_path(tools)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: note.exists() and note.read_text() != "")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=UNTIL_S)
    assert process.returncode == 130
    assert "Traceback" not in err
    wait_for(lambda: not is_alive(note))


def test_a_check_that_dies_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "tools", "nvidia-smi", "import signal; os.kill(os.getppid(), signal.SIGKILL)")
    monkeypatch.setenv("PATH", first_on_path(tmp_path / "tools"))
    *others, dead = look(("machine", "devices"), request(tmp_path), 100.0)
    assert dead == Finding("devices", "problem", "this check ended with signal 9 before it had an answer", UNFORESEEN)
    assert Fact("cores", str(available_cores())) in others


def test_the_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom harness.cli.app import app\napp(['doctor', '--help'], standalone_mode=False)\n"
        "print(*({'torch', 'mlflow', 'pandas', 'ray', 'submitit', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "each finding with its" in done.stdout
    assert done.stderr.strip() == ""


def test_a_remedy_stands_below_its_finding() -> None:
    found = [
        Finding("disk", "ok", "room"),
        Finding("tracking", "problem", "away", "Start it."),
        Finding("disk", "note", "slow", "Wait."),
    ]
    assert page(together(found)).splitlines() == [
        "disk      ok       room",
        "disk      note     slow",
        "            Wait.",
        "tracking  problem  away",
        "            Start it.",
    ]
    assert summary(found) == "1 problem, 1 note"
    assert summary(found[:1]) == "nothing to remark"


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + UNTIL_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)
