"""Words to people go to stderr, results to stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from harness.errors import HarnessError


def say(text: str) -> None:
    """A line for the person who waits."""
    print(text, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A result."""
    print(text)


def show_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False))


def fail(error: HarnessError) -> int:
    """Prints an error; returns its exit code."""
    say(f"{_red('error')}: {error}")
    return error.exit_code


def columns(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Rows of text in aligned columns; columns in `right` are set to the right. Fast for tens of thousands of rows."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _red(text: str) -> str:
    if "NO_COLOR" in os.environ or not sys.stderr.isatty():
        return text
    return f"\x1b[31m{text}\x1b[0m"
