"""Commands that draw from checkpoints: sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.console import say, show_json
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, find_cell, open_file, own_code_of, view_of
from harness.errors import HarnessError, StoreError
from harness.store.atomic import make_folder


def sample(
    file: File,
    cell: Annotated[
        str, typer.Option("--cell", metavar="CELL", help="A name, levels such as latent_dim=100, or best.")
    ],
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option("--seed", help="The run's seed; default: the cell's first.")] = None,
    step: Annotated[int | None, typer.Option("--step", help="The checkpoint; default: the last one.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1024, help="Images in the grid.")] = 64,
    weights: Annotated[str, typer.Option("--weights", metavar="raw|ema", help="As trained, or averaged.")] = "raw",
    output: Annotated[Path | None, typer.Option("--output", help="The PNG to write.")] = None,
) -> None:
    """Write a grid of generated images from one checkpoint."""
    if output and output.suffix.lower() != ".png":
        raise HarnessError("the picture is a PNG; end its name with .png", where=f"--output {output}")
    which = _weights(weights)
    view = view_of(open_file(file, sets), runs_dir)
    name = find_cell(view, cell, "--cell")
    runs = [run for run in view.runs if run.run.cell.name == name and seed in (None, run.run.seed)]
    if not runs:
        raise HarnessError(f"{name} has no seed {seed}", where="--seed")
    run = runs[0]
    if not run.status.is_readable:
        raise StoreError(run.status.reason, where=run.run.name)
    steps = list(run.checkpoints())
    if run.directory is None or not steps:
        raise HarnessError("there is no checkpoint yet", where=run.run.name, remedy=f"harness run {file}")
    if step is not None and step not in steps:
        raise HarnessError(f"no checkpoint at step {step}; there are {steps}", where=run.run.name)

    import torch

    from harness.gan.checkpoints import load_generator
    from harness.gan.sampling import write_sample_grid

    chosen = steps[-1] if step is None else step
    target = output or Path(f"{run.directory.root.name}--step-{chosen:06d}.png")
    device = torch.device("cpu")
    make_folder(target.parent)
    expected = run.run.cell.hyperparameters
    checkpoint = load_generator(
        run.directory.checkpoint(chosen), device, own_code_of(view.plan), expected, weights=which
    )
    write_sample_grid(target, checkpoint, count, device)
    if as_json:
        show_json({"cell": name, "seed": run.run.seed, "key": run.run.key, "step": chosen, "file": str(target)})
    else:
        say(f"{run.run.name}, step {chosen}: {target}")


def _weights(text: str) -> Literal["raw", "ema"]:
    match text:
        case "raw" | "ema":
            return text
    raise HarnessError(f"{text!r} are no weights; allowed: raw, ema", where="--weights")
