"""`--set a.b=v`: one value put over what the experiment file says, before anything is checked."""

from __future__ import annotations

import tomllib
from typing import Any

from harness.design import locate
from harness.errors import ExperimentFileError

MAX_VALUE_CHARACTERS = 10_000

INSTEAD = {
    "steps": "epochs",
    "epochs": "steps",
    "checkpoint_every": "checkpoint_every_epochs",
    "checkpoint_every_epochs": "checkpoint_every",
}
"""Keys of `[training]` that say one thing in two units: an override of one takes the place of the other in the file."""


def apply_override(document: dict[str, Any], override: str) -> tuple[tuple[str | int, ...], str]:
    """Sets one `a.b=v` in the document (list positions by number) and returns its path and text."""
    key, equals, raw = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    where = f"--set {override}"
    if not _is_unicode(override):
        raise ExperimentFileError("not UTF-8 text", where=f"--set {override!a}")
    if not equals or not all(parts) or len(parts) > locate.MAX_KEY_PARTS:
        raise ExperimentFileError("expected KEY=VALUE with a dotted key, such as training.steps=100", where=where)
    path: list[str | int] = []
    target: Any = document
    for part in parts[:-1]:
        target, step = _descend(target, part, where)
        path.append(step)
    if isinstance(target, list):
        position = _position(target, parts[-1], where)
        target[position] = toml_value(raw)
        path.append(position)
    elif isinstance(target, dict):
        target[parts[-1]] = toml_value(raw)
        path.append(parts[-1])
        if path[0] == "training" and len(path) == 2:
            target.pop(INSTEAD.get(parts[-1], ""), None)
    else:
        raise ExperimentFileError(f"{'.'.join(map(str, path))} is no table", where=where)
    return tuple(path), override


def _descend(target: Any, part: str, where: str) -> tuple[Any, str | int]:
    if isinstance(target, list):
        position = _position(target, part, where)
        return target[position], position
    if isinstance(target, dict):
        return target.setdefault(part, {}), part
    raise ExperimentFileError(f"{part} is inside something that is no table", where=where)


def _position(target: list[Any], part: str, where: str) -> int:
    if not (part.isascii() and part.isdigit() and len(part) < 10) or int(part) >= len(target):
        raise ExperimentFileError(f"{part!r} is no position in a list of {len(target)} (from 0)", where=where)
    return int(part)


def toml_value(raw: str) -> Any:
    """A TOML value, or the text itself where it is none (so that quotes may be left out)."""
    if len(raw) > MAX_VALUE_CHARACTERS:
        return raw
    try:
        locate.locate(f"value = {raw}")
        document = tomllib.loads(f"value = {raw}")
    except (tomllib.TOMLDecodeError, locate.OversizeError):
        return raw
    return document["value"] if len(document) == 1 else raw  # further lines are no part of a value


def _is_unicode(text: str) -> bool:
    """False for what a shell passes on when its bytes were no UTF-8 (lone surrogates)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
