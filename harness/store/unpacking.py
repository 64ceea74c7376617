"""`harness unpack`: a pack that was checked becomes runs of this machine, one by one, and takes nothing away.

What is there and further, or trained here, stays; what is there and not as far is replaced in two moves, the old folder
kept aside until the new one stands. Whatever is killed, a second call finishes.
"""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.errors import StoreError
from harness.store import atomic
from harness.store.landing import Landing, Unpacked, manifest_here
from harness.store.locks import WAIT_FOR_EVER, held
from harness.store.pack_checks import check_staged
from harness.store.pack_layout import REPORTS, RUNS
from harness.store.pack_reading import Pack, unpacked_into
from harness.store.rundir import ExperimentDirectory, experiment_directory
from harness.store.shared_manifests import joined_manifests

_OLD, _LOCK = "old", "lock"
"""In the folder of one unpacking: run folders that were replaced; held as long as it goes on."""


def unpack(pack: Pack, runs_dir: Path, output: Path) -> Unpacked:
    """Checks the whole pack, then moves its runs below `runs_dir` and its report to `output`.

    StoreError where something in the pack does not hold or fit; then nothing has landed. Where the disk refuses a later
    move, what landed before stays, and a second call goes on.
    """
    name = pack.manifest.experiment
    home = experiment_directory(runs_dir, name)
    atomic.make_folder(home.root.parent)
    _clear_leftovers(home)
    with _staging(home) as folder:
        unpacked_into(pack, folder)
        staged = ExperimentDirectory(folder / RUNS / name)
        shared = check_staged(staged, pack.manifest, str(pack.path))
        joined_manifests(manifest_here(home), shared, str(home.root))  # refuses before anything is made
        landing = Landing(home, staged, shared, pack.manifest, folder / _OLD)
        try:
            atomic.make_folder(home.root)
            with held(home.lock, timeout_s=WAIT_FOR_EVER):
                landing.land_runs()
                landing.land_report(folder / REPORTS / name, output)
        except OSError as error:
            where = str(error.filename2 or error.filename or home.root)
            what = f"cannot be moved into place: {error.strerror or error}"
            raise StoreError(what, where=where, remedy=atomic.DISK_REMEDY) from error
    return landing.done


def _prefix(home: ExperimentDirectory) -> str:
    """How folders of unpackings are called: no run, and no experiment, begins with a dot."""
    return f".{home.root.name}.unpacking-"


def _places(home: ExperimentDirectory) -> tuple[Path, ...]:
    """Where they lie: in the experiment's folder, which may be on a disk of its own, else beside where it will be."""
    return (home.root, home.root.parent) if home.root.is_dir() else (home.root.parent,)


@contextmanager
def _staging(home: ExperimentDirectory) -> Iterator[Path]:
    """An empty folder on the same disk as the experiment's, removed at the end with all that is left in it."""
    with ExitStack() as stack:
        try:
            folder = Path(tempfile.mkdtemp(prefix=_prefix(home), dir=_places(home)[0]))
        except OSError as error:
            where = str(_places(home)[0])
            raise StoreError(
                f"cannot write: {error.strerror or error}", where=where, remedy=atomic.DISK_REMEDY
            ) from error
        stack.callback(_remove, folder, home)
        stack.enter_context(held(folder / _LOCK, timeout_s=WAIT_FOR_EVER))
        yield folder


def _clear_leftovers(home: ExperimentDirectory) -> None:
    """Removes what killed unpackings left; a run that was taken out of its place and not replaced goes back there."""
    pattern = f"{glob.escape(_prefix(home))}*"
    for folder in [folder for place in _places(home) for folder in sorted(place.glob(pattern))]:
        if folder.is_symlink() or not (folder / RUNS).is_dir():
            continue  # not an unpacking's, or one that has only begun
        with held(folder / _LOCK, timeout_s=0.0) as mine:
            if not mine:
                continue
            if (folder / _OLD).is_dir() and home.root.is_dir():
                with held(home.lock, timeout_s=WAIT_FOR_EVER):
                    _remove(folder, home)
            else:
                shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, home: ExperimentDirectory) -> None:
    """Removes the folder of one unpacking; a run that was taken out of its place and not replaced goes back first.

    OSError where it cannot; then the folder stays, with the run in it.
    """
    if (folder / _OLD).is_dir():
        for old in (folder / _OLD).iterdir():
            if not (home.root / old.name).exists():
                old.rename(home.root / old.name)
    shutil.rmtree(folder, ignore_errors=True)
