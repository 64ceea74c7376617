"""What was measured about this machine once, kept in the user's cache folder: deleted, it is measured again.

A value's file is named by all that the value depends on, so that another torch, processor or thread count finds none.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.errors import DamagedFileError, StoreError
from harness.store.atomic import Json, canonical_json, make_folder, read_json, remove_leftovers, sha256_of, write_json
from harness.store.locks import held

CACHE_VARIABLE = "HARNESS_CACHE_DIR"
"""Environment variable that names another cache folder."""

FOLDER = "gan-ablation-harness"

_WAIT_S = 1.0
"""Between two looks at a lock that another process holds."""

_NOT_KEPT = "what would be measured about this machine cannot be kept, and the usual choice is made: %s"

_log = logging.getLogger("harness")


def cache_folder() -> Path:
    """Where this user's caches lie: HARNESS_CACHE_DIR, else by the rules of the platform; RuntimeError without a home.

    Linux: XDG_CACHE_HOME or ~/.cache (XDG Base Directory Specification 0.8); macOS: ~/Library/Caches; Windows:
    LOCALAPPDATA.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / FOLDER / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / FOLDER
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / FOLDER


def remembered(
    name: str, depends_on: Mapping[str, object], measure: Callable[[], Json], beat: Callable[[], None]
) -> Json | None:
    """What `measure` gave on this machine the first time; of several processes at once one measures, the others wait.

    name: begins the file's name; depends_on: plain values; beat: called while another process measures, and what it
    raises ends the waiting. A damaged file is made again. None where the folder cannot be used, and the log says so:
    processes that each measured for themselves could find different things.
    """
    wanted: Json = dict(depends_on)
    with ExitStack() as lock:
        try:
            file = _folder() / f"{name}-{sha256_of(canonical_json(wanted))[:16]}.json"
            found = _kept(file, wanted)
            if found is None:
                make_folder(file.parent)
                lock.enter_context(_locked(file, beat))
                found = _kept(file, wanted)  # another process may have measured meanwhile
        except StoreError as error:
            _log.warning(_NOT_KEPT, error)
            return None
        if found is not None:
            return found
        found = measure()
        try:
            remove_leftovers(file)
            write_json(file, {"depends_on": wanted, "found": found})
        except (StoreError, OSError) as error:
            _log.warning(_NOT_KEPT, error)
            return None
        return found


def _folder() -> Path:
    try:
        return cache_folder()
    except RuntimeError as error:
        raise StoreError(
            f"this user has no folder for caches: {error}", remedy=f"Name one with {CACHE_VARIABLE}."
        ) from error


def _kept(file: Path, wanted: Json) -> Json | None:
    """What the file says for these conditions; None where it is absent, damaged or of others."""
    try:
        document = read_json(file)
    except (FileNotFoundError, DamagedFileError):
        return None
    found = document.get("found")
    return found if document.get("depends_on") == wanted and isinstance(found, dict) else None


@contextmanager
def _locked(file: Path, beat: Callable[[], None]) -> Iterator[None]:
    while True:
        with held(file.with_name(f"{file.name}.lock"), timeout_s=_WAIT_S) as mine:
            if mine:
                yield
                return
        beat()
