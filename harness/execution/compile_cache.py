"""Where torch's compiler keeps what it made: one folder for all workers and all later commands."""

from __future__ import annotations

import os

from harness.store.machine_cache import cache_folder

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
FOLDER = "torch-compiled"


def share_compile_cache() -> None:
    """Names the folder to this process and those that it starts; one that the user names stays.

    torch's own choice is below the folder for temporary files, which does not outlive the machine's restart. Without
    a home folder to write into it stays torch's.
    """
    if os.environ.get(VARIABLE):
        return
    try:
        folder = cache_folder() / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
    except (RuntimeError, OSError):
        return  # no home, or none to write into: torch chooses
    if os.access(folder, os.W_OK):
        os.environ[VARIABLE] = str(folder)
