"""What was found in files, for a command that looks at the same files again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")

SETTLED_NS = 2_000_000_000
"""Age of a file's last change from which its time tells every later one apart, on any file system, in nanoseconds."""

_Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True, eq=False)
class Looks:
    """Holds what was found in files, and looks again where a file is another or was changed since.

    A change shows in the file's size or times, or in its being another file. One that was changed within the last
    two seconds is looked at each time: the next change might have the same time. Threads may share it.
    """

    _held: dict[tuple[Path, Hashable], tuple[_Signature, Any]] = field(default_factory=dict, repr=False)
    _held_of_many: dict[Hashable, tuple[int | None, Any]] = field(default_factory=dict, repr=False)

    def at(self, path: Path, question: Hashable, look: Callable[[], Found]) -> Found:
        """What `look` finds in the file at `path`; question: what is asked of it. What `look` raises is not held."""
        before = _signature(path)
        if before is None:
            return look()
        held = self._held.get((path, question))
        if held is not None and held[0] == before:
            found: Found = held[1]
            return found
        began_ns = time.time_ns()
        found = look()
        if began_ns - max(before[-2:]) > SETTLED_NS:
            self._held[path, question] = (before, found)
        return found

    def at_all(self, question: Hashable, look: Callable[[], Found], places: Callable[[Found], Sequence[Path]]) -> Found:
        """As `at`, for what is told from several files and folders; places: those that `found` rests on.

        Held from the second look on, since only what was found first says which files to watch; never where `places`
        names none.
        """
        held = self._held_of_many.get(question)
        watched: Sequence[Path] = () if held is None else places(held[1])
        before, changed_ns = _signature_of_all(watched)
        if held is not None and watched and held[0] == before:
            known: Found = held[1]
            return known
        began_ns = time.time_ns()
        found = look()
        is_settled = tuple(watched) == tuple(places(found)) and began_ns - changed_ns > SETTLED_NS
        self._held_of_many[question] = (before if is_settled else None, found)
        return found


def look_at(looks: Looks | None, path: Path, question: Hashable, look: Callable[[], Found]) -> Found:
    """As `Looks.at`; None: looks anew each time."""
    return look() if looks is None else looks.at(path, question, look)


def _signature(path: Path) -> _Signature | None:
    """Which file it is, its size, and when its content and its entry changed; None where nothing can be said."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _signature_of_all(paths: Iterable[Path]) -> tuple[int, int]:
    """One number for all of them, absent ones included, and when any of them changed last, in nanoseconds."""
    signatures = [_signature(path) for path in paths]
    return hash(tuple(signatures)), max((max(one[-2:]) for one in signatures if one), default=0)
