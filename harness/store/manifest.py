"""Manifests: what a run is, and what an experiment fixed at its first run. Written once; later runs compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from harness.errors import DamagedFileError, DataError, StoreError
from harness.store import atomic
from harness.store.rundir import FORMAT, ExperimentDirectory, RunDirectory


@dataclass(frozen=True)
class RunManifest:
    """run.json. `cell` is for people and may be rewritten when the cell is renamed; `key` never changes.

    steps: the total that a schedule reads, None where none does; sources: SHA-256 of each own file that the run is
    made of. Both stand in the file only where they are in the key.
    """

    key: str
    experiment: str
    cell: str
    seed: int
    hyperparameters: dict[str, Any]
    data: dict[str, Any]
    data_sha256: str
    training_version: int
    harness_version: str
    steps: int | None = None
    sources: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class ExperimentManifest:
    """experiment.json.

    data_sha256: `data_key` of the declared data -> content hash; weights_sha256: `protocol.weights_key` -> SHA-256 of
    the weights in use, None: looked for in vain; image_counts: `data_key` of the declared data -> usable
    images; data_sources: `data_key` of data that an own file gives -> SHA-256 of that file when it gave them.
    """

    name: str
    threads: int
    data_sha256: dict[str, str]
    weights_sha256: dict[str, str | None] = field(default_factory=dict)
    image_counts: dict[str, int] = field(default_factory=dict)
    data_sources: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def data_sha256_of(self, declared: Mapping[str, str | int]) -> str | None:
        """The content hash that was found for data declared so, or None before anything was prepared with them."""
        return self.data_sha256.get(data_key(declared))

    def image_count_of(self, declared: Mapping[str, str | int]) -> int | None:
        """How many images data declared so have, or None before anything was prepared with them."""
        return self.image_counts.get(data_key(declared))

    def with_count(self, declared: Mapping[str, str | int], count: int) -> ExperimentManifest:
        return replace(self, image_counts={**self.image_counts, data_key(declared): count})

    def with_data(
        self, declared: Mapping[str, str | int], sha256: str, *, where: str, source: str | None = None
    ) -> ExperimentManifest:
        """The manifest with this content hash noted; DataError when another one was noted before.

        source: SHA-256 of the own file that gave the images. One that was edited since gives other images by right:
        every run of them has another key.
        """
        key, before = data_key(declared), self.data_sha256_of(declared)
        edited = source is not None and source != self.data_sources.get(key)
        if before not in (None, sha256) and not edited:
            raise DataError(
                f"the images are not those of the first run (SHA-256 {str(before)[:16]}, now {sha256[:16]})",
                where=where,
                remedy="Bring the old ones back, or use another experiment name or --runs-dir.",
            )
        sources = self.data_sources if source is None else {**self.data_sources, key: source}
        return replace(self, data_sha256={**self.data_sha256, key: sha256}, data_sources=sources)


def data_key(declared: Mapping[str, str | int]) -> str:
    """One spelling of `DataSettings.declared()`."""
    return atomic.canonical_json(dict(declared)).decode()


_Manifest = TypeVar("_Manifest", RunManifest, ExperimentManifest)


def read_run_manifest(run: RunDirectory) -> RunManifest | None:
    """None where run.json is absent; StoreError where another version wrote it, DamagedFileError where damaged."""
    return _read(RunManifest, run.run_json)


def require_own_folder(run: RunDirectory, key: str) -> None:
    """StoreError where run.json says that the folder is not that of the run `key`, or cannot say what it is.

    One that is missing or damaged says nothing.
    """
    try:
        manifest = read_run_manifest(run)
    except DamagedFileError:
        return
    if manifest is not None and manifest.key != key:
        raise StoreError(
            f"the folder belongs to another run ({str(manifest.key)[:16]})",
            where=str(run.root),
            remedy="Move it away, then run the same command again.",
        )


def write_run_manifest(run: RunDirectory, manifest: RunManifest) -> None:
    atomic.make_folder(run.root)
    document = asdict(manifest)
    absent = [name for name in ("steps", "sources") if not document[name]]
    atomic.write_json(run.run_json, {name: value for name, value in document.items() if name not in absent})


def read_experiment_manifest(experiment: ExperimentDirectory) -> ExperimentManifest | None:
    return _read(ExperimentManifest, experiment.manifest)


def write_experiment_manifest(experiment: ExperimentDirectory, manifest: ExperimentManifest) -> None:
    atomic.make_folder(experiment.root)
    document = asdict(manifest)
    if not manifest.data_sources:
        del document["data_sources"]
    atomic.write_json(experiment.manifest, document)


def _read(kind: type[_Manifest], path: Any) -> _Manifest | None:
    try:
        document = atomic.read_json(path)
    except FileNotFoundError:
        return None
    found = document.get("format")
    if found != FORMAT:
        raise StoreError(
            f"written in format {found} by another version of harness; this one reads format {FORMAT}",
            where=str(path),
            remedy="Use that version, or another folder with --runs-dir.",
        )
    try:
        return kind(**document)
    except TypeError as error:
        raise DamagedFileError(f"not a manifest: {error}", where=str(path)) from error
