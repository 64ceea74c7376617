"""The Slurm executor: runs become jobs of arrays, handed over through submitit.

Whoever calls again, from anywhere that sees the runs, finds the jobs by their records and by Slurm's queue.
"""

from __future__ import annotations

import io
import pickle
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from typing import Any

from harness.design.experiment import Experiment
from harness.errors import HarnessError, StoreError
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.events import Event, Observer
from harness.execution.interruption import signals_blocked
from harness.execution.options import RunOptions
from harness.execution.slurm_following import Following, Handed, forget_gone
from harness.execution.slurm_job import JobTask, versions, work
from harness.execution.slurm_queue import ORDER_TIMEOUT_S, QueuedJob, cancel, job_name, look_at_queue
from harness.execution.slurm_sbatch import MOST_JOBS, refusal, sbatch_parameters
from harness.store import atomic
from harness.store.jobs import read_job_report, read_jobs, record_submission
from harness.store.locks import held
from harness.store.rundir import ExperimentDirectory

OTHERS_SUBMIT_S = 300.0
"""How long another command may take to submit."""
MOST_SHOWN = 8
"""Job ids on one line."""

_UNSUBMITTED = re.compile(r"\.submission_file_[0-9a-f]{32}\.sh|[0-9a-f]{32}\.pkl")
"""Once Slurm has a job, its number is in the names of its files."""


class SlurmExecutor:
    """Jobs as `[slurm]` and `[resources]` of the experiment ask for them, for runs under `directory`.

    HarnessError where submitit, or Slurm, is not installed here.
    """

    def __init__(
        self, options: RunOptions, experiment: Experiment, directory: ExperimentDirectory, device: str, threads: int
    ) -> None:
        _require_slurm()
        if "%" in str(directory.root):
            raise HarnessError(
                "Slurm takes % in the path of a log for a placeholder",
                where=str(directory.root),
                remedy="Choose a folder without it, with --runs-dir.",
            )
        self._options = options
        self._experiment = experiment
        self._directory = directory
        self._name = job_name(experiment.name)
        self._device = device
        self._threads = threads
        self._parameters = sbatch_parameters(self._name, experiment.slurm, experiment.resources, threads, device)

    def run(
        self,
        assignments: Sequence[Assignment],
        observe: Observer,
        stop: Callable[[], bool],
        save: Callable[[], bool] = lambda: False,
    ) -> dict[str, WorkResult]:
        """Hands over every run that has no living job, and waits for all; with `--submit` it returns at once, empty.

        A run whose job is gone is handed over again; failed after two jobs without progress. When `stop` says yes, the
        jobs that this call submitted save their states and end; those of others go on.
        """

        def hand_over(open_runs: Sequence[Assignment]) -> Handed:
            return self._hand_over(open_runs, observe)

        handed = hand_over(assignments)
        if self._options.submit:
            return {}
        following = Following(self._directory, observe, hand_over)
        following.follow(assignments, handed)
        following.wait(stop, save)
        return following.results

    def _hand_over(self, assignments: Sequence[Assignment], observe: Observer) -> Handed:
        """Under the lock of all who submit, so that no run gets two jobs."""
        atomic.make_folder(self._directory.jobs_lock.parent)
        with held(self._directory.jobs_lock, timeout_s=OTHERS_SUBMIT_S) as mine:
            if not mine:
                raise StoreError("another command keeps submitting jobs", where=str(self._directory.jobs_lock))
            queue = look_at_queue(self._directory.root.name, ORDER_TIMEOUT_S)
            forget_gone(self._directory, queue)
            living = self._living(assignments, queue)
            if living:
                jobs = _listed(sorted(set(living.values())))
                observe(Event("note", text=f"{len(living)} runs have jobs already: {jobs}"))
            lacking = [assignment for assignment in assignments if assignment.key not in living]
            submitted = self._submit(lacking, observe)
        return Handed(living | submitted, frozenset(submitted.values()))

    def _living(self, assignments: Sequence[Assignment], queue: Mapping[str, QueuedJob]) -> dict[str, str]:
        """Jobs by key of the runs that are in the hands of one that is not over."""
        known = read_jobs(self._directory)
        living = {}
        for assignment in assignments:
            job = known.get(assignment.key)
            if job is None or not (found := queue.get(job)) or not found.is_alive:
                continue
            report = read_job_report(self._directory, job)
            result = report.result_of(assignment.key) if report else None
            if result is None or result.outcome == "interrupted":
                living[assignment.key] = job
        return living

    def _submit(self, assignments: Sequence[Assignment], observe: Observer) -> dict[str, str]:
        """Jobs by key, recorded array by array; HarnessError with sbatch's words."""
        size = self._experiment.slurm.runs_per_job
        groups = [tuple(assignments[start : start + size]) for start in range(0, len(assignments), size)]
        jobs: dict[str, str] = {}
        for start in range(0, len(groups), MOST_JOBS):
            part = groups[start : start + MOST_JOBS]
            with signals_blocked(also_interrupts=True):  # no job without its record
                ids = self._submit_array(part)
                keys = {job: [assignment.key for assignment in group] for job, group in zip(ids, part, strict=True)}
                try:
                    record_submission(self._directory, keys)
                except StoreError:
                    cancel(ids)
                    raise
            jobs |= {key: job for job, found in keys.items() for key in found}
            observe(Event("note", text=f"submitted {len(ids)} jobs: {_listed(ids)}"))
        return jobs

    def _submit_array(self, groups: Sequence[tuple[Assignment, ...]]) -> list[str]:
        from submitit import SlurmExecutor as Submitter
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        none: frozenset[str] = frozenset()  # keys of all runs in the payload of each would grow with their square
        options = replace(self._options, executor="local", submit=False, keys=none, retry=none, damaged=none)
        tasks = [JobTask(group, options, self._experiment, self._device, self._threads) for group in groups]
        payloads = [pickle.dumps(task) for task in tasks]
        roots: list[Any] = [str(self._directory.root)] * len(groups)
        told = io.StringIO()  # submitit prints what sbatch says, and raises it as well
        atomic.make_folder(self._directory.job_logs)
        submitter = Submitter(self._directory.job_logs, python=f"exec {shlex.quote(sys.executable)}")
        submitter.update_parameters(**self._parameters)
        try:
            with redirect_stderr(told), signals_blocked(also_interrupts=True):  # Ctrl-C reaches sbatch, too
                jobs = submitter.map_array(work, roots, [versions()] * len(groups), payloads)
        except (FailedJobError, FailedSubmissionError) as error:
            self._remove_unsubmitted()
            raise refusal(str(error)) from error
        except OSError as error:
            raise StoreError(
                f"cannot submit: {error.strerror or error}",
                where=str(self._directory.job_logs),
                remedy=atomic.DISK_REMEDY,
            ) from error
        return [job.job_id for job in jobs]

    def _remove_unsubmitted(self) -> None:
        """What submitit wrote for jobs that Slurm then refused."""
        for path in self._directory.job_logs.iterdir():
            if _UNSUBMITTED.fullmatch(path.name) and not path.is_symlink():
                path.unlink(missing_ok=True)


def _require_slurm() -> None:
    missing = [name for name in ("sbatch", "squeue", "srun", "scancel", "scontrol") if shutil.which(name) is None]
    if missing:
        raise HarnessError(
            f"there is no Slurm here: {', '.join(missing)} not found",
            where="--executor slurm",
            remedy="Start on the cluster's login node, or use --executor local.",
        )
    try:
        import submitit  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise HarnessError(
            f"the Slurm executor needs {error.name}, which is not installed",
            where="--executor slurm",
            remedy='pip install "gan-ablation-harness[slurm]"',
        ) from error


def _listed(jobs: Sequence[str]) -> str:
    """`12_0, 12_1, 12_2`; of many the first ones."""
    more = len(jobs) - MOST_SHOWN
    return ", ".join(jobs[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
