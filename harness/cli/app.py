"""The application: every command under its name, and errors as messages instead of tracebacks."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer

from harness import __version__
from harness.cli.commands import LazyGroup
from harness.cli.console import ReaderLeft, fail, of_system
from harness.errors import HarnessError
from harness.execution.interruption import Interrupted

app = typer.Typer(
    name="harness",
    cls=LazyGroup,
    help="One TOML file in, a complete and honest ablation of a GAN out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


INTERRUPTED = 128 + 2
"""Exit codes from here to 255 name a signal; this one is Ctrl-C's."""


def main() -> None:
    """Runs the command line. A HarnessError becomes its message and its exit code, an OSError one line and 2."""
    try:
        _run()
    except HarnessError as error:
        sys.exit(fail(error))
    except ReaderLeft:
        _leave_at_once(0)
    except Interrupted as interrupted:
        _leave_at_once(interrupted.exit_code)
    except KeyboardInterrupt:
        _leave_at_once(INTERRUPTED)
    except OSError as error:
        sys.exit(fail(of_system(error)))
    finally:
        _drop_unwritten()


def _run() -> None:
    try:
        app()
    except SystemExit as left:
        if isinstance(left.code, int) and left.code > 128:
            _leave_at_once(left.code)
        raise


def _drop_unwritten() -> None:
    """Lets go of words that stderr did not take; else they change the exit code when the interpreter ends."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _leave_at_once(code: int) -> NoReturn:
    """Ends the process without tearing down torch and MLflow, which takes seconds; nothing of theirs is half-done."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader is gone, or it is closed
            stream.flush()
    os._exit(code)
