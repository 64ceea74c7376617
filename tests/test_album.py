"""Pictures of several pages: each names the runs of its own cells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from report_data import lived, many_cells

from harness.report.album import MOST_DRAWN_PAGES, Album
from harness.report.figures.style import PANELS_PER_PAGE
from harness.report.picture_texts import ShownRuns

CELLS = PANELS_PER_PAGE + 2
SECTIONS = ["against-step", "loss-crossings", "probabilities", "diagnosis"]


def shown_by(pictures: list[dict[str, Any]], name: str, run_cells: dict[str, str]) -> list[list[str]]:
    """The cells that each page of a picture names, in order."""
    paged = [picture for picture in pictures if re.fullmatch(rf"figures/{name}-\d+\.png", picture["path"])]
    return [list(dict.fromkeys(run_cells[source["key"]] for source in picture["sources"])) for picture in paged]


def test_each_page_names_the_runs_of_its_cells(tmp_path: Path) -> None:
    plan = many_cells(CELLS, seeds=[0], report={"samples": 16, "sections": SECTIONS})
    lived(plan, tmp_path)
    document = json.loads((tmp_path / "report" / "report.json").read_bytes())
    run_cells = {run["key"]: run["cell"] for run in document["runs"]}
    names = [cell.name for cell in plan.cells]
    for picture in ("fid-digits-against-step", "losses"):
        pages = shown_by(document["pictures"], picture, run_cells)
        assert pages == [names[:PANELS_PER_PAGE], names[PANELS_PER_PAGE:]], picture
    for picture in ("probabilities", "diagnosis"):
        pages = shown_by(document["pictures"], picture, run_cells)
        together = [name for page in pages for name in page]
        assert len(pages) > 1 and len(set(together)) == len(together), picture


@pytest.mark.parametrize("pages", [MOST_DRAWN_PAGES, MOST_DRAWN_PAGES + 1])
def test_a_picture_of_many_pages_has_no_svg(pages: int) -> None:
    album = Album(ShownRuns("demo", {}, {}))
    album.add("losses", "Losses", [Figure((1, 1)) for _ in range(pages)], [])
    drawn = [path for path in album.files() if path.endswith(".svg")]
    assert len(drawn) == (pages if pages <= MOST_DRAWN_PAGES else 0)
