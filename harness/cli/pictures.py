"""Commands that draw from checkpoints: sample, interpolate, progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from harness.cli.console import say, show_json
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, find_cell, open_file, own_code_of, view_of
from harness.design.experiment import EvaluationSettings
from harness.errors import HarnessError, StoreError
from harness.evaluation.protocol import caveat, measured_resolution
from harness.store.atomic import make_folder
from harness.store.pictures import ClassSheet, Interpolations
from harness.store.rundir import RunDirectory
from harness.tracking.reader import ExperimentView, RunView

if TYPE_CHECKING:
    from harness.gan.checkpoints import Checkpoint

FEWEST_FOR_CLASSES = 50
"""Images; fewer say little about which classes are missing."""

Cell = Annotated[str, typer.Option("--cell", metavar="CELL", help="A name, levels such as latent_dim=100, or best.")]
Seed = Annotated[int | None, typer.Option("--seed", help="The run's seed; default: the cell's first.")]
Step = Annotated[int | None, typer.Option("--step", help="The checkpoint; default: the last one.")]
Weights = Annotated[str, typer.Option("--weights", metavar="raw|ema", help="As trained, or averaged.")]
Output = Annotated[Path | None, typer.Option("--output", help="The PNG to write.")]


def sample(
    file: File,
    cell: Cell,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    seed: Seed = None,
    step: Step = None,
    count: Annotated[int, typer.Option("--count", min=1, max=1024, help="Images in the grid.")] = 64,
    weights: Weights = "raw",
    classes: Annotated[
        bool, typer.Option("--classes", help="Write under each image the class it is taken for, and count them.")
    ] = False,
    extractor: Annotated[
        str | None,
        typer.Option("--extractor", metavar="digits|mnist", help="What tells the class; default: the file's first."),
    ] = None,
    output: Output = None,
) -> None:
    """Write a grid of generated images from one checkpoint."""
    chosen = _choose(file, sets, runs_dir, cell, seed, weights, output)
    settings = _classifier(chosen.view, extractor, count) if classes else None
    if extractor and not classes:
        raise HarnessError("it tells classes, which are not asked for", where="--extractor", remedy="Add --classes.")
    at = chosen.step(step)
    target = output or Path(f"{chosen.directory.root.name}--step-{at:06d}{'--classes' if classes else ''}.png")
    make_folder(target.parent)
    if settings is not None:
        _tell(chosen, as_json, target, {"step": at}, _draw_classes(chosen, at, target, settings, count))
        return

    import torch

    from harness.gan.sampling import write_sample_grid

    write_sample_grid(target, chosen.checkpoint(at), count, torch.device("cpu"))
    _tell(chosen, as_json, target, {"step": at}, {"images": count, "weights": chosen.weights})


def interpolate(
    file: File,
    cell: Cell,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    seed: Seed = None,
    step: Step = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, max=100, help="Pairs of latents, a row each.")] = 5,
    points: Annotated[int, typer.Option("--points", min=2, max=100, help="Images in each row.")] = 10,
    path: Annotated[
        str, typer.Option("--path", metavar="lerp|slerp", help="The straight line, or the great circle.")
    ] = "lerp",
    start: Annotated[float, typer.Option("--from", min=-100, max=100, help="The first t; 0 is one latent.")] = 0.0,
    end: Annotated[float, typer.Option("--to", min=-100, max=100, help="The last t; 1 is the other latent.")] = 1.0,
    weights: Weights = "raw",
    output: Output = None,
) -> None:
    """Write walks between pairs of latents, a row each."""
    walk = Interpolations(pairs, points, _path(path), start, end)
    if not end - start >= 0.001:  # nan, too
        raise HarnessError(f"t ends at {end:g}, and must end behind where it begins, {start:g}", where="--from, --to")
    chosen = _choose(file, sets, runs_dir, cell, seed, weights, output)
    at = chosen.step(step)
    target = output or Path(f"{chosen.directory.root.name}--step-{at:06d}--interpolations.png")
    make_folder(target.parent)

    import torch

    from harness.execution.pictures import write_interpolations

    noted = {"weights": chosen.weights}
    write_interpolations(target, chosen.checkpoint(at), walk, torch.device("cpu"), noted)
    _tell(chosen, as_json, target, {"step": at}, {**walk.settings, **noted})


def progress(
    file: File,
    cell: Cell,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    seed: Seed = None,
    count: Annotated[int, typer.Option("--count", min=1, max=100, help="Images of each checkpoint.")] = 8,
    weights: Weights = "raw",
    output: Output = None,
) -> None:
    """Write one fixed noise at every checkpoint of a run."""
    chosen = _choose(file, sets, runs_dir, cell, seed, weights, output)
    target = output or Path(f"{chosen.directory.root.name}--progress.png")
    make_folder(target.parent)

    import torch

    from harness.execution.pictures import write_progress

    def load(step: int) -> Callable[[], Checkpoint]:
        return lambda: chosen.checkpoint(step)

    noted = {"weights": chosen.weights}
    write_progress(target, [load(step) for step in chosen.steps], count, torch.device("cpu"), noted)
    _tell(chosen, as_json, target, {"steps": chosen.steps}, {"images": count, **noted})


@dataclass(frozen=True)
class _Chosen:
    """The run that a person names. steps: of its checkpoints, ascending, at least one."""

    view: ExperimentView
    run: RunView
    directory: RunDirectory
    steps: list[int]
    weights: Literal["raw", "ema"]

    def step(self, asked: int | None) -> int:
        """The checkpoint asked for, or the last one."""
        if asked is not None and asked not in self.steps:
            raise HarnessError(f"no checkpoint at step {asked}; there are {self.steps}", where=self.run.run.name)
        return self.steps[-1] if asked is None else asked

    def checkpoint(self, step: int) -> Checkpoint:
        """The generator at `step`, on the CPU."""
        import torch

        from harness.gan.checkpoints import load_generator

        expected = self.run.run.cell.hyperparameters
        own_code = own_code_of(self.view.plan)
        path = self.directory.checkpoint(step)
        return load_generator(path, torch.device("cpu"), own_code, expected, weights=self.weights)


def _choose(
    file: Path,
    sets: list[str] | None,
    runs_dir: Path,
    cell: str,
    seed: int | None,
    weights: str,
    output: Path | None,
) -> _Chosen:
    """The run of `cell` with `seed`; HarnessError where there is none, or nothing to draw from."""
    if output and output.suffix.lower() != ".png":
        raise HarnessError("the picture is a PNG; end its name with .png", where=f"--output {output}")
    which = _weights(weights)
    view = view_of(open_file(file, sets), runs_dir)
    name = find_cell(view, cell, "--cell")
    runs = {run.run.seed: run for run in view.runs if run.run.cell.name == name}
    if seed is not None and seed not in runs:
        raise HarnessError(f"{name} has no seed {seed}; it has {sorted(runs)}", where="--seed")
    run = next(iter(runs.values())) if seed is None else runs[seed]
    if not run.status.is_readable:
        raise StoreError(run.status.reason, where=run.run.name)
    steps = list(run.checkpoints())
    if run.directory is None or not steps:
        raise HarnessError("there is no checkpoint yet", where=run.run.name, remedy=f"harness run {file}")
    return _Chosen(view, run, run.directory, steps, which)


def _draw_classes(chosen: _Chosen, step: int, target: Path, settings: EvaluationSettings, count: int) -> dict[str, Any]:
    """Draws the sheet of classes; what it depends on, and the images by class."""
    import torch

    from harness.evaluation.extractor_weights import weights_sha256
    from harness.evaluation.extractors import load_extractor
    from harness.execution.pictures import write_class_sheet

    device = torch.device("cpu")
    experiment = chosen.view.plan.experiment
    resolution = measured_resolution(settings, experiment)
    sheet = ClassSheet(count, settings.extractor_name, weights_sha256(settings), chosen.weights, resolution)
    if text := caveat(settings, experiment.data):
        say(text)
    classifier = load_extractor(settings, device)
    counts = write_class_sheet(target, chosen.checkpoint(step), sheet, classifier, device)
    return {**sheet.settings, "counts": counts}


def _classifier(view: ExperimentView, extractor: str | None, count: int) -> EvaluationSettings:
    """Whose classes are told: the named extractor's, or that of the file's first evaluation that was not left out."""
    if count < FEWEST_FOR_CLASSES:
        raise HarnessError(
            f"{count} images say too little of classes; allowed with --classes: {FEWEST_FOR_CLASSES} and more",
            where="--count",
        )
    match extractor:
        case "digits" | "mnist":
            return EvaluationSettings(extractor=extractor)
        case None:
            if first := next((block.settings for block in view.blocks if block.available), None):
                return first
            raise HarnessError(
                "the weights of the extractors that could tell classes are missing, and their evaluation was left out"
                if view.blocks
                else "the file has no [[evaluation]] whose extractor could tell classes",
                where="--classes",
                remedy="Name one: --extractor digits, or mnist.",
            )
    raise HarnessError(f"{extractor!r} is no classifier; allowed: digits, mnist", where="--extractor")


def _tell(
    chosen: _Chosen, as_json: bool, target: Path, steps: dict[str, int | list[int]], settings: dict[str, Any]
) -> None:
    run = chosen.run.run
    if as_json:
        about = {"cell": run.cell.name, "seed": run.seed, "key": run.key, **steps}
        show_json({**about, "file": str(target), "settings": settings})
        return
    which = f"step {steps['step']}" if "step" in steps else f"{len(chosen.steps)} checkpoints"
    say(f"{run.name}, {which}: {target}")
    if "counts" in settings:
        counts = ", ".join(f"{name}: {count}" for name, count in settings["counts"].items() if count)
        how = "{extractor} at {resolution} pixels, {weights} weights".format_map(settings)
        say(f"images by class ({how}): {counts}")


def _weights(text: str) -> Literal["raw", "ema"]:
    match text:
        case "raw" | "ema":
            return text
    raise HarnessError(f"{text!r} are no weights; allowed: raw, ema", where="--weights")


def _path(text: str) -> Literal["lerp", "slerp"]:
    match text:
        case "lerp" | "slerp":
            return text
    raise HarnessError(f"{text!r} is no path between latents; allowed: lerp, slerp", where="--path")
