"""How old the tables of an MLflow database are, against the MLflow that is installed here; told without loading it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Age = Literal["current", "older", "newer", "unknown"]

_REVISION = re.compile(r"^(down_)?revision\s*(?::[^=\n]*)?=(.*)$", re.MULTILINE)
_NAME = re.compile(r"[\"'](\w+)[\"']")


def schema_age(found: Sequence[str]) -> tuple[Age, str]:
    """Which MLflow made tables with the schema revisions `found`, and the revision of the one here.

    `unknown`, and no revision, where MLflow is not here, or the newest of its migrations cannot be told.
    """
    known, newest = _revisions()
    if not newest:
        return "unknown", ""
    if set(found) == {newest}:
        return "current", newest
    return ("older" if set(found) <= known else "newer"), newest


def _revisions() -> tuple[frozenset[str], str]:
    """All schema revisions that the installed MLflow knows, and the newest; an empty one where that cannot be told.

    Read from its migrations' text: importing them would import mlflow.
    """
    spec = find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        return frozenset(), ""
    folder = Path(spec.submodule_search_locations[0]) / "store" / "db_migrations" / "versions"
    known: set[str] = set()
    followed: set[str] = set()
    for file in folder.glob("*.py"):
        for match in _REVISION.finditer(file.read_text(encoding="utf-8")):
            (followed if match[1] else known).update(_NAME.findall(match[2]))
    newest = known - followed
    return frozenset(known), newest.pop() if len(newest) == 1 else ""
