"""Who runs the trivial job in the benchmark of scale: how each is called, and what it does not do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scale_job import experiment_text, rates, seeds
from scale_watch import CommandFailed, Taken, watched

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

NO_HARNESS = "no table, no verdict, no page while it runs"


@dataclass(frozen=True)
class Side:
    """name: for `--only`; most: runs that it gets, however many are asked for; lacks: what it does not do."""

    name: str
    what: str
    command: Callable[[int, int, Path], Sequence[str]]
    lacks: str = ""
    most: int | None = None
    is_serial: bool = False

    def runs(self, asked: int) -> int:
        return asked if self.most is None else min(asked, self.most)

    def workers(self, asked: int) -> int:
        return 1 if self.is_serial else asked


@dataclass(frozen=True)
class Measured:
    """One side at half of its runs and at all of them. failed: why there are no figures, or empty."""

    name: str
    what: str
    lacks: str
    runs: int
    workers: int
    half: Taken | None = None
    whole: Taken | None = None
    failed: str = ""

    @property
    def ms_a_run(self) -> float | None:
        """Start and end of the command included."""
        return None if self.whole is None else 1000 * self.whole.seconds / self.runs

    @property
    def ms_a_further_run(self) -> float | None:
        """What each run beyond half of them took."""
        if self.whole is None or self.half is None:
            return None
        return 1000 * (self.whole.seconds - self.half.seconds) / (self.runs - half_of(self.runs))

    @property
    def kb_a_further_run(self) -> float | None:
        """What the parent grew by, from one number of runs to the other."""
        if self.whole is None or self.half is None:
            return None
        return 1000 * (self.whole.end_mb - self.half.end_mb) / (self.runs - half_of(self.runs))


def half_of(runs: int) -> int:
    return max(1, runs // 2)


def environment() -> dict[str, str]:
    return {"PYTHONPATH": f"{ROOT}:{HERE}", "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "NO_COLOR": "1"}


def measured(side: Side, asked: int, workers: int, place: Path, tell: Callable[[str], None]) -> Measured:
    """Runs one side twice, each time in a folder of its own, which stays; failures are told in what is returned."""
    runs = side.runs(asked)
    base = Measured(side.name, side.what, side.lacks, runs, side.workers(workers))
    found = []
    for count in (half_of(runs), runs):
        tell(f"{side.what}: {count} runs")
        work = work_of(side.name, count, place)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        (work / "trivial.toml").write_text(experiment_text(count), encoding="utf-8")
        try:
            found.append(watched(side.command(count, workers, work), work, environment()))
        except CommandFailed as error:
            return Measured(base.name, base.what, base.lacks, runs, base.workers, failed=str(error))
    return Measured(base.name, base.what, base.lacks, runs, base.workers, found[0], found[1])


def work_of(name: str, runs: int, place: Path) -> Path:
    return place / f"{name}-{runs}"


def harness(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness", *arguments]


def _files(runs: int, workers: int, work: Path) -> list[str]:
    return harness("run", "trivial.toml", "--workers", str(workers), "--tracking-uri", "none", "--no-report")


def _mlflow(runs: int, workers: int, work: Path) -> list[str]:
    store = f"sqlite:///{(work / 'mlflow.db').as_posix()}"
    return harness("run", "trivial.toml", "--workers", str(workers), "--tracking-uri", store, "--no-report")


def _ray(runs: int, workers: int, work: Path) -> list[str]:
    return [*_files(runs, workers, work), "--executor", "ray"]


def _whole(runs: int, workers: int, work: Path) -> list[str]:
    return harness("run", "trivial.toml", "--workers", str(workers))


def _alone(runs: int, workers: int, work: Path) -> list[str]:
    return [sys.executable, str(HERE / "scale_job.py"), "--runs", str(runs), "--folder", str(work / "runs")]


def _hydra(runs: int, workers: int, work: Path) -> list[str]:
    levels = ",".join(f"{rate:.9f}" for rate in rates(runs))
    seed = ",".join(map(str, seeds(runs)))
    sweep = f"hydra.sweep.dir={work / 'multirun'}"
    return [sys.executable, str(HERE / "scale_hydra.py"), "--multirun", f"generator_lr={levels}", f"seed={seed}", sweep]


def _hydra_mlflow(runs: int, workers: int, work: Path) -> list[str]:
    return [*_hydra(runs, workers, work), f"store=sqlite:///{(work / 'mlflow.db').as_posix()}"]


def _tune(runs: int, workers: int, work: Path) -> list[str]:
    arguments = ("--runs", str(runs), "--workers", str(workers), "--folder", str(work))
    return [sys.executable, str(HERE / "scale_tune.py"), *arguments]


ALONE = Side("alone", "the job alone, in a loop", _alone, "no grid, no resumption, no record of what ran", 400, True)
FILES = Side("files", "harness, local, files", _files, "no MLflow, no report")

SIDES = (
    ALONE,
    FILES,
    Side("mlflow", "harness, local, files and MLflow (SQLite)", _mlflow, "no report"),
    Side("ray", "harness, Ray", _ray, "no MLflow, no report"),
    Side("whole", "harness, local, with MLflow, live page and report", _whole, "", 1000),
    Side(
        "hydra",
        "Hydra's multirun, basic launcher",
        _hydra,
        f"one process, one after the other; nothing to go on from where it is stopped; {NO_HARNESS}",
        400,
        True,
    ),
    Side("hydra-mlflow", "the same, logging to MLflow (SQLite)", _hydra_mlflow, "as above", 200, True),
    Side(
        "tune",
        "Ray Tune's grid search",
        _tune,
        f"a trial that dies is not gone on with unless the function saves states itself; {NO_HARNESS}",
        40,
    ),
)
"""In the order of the table."""
