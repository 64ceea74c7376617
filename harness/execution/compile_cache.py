"""Where torch's compiler keeps what it made: one folder for all workers and all later commands."""

from __future__ import annotations

import os

from harness.store.machine_cache import cache_folder

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
FOLDER = "torch-compiled"


def share_compile_cache() -> None:
    """Names the folder to this process and those that it starts; one that the user names stays.

    torch's own choice is below the folder for temporary files, which does not outlive the machine's restart. Without
    a home folder it stays torch's.
    """
    if os.environ.get(VARIABLE):
        return
    try:
        os.environ[VARIABLE] = str(cache_folder() / FOLDER)
    except RuntimeError:
        return  # no home: torch chooses
