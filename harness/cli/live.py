"""live.html, kept up to date while `harness run` works: in a thread of the parent process.

That is idle meanwhile; with `--executor inline` it trains itself, and shares its interpreter with the page.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.cli.console import duration, say
from harness.design.expansion import Plan
from harness.execution.events import Event
from harness.execution.options import cost
from harness.store import atomic
from harness.tracking.report_files import LIVE_PAGE

if TYPE_CHECKING:
    from harness.report.live_reader import LiveReader, LiveRun

LEAST_APART_S = 2.0
"""Between two writings, however much happens."""
MOST_SHARE = 0.05
"""Of the time that goes to writing the page, however many runs are to be read."""
SLOWEST_S = 30.0
"""Between two writings of a page that takes long; its reader takes an older one for that of a stopped command."""
MOST_APART_S = 10.0
"""Between two writings, though nothing happens that is told: steps go on, and an old page looks like a stopped one."""
LEFT_OVER_S = 60.0
"""Age from which a half-written page is taken for that of a command that was killed."""
STOPPED = "stopped; the same command goes on from there"
DONE = "the command is done"
_TOLD_AT_ONCE = frozenset({"started", "measured", "finished", "died"})


class LiveScreen:
    """Writes the page at the beginning of a block, whenever something happens in it, and at its end.

    output None: nowhere. A page that cannot be written or made is told once, and stops nothing.
    """

    def __init__(self, plan: Plan, runs_dir: Path, output: Path | None, is_stopped: Callable[[], bool]) -> None:
        self._plan = plan
        self._runs_dir = runs_dir
        self._path = output / LIVE_PAGE if output else None
        self._is_stopped = is_stopped
        self._reader: LiveReader | None = None
        self._began: tuple[float, float] | None = None
        self._checkpoint_every = {run.name: run.cell.training.checkpoint_every for run in plan.runs}
        self._checkpoints: dict[str, int] = {}
        self._due = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._failed = False
        self._lacks_report = False
        self._lost_work = False

    def __enter__(self) -> Self:
        """Writes the page and tells its path, as the first that this command says."""
        if self._path is None:
            return self
        _remove_leftovers(self._path)
        if self._write(self._path, is_running=True):
            say(f"live: {self._path}")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        self._over.set()
        self._due.set()
        self._thread.join(timeout=MOST_APART_S)
        if not self._thread.is_alive():  # else a disk hangs, and the page stays as it is
            by_error = isinstance(error, Exception) or (self._lost_work and error is None)
            stopped = "stopped by an error" if by_error else STOPPED
            is_stopped = by_error or error is not None or self._is_stopped()
            done = f"{DONE}; its report could not be written" if self._lacks_report else DONE
            self._write(self._path, is_running=False, ended=stopped if is_stopped else done)

    def lose_report(self) -> None:
        """The report could not be written: the last page says so, and links to none of an earlier time."""
        self._lacks_report = True

    def lose_work(self) -> None:
        """The work ended with an error before its end, though the command goes on to report."""
        self._lost_work = True

    def observe(self, event: Event) -> None:
        """Has the page written soon, where the event changes more of it than a number of steps."""
        if event.kind in _TOLD_AT_ONCE or (event.kind == "progress" and self._reached_checkpoint(event)):
            self._due.set()

    def _reached_checkpoint(self, event: Event) -> bool:
        reached = event.step // self._checkpoint_every.get(event.run, event.steps or 1)
        before = self._checkpoints.get(event.run, 0)
        self._checkpoints[event.run] = reached
        return reached > before

    def _keep(self) -> None:
        while not self._over.is_set():
            self._due.wait(MOST_APART_S)
            self._due.clear()
            if self._over.is_set() or self._path is None:
                return
            began = time.monotonic()
            self._write(self._path, is_running=True)
            pause_s = (time.monotonic() - began) / MOST_SHARE
            self._over.wait(min(max(LEAST_APART_S, pause_s), SLOWEST_S))

    def _write(self, path: Path, *, is_running: bool, ended: str = "") -> bool:
        """Reads the runs and replaces the page by one move; False where it could not, which is told once."""
        try:
            self._replace(path, is_running, ended)
        except Exception as error:  # noqa: BLE001 - whatever a page of pictures runs into, training goes on
            if not self._failed:
                text = (str(error).splitlines() or [""])[0] or type(error).__name__
                say(f"warning: the live page is not up to date: {text}; training goes on")
            self._failed = True
            return False
        return True

    def _replace(self, path: Path, is_running: bool, ended: str) -> None:
        from harness.report.live import LivePage, address, render_live
        from harness.report.live_reader import LiveReader

        self._reader = self._reader or LiveReader(self._plan, self._runs_dir)
        runs = self._reader.look()
        held = not is_running and any(live.state == "running" for live in runs)
        names = () if is_running or self._lacks_report else ("report.html", "report.md")
        reports = [path.parent / name for name in names]
        links = [(found.name, address(found, path.parent)) for found in reports if found.is_file()]
        told = self._told(runs, is_running, ended)
        page = LivePage(self._plan.experiment.name, told, time.time(), is_running or held, self._reader.metric, links)
        atomic.make_folder(path.parent)
        atomic.write_bytes(path, render_live(page, runs, path.parent).encode("utf-8", "replace"))

    def _told(self, runs: Sequence[LiveRun], is_running: bool, ended: str) -> str:
        states = Counter(live.state for live in runs)
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        if is_running:
            left = self._seconds_left(runs)
            return f"{len(runs)} runs: {counts}" + (f"; about {duration(left)} left" if left is not None else "")
        return f"{len(runs)} runs: {counts}; {ended}"

    def _seconds_left(self, runs: Sequence[LiveRun]) -> float | None:
        """Of training, by the work done since the first look; None before there is anything to go by."""
        open_work = sum(
            cost(live.run.cell.hyperparameters) * max(0, live.steps - live.step) for live in runs if not live.is_over
        )
        now = time.monotonic()
        if self._began is None:
            self._began = now, open_work
        elapsed, done = now - self._began[0], self._began[1] - open_work
        return elapsed * open_work / done if elapsed > 3 and done > 0.01 * self._began[1] else None


def _remove_leftovers(page: Path) -> None:
    """What commands that were killed left half-written; another one that writes at this moment is not disturbed."""
    for leftover in page.parent.glob(f".{page.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > LEFT_OVER_S:
                leftover.unlink()
