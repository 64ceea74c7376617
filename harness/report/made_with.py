"""What a report depends on beside its runs: the libraries that draw it, and harness's own code. Loads neither."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path

import harness
from harness.store import atomic

_LIBRARIES = ("matplotlib", "numpy", "Pillow", "seaborn")
_KINDS = (".py", ".jinja", ".css", ".js", ".mo")


@cache
def made_with() -> dict[str, str]:
    """Versions by library, and `code`: SHA-256 of the code, templates and words of reports, which in a checkout change
    without the version. Where all are the same, reports of the same runs have the same bytes, pictures too."""
    return {**{name: version(name) for name in _LIBRARIES}, "code": code_sha256()}


@cache
def code_sha256() -> str:
    package = Path(harness.__file__).parent
    paths = [path for room in ("analysis", "report") for path in (package / room).rglob("*") if path.suffix in _KINDS]
    hashes = {path.relative_to(package).as_posix(): atomic.file_sha256(path) for path in paths}
    return atomic.sha256_of(atomic.canonical_json(hashes))
