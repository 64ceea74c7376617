"""Reads an experiment file: TOML text, `--set` on top of it, checked, with the line of everything that is wrong."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from harness.design import locate
from harness.design.cell_reference import refuse_unknown_references
from harness.design.expansion import Plan, expand
from harness.design.experiment import Experiment
from harness.design.factors import ALIASES, Levels, as_fields
from harness.design.messages import explain
from harness.design.overrides import apply_override
from harness.design.own_parts import OwnSourceError
from harness.errors import ExperimentFileError

MAX_BYTES = 64 * 1024
MAX_ERRORS_SHOWN = 8


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment file as read: its text for copies, its plan for everything else."""

    path: Path
    text: str
    experiment: Experiment
    plan: Plan


@dataclass(frozen=True)
class _Origin:
    """Where each key of the document came from: a line of the file, or an override."""

    file: Path
    lines: locate.Lines
    overrides: tuple[tuple[tuple[str | int, ...], str], ...]

    def where(self, path: tuple[str | int, ...]) -> str:
        dotted = ".".join(map(str, path))
        for target, text in reversed(self.overrides):  # the last one that sets a key is the one that counts
            if path[: len(target)] == target or (path and target[: len(path)] == path):
                return f"--set {text}: {dotted}"
        line = self.lines.of(path) or 1
        return f"{self.file}:{line}: {dotted}" if dotted else f"{self.file}:{line}"

    def as_written(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """`path` with a factor of the baseline replaced by the alias that the file used for it."""
        overridden = any(target == path for target, _ in self.overrides)
        if len(path) < 2 or path[0] != "baseline" or path[:2] in self.lines.by_path or overridden:
            return path
        for alias, fields in ALIASES.items():
            written = ("baseline", alias, *path[2:])
            if path[1] in fields and (
                written[:2] in self.lines.by_path or any(t == written for t, _ in self.overrides)
            ):
                return written
        return path


def read_experiment_file(path: Path, overrides: Sequence[str] = ()) -> ExperimentFile:
    """Reads, checks and expands `path` with `--set` overrides (`a.b=v`); ExperimentFileError names line and key."""
    text = _read_text(path)
    lines = _locate(path, text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, text, error) from None
    except RecursionError:
        raise ExperimentFileError("lists or tables are nested too deep", where=f"{path}:1") from None
    applied = tuple(apply_override(document, override) for override in overrides)
    origin = _Origin(path, lines, applied)
    experiment = _validate(document, origin)
    try:
        plan = expand(experiment)
        refuse_unknown_references(plan)
    except OwnSourceError:
        raise  # about a line of another file
    except ExperimentFileError as error:
        where = origin.where(origin.as_written(_path(error.where)))
        raise ExperimentFileError(error.what, where=where, remedy=error.remedy) from None
    return ExperimentFile(path, text, experiment, plan)


def _path(dotted: str) -> tuple[str | int, ...]:
    """A dotted key of `expansion`; what follows `labels.` is one key, dots and all."""
    table, _, key = dotted.partition(".")
    if table == "labels":
        return (table, key)
    return tuple(int(part) if part.isdigit() else part for part in dotted.split("."))


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # whatever it is, a device or a disk image
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*.toml")], 1)
        hint = f"Did you mean {path.parent / near[0]}?" if near else "`harness init FILE` writes a starter file."
        raise ExperimentFileError("no such file", where=str(path), remedy=hint) from None
    except OSError as error:
        raise ExperimentFileError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(content) > MAX_BYTES:
        raise ExperimentFileError(f"larger than {MAX_BYTES // 1024} KiB; no experiment file is", where=str(path))
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ExperimentFileError("not UTF-8 text", where=f"{path}:{line}") from None


def _locate(path: Path, text: str) -> locate.Lines:
    try:
        return locate.locate(text)
    except locate.OversizeError as error:
        raise ExperimentFileError(
            error.what, where=f"{path}:{error.line}", remedy="Write it shorter or flatter."
        ) from None


def _syntax_error(path: Path, text: str, error: tomllib.TOMLDecodeError) -> ExperimentFileError:
    """tomllib keeps the line in its text alone: `Invalid value (at line 3, column 8)`, or `(at end of document)`."""
    what, _, place = str(error).partition(" (at ")
    match = re.match(r"line (\d+)", place)
    line = int(match[1]) if match else text.rstrip("\n").count("\n") + 1
    is_twice = what.startswith("Cannot")  # overwrite a value, declare a table twice
    remedy = (
        "Each key and each [table] may stand once; [[...]] may repeat."
        if is_twice
        else "Strings need quotes; lists need [ ]."
    )
    return ExperimentFileError(f"no valid TOML: {what}", where=f"{path}:{line}", remedy=remedy)


def _validate(document: dict[str, Any], origin: _Origin) -> Experiment:
    """The experiment; the baseline's levels are checked as written first, then whether they can train together."""
    baseline = document.get("baseline")
    errors = _baseline_errors(baseline) if isinstance(baseline, dict) else []
    if isinstance(baseline, dict):
        document = {**document, "baseline": baseline if errors else as_fields(baseline)}
    try:
        experiment = Experiment.model_validate({**document, "baseline": {}} if errors else document)
    except ValidationError as error:
        errors += error.errors(include_url=False)
    if errors:
        raise _validation_error(errors, document, origin)
    return experiment


def _baseline_errors(baseline: dict[str, Any]) -> list[ErrorDetails]:
    try:
        Levels.model_validate(baseline)
    except ValidationError as error:
        return [{**details, "loc": ("baseline", *details["loc"])} for details in error.errors(include_url=False)]
    return []


def _validation_error(errors: Sequence[ErrorDetails], document: dict[str, Any], origin: _Origin) -> ExperimentFileError:
    """All errors of one file in one message, the first line in the `FILE:LINE: key: what` form, more below."""
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for error in sorted(errors, key=lambda error: error["type"] == "missing"):  # a misspelt key is told as such first
        found.setdefault(origin.as_written(_document_path(error, document)), []).append(error)
    shown = [
        (origin.where(path), explain(together, path))
        for path, together in found.items()
        if not all(_is_told_inside(error, path, found) for error in together)
    ]
    (where, what), rest = shown[0], shown[1:]
    remedy = "\n".join(f"{other_where}: {other}" for other_where, other in rest[: MAX_ERRORS_SHOWN - 1])
    if len(rest) >= MAX_ERRORS_SHOWN:
        remedy += f"\n... and {len(rest) - MAX_ERRORS_SHOWN + 1} more"
    return ExperimentFileError(what, where=where, remedy=remedy.replace("\n", "\n  "))


def _is_told_inside(error: ErrorDetails, path: tuple[str | int, ...], found: Collection[tuple[str | int, ...]]) -> bool:
    """Whether the same list or table has an entry that is wrong, which tells more than that it is a list."""
    if not isinstance(error["input"], list | dict) or not (
        error["type"] == "too_short" or error["type"].endswith("_type")
    ):
        return False
    return any(len(other) > len(path) and other[: len(path)] == path for other in found)


def _document_path(error: ErrorDetails, document: Any) -> tuple[str | int, ...]:
    """Where an error is in the document: pydantic's location without the names of union branches (`literal['all']`)."""
    path: tuple[str | int, ...] = ()
    place = document
    for part in error["loc"]:
        inside = part in place if isinstance(place, dict) else isinstance(place, list) and isinstance(part, int)
        if inside and (isinstance(place, dict) or int(part) < len(place)):
            place = place[part]
        elif error["type"] != "missing":
            continue
        path = (*path, part)
    return path
