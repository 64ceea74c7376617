"""Checks a finished report again: its files against report.json, and report.json against the runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import __version__
from harness.errors import DamagedFileError, HarnessError, StoreError
from harness.report.form import FORMATS, ReportForm
from harness.report.language import language_named
from harness.report.made_with import made_with
from harness.report.notes import read_notes
from harness.report.render import page_of, rendered_files
from harness.report.verify_numbers import Traced, traced
from harness.report.verify_pictures import picture_doubts
from harness.report.verify_runs import Doubt, Json, checked
from harness.store import atomic
from harness.store.locks import is_held
from harness.store.reading import read_bytes
from harness.store.rundir import ExperimentDirectory
from harness.tracking.integrity import require_intact
from harness.tracking.reader import ExperimentView
from harness.tracking.report_files import EVIDENCE, LOCK, NOTES, TABLES, strangers

PATIENCE_S = 10.0
"""How long a report that is being written is waited for."""
_OTHER_CODE = "by other code or libraries than these, so neither pixels nor report.html are compared"
_TEXTS = (".md", ".csv", ".tex")
_PICTURES = (".png", ".svg")


@dataclass(frozen=True)
class Verification:
    """What looking at a report again found.

    files: of the report, that were compared; traced: what of the runs was compared, None where they are not at hand;
    made_again: whether the report was made again from the runs and compared; skipped: what was left out, and why.
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


def verify_report(
    output: Path, runs: ExperimentDirectory, view: ExperimentView | None, *, needs_runs: bool = False
) -> Verification:
    """Checks the report in `output`.

    runs: where its runs should lie; where they do not, only its own files are checked, and with needs_runs that is a
    doubt. view: a snapshot of these runs by the experiment file, to make the report again and compare every byte of
    text; None: without that. StoreError where no report lies there, or one is being written.
    """
    _wait_for_writer(output)
    document = _document(output)
    name = experiment_of(output)
    doubts: list[Doubt] = []
    for found_in in (_own_hash(output), _files(output, document), _named(output, document), _page(output, document)):
        doubts += checked(found_in)
    doubts += checked(picture_doubts(output, document))
    files, skipped = 1 + len(document["files"]), [] if _is_made_alike(document) else [_OTHER_CODE]
    if not runs.root.is_dir():
        doubts += [Doubt(str(runs.root), "no runs lie here")] if needs_runs else []
        return Verification(name, tuple(doubts), files, skipped="; ".join(skipped))
    found = traced(document, runs)
    doubts += found.doubts
    is_of_this_version = document.get("harness") == __version__
    if view and is_of_this_version:
        doubts += checked(_made_again(output, document, view))
    elif view:
        skipped.append(f"made by harness {document.get('harness')}, this is {__version__}: it is not made again")
    else:
        skipped.append("without FILE the report is not made again")
    made_again = view is not None and is_of_this_version
    return Verification(name, tuple(doubts), files, found, made_again, "; ".join(skipped))


def _wait_for_writer(output: Path) -> None:
    """Between two files of a report that is being written, nothing holds."""
    patience = time.monotonic() + PATIENCE_S
    while is_held(output / LOCK):
        if time.monotonic() > patience:
            raise StoreError("another process writes this report", where=str(output), remedy="Wait for its end.")
        time.sleep(0.1)


def _document(output: Path) -> Json:
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


def _files(output: Path, document: Json) -> Iterator[Doubt]:
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


def _named(output: Path, document: Json) -> Iterator[Doubt]:
    """What every report has is named with its hash, and nothing that looks like a part of it lies there without."""
    needed = ["report.md", *TABLES, *(["report.html"] if "html" in document["formats"] else [])]
    for name in needed:
        if name not in document["files"]:
            yield Doubt(name, f"is a part of every such report, and {EVIDENCE} does not name it")
    for name in strangers(output, {EVIDENCE, *document["files"], *needed}):
        yield Doubt(name, f"lies with the report, and {EVIDENCE} does not name it")


def _page(output: Path, document: Json) -> Iterator[Doubt]:
    """report.html is what report.md and the pictures that lie there give, where this very code made it."""
    names = document["files"]
    if "report.html" not in names or not _is_made_alike(document):
        return
    try:
        text = read_bytes(output / "report.md").decode()
        pictures = {name: read_bytes(output / name) for name in names if name.endswith(".png")}
        page = read_bytes(output / "report.html")
        expected = page_of(text, pictures, language_named(str(document["language"])), names)
    except (OSError, StoreError):  # of a file that is missing, or of a picture that is none
        return  # told already
    if page != expected:
        yield Doubt("report.html", "does not show what report.md and the pictures show")


def _is_made_alike(document: Json) -> bool:
    """Whether the same code and libraries give the same bytes here."""
    return bool(document.get("harness") == __version__ and document.get("made_with") == made_with())


def _made_again(output: Path, document: Json, view: ExperimentView) -> Iterator[Doubt]:
    """Differences to the report that the runs give now: in texts, tables and report.json, and in pictures where they
    are made by the same code and libraries. The page was compared with the text."""
    try:
        require_intact(view)
        asked = tuple(name for name in FORMATS if name in document["formats"])
        form = ReportForm(language_named(str(document["language"])).code, asked)
        files, found = rendered_files(view, read_notes(output / NOTES), form)
    except HarnessError as error:
        yield Doubt(Path(error.where).name or EVIDENCE, error.what)
        return
    plain = json.loads(json.dumps(found))
    left_out = ("files", "sha256", "made_with")
    if {key: value for key, value in document.items() if key not in left_out} != {
        key: value for key, value in plain.items() if key not in left_out
    }:
        yield Doubt(EVIDENCE, "is not what the runs give now")
    for name in sorted(files.keys() - document["files"].keys()):
        yield Doubt(name, "is missing; the runs give it now")
    for name in sorted(document["files"].keys() - files.keys()):
        yield Doubt(name, "is no part of the report that the runs give now")
    compared = (*_TEXTS, *_PICTURES) if _is_made_alike(document) else _TEXTS
    for name, content in files.items():
        if name in document["files"] and name.endswith(compared) and _differs(output / name, content):
            yield Doubt(name, "is not what the runs give now")


def _differs(path: Path, content: bytes) -> bool:
    try:
        return read_bytes(path) != content
    except (FileNotFoundError, StoreError):
        return False  # told already
