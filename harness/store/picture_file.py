"""What a picture file says of itself: PNG and SVG of reports, and the PNGs that workers and `harness sample` draw."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import DamagedFileError, StoreError
from harness.store.pictures import SETTINGS_TEXT, picture_settings
from harness.store.png import CHECKPOINT_TEXT, SIGNATURE, damage, picture_texts
from harness.store.reading import read_bytes

TITLE_TEXT = "Title"
EXPERIMENT_TEXT = "harness:experiment"
SOURCES_TEXT = "harness:sources"
"""The runs, checkpoints, records and protocols that a report's picture shows, as a JSON list of objects."""
CELLS_TEXT = "harness:cells"
"""What those runs were trained with: a JSON object of `baseline` (every factor's level), `cells` (levels that differ
from it, by cell) and `training`."""
KEY_TEXT = "harness:key"
STEP_TEXT = "harness:step"

_OURS = "harness:"
_DESCRIPTION = re.compile(rb"<dc:description>(.*?)</dc:description>", re.DOTALL)
_SVG_TITLE = re.compile(rb"<title>(.*?)</title>", re.DOTALL)
_SVG_START = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE[^>]*>\s*)?<svg[\s>]")


@dataclass(frozen=True)
class PictureOrigin:
    """title, experiment: None where the picture does not say.

    sources: JSON objects with some of `cell`, `key`, `seed`, `step`, `checkpoint_sha256`, `protocol_sha256`,
    `records_to_step`, `metrics_sha256`. settings: of the drawing, by name. baseline: every factor's level; cells: by
    cell, the levels that differ from it, or all of them where it is empty. training: steps and intervals.
    """

    title: str | None
    experiment: str | None
    sources: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def picture_origin(path: Path) -> PictureOrigin:
    """What the picture at `path` says of itself.

    StoreError where there is no such file, or it is no picture of harness; DamagedFileError where it is not whole.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise StoreError("there is no such file", where=str(path)) from None
    texts = _texts(content, path)
    if SOURCES_TEXT in texts:
        return _of_report(texts)
    if any(name.startswith(_OURS) for name in texts):
        return _of_worker(texts)
    raise StoreError("not a picture of harness", where=str(path))


def _texts(content: bytes, path: Path) -> dict[str, str]:
    if content.startswith(SIGNATURE):
        texts = picture_texts(content)
        if texts is None:
            raise DamagedFileError(damage(content) or "the picture is not whole", where=str(path))
        return texts
    if _SVG_START.match(content):
        return _svg_texts(content, path)
    if content and SIGNATURE.startswith(content):
        raise DamagedFileError("the picture is not whole", where=str(path))
    raise StoreError("neither PNG nor SVG", where=str(path))


def _svg_texts(content: bytes, path: Path) -> dict[str, str]:
    if not content.rstrip().endswith(b"</svg>"):
        raise DamagedFileError("the picture is not whole", where=str(path))
    title, description = _SVG_TITLE.search(content), _DESCRIPTION.search(content)
    found = _object(_unescaped(description[1])) if description else {}
    texts = {name: text for name, text in found.items() if isinstance(text, str)}
    return {TITLE_TEXT: _unescaped(title[1]), **texts} if title else texts


def _unescaped(text: bytes) -> str:
    return html.unescape(text.decode("utf-8", "replace"))


def _of_report(texts: Mapping[str, str]) -> PictureOrigin:
    sources, about = _json(texts[SOURCES_TEXT]), _object(texts.get(CELLS_TEXT, "{}"))
    cells = _dictionary(about.get("cells"))
    return PictureOrigin(
        title=texts.get(TITLE_TEXT),
        experiment=texts.get(EXPERIMENT_TEXT),
        sources=tuple(source for source in sources if isinstance(source, dict)) if isinstance(sources, list) else (),
        baseline=_dictionary(about.get("baseline")),
        cells={name: _dictionary(levels) for name, levels in cells.items()},
        training=_dictionary(about.get("training")),
    )


def _of_worker(texts: Mapping[str, str]) -> PictureOrigin:
    """A picture of one run (one of all its checkpoints names them in its settings), or of real images."""
    settings = picture_settings(texts)
    settings |= {
        name.removeprefix(_OURS): text
        for name, text in texts.items()
        if name.startswith(_OURS) and name not in (KEY_TEXT, STEP_TEXT, CHECKPOINT_TEXT, SETTINGS_TEXT)
    }
    if KEY_TEXT not in texts:
        return PictureOrigin(texts.get(TITLE_TEXT), None, (), settings)
    steps = _dictionary(settings.pop("checkpoints", None)) or {texts.get(STEP_TEXT, ""): texts.get(CHECKPOINT_TEXT)}
    sources = tuple(
        {"key": texts[KEY_TEXT], "step": _whole(step), "checkpoint_sha256": digest} for step, digest in steps.items()
    )
    return PictureOrigin(texts.get(TITLE_TEXT), None, sources, settings)


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(text: str) -> dict[str, Any]:
    return _dictionary(_json(text))


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
