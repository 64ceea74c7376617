"""Packs for tests: a small experiment trained for real, as on another machine, and zips of it that lie."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from experiments import TINY, run_here
from harness.cli import app
from harness.errors import HarnessError
from harness.store import atomic
from harness.store.records import append_record, read_intact
from harness.store.rundir import RunDirectory, experiment_directory

ALONE = TINY[: TINY.index("[[grid]]")]
"""One run, 24 steps, checkpoints at 12 and 24."""

RENTED = {"torch": "9.9.0+cu999", "device": "NVIDIA H999", "host": "rented", "system": "Linux sparc64"}


@dataclass(frozen=True)
class Said:
    """What a command answered. out: stdout; err: stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def call(place: Path, *arguments: str) -> Said:
    """A command in this process, with `place` as its current folder; HarnessError comes through."""
    with chdir(place):
        done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Said(done.exit_code, done.stdout, done.stderr)


def refusal(place: Path, *arguments: str) -> str:
    """The message of a command that has to be refused."""
    try:
        said = call(place, *arguments)
    except HarnessError as error:
        return str(error)
    raise AssertionError(f"not refused: {said}")


def trained(place: Path, *sets: str, text: str = ALONE, machine: Mapping[str, object] | None = None) -> Path:
    """`place` with tiny.toml and its runs, whose attempts say that they were made on `machine`; returns the file."""
    place.mkdir(exist_ok=True)
    file = place / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    run_here(file, *sets)
    for run in experiment_directory(place / "runs", "tiny").runs().values():
        as_made_on(run, machine or {})
    return file


def as_made_on(run: RunDirectory, machine: Mapping[str, object]) -> None:
    """Rewrites who worked on a run."""
    records = read_intact(run.attempts)
    run.attempts.unlink()
    for record in records:
        changed = {**record, "machine": {**record["machine"], **machine}} if "machine" in record else record
        append_record(run.attempts, changed)


def only_run(place: Path) -> RunDirectory:
    (run,) = experiment_directory(place / "runs", "tiny").runs().values()
    return run


def home_of(away: Path, place: Path) -> Path:
    """An empty folder with the experiment file alone."""
    place.mkdir()
    shutil.copy(away / "tiny.toml", place)
    return place


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, without locks, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", ".lock") and path.suffix != ".lock"
    }


Change = Callable[[dict[str, bytes]], None]


def forged(pack: Path, target: Path, change: Change, *, honest: bool = False) -> Path:
    """A copy of `pack` whose entries were changed by hand; honest: with a manifest that says what they are now."""
    with zipfile.ZipFile(pack) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    change(entries)
    if honest:
        document = json.loads(entries["manifest.json"])
        document["files"] = [
            [name, len(content), atomic.sha256_of(content)]
            for name, content in entries.items()
            if name != "manifest.json"
        ]
        entries["manifest.json"] = signed(document)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return target


def signed(document: dict[str, Any]) -> bytes:
    """manifest.json with a SHA-256 that fits whatever it says."""
    body = {name: value for name, value in document.items() if name != "sha256"}
    return json.dumps({**body, "sha256": atomic.sha256_of(atomic.canonical_json(body))}).encode()


def edit_manifest(entries: dict[str, bytes], **changes: Any) -> None:
    document = json.loads(entries["manifest.json"])
    entries["manifest.json"] = signed({**document, **changes})
