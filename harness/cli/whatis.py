"""The command that reads back what a picture shows: runs, steps, checkpoints and settings."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.console import columns, page_width, show, show_json
from harness.cli.options import RUNS, Json, RunsDir
from harness.errors import StoreError
from harness.store.manifest import RunManifest, read_run_manifest
from harness.store.picture_file import PictureOrigin, picture_origin
from harness.store.rundir import RunDirectory

_HASH = 12
"""Letters of a key or hash that are shown; `--json` has them whole."""


def whatis(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG or SVG of harness.", show_default=False)],
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Tell what a picture shows: its runs, steps, checkpoints and settings.

    Reads pictures of reports, of run folders, and what sample, interpolate and progress write. Where a picture names
    its run by key alone, cell and seed are looked up beside it and in RUNS_DIR.
    """
    origin = _with_cells(picture_origin(picture), picture, runs_dir)
    if as_json:
        show_json({"file": str(picture), **asdict(origin)})
    else:
        show(origin_text(origin))


def origin_text(origin: PictureOrigin) -> str:
    """What is known of a picture, in lines; names and hashes as the picture has them."""
    head = [("title", origin.title), ("experiment", origin.experiment)]
    lines = [f"{name}: {text}" for name, text in head if text]
    if origin.sources:
        rows = [["cell", "seed", "step", "key", "checkpoint", "protocol"], *map(_row, origin.sources)]
        shown = [index for index in range(len(rows[0])) if any(row[index] for row in rows[1:])]
        lines += ["", columns([[row[index] for index in shown] for row in rows])]
    if origin.settings:
        lines += ["", _wrapped("drawn with", origin.settings)]
    if origin.cells:
        lines += ["", "levels that differ from the baseline:" if origin.baseline else "levels:"]
        lines += [_wrapped(f"  {' '.join(name.split())}", levels) for name, levels in origin.cells.items()]
    if origin.baseline:
        lines += ["", _wrapped("baseline", origin.baseline)]
    if origin.training:
        lines += ["", _wrapped("training", origin.training)]
    return "\n".join(lines).strip("\n")


def _row(source: Mapping[str, Any]) -> list[str]:
    """Of records, the step is the last one that is shown."""
    step = source.get("step")
    shown = f"1 to {source['records_to_step']}" if "records_to_step" in source else "" if step is None else str(step)
    hashes = [source.get(name) for name in ("key", "checkpoint_sha256", "protocol_sha256")]
    cell, seed = (source.get(name) for name in ("cell", "seed"))
    return [_text(cell), _text(seed), shown, *(_text(digest)[:_HASH] for digest in hashes)]


def _wrapped(name: str, levels: Mapping[str, Any]) -> str:
    """`NAME: factor=level, ...`, as wide as the page."""
    listed = ", ".join(f"{factor}={_text(level)}" for factor, level in levels.items())
    return textwrap.fill(f"{name}: {listed or 'none'}", page_width(), subsequent_indent="    ", break_on_hyphens=False)


def _text(value: Any) -> str:
    """On one line, whatever a file holds."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return " ".join(text.split())


def _with_cells(origin: PictureOrigin, picture: Path, runs_dir: Path) -> PictureOrigin:
    """With cell and seed of sources that name a key alone, where that run's folder is found."""
    nameless = {str(source.get("key")) for source in origin.sources if "cell" not in source}
    found = {key: run for key in sorted(nameless) if (run := _run(key, picture, runs_dir))}
    if not found:
        return origin
    named = tuple(
        {"cell": run.cell, "seed": run.seed, **source} if (run := found.get(str(source.get("key")))) else source
        for source in origin.sources
    )
    levels = {run.cell: run.hyperparameters for run in found.values()}
    experiment = origin.experiment or next(iter(found.values())).experiment
    return replace(origin, experiment=experiment, sources=named, cells={**origin.cells, **levels})


def _run(key: str, picture: Path, runs_dir: Path) -> RunManifest | None:
    """What the run `key` is: from the folder that the picture lies in, else from any of that key under `runs_dir`."""
    if not (key.isascii() and key.isalnum()):
        return None
    beside = [picture.absolute().parent.parent]
    for folder in [*beside, *sorted(runs_dir.glob(f"*/*--{key[:8]}"))]:
        try:
            manifest = read_run_manifest(RunDirectory(folder))
        except StoreError:
            continue  # a damaged one names nothing
        if manifest is not None and manifest.key == key:
            return manifest
    return None
