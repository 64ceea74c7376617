"""What people wrote stays words: in Markdown, in spreadsheets, in MLflow's description, in addresses of headings."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_data import live, small_plan

from harness.design.controls import spelled_out
from harness.report.content import gather
from harness.report.csv_files import comparison_csv
from harness.report.html import html_page
from harness.report.language import ENGLISH
from harness.report.markdown import code, escape
from harness.tracking.content import NOTE, parent_tags
from harness.tracking.reader import read_experiment
from harness.tracking.snapshot import read_snapshot

HOSTILE = ["1. x", "12) x", "- x", "+ x", "-", "*a* [b](c) <i>", r"a\|b", "a_b_c", "~~x~~"]


def shown(markdown: str) -> str:
    """The words of Markdown as a reader sees them, `|` around what stands in items of lists."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special"}
    return "".join(child.content for child in inline)


@pytest.mark.parametrize("name", HOSTILE)
def test_first_in_an_item_a_name_begins_no_list(name: str) -> None:
    for item in (escape(name), f"- {escape(name)}"):
        html = MarkdownIt("commonmark").render(item)
        assert html.count("<li>") == item.startswith("- ") and "<ol>" not in html
        assert shown(item) == name


def test_what_turns_text_around_is_spelled_out() -> None:
    assert spelled_out("a\u202eb\x1b[31m\nc") == "a\\u202eb\\x1b[31m\nc"
    assert "\u202e" not in escape("a\u202eb") + code("a\u202eb")
    assert shown(escape("a\u202eb")) == "a\\u202eb"


def test_no_name_is_a_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    names = ["=1+1", "＝1+1", "＠x", "plain"]
    cells = [{"name": name, "latent_dim": index + 20} for index, name in enumerate(names)]
    content = gather(read_snapshot(small_plan(grid=[], cell=cells), tmp_path))
    written = {row["cell"] for row in csv.DictReader(io.StringIO(comparison_csv(content)))}
    assert written == {"baseline", "'=1+1", "'＝1+1", "'＠x", "plain"}


def test_a_name_breaks_no_table_of_mlflow_s_description(tmp_path: Path) -> None:
    names = [name for name in HOSTILE if not name[0].isspace()]
    plan = small_plan(grid=[], cell=[{"name": name, "latent_dim": index + 20} for index, name in enumerate(names)])
    live(plan, tmp_path)
    told = parent_tags(read_experiment(plan, tmp_path))[NOTE]
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(told)
    assert html.count("<tr>") == 2 + len(names) and html.count("<td") == 3 * (1 + len(names))
    for markup in ("<em>", "<a ", "<i>", "<s>"):
        assert markup not in html


def test_every_heading_has_an_address_of_its_own() -> None:
    page = html_page("# t\n\n## a\n\n## a\n\n## a-1\n\n## a\n\n## ...\n", {}, ENGLISH)
    found = re.findall(r'<h\d id="([^"]*)"', page)
    assert found == ["t", "a", "a-1", "a-1-1", "a-2", "section"]
