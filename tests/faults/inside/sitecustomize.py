"""Loaded by every Python that starts with this folder in PYTHONPATH: a clock that somebody sets back under way.

Once the file that FAULT_CLOCK names exists, time.time() is as many seconds behind as the file says. Other clocks go on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_marker = Path(os.environ["FAULT_CLOCK"])
_true_time = time.time


def _time_set_back() -> float:
    try:
        return _true_time() - float(_marker.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _true_time()


time.time = _time_set_back
