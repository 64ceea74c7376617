"""The application: every command under its name, and errors as messages instead of tracebacks."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness import __version__
from harness.cli import design, pictures, results, run, service
from harness.cli.console import fail
from harness.errors import HarnessError
from harness.execution.interruption import Interrupted

app = typer.Typer(
    name="harness",
    help="One TOML file in, a complete and honest ablation of a GAN out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(design.init)
app.command()(design.plan)
app.command()(run.run)
app.command()(results.status)
app.command()(run.evaluate)
app.command()(results.report)
app.command()(results.sync)
app.command()(pictures.sample)
app.command()(service.fetch)
app.command()(service.ui)
app.command()(service.doctor)
app.command()(service.prune)
app.command()(design.factors)
app.command()(design.schema)
for name in ("interpolate", "progress", "fid", "claims", "whatis"):
    app.command(name, hidden=True, context_settings={"ignore_unknown_options": True})(service.not_in_this_version(name))


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"harness {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line. A HarnessError becomes its message and its exit code, an OSError one line and 2."""
    try:
        app()
    except HarnessError as error:
        sys.exit(fail(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left, as `head` does
        sys.exit(0)
    except Interrupted as interrupted:
        sys.exit(interrupted.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # a file or folder that nobody foresaw; a person needs its path, not our call stack
        sys.exit(fail(HarnessError(error.strerror or str(error), where=str(error.filename or ""))))
