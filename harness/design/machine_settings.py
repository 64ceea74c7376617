"""What an experiment file says of machines: `[resources]` of one run, and `[slurm]`. None of it is in a run's key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.design.settings import Count, Model

SlurmText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.,:=/@+*&|\[\]-]+$")]
"""A value as sbatch takes it: one word."""

SlurmTime = Annotated[str, Field(pattern=r"^(\d{1,3}-)?\d{1,4}(:\d{2}){0,2}$")]
"""A time limit as sbatch takes it: MINUTES, HOURS:MINUTES:SECONDS, DAYS-HOURS, ..."""

SetupLine = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\n\r\x00]+$")]


class ResourceSettings(Model):
    """What one run takes of a machine."""

    cpus: Count | None = Field(
        None, description="CPU cores of one run, and its threads at the experiment's first run; default: 1"
    )
    gpus: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] | None = Field(
        None,
        description="share of a GPU that one run reserves on a cluster: at 0.25, four share one; default: none",
    )
    memory_gb: Annotated[float, Field(gt=0.0, le=1e5, allow_inf_nan=False)] | None = Field(
        None, description="GiB of memory that one run reserves on a cluster; default: the cluster's"
    )
    runs_per_gpu: Annotated[int, Field(strict=True, ge=1, le=64)] | None = Field(
        None,
        description="runs side by side on each GPU of this machine; default: as a short probe finds room",
    )


class SlurmSettings(Model):
    """What `--executor slurm` asks Slurm for, for each job."""

    partition: SlurmText | None = Field(None, description="partition; default: the cluster's")
    account: SlurmText | None = Field(None, description="account that is charged; default: the user's")
    time: SlurmTime | None = Field(
        None, description='time limit of a job, such as "04:00:00"; at its end the job is queued again and goes on'
    )
    gres: SlurmText | None = Field(None, description='generic resources of a job, such as "gpu:1"')
    runs_per_job: Annotated[int, Field(strict=True, ge=1, le=64)] = Field(
        1, description="runs that one job trains side by side"
    )
    jobs_at_once: Count | None = Field(
        None, description="jobs of one submission (at most 1000) that may run at once; default: no limit"
    )
    setup: Annotated[tuple[SetupLine, ...], Field(max_length=50)] = Field(
        (), description='shell lines before each job starts, such as "module load python"'
    )
