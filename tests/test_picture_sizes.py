"""Pictures that nobody could open are refused with the plan; what is allowed, opens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from design_files import first_line, read

from harness.design.picture_sizes import most_images, too_large
from harness.gan.grids import compose_grid
from harness.gan.sheets import class_sheet

PILLOW_WARNS = 89_478_485
"""Pixels above which Pillow's default takes a picture for an attack."""


@pytest.mark.parametrize("resolution", [128, 512])
def test_what_there_is_room_for_opens_without_a_warning(resolution: int) -> None:
    most = most_images(resolution)
    assert too_large(most, resolution) is None and too_large(most + 1, resolution) is not None
    grid = compose_grid(torch.zeros(1, 1, resolution, resolution, dtype=torch.uint8).expand(most, -1, -1, -1))
    assert grid.shape[1] * grid.shape[2] < PILLOW_WARNS
    labeled = most_images(resolution, labeled=True)
    images = torch.zeros(1, 1, resolution, resolution, dtype=torch.uint8).expand(labeled, -1, -1, -1)
    sheet = class_sheet(images, [n % 10 for n in range(labeled)], tuple("0123456789"), "digits")
    assert sheet.width * sheet.height < PILLOW_WARNS


@pytest.mark.parametrize(
    ("report", "what"),
    [
        ("interpolations = [100, 100]",
         "report.interpolations: in cell resolution=128 (resolution 128) 10000 images of 128 pixels do not fit into "
         "one picture; 4733 would"),
        ("samples = 1024\nclasses = 64", None),
        ("interpolations = [47, 100]", None),
    ],
)  # fmt: skip
def test_pictures_that_nobody_could_open_are_refused_before_anything_is_trained(
    tmp_path: Path, report: str, what: str | None
) -> None:
    text = f'name = "e"\n[[cell]]\nresolution = 128\n[[cell]]\nresolution = 16\n[report]\n{report}\n'
    if what is None:
        assert len(read(tmp_path, text).plan.cells) == 3
        return
    assert first_line(tmp_path, text) == f"e.toml:7: {what}"


@pytest.mark.parametrize(("key", "most"), [("samples", 302), ("classes", 268)])
def test_sizes_of_pictures_at_the_largest_resolution(tmp_path: Path, key: str, most: int) -> None:
    text = f'name = "e"\n[baseline]\nresolution = 512\narchitecture = "mlp"\n[report]\n{key} = '
    assert read(tmp_path, f"{text}{most}").plan.cells
    told = first_line(tmp_path, f"{text}{most + 1}")
    assert told.startswith(f"e.toml:6: report.{key}: in cell baseline") and told.endswith(f"; {most} would")
    override = first_line(tmp_path, f"{text}64", f"report.{key}=1024")
    assert override.startswith(f"--set report.{key}=1024: report.{key}: ")
