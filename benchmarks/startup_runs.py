"""The measurements of `startup.py` that look into runs: how long until, between and beside their steps."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.design.experiment_file import read_experiment_file
from harness.gan.metrics import MetricsLog
from harness.store.attempts import read_attempts
from harness.store.records import Record, read_records
from harness.tracking.reader import ExperimentView, read_experiment

PASS_S = 20.0
"""Between two projections while runs go on (`harness.cli.tracker`)."""

STEPS = 1200
"""Of the run whose records and projection are measured; longer ones spend less on them, as a run's MLflow entry is
made once."""

BY_HAND = ("loss/generator", "loss/discriminator", "prob/real", "prob/fake_before", "prob/fake_after")
"""What the loop written by hand logs."""


@dataclass(frozen=True)
class Experiment:
    """A folder to work in, and the variables of what runs there."""

    work: Path
    environment: dict[str, str]

    def file(self, name: str, *, cells: int = 1, steps: int = 20, log_every: int = 1) -> Path:
        """An experiment file: digits at 32x32, a DCGAN of latent and hidden dimensions 16, no evaluation."""
        rates = [round(1e-4 * (2 + index), 6) for index in range(cells)]
        path = self.work / f"{name}.toml"
        path.write_text(
            f'name = "{name}"\nseeds = [0]\n[baseline]\nresolution = 32\nlatent_dim = 16\nhidden_dim = 16\n'
            f"[training]\nsteps = {steps}\nlog_every = {log_every}\ncheckpoint_every = {steps}\n"
            f"[[grid]]\nlevels.generator_lr = {rates}\n",
            encoding="utf-8",
        )
        return path

    def run(self, file: Path, *, whole: bool = False) -> None:
        """`harness run` in one worker; without MLflow and report where not `whole`."""
        command = [sys.executable, "-m", "harness", "run", file.name, "--runs-dir", "runs", "--workers", "1"]
        command += [] if whole else ["--tracking-uri", "none", "--no-report"]
        subprocess.run(command, cwd=self.work, env=self.environment, check=True, capture_output=True)

    def view(self, file: Path) -> ExperimentView:
        return read_experiment(read_experiment_file(file).plan, self.work / "runs")


LONG = 5000
"""Steps of a run of experiment A."""


@dataclass(frozen=True)
class Gaps:
    """seconds: from one run's last step to the beginning of the next run's first; start_s: median of the part after
    the first run's end; fsync_s: what one file written whole costs here."""

    seconds: tuple[float, ...]
    start_s: float
    fsync_s: float


@dataclass(frozen=True)
class Overhead:
    """ours, by_hand: shares of training_s, a value for each round; import_s, store_s: CPU seconds, once.

    Of ours, what comes once for a command counts as for a single run of LONG steps.
    """

    ours: tuple[float, ...]
    by_hand: tuple[float, ...]
    steps: int
    training_s: float
    import_s: float
    store_s: float


def first_step(experiment: Experiment, name: str) -> float:
    """Seconds from the command to the end of its first step, data prepared on the way."""
    file = experiment.file(name)
    began = time.time()
    experiment.run(file, whole=True)
    return min(run.metrics()[0]["time"] for run in experiment.view(file).runs) - began


def between_runs(experiment: Experiment, runs: int) -> Gaps:
    """Of so many runs of a few steps in one worker, in the order in which they were trained."""
    file = experiment.file("between", cells=runs)
    experiment.run(file)
    done = sorted(experiment.view(file).runs, key=lambda run: run.metrics()[0]["time"])
    begins = [run.metrics()[0]["time"] - run.metrics()[0]["seconds"] for run in done]
    last_steps = [run.metrics()[-1]["time"] for run in done]
    ends = [read_attempts(run.directory)[-1].ended or 0.0 for run in done if run.directory]
    gaps = [begin - last for begin, last in zip(begins[1:], last_steps, strict=False)]
    starts = [begin - end for begin, end in zip(begins[1:], ends, strict=False)]
    return Gaps(tuple(gaps), statistics.median(starts), _fsync_s(experiment.work))


def overhead(experiment: Experiment, rounds: int, tell: Callable[[str], None]) -> Overhead:
    """What one run's records cost the worker, and their projection the parent, of the seconds that it trained."""
    file = experiment.file("records", steps=STEPS, log_every=10)
    experiment.run(file)
    (run,) = experiment.view(file).runs
    found = run.metrics()
    training_s = sum(record["seconds"] for record in found)
    tell("records and MLflow: loading MLflow")
    import_s = _cpu_s(_load_mlflow)
    ours, by_hand, stores = [], [], []
    for number in range(rounds):
        tell(f"records and MLflow: round {number + 1} of {rounds}")
        store_s, projection_s, pass_s = _projected(experiment, file, number)
        written_s = _written_s(experiment.work / "written.jsonl", found)
        passes = training_s / PASS_S
        once = (import_s + store_s) / (training_s * LONG / found[-1]["step"])
        ours.append((written_s + projection_s + passes * pass_s) / training_s + once)
        by_hand.append(_logged_by_hand_s(experiment.work / f"by_hand_{number}.db", found) / training_s)
        stores.append(store_s)
    return Overhead(tuple(ours), tuple(by_hand), found[-1]["step"], training_s, import_s, statistics.median(stores))


def _load_mlflow() -> None:
    import mlflow  # noqa: F401 - timed
    from mlflow.tracking import MlflowClient  # noqa: F401


def _projected(experiment: Experiment, file: Path, number: int) -> tuple[float, float, float]:
    """CPU seconds to make a store, to bring a run into it, and to find that nothing is new."""
    from harness.tracking.projection import finish, project
    from harness.tracking.stores import resolve_address

    runs = experiment.work / f"runs-{number}"
    address = resolve_address(f"sqlite:///{(runs / 'mlflow.db').as_posix()}", runs)
    other = experiment.file("empty")
    (runs / "empty").mkdir(parents=True)
    empty = read_experiment(read_experiment_file(other).plan, runs)
    store_s = _cpu_s(lambda: project(empty, address))
    shutil.copytree(experiment.work / "runs" / "records", runs / "records")
    view = read_experiment(read_experiment_file(file).plan, runs)

    def whole() -> None:
        project(view, address)
        finish(view, address, None)

    projection_s = _cpu_s(whole)
    return store_s, projection_s, _cpu_s(lambda: project(view, address))


def _written_s(path: Path, records: list[Record]) -> float:
    """Seconds to append a run's records to a file of its own, flushed one by one, as while it trains."""
    path.unlink(missing_ok=True)
    began = time.perf_counter()
    with MetricsLog(path, 0) as log:
        for record in records:
            log.append(record)
        log.sync()
        seconds = time.perf_counter() - began
    assert read_records(path) == records
    return seconds


def _logged_by_hand_s(database: Path, records: list[Record]) -> float:
    """Seconds that a loop waits for `mlflow.log_metrics`; the store and the run are there before."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{database.as_posix()}")
    mlflow.set_experiment("by hand")
    with mlflow.start_run():
        began = time.perf_counter()
        for record in records:
            mlflow.log_metrics({name: record[name] for name in BY_HAND}, step=record["step"])
        return time.perf_counter() - began


def _cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _fsync_s(folder: Path) -> float:
    """Median seconds of making one small file durable: the floor of everything that is written whole."""
    seconds = []
    for number in range(20):
        with (folder / f"fsync-{number}").open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
