"""The figures that are published: one campaign of each family, with the machine and software it ran on."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harness import __version__
from tests.faults.trial import Row


def record(path: Path, family: str, command: str, table: Sequence[Row], seconds: float) -> None:
    """Puts one family's campaign into the JSON at `path`, in place of the one before."""
    document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    document[family] = {
        "command": command,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "seconds": round(seconds),
        "platform": measured_on(),
        "rows": [asdict(row) for row in table],
    }
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def measured_on() -> dict[str, str]:
    """What decides over what a fault does: system, file system's kernel, Python, the libraries that write."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "mlflow")}
    return {
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **versions,
        "harness": __version__,
    }
