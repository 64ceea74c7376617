"""The command line with one fault in it: `python -m tests.faults.victim run FILE`, killed as HARNESS_FAULT says.

The product knows nothing of this. Workers import the main module of their parent again (as `__mp_main__`), so that
what is wrapped here is wrapped in them too.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.faults.points import VARIABLE, Order

STRUCK, HELD = "struck", "held-*"
"""Marks in the trial's folder: the fault happened; a worker (its process id in the name) waits for it to happen."""
HELD_AT = 100
"""The step at which workers wait, where MLflow is to be written while they train."""
PATIENCE_S = 90.0


class Fault:
    """One order, as one process of the trial sees it."""

    def __init__(self, order: Order, in_worker: bool) -> None:
        self._order = order
        self._in_worker = in_worker
        self._passed = 0
        self._folder = Path(order.folder)

    def arm(self) -> None:
        """Wraps what the point names in this process, if it is the one that shall pass it."""
        if self._order.projects_early:
            self._hold_worker() if self._in_worker else self._project_early()
        if self._in_worker == (self._order.place == "worker"):
            match self._order.point.moment:
                case "half written":
                    self._wrap_writes()
                case "before replace" | "after replace":
                    os.replace = self._around(os.replace, lambda _, target, **__: self._is_target(target))
                case "before removal":
                    os.unlink = self._around(os.unlink, lambda path, **_: self._is_target(path))
                case "before call" | "after call":
                    self._wrap_call(*self._order.point.target.split(":"))

    def _around(self, function: Callable[..., Any], concerns: Callable[..., bool]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if not concerns(*arguments, **named):
                return function(*arguments, **named)
            if self._order.point.moment.startswith("before"):
                self._pass()
                return function(*arguments, **named)
            result = function(*arguments, **named)
            self._pass()
            return result

        return wrapped

    def _wrap_call(self, module: str, name: str) -> None:
        if module != "client":
            found = importlib.import_module(module)
            setattr(found, name, self._around(getattr(found, name), lambda *_, **__: True))
            return
        projection = importlib.import_module("harness.tracking.projection")
        connected = projection.connected

        @contextmanager
        def wrapped(*arguments: Any, **named: Any) -> Iterator[Any]:
            with connected(*arguments, **named) as client:
                setattr(client, name, self._around(getattr(client, name), lambda *_, **__: True))
                yield client

        projection.connected = wrapped

    def _wrap_writes(self) -> None:
        opened = pathlib.Path.open

        def wrapped(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            file = opened(path, mode, *arguments, **named)
            if "b" in mode and mode != "rb" and self._is_target(path):
                file.write = functools.partial(self._write_half, file, file.write)
            return file

        pathlib.Path.open = wrapped  # type: ignore[method-assign, assignment]

    def _write_half(self, file: Any, write: Callable[[memoryview], int], content: Any) -> int:
        whole = memoryview(content).cast("B")
        half = len(whole) // 2
        write(whole[:half])
        file.flush()
        self._pass()
        return half + write(whole[half:])

    def _is_target(self, path: os.PathLike[str] | str) -> bool:
        """Whether the point's pattern means `path`, or the file whose temporary one `path` is."""
        found = Path(path).absolute()
        name = found.name
        if name.startswith(".") and name.endswith(".tmp"):
            name = name[1:].rsplit(".", 2)[0]
        return fnmatch(found.with_name(name).as_posix(), self._order.point.target)

    def _pass(self) -> None:
        self._passed += 1
        if self._passed == self._order.passing:
            self._strike()

    def _strike(self) -> None:
        try:
            os.close(os.open(self._folder / STRUCK, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return  # another worker was there first
        parent = multiprocessing.parent_process()
        command = parent.pid if parent else os.getpid()
        match self._order.victim:
            case "both":
                if os.getpgrp() != command:
                    raise RuntimeError("the command leads no process group of its own, and others would die with it")
                os.killpg(command, signal.SIGKILL)
            case "command":
                os.kill(command or 0, signal.SIGKILL)
                time.sleep(self._order.linger_s)
            case "worker":
                for victim in [os.getpid()] if self._in_worker else self._held():
                    os.kill(victim, signal.SIGKILL)

    def _held(self) -> list[int]:
        return [int(mark.name.partition("-")[2]) for mark in self._folder.glob(HELD)]

    def _hold_worker(self) -> None:
        """Lets this worker wait in mid-training until the fault has happened."""
        adversarial = importlib.import_module("harness.gan.adversarial")
        update, steps = adversarial.update_generator, 0

        def wrapped(*arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == HELD_AT:
                (self._folder / f"held-{os.getpid()}").touch()
                self._wait_for(STRUCK)
            return update(*arguments)

        adversarial.update_generator = wrapped

    def _project_early(self) -> None:
        """Lets the command write MLflow as soon as a worker waits, and again soon after."""
        projection = importlib.import_module("harness.tracking.projection")
        project = projection.project

        def wrapped(*arguments: Any, **named: Any) -> Any:
            self._wait_for(HELD)
            return project(*arguments, **named)

        projection.project = wrapped
        tracker = importlib.import_module("harness.cli.tracker")
        tracker.INTERVAL_S = min(tracker.INTERVAL_S, 0.5)

    def _wait_for(self, mark: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not list(self._folder.glob(mark)):
            time.sleep(0.01)


if __name__ in ("__main__", "__mp_main__"):
    Fault(Order.of(os.environ[VARIABLE]), in_worker=__name__ == "__mp_main__").arm()
if __name__ == "__main__":
    from harness.cli.app import main

    main()
