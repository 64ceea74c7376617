"""networks.json and the grids of real images: written once, told when damaged, added to older experiments."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import TINY, opened, run_directories, run_here, statuses, views, write_file
from harness.data.cache import open_images, shown_indices
from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.design.picture_sizes import grid_geometry
from harness.gan.grids import compose_grid
from harness.gan.networks.sizes import network_sizes
from harness.gan.preflight import check_networks
from harness.store import atomic
from harness.store.attempts import read_attempts
from harness.store.inspection import inspect_run, inspect_shared
from harness.store.networks import Networks, NetworkSize, read_networks, write_networks
from harness.store.rundir import RunDirectory, experiment_directory
from harness.tracking.content import child_content
from harness.tracking.parent import report_files, shared_files
from harness.tracking.reader import read_experiment

ALONE = TINY[: TINY.index("[[grid]]")]
SIZES = Networks(NetworkSize(10, 40), NetworkSize(20, 80))


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    path = write_file(tmp_path, ALONE)
    run_here(path)
    return path


def only_run(path: Path) -> RunDirectory:
    (run,) = run_directories(path).values()
    return run


def test_sizes_are_read_as_they_were_written_and_damage_reads_as_none(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert read_networks(run) is None
    write_networks(run, SIZES)
    assert read_networks(run) == SIZES
    content = run.networks.read_text()
    run.networks.write_text(content.replace("10", "11"))
    assert read_networks(run) is None
    write_networks(run, SIZES)
    assert run.networks.read_text() == content


@pytest.mark.parametrize("levels", [{}, {"generator": "mlp", "discriminator": "mlp"}, {"ema_decay": 0.9}])
def test_sizes_are_those_that_the_check_finds(levels: dict[str, object]) -> None:
    hp = Hyperparameters.model_validate({"resolution": 16, "latent_dim": 8, **levels})
    checked = check_networks(hp, 1, OwnCode({}))
    sizes = network_sizes(hp, 1, OwnCode({}))
    for size, found in ((sizes.generator, checked.generator), (sizes.discriminator, checked.discriminator)):
        assert (size.parameters, size.weights_bytes) == (found.parameters, found.weights_bytes)
        assert size.weights_bytes >= 4 * size.parameters > 0


def test_a_run_notes_its_networks_and_tracking_takes_them(complete: Path) -> None:
    run, view = only_run(complete), views(complete)["baseline seed 0"]
    hp = view.run.cell.hyperparameters
    assert read_networks(run) == network_sizes(hp, 1, OwnCode({}))
    experiment = read_experiment(opened(complete).plan, complete.parent / "runs")
    content = child_content(experiment, view, run, "parent")
    assert "networks.json" in content.files
    assert "pictures/real-8.png" in shared_files(experiment)


def test_an_older_complete_run_gets_its_networks_without_an_attempt(complete: Path) -> None:
    run = only_run(complete)
    before, attempts, state = run.networks.read_bytes(), read_attempts(run), run.state(24).stat().st_mtime_ns
    run.networks.unlink()
    status = statuses(complete)["baseline seed 0"]
    assert (status.state, status.lacks_networks, status.is_settled) == ("complete", True, True)
    assert [result.outcome for result in run_here(complete).results.values()] == ["finished"]
    assert run.networks.read_bytes() == before
    assert read_attempts(run) == attempts and run.state(24).stat().st_mtime_ns == state
    assert run_here(complete).results == {}


def test_evaluating_leaves_what_is_lacking_to_run(complete: Path) -> None:
    only_run(complete).networks.unlink()
    assert run_here(complete, work="evaluate").results == {}
    assert not only_run(complete).networks.exists()


def test_a_damaged_file_is_told_and_written_again(complete: Path) -> None:
    run, view = only_run(complete), views(complete)["baseline seed 0"]
    before = run.networks.read_bytes()
    run.networks.write_bytes(before[:-3])
    (finding,) = inspect_run(run, view.run.key)
    assert (finding.path, finding.kind) == (run.networks, "networks")
    assert "it is written again" in str(finding)
    run_here(complete)
    assert run.networks.read_bytes() == before


def test_real_images_are_a_fixed_draw_and_come_back(complete: Path) -> None:
    directory = experiment_directory(complete.parent / "runs", "tiny")
    path = directory.real_images(8)
    before = path.read_bytes()
    with Image.open(io.BytesIO(before)) as image:
        shown = np.asarray(image)
        assert (image.info["harness:real_images"], image.info["harness:resolution"]) == ("4", "8")
    cached = open_images(next(directory.cache.glob("images-digits-8-*.npy")))
    drawn = torch.from_numpy(np.asarray(cached[shown_indices(len(cached), 4)]))
    assert np.array_equal(shown, compose_grid(drawn)[0].numpy())
    path.unlink()
    assert run_here(complete).results == {}
    assert path.read_bytes() == before


def test_damaged_real_images_are_told_and_drawn_again(complete: Path) -> None:
    directory = experiment_directory(complete.parent / "runs", "tiny")
    path = directory.real_images(8)
    before = path.read_bytes()
    path.write_bytes(before[:-20])
    assert [str(finding) for finding in inspect_shared(directory)] == [
        f"{path}: the picture is not whole; it is drawn again"
    ]
    run_here(complete)
    assert path.read_bytes() == before and inspect_shared(directory) == ()


def test_real_images_follow_the_number_of_samples(complete: Path) -> None:
    read = read_experiment(opened(complete).plan, complete.parent / "runs")
    assert read.missing_real_images() == ()
    more = read_experiment(opened(complete, "report.samples=9").plan, complete.parent / "runs")
    assert [(grid.resolution, grid.images) for grid in more.missing_real_images()] == [(8, 9)]


def test_data_that_are_gone_are_told_and_stop_nothing(complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.errors import DataError
    from harness.execution import runner

    def gone(*arguments: object, **named: object) -> None:
        raise DataError("the data are gone")

    experiment_directory(complete.parent / "runs", "tiny").real_images(8).unlink()
    monkeypatch.setattr(runner, "prepare", gone)
    events: list[object] = []
    assert run_here(complete, events=events).results == {}  # type: ignore[arg-type]
    assert [event.text for event in events] == [  # type: ignore[attr-defined]
        "no real images can be shown beside generated ones: the data are gone"
    ]


def test_the_live_page_is_no_part_of_the_report_in_tracking(tmp_path: Path) -> None:
    for name in ("report.md", "live.html", "report.html"):
        (tmp_path / name).write_text("x")
    atomic.write_json(tmp_path / "report.json", {"files": {"report.md": "", "report.html": ""}})
    assert set(report_files(tmp_path)) == {"report/report.json", "report/report.md", "report/report.html"}


@pytest.mark.parametrize(("count", "resolution"), [(1, 8), (4, 8), (7, 16), (64, 28), (10, 40)])
def test_geometry_says_where_images_of_a_grid_lie(count: int, resolution: int) -> None:
    images = torch.randint(0, 255, (count, 1, resolution, resolution), dtype=torch.uint8)
    grid, geometry = compose_grid(images)[0], grid_geometry(count, resolution)
    assert tuple(grid.shape) == geometry.size
    factor = geometry.side // resolution
    for number in range(count):
        top, left = geometry.place(number)
        cut = grid[top : top + geometry.side, left : left + geometry.side]
        assert torch.equal(cut[::factor, ::factor], images[number, 0])


def test_json_is_as_documented(complete: Path) -> None:
    document = json.loads(only_run(complete).networks.read_text())
    assert document.keys() == {"generator", "discriminator", "sha256"}
    assert document["generator"].keys() == {"parameters", "weights_bytes"}
