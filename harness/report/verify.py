"""Checks a finished report again: its files against report.json, and report.json against the runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import DamagedFileError, HarnessError, StoreError
from harness.report.form import EVIDENCE, FORMATS, ReportForm
from harness.report.language import language_named
from harness.report.render import TABLES, page_of, read_notes, rendered_files, strangers
from harness.report.verify_numbers import Doubt, Traced, checked, traced
from harness.store import atomic
from harness.store.picture_file import picture_origin
from harness.store.reading import read_bytes
from harness.store.rundir import ExperimentDirectory
from harness.tracking.integrity import require_intact
from harness.tracking.reader import ExperimentView

_SHOWN = re.compile(r"(?:!\[[^\]\n]*\]\(|\b(?:src|href)=\")(figures/[^)\"\s]+)[)\"]")
"""Figures that a text of the report shows or links."""


@dataclass(frozen=True)
class Verification:
    """What looking at a report again found.

    files: of the report, that were compared; traced: what of the runs was compared, None where they are not at hand;
    made_again: whether the report was made again from the runs and compared; skipped: why it was not.
    """

    experiment: str
    doubts: tuple[Doubt, ...]
    files: int = 0
    traced: Traced | None = None
    made_again: bool = False
    skipped: str = ""

    @property
    def holds(self) -> bool:
        return not self.doubts


def experiment_of(output: Path) -> str:
    """The experiment that the report in `output` is of; StoreError where no report lies there."""
    name = _document(output).get("experiment")
    if not isinstance(name, str):
        raise StoreError("the file does not say which experiment the report is of", where=str(output / EVIDENCE))
    return name


def verify_report(output: Path, runs: ExperimentDirectory, view: ExperimentView | None) -> Verification:
    """Checks the report in `output`.

    runs: where its runs should lie; where they do not, only its own files are checked. view: a snapshot of these runs
    by the experiment file, to make the report again and compare every byte of text; None: without that.
    """
    document = _document(output)
    name = experiment_of(output)
    doubts: list[Doubt] = []
    for found_in in (_own_hash(output), _files(output, document), _named(output, document), _page(output, document)):
        doubts += checked(found_in)
    doubts += checked(_pictures(output, document))
    files = 1 + len(document.get("files", {}))
    if not runs.root.is_dir():
        return Verification(name, tuple(doubts), files)
    found = traced(document, runs)
    doubts += found.doubts
    skipped = "" if view else "without FILE the report is not made again"
    if view and document.get("harness") != __version__:
        skipped = f"made by harness {document.get('harness')}, this is {__version__}: it is not made again to compare"
    again = view if view and not skipped else None
    if again:
        doubts += checked(_made_again(output, document, again))
    return Verification(name, tuple(doubts), files, found, again is not None, skipped)


def _document(output: Path) -> dict[str, Any]:
    """report.json, whether it matches its own hash or not."""
    path = output / EVIDENCE
    try:
        document = json.loads(read_bytes(path))
    except FileNotFoundError:
        raise StoreError("no report lies here", where=str(path), remedy="Name the folder of a report.") from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("files"), dict):
        remedy = "`harness report FILE` makes the report again."
        raise StoreError("the file does not say what the report is made of", where=str(path), remedy=remedy)
    return document


def _own_hash(output: Path) -> Iterator[Doubt]:
    try:
        atomic.read_json(output / EVIDENCE)
    except DamagedFileError:
        yield Doubt(EVIDENCE, "does not match its own SHA-256")


def _files(output: Path, document: dict[str, Any]) -> Iterator[Doubt]:
    for name, digest in document["files"].items():
        path = output / name
        if not path.resolve().is_relative_to(output.resolve()):
            yield Doubt(name, "lies outside of the report's folder")
            continue
        try:
            if atomic.file_sha256(path) != digest:
                yield Doubt(name, f"does not match the SHA-256 in {EVIDENCE}")
        except FileNotFoundError:
            yield Doubt(name, f"is missing; {EVIDENCE} names it")
        except (StoreError, OSError) as error:
            yield Doubt(name, f"cannot be read: {error}")


def _named(output: Path, document: dict[str, Any]) -> Iterator[Doubt]:
    """What every report has is named with its hash, and nothing that looks like a part of it lies there without."""
    asked = document.get("formats", [])
    needed = ["report.md", *TABLES, *(["report.html"] if "html" in asked else [])]
    for name in needed:
        if name not in document["files"]:
            yield Doubt(name, f"is a part of every such report, and {EVIDENCE} does not name it")
    for name in strangers(output, {EVIDENCE, *document["files"], *needed}):
        yield Doubt(name, f"lies with the report, and {EVIDENCE} does not name it")


def _page(output: Path, document: dict[str, Any]) -> Iterator[Doubt]:
    """report.html is what report.md and the pictures that lie there give, where this harness made it."""
    names = document["files"]
    if "report.html" not in names or document.get("harness") != __version__:
        return
    try:
        text = read_bytes(output / "report.md").decode()
        pictures = {name: read_bytes(output / name) for name in names if name.endswith(".png")}
        page = read_bytes(output / "report.html")
    except (FileNotFoundError, StoreError):
        return  # told already
    if page != page_of(text, pictures, language_named(str(document.get("language"))), names):
        yield Doubt("report.html", "does not show what report.md and the pictures show")


def _pictures(output: Path, document: dict[str, Any]) -> Iterator[Doubt]:
    """Every picture that a text shows is the report's own, and says of itself what report.json says of it."""
    known = document["files"]
    for name in [name for name in known if name.endswith((".md", ".html"))]:
        try:
            text = read_bytes(output / name).decode(errors="replace")
        except (FileNotFoundError, StoreError):
            continue  # told already
        for shown in sorted(set(_SHOWN.findall(text)) - known.keys()):
            yield Doubt(name, f"shows {shown}, which {EVIDENCE} does not name")
    for picture in document.get("pictures", []):
        path = str(picture.get("path"))
        if path not in known:
            yield Doubt(path, f"{EVIDENCE} says what it shows but not which file it is")
            continue
        drawing = path.removesuffix(".png") + ".svg"
        for file in (path, drawing) if drawing in known else (path,):
            if _sources(output / file) != picture.get("sources"):
                yield Doubt(file, f"does not say that it shows the runs that {EVIDENCE} names for it")


def _sources(path: Path) -> list[dict[str, Any]]:
    """What a figure says of itself, as report.json says it; nothing where it is no figure."""
    try:
        origin = picture_origin(path)
    except StoreError:
        return []
    return [{name: value for name, value in source.items() if name != "cell"} for source in origin.sources]


def _made_again(output: Path, document: dict[str, Any], view: ExperimentView) -> Iterator[Doubt]:
    """Differences to the report that the runs give now, in every file but the pictures.

    Pixels depend on the versions of drawing libraries; what a picture shows is compared through report.json.
    """
    try:
        require_intact(view)
        asked = tuple(name for name in FORMATS if name in document.get("formats", []))
        form = ReportForm(language_named(str(document.get("language"))).code, asked)
        files, found = rendered_files(view, read_notes(output / "notes"), form)
    except HarnessError as error:
        yield Doubt(Path(error.where).name, error.what)
        return
    plain = json.loads(json.dumps(found))
    left_out = ("files", "sha256")
    if {key: value for key, value in document.items() if key not in left_out} != {
        key: value for key, value in plain.items() if key not in left_out
    }:
        yield Doubt(EVIDENCE, "is not what the runs give now")
    for name in sorted(files.keys() - document["files"].keys()):
        yield Doubt(name, "is missing; the runs give it now")
    for name, content in files.items():
        if name in document["files"] and name.endswith((".md", ".csv", ".tex")) and _differs(output / name, content):
            yield Doubt(name, "is not what the runs give now")


def _differs(path: Path, content: bytes) -> bool:
    try:
        return read_bytes(path) != content
    except (FileNotFoundError, StoreError):
        return False  # told already
