"""manifest.json of a pack: what it is, and every other file in it. A stranger's is checked before it is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import StoreError
from harness.store import atomic
from harness.store.pack_layout import PACK_FORMAT, is_experiment_name
from harness.store.rundir import RUN_NAME

MAX_BYTES = 256 * 1024 * 1024
"""Far more than the files of the largest experiment take."""

COPY_AGAIN = "Copy it here again, or pack it again where it comes from."
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PackedFile:
    """size: in bytes, unpacked."""

    size: int
    sha256: str

    def __post_init__(self) -> None:
        """TypeError for what no pack holds."""
        if type(self.size) is not int or self.size < 0 or not _is_sha256(self.sha256):
            raise TypeError("a file has a size and a SHA-256")


@dataclass(frozen=True)
class PackedRun:
    """state: as `status` said; step: of the newest commit, 0 without one; steps: that the file asked for."""

    folder: str
    key: str
    cell: str
    seed: int
    state: str
    step: int
    steps: int

    def __post_init__(self) -> None:
        """TypeError for what no pack holds."""
        texts, numbers = (self.folder, self.key, self.cell, self.state), (self.seed, self.step, self.steps)
        if not all(isinstance(text, str) for text in texts) or not _is_sha256(self.key):
            raise TypeError("folder, key, cell and state are texts")
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise TypeError("seed, step and steps are whole numbers")
        match = RUN_NAME.fullmatch(self.folder)
        if match is None or match[1] != self.key[:8]:
            raise TypeError("a run's folder ends with its key")


@dataclass(frozen=True)
class PackManifest:
    """made_with: versions of harness, Python and torch that packed; machines: that the runs' attempts name.

    own_files: copies in the pack of files that the experiment file names as FILE.py:NAME, by FILE; report: what
    `reports.json` noted of the report, None where none is packed; files: by name in the pack.
    """

    experiment: str
    made_with: dict[str, str]
    machines: list[dict[str, Any]]
    runs: tuple[PackedRun, ...]
    files: dict[str, PackedFile]
    own_files: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(file.size for file in self.files.values())


def manifest_bytes(manifest: PackManifest) -> bytes:
    """manifest.json: a file a line, its own SHA-256 last."""
    document: dict[str, Any] = {
        "format": PACK_FORMAT,
        "experiment": manifest.experiment,
        "made_with": manifest.made_with,
        "machines": manifest.machines,
        "own_files": manifest.own_files,
        "report": manifest.report,
        "runs": [asdict(run) for run in manifest.runs],
        "files": [[name, file.size, file.sha256] for name, file in manifest.files.items()],
    }
    document["sha256"] = atomic.sha256_of(atomic.canonical_json(document))
    lines = []
    for name, value in document.items():
        if name in ("runs", "files") and value:
            text = "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n]"
        else:
            text = json.dumps(value, ensure_ascii=False)
        lines.append(f"{json.dumps(name)}: {text}")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8", "surrogatepass")


def read_manifest(content: bytes, where: str) -> PackManifest:
    """StoreError where another version wrote it, or where it is no manifest whatever it says."""
    try:
        document = json.loads(content)
        version = document["format"]
        made_with = {str(name): str(value) for name, value in document["made_with"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_manifest(where, error) from error
    if type(version) is not int or version != PACK_FORMAT:
        packer = f"harness {made_with.get('harness', 'of an unknown version'):.40}"
        raise StoreError(
            f"packed in format {version!r:.20} by {packer}; this one reads format {PACK_FORMAT}",
            where=where,
            remedy="Use that version, or pack it again with this one where it comes from.",
        )
    try:
        digest = document.pop("sha256")
        if atomic.sha256_of(atomic.canonical_json(document)) != digest:
            raise ValueError("it does not match its own SHA-256")
        return _manifest(document, made_with)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_manifest(where, error) from error


def _manifest(document: Mapping[str, Any], made_with: dict[str, str]) -> PackManifest:
    name, machines, own_files, report = (document[key] for key in ("experiment", "machines", "own_files", "report"))
    if not isinstance(name, str) or not is_experiment_name(name):
        raise TypeError("the experiment's name is none of a folder")
    if not isinstance(machines, list) or not all(isinstance(machine, dict) for machine in machines):
        raise TypeError("machines are objects")
    if not isinstance(own_files, dict) or not all(isinstance(place, str) for place in own_files.values()):
        raise TypeError("own_files are names")
    if report is not None and not _is_report_note(report):
        raise TypeError("report is no note of a report")
    files = {str(file): PackedFile(size, sha256) for file, size, sha256 in document["files"]}
    if len(files) != len(document["files"]):
        raise ValueError("it names a file twice")
    runs = tuple(PackedRun(**run) for run in document["runs"])
    if len({run.key[:8] for run in runs}) != len(runs):
        raise ValueError("it names a run twice")
    return PackManifest(name, made_with, machines, runs, files, own_files, report)


def _is_report_note(report: object) -> bool:
    return (
        isinstance(report, dict)
        and report.keys() == {"made_from", "files"}
        and _is_sha256(report["made_from"])
        and isinstance(report["files"], dict)
        and all(map(_is_sha256, report["files"].values()))
    )


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def _no_manifest(where: str, error: Exception) -> StoreError:
    said = str(error) if not isinstance(error, KeyError) else f"{error} is missing"
    return StoreError(f"its manifest.json does not hold: {said:.200}", where=where, remedy=COPY_AGAIN)
