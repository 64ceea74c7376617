"""Slurm: its programs, its controller, and whether the file's partition takes what the file asks for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from harness.cli.doctor_request import Request
from harness.cli.doctor_versions import installed_version
from harness.design.experiment import Experiment
from harness.execution.programs import ask
from harness.store.checkup import Finding, FindingState

PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel")
ANSWER_SECONDS = 8.0
_FORMAT = "%P|%a|%l|%c|%m|%G"
_INSTALL = '`pip install "gan-ablation-harness[slurm]"`'


@dataclass(frozen=True)
class Partition:
    """Nodes of one kind in a partition.

    minutes: time limit of a job, None where there is none; cpus, memory_mb: of a node, None where nodes differ.
    """

    name: str
    is_default: bool
    is_up: bool
    minutes: float | None
    cpus: int | None
    memory_mb: int | None
    gres: str


def slurm(request: Request) -> Iterator[Finding]:
    """What `--executor slurm` needs; a problem only where it is asked for."""
    wanted: FindingState = "problem" if request.wants_slurm else "note"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if len(missing) == len(PROGRAMS):
        yield Finding(
            "slurm",
            wanted,
            "no Slurm here: sbatch is not on the PATH",
            "Work on a login node of the cluster, where sbatch is (module load slurm on some).",
        )
        return
    if missing:
        yield Finding("slurm", wanted, f"not on the PATH: {', '.join(missing)}", "Install Slurm's client programs.")
    version = installed_version("submitit")
    if version is None:
        yield Finding("slurm", wanted, "submitit is not installed, and --executor slurm needs it", _INSTALL)
    else:
        yield Finding("slurm", "ok", f"submitit {version}")
    if "scontrol" not in missing:
        controller = _controller(wanted)
        yield controller
        if controller.state == "ok":
            yield from _partitions(request.experiment, wanted)


def _controller(wanted: FindingState) -> Finding:
    answer = ask(["scontrol", "ping"], ANSWER_SECONDS)
    remedy = "`scontrol ping` says more; the cluster's administrators know whether its controller is up."
    if answer.code is None:
        return Finding("slurm", wanted, f"the controller gives no answer within {ANSWER_SECONDS:.0f} s", remedy)
    if not answer.is_good or " UP" not in answer.out:
        return Finding("slurm", wanted, f"the controller does not answer: {answer.reason}", remedy)
    return Finding("slurm", "ok", f"the controller answers: {answer.out.strip().splitlines()[0]}")


def _partitions(experiment: Experiment | None, wanted: FindingState) -> Iterator[Finding]:
    answer = ask(["sinfo", "--noheader", f"--format={_FORMAT}"], ANSWER_SECONDS)
    if not answer.is_good:
        reason = f"nothing within {ANSWER_SECONDS:.0f} s" if answer.code is None else answer.reason
        yield Finding("slurm", "note", f"sinfo does not tell the partitions: {reason}", "Try sinfo by hand.")
        return
    found = [partition for line in answer.out.splitlines() if (partition := _partition(line))]
    names = list(dict.fromkeys(partition.name for partition in found))
    yield Finding("slurm", "ok", f"partitions: {', '.join(names) or 'none'}")
    if experiment is not None:
        yield from _against_file(experiment, found, names, wanted)


def _against_file(
    experiment: Experiment, found: list[Partition], names: list[str], wanted: FindingState
) -> Iterator[Finding]:
    asked = experiment.slurm
    chosen = set(asked.partition.split(",")) if asked.partition else {part.name for part in found if part.is_default}
    if unknown := sorted(chosen - set(names)):
        yield Finding(
            "slurm",
            wanted,
            f"[slurm] partition = {asked.partition!r}: there is no partition {', '.join(unknown)}",
            f"There are: {', '.join(names) or 'none'}. Your account may also not see all of them.",
        )
        return
    nodes = [part for part in found if part.name in chosen]
    if not nodes:
        if not asked.partition:
            yield Finding(
                "slurm", wanted, "the cluster has no default partition", "Name one: [slurm] partition in the file."
            )
        return
    where = f"partition {', '.join(sorted(chosen))}"
    if not any(part.is_up for part in nodes):
        yield Finding("slurm", wanted, f"{where} takes no jobs now (down)", "Jobs would wait: choose another.")
    yield from _limits(experiment, nodes, where, wanted)


def _limits(experiment: Experiment, nodes: list[Partition], where: str, wanted: FindingState) -> Iterator[Finding]:
    asked, resources = experiment.slurm, experiment.resources
    allowed = [part.minutes for part in nodes]
    minutes = None if asked.time is None else minutes_of(asked.time)
    longest = None if None in allowed else max(limit for limit in allowed if limit is not None)
    if minutes is not None and longest is not None and minutes > longest:
        yield Finding(
            "slurm",
            wanted,
            f"[slurm] time = {asked.time!r} is more than {where} allows ({longest:g} minutes)",
            "Lower it: a job that reaches its limit is queued again and goes on.",
        )
    cpus = (resources.cpus or 1) * asked.runs_per_job
    largest = _largest([part.cpus for part in nodes])
    if largest is not None and cpus > largest:
        yield Finding(
            "slurm",
            wanted,
            f"a job takes {cpus} cores (cpus x runs_per_job), and no node of {where} has more than {largest}",
            "Lower [resources] cpus or [slurm] runs_per_job.",
        )
    memory = _largest([part.memory_mb for part in nodes])
    taken = None if resources.memory_gb is None else resources.memory_gb * asked.runs_per_job * 1024
    if memory is not None and taken is not None and taken > memory:
        yield Finding(
            "slurm",
            wanted,
            f"a job takes {taken / 1024:g} GiB, and no node of {where} has more than {memory / 1024:.0f}",
            "Lower [resources] memory_gb or [slurm] runs_per_job.",
        )
    wants_gpu = bool(resources.gpus) or (asked.gres or "").startswith("gpu")
    if wants_gpu and not any("gpu" in part.gres for part in nodes):
        yield Finding(
            "slurm", wanted, f"the file asks for a GPU, and {where} has none", "Name another: [slurm] partition."
        )


def minutes_of(text: str) -> float | None:
    """A time limit in minutes, from all forms that Slurm writes; None where it is no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        return None
    days, first, second, third = match.groups()
    if days is not None:
        return int(days) * 1440 + int(first) * 60 + int(second or 0) + int(third or 0) / 60
    if third is not None:
        return int(first) * 60 + int(second) + int(third) / 60
    return int(first) + int(second or 0) / 60


def _partition(line: str) -> Partition | None:
    parts = line.strip().split("|")
    if len(parts) != len(_FORMAT.split("|")):
        return None
    name, available, time, cpus, memory, gres = parts
    return Partition(
        name.rstrip("*"), name.endswith("*"), available == "up", minutes_of(time), _count(cpus), _count(memory), gres
    )


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _largest(counts: list[int | None]) -> int | None:
    """None where one is not known."""
    return None if None in counts else max((count for count in counts if count is not None), default=None)
