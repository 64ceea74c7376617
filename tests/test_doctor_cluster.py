"""Ray and Slurm: programs and ports that stand in for a cluster, and what is told of them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from doctor_parts import findings, program, request, the

from experiments import TINY, write_file
from harness.cli import doctor_ray
from harness.cli.doctor_slurm import minutes_of
from harness.store.checkup import Finding

SINFO = """\
short*|up|1:00:00|4|16000|(null)
long|up|infinite|64+|512000+|(null)
gpu|up|2-00:00:00|32|256000|gpu:a100:4
closed|down|1:00:00|4|16000|(null)
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with Slurm's programs, alone on the PATH."""
    tools = tmp_path / "tools"
    for name in ("sbatch", "squeue", "scancel"):
        program(tools, name, "")
    program(tools, "scontrol", "print('Slurmctld(primary) at head is UP')")
    program(tools, "sinfo", f"print({SINFO!r})")
    monkeypatch.setenv("PATH", str(tools))
    return tools


def slurm(folder: Path, *sets: str, executor: str = "slurm") -> list[Finding]:
    """Findings beside those of the machine alone."""
    path = write_file(folder, TINY)
    found = findings("slurm", request(folder, file=str(path), sets=sets, executor=executor))
    return [one for one in found if one.state != "ok" or one.topic != "slurm"]


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_takes_what_the_file_asks_for_is_no_problem(tmp_path: Path) -> None:
    assert [found.found for found in findings("slurm", request(tmp_path))][1:] == [
        "the controller answers: Slurmctld(primary) at head is UP",
        "partitions: short, long, gpu, closed",
    ]
    assert slurm(tmp_path) == []
    assert slurm(tmp_path, "slurm.partition=gpu", "slurm.gres=gpu:1", "slurm.time=24:00:00", "resources.cpus=32") == []
    assert slurm(tmp_path, "slurm.partition=long", "slurm.time=30-0", "resources.cpus=60") == []


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (("slurm.partition=none",), "there is no partition none"),
        (("slurm.partition=closed",), "partition closed takes no jobs now"),
        (("slurm.time='02:00:00'",), "'02:00:00' is more than partition short allows (60 minutes)"),
        (("slurm.time='61'",), "'61' is more than partition short allows (60 minutes)"),
        (("resources.cpus=3", "slurm.runs_per_job=2"), "a job takes 6 cores"),
        (("resources.memory_gb=8.0", "slurm.runs_per_job=2"), "a job takes 16 GiB, and no node"),
        (("resources.gpus=1.0",), "the file asks for a GPU, and partition short has none"),
    ],
)
def test_what_a_partition_does_not_take_is_told(tmp_path: Path, sets: tuple[str, ...], told: str) -> None:
    (found,) = slurm(tmp_path, *sets)
    assert told in found.found
    assert (found.state, bool(found.remedy)) == ("problem", True)
    (same,) = slurm(tmp_path, *sets, executor="local")
    assert (same.state, same.found) == ("note", found.found)


def test_a_controller_that_is_away_is_told(tmp_path: Path, cluster: Path) -> None:
    program(cluster, "scontrol", "print('Slurmctld(primary) at head is DOWN')")
    assert "at head is DOWN" in the("problem", findings("slurm", request(tmp_path, executor="slurm"))).found
    program(cluster, "scontrol", "sys.exit('slurm_load_ctl_conf error: Unable to contact slurm controller')")
    broken = the("note", findings("slurm", request(tmp_path)))
    assert "Unable to contact slurm controller" in broken.found
    (cluster / "scancel").unlink()
    assert any(
        found.found == "not on the PATH: scancel" for found in findings("slurm", request(tmp_path, executor="slurm"))
    )


def test_no_slurm_is_a_problem_only_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for executor, state in (("local", "note"), ("slurm", "problem")):
        (found,) = findings("slurm", request(tmp_path, executor=executor))
        assert (found.state, found.found) == (state, "no Slurm here: sbatch is not on the PATH")


def test_time_limits_are_read_as_slurm_reads_them() -> None:
    assert [minutes_of(text) for text in ("90", "1:30", "1:00:00", "2-0", "1-01:30", "1-00:00:30", "infinite")] == [
        90, 1.5, 60, 2880, 1530, 1440.5, None,
    ]  # fmt: skip


@pytest.fixture
def no_ray_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(doctor_ray, "STATUS_SECONDS", 1.0)


def ray(folder: Path, **asked: object) -> list[Finding]:
    return [found for found in findings("ray", request(folder, **asked)) if not found.found.startswith("Ray ")]


@pytest.mark.usefixtures("no_ray_settings")
def test_a_cluster_that_does_not_answer_is_a_problem_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ray(tmp_path) == []
    (own,) = ray(tmp_path, executor="ray")
    assert own.state == "ok"
    (dead,) = ray(tmp_path, ray_address="127.0.0.1:9")
    assert (dead.state, "127.0.0.1:9 (--ray-address) does not answer" in dead.found) == ("problem", True)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    (noted,) = ray(tmp_path)
    assert (noted.state, "(RAY_ADDRESS)" in noted.found) == ("note", True)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    (absent,) = ray(tmp_path)
    assert "no Ray cluster was started on this machine" in absent.found
    (wrong,) = ray(tmp_path, ray_address="head:port")
    assert (wrong.state, wrong.found) == ("problem", "--ray-address head:port is no address")


@pytest.mark.usefixtures("no_ray_settings")
def test_a_port_that_answers_is_told_and_found_by_auto(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(address)
        for asked in (address, "auto"):
            reached, silent = ray(tmp_path, ray_address=asked)
            assert (reached.state, reached.found) == ("ok", f"the cluster's port answers at {address}")
            assert (silent.state, "tells nothing of its nodes" in silent.found) == ("note", True)


@pytest.mark.usefixtures("no_ray_settings")
def test_a_token_that_is_asked_for_and_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    missing, _ = ray(tmp_path, ray_address="127.0.0.1:9")
    assert (missing.state, "RAY_AUTH_MODE=token, but no token" in missing.found) == ("problem", True)
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    missing, _ = ray(tmp_path, ray_address="127.0.0.1:9")
    assert f"names {file}, where no token can be read" in missing.found
    file.write_text("very-secret-token")
    there, _ = found = ray(tmp_path, ray_address="127.0.0.1:9")
    assert there.state == "ok"
    assert "very-secret-token" not in repr(found)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "very-secret-token")
    there, _ = found = ray(tmp_path, ray_address="127.0.0.1:9")
    assert there.state == "ok"
    assert "very-secret-token" not in repr(found)
