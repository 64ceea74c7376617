"""Figures and tables have numbers, in the order of the text, and captions that say what they are of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from report_data import lived, small_plan

from harness.report.album import Picture
from harness.report.html import html_page
from harness.report.language import ENGLISH
from harness.report.numbering import Numbering

SHOWN = {"samples": 16, "sections": ["samples", "against-step", "settings", "reproduce"]}


def picture(name: str, *sources: dict[str, Any]) -> Picture:
    return Picture(f"figures/{name}.png", name, list(sources), False)


def of_run(key: str, seed: int, **more: int) -> dict[str, Any]:
    return {"key": key, "seed": seed, **more}


def numbered(body: str, *pictures: Picture) -> str:
    cells = {"a0": "a", "a1": "a", "b0": "b", "b2": "b"}
    return Numbering(ENGLISH, cells, {one.path: one for one in pictures}).numbered(body, "The section")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return lived(small_plan(report=SHOWN), tmp_path_factory.mktemp("numbered"))


@pytest.mark.parametrize(
    ("sources", "of"),
    [
        ([of_run("a0", 0, step=5), of_run("a1", 1, step=5)], "; n = 2 seeds per cell, step 5"),
        ([of_run("a0", 0, step=5), of_run("b0", 0, step=9)], "; seed 0, steps 5 to 9"),
        ([of_run("a0", 0, step=5), of_run("b2", 2, step=5)], "; one seed per cell, step 5"),
        ([of_run("a0", 0, records_to_step=7), of_run("a1", 1, records_to_step=9), of_run("b0", 0, records_to_step=9)],
         "; n = 1 to 2 seeds per cell, up to step 9"),
        ([{"real_images": 4}], ""),
    ],
)  # fmt: skip
def test_a_caption_says_of_how_many_seeds_and_which_steps(sources: list[dict[str, Any]], of: str) -> None:
    found = numbered("![x](figures/x.png)", picture("x", *sources))
    assert found == f"![x](figures/x.png)  \n**Figure 1.** x{of}."


def test_tables_are_named_by_their_own_title_or_the_heading_above() -> None:
    body = "| a |\n|---|\n\n### Part\n\n| b |\n|---|\n\nTable: My *own*\n| c |\n|---|"
    titles = re.findall(r"\*\*Table (\d)\.\*\* (.+)", numbered(body))
    assert titles == [("1", "The section"), ("2", "Part"), ("3", "My *own*")]
    assert "Table: " not in numbered(body)


def test_fenced_blocks_and_pictures_of_others_stay() -> None:
    body = "```toml\n\n| a |\n### b\n![x](figures/x.png)\n```\n\n![mine](figures/mine.png)"
    assert numbered(body, picture("x")) == body


def test_a_report_numbers_all_of_its_own_in_order(text: str) -> None:
    figures, tables = (re.findall(rf"\*\*{kind} (\d+)\.\*\*", text) for kind in ("Figure", "Table"))
    assert figures == ["1", "2", "3"] and [int(number) for number in tables] == list(range(1, len(tables) + 1))
    assert len(re.findall(r"^\|[:|-]+\|$", text, flags=re.MULTILINE)) == len(tables) >= 4
    assert "**Figure 1.** Sample grids; seed 0, step 400." in text
    assert "**Figure 3.** FID (digits) at the last checkpoint; n = 2 seeds per cell, step 400." in text


def test_the_page_has_each_caption_once(text: str) -> None:
    pictures = dict.fromkeys(re.findall(r"\((figures/\S+)\)", text), PIXEL)
    page = html_page(text, pictures, ENGLISH)
    assert page.count("<figcaption>") == page.count("<figcaption><strong>Figure ") == 3
    assert page.count("Sample grids; seed 0, step 400.</figcaption>") == 1


def test_the_title_says_data_size_cells_and_seeds(text: str, tmp_path: Path) -> None:
    assert text.startswith("# small: GANs on digits at 16 × 16 pixels, 4 cells × 2 seeds\n\nThe runs were made on 20")
    cells = [{"name": "large", "resolution": 32, "seeds": [0]}]
    other = lived(small_plan(grid=[], cell=cells, report=SHOWN | {"sections": ["reproduce"]}), tmp_path)
    assert other.startswith("# small: GANs on digits at 16 × 16 and 32 × 32 pixels, 2 cells × 1 to 2 seeds\n")


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
"""The smallest PNG."""
