"""What sbatch is asked for, what squeue's lines mean, and errors where there is no Slurm. Starts no Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import TINY, harness, write_file
from harness.design.machine_settings import ResourceSettings, SlurmSettings
from harness.execution.slurm_queue import QueuedJob, job_name, parse_queue
from harness.execution.slurm_sbatch import refusal, sbatch_parameters, seconds_of, signal_s


def test_lines_of_the_queue() -> None:
    text = "12_0|RUNNING|None|node1\n12_1|PENDING|Resources|\n13|NODE_FAIL|NodeDown|node2\n\nnonsense\n"
    jobs = parse_queue(text)
    assert jobs == {
        "12_0": QueuedJob("12_0", "running", "", "node1"),
        "12_1": QueuedJob("12_1", "pending", "Resources"),
        "13": QueuedJob("13", "node_fail", "NodeDown", "node2"),
    }
    assert [job.is_alive for job in jobs.values()] == [True, True, False]
    assert parse_queue("7|COMPLETED|None|a\n7|PENDING|BeginTime|\n")["7"].is_pending  # queued again
    assert QueuedJob("7", "completing").is_alive  # its process may still write


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("5", 300),
        ("5:30", 330),
        ("04:00:00", 14400),
        ("1-00", 86400),
        ("2-03:04", 183840),
        ("1-00:00:01", 86401),
    ],
)
def test_time_limits_as_slurm_reads_them(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


def test_the_signal_comes_early_enough_and_never_at_the_beginning() -> None:
    assert [signal_s(time) for time in (None, "04:00:00", "2", "1")] == [90, 90, 30, 15]


def test_a_job_asks_for_what_its_runs_need_together() -> None:
    slurm = SlurmSettings(partition="gpu", time="04:00:00", runs_per_job=4, jobs_at_once=2, setup=("module load x",))
    parameters = sbatch_parameters("harness-a", slurm, ResourceSettings(cpus=2, gpus=0.25, memory_gb=1.5), 2, "cuda")
    assert parameters["cpus_per_task"] == 8
    assert parameters["mem"] == "6144M"
    assert parameters["gres"] == "gpu:1"
    assert parameters["array_parallelism"] == 2
    assert parameters["setup"] == ["trap '' USR1", "module load x"]
    assert parameters["additional_parameters"]["signal"] == "B:USR2@90"
    bare = sbatch_parameters("harness-a", SlurmSettings(), ResourceSettings(), 1, "cpu")
    assert {bare[name] for name in ("partition", "account", "time", "gres", "mem", "wckey")} == {None}


def test_a_refusal_names_the_key() -> None:
    words = (
        "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid partition"
    )
    error = refusal(words)
    assert error.where == "slurm.partition"
    assert error.what.startswith("Slurm takes no such job: invalid partition specified: x")
    assert refusal("sbatch: error: Invalid generic resource (gres) specification").where == "slurm.gres"
    assert refusal("sbatch: error: Memory specification can not be satisfied").where == "resources.memory_gb"
    assert refusal("sbatch: error: Unable to contact slurm controller").where == "Slurm"


def test_a_job_is_called_by_its_experiment() -> None:
    assert job_name("my ablation") == "harness-my-ablation"


def test_without_slurm_the_remedy_is_told(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY)
    done = harness("run", path.name, "--executor", "slurm", "--no-report", cwd=tmp_path, PATH="/nowhere")
    assert done.returncode == 2, done.stderr
    assert "there is no Slurm here: sbatch" in done.stderr and "--executor local" in done.stderr
    assert "Traceback" not in done.stderr
