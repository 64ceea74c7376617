"""All commands by name, each loaded when it is called or its own help is shown: `harness --help` loads none."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

Command = TyperCommand | TyperGroup
"""What typer makes of a function, or of a Typer object."""


@dataclass(frozen=True)
class CommandPlace:
    """Where a command is: a function, or a Typer object of several commands, that has its name.

    module: under `harness.cli`; help: the first paragraph of its docstring, which a test compares.
    """

    module: str
    help: str


COMMANDS = {
    "init": CommandPlace("design", "Write a commented starter file."),
    "plan": CommandPlace("design", "Show cells, runs, merged duplicates and what is done. Instant; trains nothing."),
    "run": CommandPlace(
        "run",
        "Do whatever is missing: train, evaluate, project into MLflow, report. Stopped, the same command goes on.",
    ),
    "status": CommandPlace("results", "One row per run: state, step, last FID, attempts, log."),
    "evaluate": CommandPlace("run", "Do only the missing evaluations of checkpoints that exist; train nothing."),
    "report": CommandPlace(
        "report", "Write the report from what the runs hold now, or check a finished one again with --verify."
    ),
    "claims": CommandPlace(
        "claims", "Print each claim of the file with its answer: estimate, 95 % interval, p-values, verdict."
    ),
    "sync": CommandPlace("results", "Project what the runs hold into MLflow; nothing else."),
    "sample": CommandPlace("pictures", "Write a grid of generated images from one checkpoint."),
    "interpolate": CommandPlace("pictures", "Write walks between pairs of latents, a row each."),
    "progress": CommandPlace("pictures", "Write one fixed noise at every checkpoint of a run."),
    "whatis": CommandPlace("whatis", "Tell what a picture shows: its runs, steps, checkpoints and settings."),
    "fid": CommandPlace("fid", "Measure the FID of two folders of images, or of statistics in pytorch-fid's format."),
    "fetch": CommandPlace(
        "service", "Bring the data set and the extractors' weights here, once, with their checksums."
    ),
    "ui": CommandPlace("service", "Open MLflow's page on the projected runs."),
    "doctor": CommandPlace("doctor", "Check this machine, and with FILE what it needs: each finding with its remedy."),
    "prune": CommandPlace("service", "Remove run folders that the file no longer names (lists them first)."),
    "pack": CommandPlace("packing", "Write runs and report into one zip file, to go on with them on another machine."),
    "unpack": CommandPlace(
        "packing", "Bring runs and report out of a zip of `harness pack`, as if they had been made here."
    ),
    "eject": CommandPlace(
        "eject",
        "Write a cell's built-in network as one readable Python file, to be changed and used as a part of your own.",
    ),
    "factors": CommandPlace("design", "List every factor: its default, its levels, what it is."),
    "schema": CommandPlace("design", "Print the JSON schema of experiment files, for editors."),
    "extractor": CommandPlace("extractor", "Train an extractor on labeled images of your own."),
}
"""In the order of `harness --help`."""


def load_command(name: str) -> Command:
    """The command of this name, its module loaded; KeyError for an unknown one."""
    found = getattr(import_module(f"harness.cli.{COMMANDS[name].module}"), name)
    host = typer.Typer(add_completion=False, rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        host.add_typer(found, name=name)
    else:
        host.command(name)(found)
    return cast(Command, get_group(host).commands[name])


class _Loaded(MutableMapping[str, Any]):
    """The commands by name, each loaded at its first use; their names load nothing."""

    def __init__(self) -> None:
        self._commands: dict[str, Command | None] = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> Command:
        command = self._commands[name]
        if command is None:
            command = self._commands[name] = load_command(name)
        return command

    def __setitem__(self, name: str, command: Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, name: object) -> bool:
        return name in self._commands


class LazyGroup(TyperGroup):
    """All of COMMANDS. What lists them does with their names and one line each."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": None})
        self.commands = _Loaded()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in `harness --help`, as it would be with the commands themselves."""
        lines = [TyperCommand(name, help=place.help) for name, place in COMMANDS.items()]
        TyperGroup(commands=lines).format_commands(ctx, formatter)
