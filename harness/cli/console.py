"""Words to people go to stderr, results to stdout."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from harness.design.controls import CONTROLS, spelled_out
from harness.errors import HarnessError

PAGE_WIDTH = 120


def plain(text: str) -> str:
    """`text` with everything that would steer a terminal spelled out: `\\x1b[31m` stays readable and does nothing."""
    return spelled_out(text)


class ReaderLeft(Exception):
    """Nobody reads the results any more, as after `| head`."""


def say(text: str) -> None:
    """A line for the person who waits; where it cannot be written, the work goes on without it."""
    _print(plain(text), sys.stderr)


def show(text: str) -> None:
    """A result."""
    _print(plain(text), sys.stdout)


def show_json(document: Any) -> None:
    """One JSON document; what steers a terminal stands in it as JSON's own escapes, so that it reads back the same."""
    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    text = json.dumps(document, indent=1, ensure_ascii=not is_unicode)
    _print(CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text), sys.stdout)


def fail(error: HarnessError) -> int:
    """Prints an error; returns its exit code."""
    _print(f"{_red('error')}: {plain(str(error))}", sys.stderr)
    return error.exit_code


def of_system(error: OSError) -> HarnessError:
    """What the system refused, on a file or folder that nobody foresaw: a person needs its path, not our call stack."""
    return HarnessError(error.strerror or str(error), where=str(error.filename or ""))


def _print(text: str, stream: TextIO) -> None:
    """Prints `text`; characters that the stream's encoding lacks are spelled out instead of ending the command."""
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError as error:
        if stream is not sys.stderr:
            raise ReaderLeft from error
    except OSError:
        if stream is not sys.stderr:
            raise


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


def page_width() -> int:
    """Columns that a result may take: the terminal's, 120 where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PAGE_WIDTH


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
