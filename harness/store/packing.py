"""`harness pack`: an experiment's runs and report in one zip file, to be brought to another machine.

Written whole or not at all. Equal runs give equal bytes: names in order, one date for all, nothing of the moment.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path
from typing import Any

from harness.design.own_parts import OwnSource
from harness.errors import StoreError
from harness.store import atomic, reading
from harness.store.attempts import read_attempts
from harness.store.heartbeat import is_worked_on
from harness.store.pack_layout import MANIFEST, REPORTS, RUNS, trouble_with_name
from harness.store.pack_manifest import PackedFile, PackedRun, PackManifest, manifest_bytes
from harness.store.pack_pieces import Piece, RunPieces, chunks, run_pieces
from harness.store.rundir import ExperimentDirectory, RunDirectory

_STORED = (".png", ".safetensors", ".pt")
"""Compressed already, or weights, which do not get smaller."""
_DATE = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16


@dataclass(frozen=True)
class RunToPack:
    """state: as `status` says; steps: that the file asks for."""

    directory: RunDirectory
    key: str
    cell: str
    seed: int
    state: str
    steps: int


@dataclass(frozen=True)
class ReportToPack:
    """files: the report's own ones and the notes, by their path in `output`; noted: what `reports.json` says of it."""

    output: Path
    files: tuple[str, ...]
    noted: dict[str, Any] | None = None


@dataclass(frozen=True)
class Contents:
    """What is to be packed. own: the user's files that the experiment file names; made_with: versions that pack."""

    name: str
    directory: ExperimentDirectory
    runs: tuple[RunToPack, ...]
    own: Mapping[str, OwnSource]
    made_with: Mapping[str, str]
    report: ReportToPack | None = None
    states: bool = False
    checkpoints: bool = True


@dataclass
class Packed:
    """What was packed. refused: why runs were left out, by folder; busy: packed as they stood while a process worked.

    stateless: folders of runs that are not at their last step and whose state is not in; size: of the zip, in bytes.
    """

    runs: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    stateless: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0
    sha256: str = ""


def pack(target: Path, contents: Contents) -> Packed:
    """Writes the zip; StoreError where the disk refuses or a file changed under the reader's eyes.

    A run that does not hold is left out, with the reason.
    """
    packed = Packed()

    def write(file: BufferedRandom) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _Writer(archive, contents, packed).write_all()
        packed.size = file.tell()
        file.seek(0)
        packed.sha256 = hashlib.file_digest(file, "sha256").hexdigest()

    atomic.remove_leftovers(target)
    atomic.write_from(target, write)
    return packed


@dataclass
class _Writer:
    archive: zipfile.ZipFile
    contents: Contents
    packed: Packed
    files: dict[str, PackedFile] = field(default_factory=dict)
    runs: list[PackedRun] = field(default_factory=list)
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write_all(self) -> None:
        contents = self.contents
        for name, piece in _shared(contents):
            self._write(f"{RUNS}/{contents.name}/{name}", piece)
        for run in sorted(contents.runs, key=lambda run: run.directory.root.name):
            self._write_run(run)
        for name, path in _report(contents.report):
            self._write(f"{REPORTS}/{contents.name}/{name}", Piece.of_file(path))
        manifest = PackManifest(
            experiment=contents.name,
            made_with=dict(contents.made_with),
            machines=[self.machines[text] for text in sorted(self.machines)],
            runs=tuple(self.runs),
            files=self.files,
            own_files={file: _own_place(contents.name, source) for file, source in sorted(contents.own.items())},
            report=contents.report.noted if contents.report else None,
        )
        self.packed.files = len(self.files)
        self._add(MANIFEST, Piece.of_bytes(Path(MANIFEST), manifest_bytes(manifest)))

    def _write_run(self, run: RunToPack) -> None:
        root, contents = run.directory.root, self.contents
        busy = is_worked_on(run.directory)
        try:
            found = run_pieces(run.directory, run.key, states=contents.states, checkpoints=contents.checkpoints)
        except StoreError as error:
            self.packed.refused[root.name] = str(error)
            return
        for name, piece in found.pieces.items():
            self._write(f"{RUNS}/{contents.name}/{root.name}/{name}", piece)
        self._note(run, found, busy=busy)

    def _note(self, run: RunToPack, found: RunPieces, *, busy: bool) -> None:
        commit, folder = found.status.commit, run.directory.root.name
        step = commit.step if commit else 0
        self.runs.append(PackedRun(folder, run.key, run.cell, run.seed, run.state, step, run.steps))
        self.packed.runs.append(folder)
        if busy:
            self.packed.busy.append(folder)
        if commit and step < run.steps and run.state != "diverged" and not found.has_state:
            self.packed.stateless.append(folder)
        for attempt in read_attempts(run.directory):
            machine = {name: fact for name, fact in attempt.machine.items() if name != "pid"}
            self.machines[atomic.canonical_json(machine).decode()] = machine

    def _write(self, name: str, piece: Piece) -> None:
        if what := trouble_with_name(name, self.contents.name):
            raise StoreError(f"cannot be packed: {what}", where=str(piece.path), remedy="Give it another name.")
        self.files[name] = PackedFile(piece.size, piece.sha256)
        self._add(name, piece)

    def _add(self, name: str, piece: Piece) -> None:
        info = zipfile.ZipInfo(name, _DATE)
        info.create_system, info.external_attr = 3, _FILE_MODE
        info.compress_type = zipfile.ZIP_STORED if name.endswith(_STORED) else zipfile.ZIP_DEFLATED
        info.file_size = piece.size
        if piece.content is not None:
            self.archive.writestr(info, piece.content)
            return
        try:
            opened = reading.open_file(piece.path)
        except FileNotFoundError:
            what, remedy = "was removed while it was packed", "Run the same command again."
            raise StoreError(what, where=str(piece.path), remedy=remedy) from None
        with opened as source, self.archive.open(info, "w") as entry:
            digest = hashlib.sha256()
            for chunk in chunks(source, piece.size):
                digest.update(chunk)
                entry.write(chunk)
        if digest.hexdigest() != piece.sha256:
            raise StoreError("changed while it was packed", where=str(piece.path), remedy="Run the same command again.")


def _shared(contents: Contents) -> Iterator[tuple[str, Piece]]:
    """What the runs share: the experiment file and its manifest as used, own sources, grids of real images."""
    directory = contents.directory
    read: Callable[[Path], bytes] = reading.read_bytes
    for path in (directory.manifest, directory.file_copy):
        try:
            yield path.name, Piece.of_bytes(path, read(path))
        except FileNotFoundError:
            raise StoreError(
                "the file is missing, and without it the runs say nothing elsewhere",
                where=str(path),
                remedy="`harness run FILE` writes it again.",
            ) from None
    for path in sorted(directory.pictures.glob("real-*.png")):
        yield f"pictures/{path.name}", Piece.of_bytes(path, read(path))
    for source in sorted(contents.own.values(), key=lambda source: source.sha256):
        folder = directory.source(source.sha256)
        for name in sorted(name for name, _ in source.content):
            if reading.is_there(folder / name):
                inside = (folder / name).relative_to(directory.root).as_posix()
                yield inside, Piece.of_bytes(folder / name, read(folder / name))


def _report(report: ReportToPack | None) -> Iterator[tuple[str, Path]]:
    for name in sorted(report.files if report else ()):
        assert report is not None
        if reading.is_there(report.output / name):
            yield name, report.output / name


def _own_place(experiment: str, source: OwnSource) -> str:
    return f"{RUNS}/{experiment}/source/{source.sha256[:8]}/{source.content[0][0]}"
