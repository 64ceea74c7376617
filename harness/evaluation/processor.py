"""What kind of processor this is, as far as the system says."""

from __future__ import annotations

import platform
import re
from pathlib import Path

_INFO = Path("/proc/cpuinfo")

_FIELDS = ("model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part", "CPU variant")
"""Of x86 and of ARM; nothing that changes while the machine runs."""


def processor_name() -> str:
    """Its name for people."""
    return _told().get("model name") or platform.processor() or platform.machine()


def describe_processor() -> dict[str, str]:
    """All that tells its kind."""
    return {"machine": platform.machine(), "processor": platform.processor(), **_told()}


def _told() -> dict[str, str]:
    """The first core's fields on Linux; empty elsewhere."""
    try:
        first = _INFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = re.findall(r"^([^:\n]+?)\s*:\s*(.*)$", first, re.MULTILINE)
    return {name: value.strip() for name, value in pairs if name in _FIELDS}
