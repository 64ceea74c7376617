"""Settings of cells that decide what a run trains and what of it is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from experiments import TINY, run_directories, run_here, views, write_file
from harness.errors import DataError
from harness.store.manifest import read_run_manifest


def test_a_moving_average_is_measured_where_a_block_says_so(tmp_path: Path) -> None:
    block = TINY[TINY.index("[[evaluation]]") : TINY.index("[report]")]
    text = TINY[: TINY.index("[[grid]]")].replace("[report]", block + 'generator_weights = "ema"\n\n[report]')
    path = write_file(tmp_path, text.replace("[baseline]", "[baseline]\nema_decay = 0.9"))
    run_here(path)
    view = views(path)["baseline seed 0"]
    raw, average = view.evaluation(0, 24), view.evaluation(1, 24)
    assert raw and average
    assert raw.checkpoint_sha256 == average.checkpoint_sha256
    assert raw.values["fid"] != average.values["fid"]


def test_a_run_says_its_total_where_a_schedule_reads_it(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY.replace('levels.architecture = ["mlp"]', "levels.lr_decay_from = [0.5]"))
    run_here(path)
    totals = {name: read_run_manifest(view.directory) for name, view in views(path).items() if view.directory}
    assert {name: manifest and manifest.steps for name, manifest in totals.items()} == {
        "baseline seed 0": None,
        "lr_decay_from=0.5 seed 0": 24,
    }
    raised = run_here(path, "training.steps=30").results
    assert {result.outcome for result in raised.values()} == {"finished"}
    assert len(run_directories(path)) == 3  # the baseline goes on, the schedule of another total is another run


def test_a_limit_to_all_images_beside_no_limit_is_refused_once_they_are_counted(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for value in range(40):
        Image.new("L", (8, 8), value).save(images / f"{value}.png")
    data = f'[data]\nsource = "folder"\nroot = "{images.as_posix()}"\ncolor = "gray"\n\n[baseline]'
    text = TINY.replace("[baseline]", data).replace('levels.architecture = ["mlp"]', "levels.limit = [40]")
    path = write_file(tmp_path, text.replace("reference = 200", "reference = 40"))
    with pytest.raises(DataError, match="limit = 40 is all the images there are, so that the cells baseline and limit"):
        run_here(path)
    assert {result.outcome for result in run_here(path, "grid.0.levels.limit=[39]").results.values()} == {"finished"}
