"""Other programs, asked with little patience: one that hangs is left behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """code: the exit status, None where none came in time."""

    code: int | None
    out: str = ""
    err: str = ""

    @property
    def is_good(self) -> bool:
        return self.code == 0

    @property
    def reason(self) -> str:
        """The first line of what it said where it failed."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[0].strip()[:300] if lines else f"exit {self.code}"


def ask(command: Sequence[str], seconds: float, **variables: str) -> Answer:
    """What `command` says within `seconds`; one that cannot be started has the shell's exit status 127.

    variables: of its environment, beside those of this process.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **variables},
        )
    except OSError as error:
        return Answer(127, err=error.strerror or str(error))
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)  # one that hangs in the kernel does not even die
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return Answer(None)
    return Answer(process.returncode, out, err)
