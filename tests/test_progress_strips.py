"""Progress strips and sample grids: which images they show, which are refused, and what stands under them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_data import Story, live, lived, prepare, report, section, small_plan, write_run, write_samples

from harness.design.picture_sizes import GAP, grid_geometry
from harness.report.content import gather
from harness.report.pictures import styles_of
from harness.report.strips import Strips, cell_strip, evenly, shown_images
from harness.store.rundir import experiment_directory
from harness.tracking.reader import read_experiment


def showing(*sections: str) -> dict[str, object]:
    """`[report]` with these sections alone."""
    return {"samples": 16, "sections": list(sections)}


def strip_of(plan: object, runs_dir: Path, steps: list[int]) -> Strips:
    content = gather(read_experiment(plan, runs_dir))  # type: ignore[arg-type]
    strips, cell = Strips(), content.cells[0]
    cell_strip(content, strips, (cell, styles_of(content)[0]), cell.runs[0], steps)
    return strips


def test_a_strip_is_cut_from_the_sample_grids(tmp_path: Path) -> None:
    plan = small_plan(grid=[], seeds=[0])
    live(plan, tmp_path)
    (panel,) = strip_of(plan, tmp_path, [200, 400]).panels
    assert panel.steps == (200, 400) and panel.picture is not None
    (folder,) = experiment_directory(tmp_path, "small").runs().values()
    geometry = grid_geometry(16, 16)
    side = geometry.side
    assert panel.picture.shape == (2 * side + GAP, 8 * side + 7 * GAP)
    for row, step in enumerate((200, 400)):
        grid = np.asarray(Image.open(io.BytesIO(folder.samples(step).read_bytes())))
        for number in range(8):
            top, left = geometry.place(number)
            x, y = number * (side + GAP), row * (side + GAP)
            shown = panel.picture[y : y + side, x : x + side]
            assert np.array_equal(shown, grid[top : top + side, left : left + side])


def test_grids_of_another_checkpoint_or_size_are_not_used(tmp_path: Path) -> None:
    plan = small_plan(grid=[], seeds=[0])
    live(plan, tmp_path)
    (folder,) = experiment_directory(tmp_path, "small").runs().values()
    digest = gather(read_experiment(plan, tmp_path)).runs[0].checkpoints[400]
    write_samples(folder.samples(200), plan.runs[0].key, 200, "00" * 32, 16)
    write_samples(folder.samples(400), plan.runs[0].key, 400, digest, 25)
    relabeled = folder.samples(400).read_bytes()
    with Image.open(io.BytesIO(relabeled)) as image:
        assert image.info["harness:samples"] == "25"
    strips = strip_of(plan, tmp_path, [200, 400])
    assert strips.sources == [] and strips.panels[0].picture is None
    assert "step 200: the picture on disk is of another checkpoint SHA-256" in strips.missing[0]
    assert "step 400: the picture on disk was drawn with another setting: samples" in strips.missing[1]


def test_a_grid_that_says_more_images_than_it_has_is_refused(tmp_path: Path) -> None:
    """As `write_samples` draws 5 x 5 places where 17 images would need 5 x 4."""
    plan = small_plan(grid=[], seeds=[0], report={"samples": 16})
    live(plan, tmp_path)
    (folder,) = experiment_directory(tmp_path, "small").runs().values()
    digest = gather(read_experiment(plan, tmp_path)).runs[0].checkpoints[400]
    other = small_plan(grid=[], seeds=[0], report={"samples": 17})
    write_samples(folder.samples(400), plan.runs[0].key, 400, digest, 17)
    (reason,) = strip_of(other, tmp_path, [400]).missing
    assert "another size than its sample grid" in reason


def test_the_section_shows_every_cell_and_says_what_is_missing(tmp_path: Path) -> None:
    plan = small_plan(report=showing("progress"))
    stories = {"latent_dim=100": Story(pictured=False), "normalization=none seed 0": Story("interrupted", reached=200)}
    text = section(lived(plan, tmp_path, stories), "progress")
    assert "](figures/progress.png)" in text
    assert "the first 8 images" in text and "evenly chosen" not in text
    assert "- Missing: latent\\_dim=100, seed 0, step 200: no picture was made" in text
    assert "normalization=none" not in text.split("- Missing")[1]


def test_many_checkpoints_are_thinned_and_that_is_said(tmp_path: Path) -> None:
    training = {"steps": 300, "log_every": 10, "checkpoint_every": 20}
    plan = small_plan(grid=[], seeds=[0], training=training, report=showing("progress"))
    prepare(plan, tmp_path / "runs")
    write_run(plan.runs[0], plan, tmp_path / "runs", Story(reached=300, evaluated=False))
    text = section(report(plan, tmp_path / "runs", tmp_path / "report"), "progress")
    assert "Of more than 10 checkpoints, 10 are shown, evenly chosen, with the first and the last." in text


def test_few_samples_make_narrow_strips(tmp_path: Path) -> None:
    plan = small_plan(grid=[], seeds=[0], report={"samples": 4})
    live(plan, tmp_path)
    assert shown_images(gather(read_experiment(plan, tmp_path))) == 4
    (panel,) = strip_of(plan, tmp_path, [400]).panels
    assert panel.picture is not None and panel.picture.shape == (32, 4 * 32 + 3 * GAP)


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 25, 500])
def test_evenly_chosen_steps_keep_both_ends(count: int) -> None:
    steps = [10 * (index + 1) for index in range(count)]
    chosen = evenly(steps)
    assert len(chosen) == min(count, 10) == len(set(chosen))
    assert (chosen[0], chosen[-1]) == (steps[0], steps[-1])
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or max(gaps) - min(gaps) <= 10


def test_sample_grids_stand_beside_real_images_with_their_settings(tmp_path: Path) -> None:
    text = section(lived(small_plan(report=showing("samples")), tmp_path), "samples")
    assert "Real images are a fixed draw from the training data" in text
    assert "The same for all: resolution 16, step 400, seed 0." in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[0] == ["Cell", "Against the baseline", "latent size"]
    assert rows[2] == ["baseline", "(the baseline)", "16"]
    assert ["latent\\_dim=100", "`latent_dim` 16 → 100", "100"] in rows
    evidence = (tmp_path / "report" / "report.json").read_text()
    assert '"real_images": 16' in evidence and '"resolution": 16' in evidence


def test_missing_real_images_are_said(tmp_path: Path) -> None:
    plan = small_plan(report=showing("samples"))
    live(plan, tmp_path / "runs")
    experiment_directory(tmp_path / "runs", "small").real_images(16).unlink()
    text = section(report(plan, tmp_path / "runs", tmp_path / "report"), "samples")
    assert "- Missing: Real images at 16 pixels: no picture was made" in text
    assert "fixed draw" not in text and "](figures/samples.png)" in text
