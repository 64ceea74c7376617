"""MLflow away, in every way that it can be: training goes on, everything arrives later, and nothing twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.proxy import Mode, Proxy, SharedServer
from tests.faults.stores import dump
from tests.faults.subject import (
    FILE,
    TEXT,
    Reference,
    assert_equal_runs,
    assert_no_orphans,
    assert_projected_once,
    prepare,
    start,
)
from tests.faults.trial import NotHit, Trial

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 240.0
FIRST_POINTS_S = 90.0
WARNING = "warning: MLflow is not up to date"


def trials(count: int, reference: Reference) -> list[Trial]:
    """`count` trials, the rows in turn."""
    server = SharedServer(reference.finished.parent.parent / "server")
    behind: dict[str, Callable[[_Behind, random.Random], None]] = {
        "no MLflow server from the start": _none_from_the_start,
        "MLflow server dies in the middle": partial(_fails_in_the_middle, mode="refuse"),
        "MLflow server answers 500": partial(_fails_in_the_middle, mode="error 500"),
        "MLflow server never answers": partial(_fails_in_the_middle, mode="hang"),
        "MLflow server away at first, back during the run": _comes_back,
        "MLflow server slow": _slow,
    }
    files: dict[str, Callable[[Path, random.Random], None]] = {
        "MLflow's SQLite file locked by another program": _locked,
        "MLflow's SQLite file damaged": _damaged,
        "MLflow's store deleted between two calls": _deleted_between,
        "MLflow's store deleted under way": _deleted_under_way,
    }
    rows: dict[str, Callable[[Path, random.Random], None]] = {
        **{fault: partial(_with_server, trial, server, reference) for fault, trial in behind.items()},
        **{fault: partial(_with_file, trial, reference) for fault, trial in files.items()},
    }
    order = list(rows.items())
    chosen = [(order[index % len(order)], index // len(order)) for index in range(count)]
    ordered = sorted(chosen, key=lambda item: order.index(item[0]))
    return [Trial(fault, number, perform) for (fault, perform), number in ordered]


@dataclass(frozen=True)
class _Behind:
    """A trial whose store is the shared server, seen through a proxy; experiment: MLflow's name for it."""

    folder: Path
    proxy: Proxy
    database: Path
    experiment: str

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return _start(self.folder, *arguments, MLFLOW_TRACKING_URI=self.proxy.address)

    def has_points(self) -> bool:
        return _count_points(self.database, self.experiment) > 0


def _with_server(
    perform: Callable[[_Behind, random.Random], None],
    server: SharedServer,
    reference: Reference,
    folder: Path,
    rng: random.Random,
) -> None:
    running = server.get()
    experiment = folder.name
    prepare(folder, reference, TEXT.replace('name = "tiny"', f'name = "{experiment}"'))
    with Proxy(running.port, delay_s=rng.uniform(0.2, 0.6)) as proxy:
        trial = _Behind(folder, proxy, running.database, experiment)
        perform(trial, rng)
        proxy.switch("pass")
        done = _ended(trial.start(rng.choice(["sync", "run"]), FILE))
        assert done.returncode == 0, done.stderr
    assert_equal_runs(folder / FILE, reference.finished)
    assert_projected_once(running.database, experiment)
    assert_no_orphans(folder)


def _with_file(
    perform: Callable[[Path, random.Random], None], reference: Reference, folder: Path, rng: random.Random
) -> None:
    prepare(folder, reference)
    perform(folder, rng)
    assert_equal_runs(folder / FILE, reference.finished)
    assert_projected_once(folder / "runs" / "mlflow.db")
    assert_no_orphans(folder)


def _none_from_the_start(trial: _Behind, _rng: random.Random) -> None:
    trial.proxy.switch("refuse")
    _assert_told_once(_ended(trial.start("run", FILE)))
    if not trial.proxy.asked and trial.has_points():
        raise NotHit("the server was there")
    assert _ended(trial.start("sync", FILE)).returncode == 1


def _fails_in_the_middle(trial: _Behind, rng: random.Random, mode: Mode) -> None:
    running = trial.start("run", FILE)
    with _killed(running):
        _await(trial.has_points, "the first points")
        time.sleep(rng.uniform(0, 1.0))
        trial.proxy.switch(mode)
        done = _ended(running)
    if WARNING not in done.stderr:
        raise NotHit("the command had ended before")
    _assert_told_once(done)
    assert _ended(trial.start("sync", FILE)).returncode == 1


def _comes_back(trial: _Behind, rng: random.Random) -> None:
    trial.proxy.switch(rng.choice(["refuse", "error 500"]))
    running = trial.start("run", FILE)
    with _killed(running):
        _await(lambda: trial.proxy.asked > 0 or _is_training(trial.folder), "a first try")
        time.sleep(rng.uniform(0.5, 2.0))
        trial.proxy.switch("pass")
        done = _ended(running)
    assert done.returncode == 0, done.stderr
    assert WARNING not in done.stderr, done.stderr
    assert_projected_once(trial.database, trial.experiment)


def _slow(trial: _Behind, _rng: random.Random) -> None:
    trial.proxy.switch("slow")
    done = _ended(trial.start("run", FILE))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def _locked(folder: Path, rng: random.Random) -> None:
    """Locked before or while it is written, until after the command."""
    database = folder / "runs" / "mlflow.db"
    waits = rng.choice([True, False])
    running: subprocess.Popen[str] | None = None
    with closing(sqlite3.connect(database, timeout=60.0, isolation_level=None)) as other:
        if waits:
            running = _start(folder, "run", FILE)
            with _killed_on_error(running):
                _await(lambda: _count_points(database, "tiny") > 0, "the first points")
        other.execute("BEGIN EXCLUSIVE")
        done = _ended(running or _start(folder, "run", FILE))
        if waits and WARNING not in done.stderr:
            raise NotHit("the command had ended before")
        _assert_told_once(done)
        assert _ended(_start(folder, "sync", FILE)).returncode == 1
        other.execute("ROLLBACK")
    done = _ended(_start(folder, rng.choice(["sync", "run"]), FILE))
    assert done.returncode == 0, done.stderr


def _damaged(folder: Path, rng: random.Random) -> None:
    database = folder / "runs" / "mlflow.db"
    content = bytearray(database.read_bytes())
    content[: rng.randrange(100, 4096)] = rng.randbytes(64)
    database.write_bytes(content)
    done = _ended(_start(folder, "run", FILE))
    _assert_told_once(done)
    assert "Move it away" in done.stderr
    assert _ended(_start(folder, "sync", FILE)).returncode == 1
    database.replace(database.with_suffix(".damaged"))
    done = _ended(_start(folder, rng.choice(["sync", "run"]), FILE))
    assert done.returncode == 0, done.stderr


def _deleted_between(folder: Path, rng: random.Random) -> None:
    """The same content comes back; what SQLite keeps beside its file may have stayed or not."""
    database = folder / "runs" / "mlflow.db"
    done = _ended(_start(folder, "run", FILE))
    assert done.returncode == 0, done.stderr
    before = dump(database, "tiny")
    _delete(database, rng)
    done = _ended(_start(folder, rng.choice(["sync", "run"]), FILE))
    assert done.returncode == 0, done.stderr
    after = dump(database, "tiny")
    assert after.keys() == before.keys()
    for key, run in before.items():
        different = [name for name in run if run[name] != after[key][name]]
        assert different == [], [(name, run[name], after[key][name]) for name in different]


def _deleted_under_way(folder: Path, rng: random.Random) -> None:
    database = folder / "runs" / "mlflow.db"
    running = _start(folder, "run", FILE)
    with _killed(running):
        _await(lambda: _count_points(database, "tiny") > 0, "the first points")
        time.sleep(rng.uniform(0, 0.5))
        _delete(database, rng)
        done = _ended(running)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    done = _ended(_start(folder, rng.choice(["sync", "run"]), FILE))
    assert done.returncode == 0, done.stderr


def _delete(database: Path, rng: random.Random) -> None:
    database.unlink()
    if rng.choice([True, False]):
        for ending in ("-wal", "-shm"):
            database.with_name(database.name + ending).unlink(missing_ok=True)


def _start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return start(folder, *arguments, module="tests.faults.eager", PYTHONPATH=str(REPOSITORY), **environment)


def _ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    with _killed(process):
        out, error = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


@contextmanager
def _killed(process: subprocess.Popen[str]) -> Iterator[None]:
    """At the end of the block the process is not there any more."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()


@contextmanager
def _killed_on_error(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        process.kill()
        raise


def _assert_told_once(done: subprocess.CompletedProcess[str]) -> None:
    """Exit 0, one note while it went on at most, one warning at the end, no call stack of anybody's."""
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(WARNING) == 1, done.stderr
    assert done.stderr.count("training goes on, and it is tried again") <= 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def _await(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + FIRST_POINTS_S
    while not condition():
        if time.monotonic() > end:
            raise NotHit(f"waited in vain for {what}")
        time.sleep(0.05)


def _is_training(folder: Path) -> bool:
    return any(folder.glob("runs/*/*/metrics.jsonl"))


def _count_points(database: Path, experiment: str) -> int:
    """Points of one experiment in an SQLite store; none while it cannot be read."""
    query = (
        "SELECT count(*) FROM metrics WHERE run_uuid IN (SELECT run_uuid FROM runs WHERE experiment_id = "
        "(SELECT experiment_id FROM experiments WHERE name = ?))"
    )
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            return int(store.execute(query, (experiment,)).fetchone()[0])
    except sqlite3.Error:
        return 0
