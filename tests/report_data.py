"""Run directories for report tests, written through the store's own functions: what workers leave, without training."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from harness.design.expansion import Plan, Run, expand
from harness.design.experiment import Experiment
from harness.design.metrics import CLASS_METRICS, METRICS
from harness.design.picture_sizes import grid_geometry
from harness.evaluation.protocol import asked_class_sheet, block_protocols, weights_key
from harness.report import album
from harness.report.document import SECTIONS
from harness.report.figures.files import FigureFiles, figure_files
from harness.report.figures.press import Press
from harness.report.render import render_report
from harness.report.typography import NO_BREAK
from harness.store import atomic
from harness.store.attempts import Outcome, begin_attempt, end_attempt
from harness.store.commits import Commit, write_commit
from harness.store.evaluations import Evaluation, Floor, write_evaluation
from harness.store.manifest import (
    ExperimentManifest,
    RunManifest,
    data_key,
    read_experiment_manifest,
    write_experiment_manifest,
    write_run_manifest,
)
from harness.store.networks import Networks, NetworkSize, write_networks
from harness.store.pictures import AskedPicture, asked_pictures, settings_text
from harness.store.real_images import RealImages, asked_real_images
from harness.store.records import encode
from harness.store.rundir import RunDirectory, experiment_directory
from harness.tracking.snapshot import read_snapshot

MACHINE = {"torch": "2.15.0", "device": "cpu", "threads": 1, "harness": "0.1", "python": "3.11.7", "host": "somewhere"}
SHA = "ab" * 32
NETWORKS = Networks(NetworkSize(16_784, 67_524), NetworkSize(9_073, 36_500))

NOTES = {section.name: section.title for section in SECTIONS}
"""Sections by the name of their note: the heading of each."""


@dataclass(frozen=True)
class Story:
    """What becomes of one run. swings: how often its losses change places; level: losses of G and D (per term) that
    stay where they are instead; classes: images of each repeat by digit."""

    outcome: Outcome = "finished"
    reached: int = 400
    swings: float = 3
    level: tuple[float, float] | None = None
    fid: float = 20.0
    repeats: int = 3
    evaluated: bool = True
    pictured: bool = True
    classes: tuple[int, ...] = (10,) * 10
    floor: bool = True
    machine: dict[str, Any] = field(default_factory=lambda: dict(MACHINE))


def small_plan(**changes: Any) -> Plan:
    """Four cells (baseline, two levels of latent_dim and the MLP), two seeds, 400 steps, one block of three repeats."""
    document: dict[str, Any] = {
        "name": "small",
        "seeds": [0, 1],
        "baseline": {"resolution": 16, "latent_dim": 16},
        "training": {"steps": 400, "log_every": 10, "checkpoint_every": 200},
        "evaluation": [{"extractor": "digits", "samples": 100, "repeats": 3}],
        "grid": [
            {"kind": "one-at-a-time", "levels": {"latent_dim": [100], "normalization": ["none"], "generator": ["mlp"]}}
        ],
        "report": {"samples": 16},
    }
    return expand(Experiment.model_validate(document | changes))


def measured_plan(**changes: Any) -> Plan:
    """`small_plan` with every metric, walks between latents and sheets of classes."""
    block = {"samples": 100, "repeats": 3, "metrics": list(METRICS)}
    return small_plan(
        **{"evaluation": [block], "report": {"samples": 16, "interpolations": [5, 10], "classes": 64}, **changes}
    )


def many_cells(count: int, **changes: Any) -> Plan:
    """A baseline and `count - 1` other cells with long names."""
    cells = [
        {"name": f"a rather long name for cell number {index}, with latent_dim={index + 1}", "latent_dim": index + 1}
        for index in range(count - 1)
    ]
    return small_plan(grid=[], cell=cells, baseline={"resolution": 16, "latent_dim": 5000}, **changes)


def prepare(
    plan: Plan,
    runs_dir: Path,
    text: str = 'name = "small"\n',
    *,
    weights: str | None = SHA,
    images: int | None = None,
) -> None:
    """What the first call of an experiment fixes: its manifest, and a copy of its file."""
    directory = experiment_directory(runs_dir, plan.experiment.name)
    extractors = {weights_key(block): block.extractor for block in plan.experiment.evaluation}
    known = {key: SHA if name == "digits" else weights for key, name in extractors.items()}
    declared = data_key(plan.experiment.data.declared())
    counts = {} if images is None else {declared: images}
    manifest = ExperimentManifest(plan.experiment.name, 1, {declared: "cd" * 32}, known, counts)
    write_experiment_manifest(directory, manifest)
    atomic.write_bytes(directory.file_copy, text.encode())
    for grid in asked_real_images(plan, manifest):
        write_real_images(directory.real_images(grid.resolution), grid)


def live(plan: Plan, runs_dir: Path, stories: dict[str, Story] | None = None) -> None:
    """Writes every run of `plan`; stories: by cell name or `name seed 0`, else the default one."""
    prepare(plan, runs_dir)
    told = stories or {}
    for run in plan.runs:
        write_run(run, plan, runs_dir, told.get(run.name) or told.get(run.cell.name) or Story())


def report(plan: Plan, runs_dir: Path, output: Path, *, painted: bool = False) -> str:
    """report.md of `plan` as its runs stand, written into `output`; with blanks for the no-break spaces of numbers.

    painted False: figures are drawn but not painted, which takes most of the time; their files are small blank pages
    that say of themselves what the real ones say.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not painted:
            paint_nothing(patch)
        path = render_report(read_snapshot(plan, runs_dir), output)
    return path.read_text(encoding="utf-8").replace(NO_BREAK, " ")


def paint_nothing(patch: pytest.MonkeyPatch) -> None:
    """As of `report`, for reports that are made otherwise."""
    patch.setattr(album, "press", lambda: Press(1, make=_unpainted))


def _unpainted(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
    files = figure_files(Figure((0.5, 0.5), dpi=20), about)
    return FigureFiles(files.png, None if any(axes.images for axes in figure.axes) else files.svg)


def lived(plan: Plan, tmp_path: Path, stories: dict[str, Story] | None = None, *, painted: bool = False) -> str:
    """report.md of runs made up by `live`; painted as of `report`."""
    live(plan, tmp_path / "runs", stories)
    return report(plan, tmp_path / "runs", tmp_path / "report", painted=painted)


def section(text: str, name: str) -> str:
    """One section of a report, by the name that its note has."""
    return text.split(f"## {NOTES[name]}\n")[1].split("\n## ")[0].split("\n---\n")[0]


def write_run(run: Run, plan: Plan, runs_dir: Path, story: Story) -> RunDirectory:
    """One run directory as a worker leaves it."""
    experiment = plan.experiment
    directory = experiment_directory(runs_dir, experiment.name).new_run(run.cell.name, run.seed, run.key)
    write_networks(directory, NETWORKS)
    levels = run.cell.hyperparameters.model_dump(mode="json")
    data = dict(experiment.data.declared())
    manifest = RunManifest(run.key, experiment.name, run.cell.name, run.seed, levels, data, "cd" * 32, 1, "0.1")
    write_run_manifest(directory, manifest)
    begin_attempt(directory, step=0, machine=story.machine)
    lines = b"".join(encode(record) for record in _records(run, run.cell.training.log_every, story))
    atomic.write_bytes(directory.metrics, lines)
    checkpoints = {}
    for step in run.cell.training.checkpoint_steps():
        if step <= story.reached:
            weights = f"weights of {run.key} at {step}".encode()
            checkpoints[str(step)] = atomic.write_hashed(directory.checkpoint(step), weights)
    digest = hashlib.sha256(lines).hexdigest()
    atomic.write_bytes(directory.state(story.reached), b"state")
    write_commit(directory, Commit(story.reached, atomic.sha256_of(b"state"), len(lines), digest, checkpoints))
    for step, checkpoint in checkpoints.items():
        if story.evaluated:
            _evaluate(directory, run, plan, runs_dir, (int(step), checkpoint, story))
        if story.pictured:
            write_samples(directory.samples(int(step)), run.key, int(step), checkpoint, experiment.report.samples)
        if story.pictured and int(step) == run.cell.training.steps:
            manifest = read_experiment_manifest(experiment_directory(runs_dir, experiment.name))
            protocols = block_protocols(experiment, manifest, run.cell.hyperparameters.batch_size)
            for asked in asked_pictures(experiment.report, asked_class_sheet(experiment, protocols)):
                write_picture(directory, run.key, checkpoint, asked, int(step))
    reason = "" if story.outcome == "finished" else "loss/generator is not finite | <script>"
    end_attempt(directory, story.outcome, step=story.reached, reason=reason)
    return directory


def write_samples(path: Path, key: str, step: int, checkpoint_sha256: str, samples: int) -> None:
    """A sample grid as workers label it."""
    side = math.isqrt(samples) * 34 + 2
    rng = np.random.default_rng(step)
    shade = rng.integers(0, 255, (side // 8 + 1, side // 8 + 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    texts = {
        "harness:key": key,
        "harness:step": str(step),
        "harness:checkpoint_sha256": checkpoint_sha256,
        "harness:samples": str(samples),
    }
    atomic.write_bytes(path, _png(shade[:side, :side], texts))


def write_real_images(path: Path, grid: RealImages) -> None:
    """A grid of real images as the process that prepares an experiment labels it."""
    height, width = grid_geometry(grid.images, grid.resolution).size
    shade = np.random.default_rng(grid.resolution).integers(0, 255, (height, width), dtype=np.uint8)
    atomic.write_bytes(path, _png(shade, grid.texts()))


def interval_records(generator: Sequence[float], discriminator: Sequence[float], every: int) -> list[dict[str, Any]]:
    """Records of the two losses, one per `every` steps; discriminator: per term."""
    return [
        {"step": every * (index + 1), "n": every, "loss/generator": g, "loss/discriminator": 2 * d}
        for index, (g, d) in enumerate(zip(generator, discriminator, strict=True))
    ]


def _records(run: Run, every: int, story: Story) -> list[dict[str, Any]]:
    rng = np.random.default_rng(run.seed + 10 * run.cell.hyperparameters.latent_dim)
    steps = np.arange(every, story.reached + 1, every)
    swing = 0.35 * np.sin(2 * np.pi * story.swings / 2 * steps / max(story.reached, 1) + 0.3)
    noise = rng.normal(0, 0.04, (2, len(steps)))
    generator, discriminator = 0.8 + swing + noise[0], 0.75 - swing / 2 + noise[1]
    if story.level:
        generator, discriminator = (level * (1 + noise[0] / 10) for level in story.level)
    records = interval_records(generator.tolist(), discriminator.tolist(), every)
    for index, record in enumerate(records):
        fake = float(np.exp(-generator[index]))
        record |= {"time": 1.7e9 + record["step"], "seconds": 0.1}
        if run.cell.hyperparameters.loss == "bce":
            record |= {"prob/real": float(np.exp(-discriminator[index])), "prob/fake_before": fake}
            record |= {"prob/fake_after": fake * 0.9, "accuracy/real": 0.8, "accuracy/fake": 0.7}
    return records


def _evaluate(directory: RunDirectory, run: Run, plan: Plan, runs_dir: Path, at: tuple[int, str, Story]) -> None:
    step, checkpoint, story = at
    manifest = read_experiment_manifest(experiment_directory(runs_dir, plan.experiment.name))
    protocols = block_protocols(plan.experiment, manifest, run.cell.hyperparameters.batch_size)
    for index, (settings, protocol) in enumerate(zip(plan.experiment.evaluation, protocols, strict=True)):
        if protocol is None:
            continue  # its weights are missing
        of_cell = int.from_bytes(hashlib.sha256(run.cell.name.encode()).digest()[:4], "big")  # no two cells are equal
        rng = np.random.default_rng([step, run.seed, of_cell, index])
        center = story.fid * (1 + 400 / step) / 2 + rng.normal(0, 0.8)
        fids = [float(center + noise) for noise in rng.normal(0, 0.3, story.repeats)]
        values = {"fid": fids} if "fid" in floor_metrics(settings.metrics) else {}  # as with all that is pooled of it
        pooled: dict[str, dict[str, float]] = {}
        for metric in settings.metrics:
            if METRICS[metric].pooled:
                pooled[metric] = {str(story.repeats): float(center - 1)}
            elif metric != "fid":
                values[metric] = [_value(metric, center, noise) for noise in rng.normal(0, 0.01, story.repeats)]
        classes = CLASS_METRICS.intersection(settings.metrics)
        evaluation = Evaluation(
            step, checkpoint, protocol.sha256, protocol.document(), values, 1.0, pooled,
            classes=[str(digit) for digit in range(10)] if classes else [],
            class_counts=[list(story.classes)] * story.repeats if classes else [],
            reference_class_counts=[100] * 10 if classes else [],
            floor=floor_of(settings.metrics) if story.floor else None,
        )  # fmt: skip
        write_evaluation(directory, evaluation)


def _value(metric: str, center: float, noise: float) -> float:
    """Something of the metric's size."""
    match metric:
        case "kid":
            return center / 500 + noise / 100
        case "inception_score":
            return 9 - center / 20 + noise
        case "missing_classes":
            return float(center > 50)
        case _:
            return 1 / (1 + center / 50) + noise


def floor_of(metrics: Sequence[str]) -> Floor:
    """Two real halves of 50 images: FID 4 on average, the other metrics 0.9."""
    return Floor(50, 50, {metric: [3.5, 4.5] if metric == "fid" else [0.9, 0.9] for metric in floor_metrics(metrics)})


def floor_metrics(metrics: Sequence[str]) -> list[str]:
    """Those that real images have against real ones: FID for what is pooled of it."""
    return list(dict.fromkeys("fid" if METRICS[metric].pooled else metric for metric in metrics))


def write_picture(directory: RunDirectory, key: str, checkpoint_sha256: str, asked: AskedPicture, step: int) -> None:
    """What a worker draws beside sample grids, as it labels it."""
    height, width = {"interpolations": (174, 342), "classes": (420, 520)}[asked.kind]
    shade = np.random.default_rng(step).integers(0, 255, (height // 6, width // 6), dtype=np.uint8)
    texts = {
        "harness:key": key,
        "harness:step": str(step),
        "harness:checkpoint_sha256": checkpoint_sha256,
        "harness:settings": settings_text({**asked.settings, "counts": {"0": 3}}),
    }
    atomic.write_bytes(directory.picture(step, asked.kind), _png(shade.repeat(6, 0).repeat(6, 1), texts))


def _png(pixels: NDArray[np.uint8], texts: dict[str, str]) -> bytes:
    about = PngInfo()
    for name, text in texts.items():
        about.add_text(name, text)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=about)
    return buffer.getvalue()
