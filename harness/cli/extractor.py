"""`harness extractor train`: a classifier of the experiment's own labeled images, to measure with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import columns, say, show, show_json
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, open_file

EXTRACTORS = Path("extractors")

extractor = typer.Typer(
    help="Train an extractor on labeled images of your own.", no_args_is_help=True, rich_markup_mode=None
)


@extractor.command()
def train(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    resolution: Annotated[
        int | None,
        typer.Option("--resolution", min=4, max=512, help="Pixels that it sees.", show_default="the baseline's"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", min=1, max=10_000, help="Passes over the images.", show_default="600,000 images in all"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of all that is drawn.")] = 0,
    output: Annotated[Path, typer.Option("--output", help="Folder that the files go to.")] = EXTRACTORS,
) -> None:
    """Train a classifier on the data that FILE names, and say how to measure with it."""
    from harness.evaluation.trained_extractor import train_extractor

    experiment = open_file(file, sets).experiment
    size = resolution or experiment.baseline.resolution
    say(f"training on {experiment.data.source} at {size}x{size} pixels, in one thread")
    made = train_extractor(
        experiment.data,
        size,
        output,
        epochs=epochs,
        seed=seed,
        watch=lambda epoch, loss: say(f"epoch {epoch}: loss {loss:.4f}"),
    )
    lines = ['extractor = "trained"', f"extractor_weights = {json.dumps(made.file.as_posix(), ensure_ascii=False)}"]
    if as_json:
        show_json(
            {
                "weights": str(made.file),
                "sha256": made.sha256,
                "held_out": made.held_out,
                "accuracy": made.accuracy,
                "classes": {each.name: {"images": each.images, "right": each.right} for each in made.classes},
                "lines": lines,
            }
        )
        return
    rows = [(each.name, each.images, each.right) for each in made.classes]
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))
    table = [
        [name, f"{images:,}", f"{right:,}", f"{right / images:.1%}" if images else "-"]
        for name, images, right in [*rows, total]
    ]
    show(f"held out: {made.held_out}")
    show(columns([["class", "images", "right", "accuracy"], *table], right=frozenset({1, 2, 3})))
    show(f"\nWritten to {made.file}. To measure with it, under [[evaluation]]:\n")
    show("\n".join(lines))
