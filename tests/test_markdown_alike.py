"""report.md reads alike wherever Markdown is shown: GitHub's, Obsidian's (CommonMark with tables) and pandoc's."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_data import Story, lived, measured_plan

from harness.report.markdown import code, escape, table

PANDOC = shutil.which("pandoc")
with_pandoc = pytest.mark.skipif(PANDOC is None, reason="no pandoc on this machine")
HOSTILE = [
    "a|b", "a_b_c", "*a*", "`a|b`", "~a~", "~~a~~", "$a$ and $b$", "a^2^", "H~2~O", "<b>x</b>", "&amp;", "[x](y)",
    "![x](y)", "#a", "a @b", "[^1]", "==a==", "%%a%%", "- a", "1. a", "\\alpha", "a\\", "x--y", "...", '"q"', "'q'",
    "[[w]]", "#tag", "{.c}", "https://example.org", "@cite", "^a", "| a", "a |", "``", "a `b", "中文",
]  # fmt: skip


@dataclass
class Shown(HTMLParser):
    """What a reader sees of a page: headings, tables as rows of texts, pictures, links, paragraphs and items."""

    headings: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("img", "br", "hr", "col"):
            self.pictures += [str(given["src"])] if tag == "img" else []
            return
        self.open.append(tag)
        if tag == "a":
            self.links.append(str(given.get("href")))
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("h1", "h2", "h3", "h4"):
            self.headings.append("")
        elif tag in ("p", "li", "pre"):
            self.texts.append("")
        if tag in ("sub", "sup", "del", "mark", "u", "input", "math", "script", "b", "figcaption", "cite"):
            self.strange.append(tag)
        if "math" in str(given.get("class")):
            self.strange.append("math")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data
        elif any(tag in self.open for tag in ("h1", "h2", "h3", "h4")):
            self.headings[-1] += data
        elif any(tag in self.open for tag in ("p", "li", "pre")):
            self.texts[-1] += data


def shown(page: str) -> Shown:
    found = Shown()
    found.feed(page)
    found.headings = [" ".join(text.split()) for text in found.headings]
    found.tables = [[[" ".join(cell.split()) for cell in row] for row in rows] for rows in found.tables]
    found.texts = [text for text in (" ".join(text.split()) for text in found.texts) if text]
    return found


def by_commonmark(text: str) -> Shown:
    return shown(MarkdownIt("commonmark").enable("table").render(text))


def by_pandoc(text: str, kind: str) -> Shown:
    assert PANDOC
    command = [PANDOC, "-f", kind, "-t", "html", "--wrap=none", "--no-highlight", "--mathml"]
    return shown(subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout)


KINDS = ["gfm-emoji", "commonmark_x-emoji-smart-implicit_figures", "markdown-smart-implicit_figures-citations"]
"""GitHub's, CommonMark with every extension that pandoc knows, and pandoc's own, without what changes no structure:
smileys, curly quotes, captions and citations."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A report with every section, hostile names and a note."""
    folder = tmp_path_factory.mktemp("alike")
    names = ["a|b ~c~ $d$ $e$", "*x* [y](z) <i>w</i> ^u^", "`t|u` #3 @me {.v}"]
    cells = [{"name": name, "latent_dim": 20 + index} for index, name in enumerate(names)]
    plan = measured_plan(grid=[], cell=cells, seeds=[0, 1])
    stories = {names[0]: Story(outcome="diverged", reached=200), names[1]: Story(fid=90)}
    return lived(plan, folder, stories), folder / "report"


def assert_alike(found: Shown, wanted: Shown) -> None:
    assert found.strange == []
    assert found.headings == wanted.headings
    assert found.tables == wanted.tables
    assert found.pictures == wanted.pictures
    assert found.links == wanted.links
    assert found.texts == wanted.texts


def test_commonmark_with_tables_shows_every_table_and_picture_and_no_html(report: tuple[str, Path]) -> None:
    text, folder = report
    found = by_commonmark(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = {token.type for top in tokens for token in [top, *(top.children or [])]}
    assert kinds.isdisjoint({"html_block", "html_inline"})
    assert len(found.tables) == sum(set(line) <= set("|:-") and line.startswith("|") for line in text.splitlines())
    assert all(len({len(row) for row in rows}) == 1 for rows in found.tables)
    assert found.pictures and all((folder / path).is_file() for path in found.pictures)
    assert found.strange == []
    assert not [text for text in found.texts if text.startswith(("|", "# ", "## ", "- "))]


@with_pandoc
@pytest.mark.parametrize("kind", KINDS)
def test_pandoc_shows_the_same(report: tuple[str, Path], kind: str) -> None:
    text, _ = report
    assert_alike(by_pandoc(text, kind), by_commonmark(text))


@with_pandoc
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_words_stay_words_everywhere(kind: str) -> None:
    rows = [[escape(word), code(word)] for word in HOSTILE]
    text = f"{table(['word', 'code'], rows)}\n\n" + "\n\n".join(f"Before {escape(word)} after." for word in HOSTILE)
    found = by_pandoc(text, kind)
    words = [" ".join(word.split()) for word in HOSTILE]
    assert [row[0] for row in found.tables[0][1:]] == words
    assert found.texts == [f"Before {word} after." for word in words]
    assert found.strange == [] and set(found.links) <= {"https://example.org"}


def test_hostile_words_stay_words_in_commonmark() -> None:
    rows = [[escape(word), code(word)] for word in HOSTILE]
    found = by_commonmark(table(["word", "code"], rows))
    words = [" ".join(word.split()) for word in HOSTILE]
    assert found.tables[0][1:] == [[word, word] for word in words]
