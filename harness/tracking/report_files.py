"""Which files of a report's folder are the report's, and which are a person's.

report.json names the report's own files. Everything else there is a person's, but for the live page, and for what an
earlier report left that looks as only a report's files do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from harness.errors import StoreError
from harness.store import atomic
from harness.store.picture_file import picture_origin
from harness.store.reading import read_bytes

EVIDENCE = "report.json"
"""The file of a report that names all others with their hashes."""
LIVE_PAGE = "live.html"
"""Of the command that trains, on this machine alone: it may lie with the report and is no part of it."""
TABLES = ("comparison.csv", "differences.csv", "runs.csv")
NOTES = "notes"
"""The folder of what a person wrote for the report, which is read and never written."""
LOCK = ".lock"
"""Held by the process that writes the report."""
BEGUN = ".begun.json"
"""Names what a report that is being written will have; it stays where its writer is killed."""
_OWN_FILE = re.compile(r"(?:(?:figures|tables)/)?\w[\w-]*\.(?:md|html|csv|tex|png|svg)")
_OWN_TABLE = re.compile(r"tables/(?:comparison|differences)-[\w-]+\.tex")


def own_files(output: Path) -> list[str]:
    """The files that the report standing in `output` says are its own, by their path in it; notes are a person's.

    With those of a report whose writer was killed. report.json alone where none of this can be read: whatever else lies
    there is not known to be a report's.
    """
    named = {name for place in (EVIDENCE, BEGUN) for name in _named(output / place)}
    return [EVIDENCE, *sorted(name for name in named if _OWN_FILE.fullmatch(name))]


def begin_report(output: Path, names: Collection[str]) -> None:
    """Says which files a report is about to write, so that they are known for its own though it is cut short."""
    atomic.write_json(output / BEGUN, {"files": sorted({*names, *own_files(output)})})


def end_report(output: Path) -> None:
    """Everything is written: from here on report.json says which files are the report's."""
    (output / BEGUN).unlink(missing_ok=True)


def strangers(output: Path, named: Collection[str]) -> list[str]:
    """Files in the report's folder that only a report can have written and that are not among those `named`.

    By their path in it: texts and tables by their names, pictures by what they say of themselves.
    """
    found = [path for folder in ("", "figures", "tables") for path in (output / folder).glob("*") if path.is_file()]
    paths = sorted(path.relative_to(output).as_posix() for path in found)
    return [path for path in paths if path not in named and _is_a_report_s(output, path)]


def _is_a_report_s(output: Path, path: str) -> bool:
    if path in ("report.md", "report.html", *TABLES):
        return True
    if path.startswith("figures/"):
        return _is_a_report_s_picture(output / path)
    return _OWN_TABLE.fullmatch(path) is not None


def _is_a_report_s_picture(path: Path) -> bool:
    try:
        return picture_origin(path).experiment is not None
    except StoreError:
        return False


def _named(path: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(read_bytes(path))["files"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return []
