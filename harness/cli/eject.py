"""The command that writes a built-in network as one file of the user's own: eject."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import say, show, show_json
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, find_cell, open_file, view_of
from harness.design.experiment_file import ExperimentFile
from harness.design.factors import Hyperparameters
from harness.design.own_parts import is_own
from harness.errors import HarnessError

Network = Literal["generator", "discriminator"]
CLASSES: dict[Network, str] = {"generator": "Generator", "discriminator": "Discriminator"}


def eject(
    network: Annotated[
        str, typer.Argument(metavar="generator|discriminator", help="Which network.", show_default=False)
    ],
    file: File,
    to: Annotated[Path, typer.Option("--to", metavar="NETS.PY", help="The Python file to write.", show_default=False)],
    cell: Annotated[
        str, typer.Option("--cell", metavar="CELL", help="A name, levels such as latent_dim=100, or best.")
    ] = "baseline",
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Write a cell's built-in network as one readable Python file, to be changed and used as a part of your own."""
    kind = _network(network)
    opened = open_file(file, sets)
    hp = _levels(opened, cell, runs_dir)
    reference = f"{to.as_posix()}:{CLASSES[kind]}"
    if not is_own(reference):
        raise HarnessError(
            "no name for a file of own parts", where=f"--to {to}", remedy="End it with .py, and use no colon."
        )

    from harness.gan.eject import eject as source_of

    _write(to, source_of(hp, opened.experiment.data.channels, kind))
    line = f'{kind} = "{reference}"'
    if as_json:
        show_json({"file": str(to), "network": kind, "level": reference})
        return
    say(f"wrote {to}; in [baseline] or a [[cell]] of {file}, this line uses it:")
    show(line)


def _network(text: str) -> Network:
    match text:
        case "generator" | "discriminator":
            return text
    raise HarnessError(f"{text!r} is no network; allowed: generator, discriminator", where="eject")


def _levels(opened: ExperimentFile, cell: str, runs_dir: Path) -> Hyperparameters:
    """The cell's levels; those of the baseline also where it is no cell."""
    if cell == "baseline":
        return opened.experiment.baseline
    name = find_cell(view_of(opened, runs_dir), cell, "--cell")
    return next(one.hyperparameters for one in opened.plan.cells if one.name == name)


def _write(path: Path, text: str) -> None:
    """Writes a new file; one that exists may hold the user's own work, and is left alone."""
    remedy = "Name another one with --to."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        what = "the file exists" if error.filename == str(path) else f"{error.filename} is no folder"
        raise HarnessError(what, where=str(path), remedy=remedy) from None
    except OSError as error:
        raise HarnessError(f"cannot be written: {error.strerror}", where=str(path), remedy=remedy) from None
