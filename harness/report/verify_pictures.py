"""The pictures of a finished report: which ones its texts show, and what each says of itself."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.errors import StoreError
from harness.report.verify_runs import Doubt, Json
from harness.store.picture_file import PictureOrigin, picture_origin
from harness.store.reading import read_bytes
from harness.tracking.report_files import EVIDENCE


def picture_doubts(output: Path, document: Json) -> Iterator[Doubt]:
    """Every picture that a text shows is the report's own, and says of itself what report.json says of it."""
    known = document["files"]
    for name in [name for name in known if name.endswith((".md", ".html"))]:
        try:
            text = read_bytes(output / name).decode(errors="replace")
        except (FileNotFoundError, StoreError):
            continue  # told already
        for shown in sorted(_shown(name, text) - known.keys()):
            yield Doubt(name, f"shows {shown}, which {EVIDENCE} does not name")
    cells = {str(run["key"]): str(run["cell"]) for run in document["runs"]}
    for picture in document["pictures"]:
        path = str(picture["path"])
        if path not in known:
            yield Doubt(path, f"{EVIDENCE} says what it shows but not which file it is")
            continue
        drawing = path.removesuffix(".png") + ".svg"
        for file in (path, drawing) if drawing in known else (path,):
            if not _says(_origin(output / file), picture, str(document["experiment"]), cells):
                yield Doubt(file, f"does not say of itself what {EVIDENCE} says of it")


def _origin(path: Path) -> PictureOrigin | None:
    try:
        return picture_origin(path)
    except StoreError:
        return None


def _says(origin: PictureOrigin | None, picture: Json, experiment: str, cells: dict[str, str]) -> bool:
    """Whether a picture has the title, the experiment, and for each of its runs the cell, that report.json has."""
    if origin is None:
        return False
    sources = [_with_cell(source, cells) for source in picture["sources"]]
    named = {source["cell"] for source in sources if "cell" in source}
    told = (origin.title, origin.experiment, list(origin.sources), set(origin.cells))
    return told == (picture["title"], experiment, sources, named)


def _with_cell(source: dict[str, Any], cells: dict[str, str]) -> dict[str, Any]:
    cell = cells.get(str(source.get("key")))
    return source if cell is None else {"cell": cell, **source}


def _shown(name: str, text: str) -> set[str]:
    """Figures that a text shows or links, by their path in the report's folder."""
    addresses = _addresses_in_html(text) if name.endswith(".html") else _addresses_in_markdown(text)
    paths = {posixpath.normpath(unquote(address.partition("#")[0].partition("?")[0])) for address in addresses}
    return {path for path in paths if path.startswith("figures/")}


def _addresses_in_markdown(text: str) -> set[str]:
    found: set[str] = set()

    def look(tokens: Sequence[Token]) -> None:
        for token in tokens:
            found.update(str(token.attrs[name]) for name in ("src", "href") if name in token.attrs)
            if token.type in ("html_block", "html_inline"):
                found.update(_addresses_in_html(token.content))
            look(token.children or ())

    look(MarkdownIt("commonmark").enable("table").parse(text))
    return found


def _addresses_in_html(text: str) -> set[str]:
    reader = _Addresses()
    reader.feed(text)
    reader.close()
    return reader.found


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Data that stands in the page itself is no address."""
        addresses = [value for name, value in attrs if name in ("src", "href") and value]
        self.found.update(address for address in addresses if not address.startswith("data:"))
