"""Programs beside Python that tests of the tier `services` start for real."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_BESIDE_PATH = "/usr/sbin:/sbin:/usr/lib/postgresql/17/bin:/usr/lib/postgresql/16/bin:/usr/lib/postgresql/15/bin"


def require_program(*names: str) -> Path:
    """The first of `names` that this machine has; the test skips without any, and fails where services are required.

    HARNESS_SERVICES=required (set by .ci/run) makes a missing program a failure, so that no tier passes empty.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), _BESIDE_PATH))
    found = next((program for name in names if (program := shutil.which(name, path=path))), None)
    if found is not None:
        return Path(found)
    reason = f"not on this machine: {' or '.join(names)}"
    if os.environ.get("HARNESS_SERVICES") == "required":
        pytest.fail(reason)
    pytest.skip(reason)
