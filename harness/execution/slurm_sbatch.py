"""What sbatch is asked for, from `[slurm]` and `[resources]`, and what its refusals mean in the file."""

from __future__ import annotations

import math
import re
from typing import Any

from harness.design.machine_settings import ResourceSettings, SlurmSettings
from harness.errors import HarnessError

SIGNAL_S = 90
"""How long before the end of a job's time its states are saved; less where the time is short."""
LEAST_SIGNAL_S = 15
MOST_JOBS = 1000
"""Jobs of one array: Slurm's own MaxArraySize, 1001, allows the index 1000."""

_SUBJECTS = (
    ("partition", "slurm.partition"),
    ("account", "slurm.account"),
    ("time", "slurm.time"),
    ("gres", "slurm.gres"),
    ("generic resource", "slurm.gres"),
    ("memory", "resources.memory_gb"),
    ("cpu", "resources.cpus"),
)
"""What sbatch's words speak of, and the key that asked for it."""


def sbatch_parameters(
    name: str, slurm: SlurmSettings, resources: ResourceSettings, threads: int, device: str
) -> dict[str, Any]:
    """As submitit's Slurm executor takes them; what is None is left to the cluster.

    name: of the jobs; threads: CPU threads of each run.
    """
    runs = slurm.runs_per_job
    gres = slurm.gres
    if gres is None and resources.gpus and device == "cuda":
        gres = f"gpu:{math.ceil(resources.gpus * runs)}"
    memory = resources.memory_gb
    return {
        "job_name": name,
        "partition": slurm.partition,
        "account": slurm.account,
        "time": slurm.time,
        "gres": gres,
        "cpus_per_task": max(threads, resources.cpus or 1) * runs,
        "mem": None if memory is None else f"{math.ceil(memory * 1024 * runs)}M",
        "setup": ["trap '' USR1", *slurm.setup],  # asked to save, a job that is still starting would end
        "array_parallelism": slurm.jobs_at_once or MOST_JOBS,
        "wckey": None,
        # One process, the batch shell's own: no srun, which would not hand over the CPUs, and shields from signals.
        "use_srun": False,
        "additional_parameters": {"requeue": True, "ntasks": 1, "signal": f"B:USR2@{signal_s(slurm.time)}"},
    }


def signal_s(time: str | None) -> int:
    """Seconds before a job's end at which it is told: at most a quarter of its time."""
    limit = None if time is None else seconds_of(time)
    return SIGNAL_S if limit is None else max(LEAST_SIGNAL_S, min(SIGNAL_S, limit // 4))


def seconds_of(time: str) -> int:
    """A time limit in seconds: MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS[:MINUTES[:SECONDS]]."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, (minutes, seconds) = 0, [*parts, 0][:2]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def refusal(words: str) -> HarnessError:
    """The error for what sbatch said; where: the key of the file that it speaks of, as far as its words tell."""
    lines = [re.sub(r"^sbatch: (error|fatal): ", "", line.strip()) for line in words.splitlines() if line.strip()]
    text = "; ".join(dict.fromkeys(lines)) or "sbatch refused, and said nothing"
    where = next((key for word, key in _SUBJECTS if word in text.lower()), "Slurm")
    return HarnessError(
        f"Slurm takes no such job: {text}",
        where=where,
        remedy="`sinfo` shows partitions and their limits; see docs/slurm.md for the keys.",
    )
