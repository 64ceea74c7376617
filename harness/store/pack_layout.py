"""What a pack may hold, and under which names: the files of one experiment's runs, and of its report.

    manifest.json                        last: what the pack is, and every other file with its size and SHA-256
    runs/<experiment>/...                as in `rundir`, without locks, caches, cursors and, mostly, states
    reports/<experiment>/...             the report's own files and a person's notes

Names in a pack use `/`. One that is not of this layout is refused, whatever it may lead to.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from harness.store.rundir import RUN_NAME

PACK_FORMAT = 1
"""Version of this layout and of manifest.json; a pack of another version is refused."""

MANIFEST = "manifest.json"
RUNS, REPORTS = "runs", "reports"

_RUN_FILE = re.compile(
    r"run\.json|networks\.json|attempts\.jsonl|log\.txt|metrics\.jsonl|system\.jsonl"
    r"|state/step-\d{6,12}\.(?:json|pt)"
    r"|checkpoints/step-\d{6,12}\.safetensors(?:\.sha256)?"
    r"|samples/step-\d{6,12}\.png"
    r"|pictures/step-\d{6,12}--[a-z]{1,32}\.png"
    r"|evaluations/step-\d{6,12}--[0-9a-f]{8}\.json",
    re.ASCII,
)
_SHARED_FILE = re.compile(
    r"experiment\.toml|experiment\.json|pictures/real-\d{1,6}\.png|source/[0-9a-f]{8}/(?:[^/]+/){0,32}[^/]+\.py",
    re.ASCII,
)
_REPORT_FILE = re.compile(r"(?:(?:figures|tables)/)?\w[\w-]*\.(?:md|html|csv|tex|png|svg|json)|notes/[^/]+\.md")
_EXPERIMENT = re.compile(r"\w[\w .-]{0,63}")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
"""Characters that no name on Windows has: drives, streams and its own separator among them."""
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:[ .].*)?", re.IGNORECASE | re.DOTALL
)

MAX_NAME_BYTES, MAX_PART_BYTES = 1024, 255


def is_experiment_name(name: str) -> bool:
    """Whether `name` may be an experiment's, and so the name of a folder."""
    return _EXPERIMENT.fullmatch(name) is not None and _is_safe_part(name)


def trouble_with_name(name: str, experiment: str) -> str:
    """Why a pack of `experiment` may not hold a file of this name; empty where it may."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or _FORBIDDEN.search(name):
        return "the name leads out of the folder, or is none on some system"
    if not all(map(_is_safe_part, parts)) or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return "the name is none on some system"
    return "" if _is_of_the_layout(parts, experiment) else "nothing of this name belongs into a pack"


def collisions(names: Iterable[str]) -> list[str]:
    """Names that some file system takes for one that came before: of another case or spelling, a file for a folder."""
    seen: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    found = []
    for name in names:
        parts = name.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        folded = [_folded(path) for path in (*above, name)]
        is_spelled_else = [seen.setdefault(key, path) != path for key, path in zip(folded, (*above, name), strict=True)]
        if any(is_spelled_else) or not files.isdisjoint(folded) or folded[-1] in folders:
            found.append(name)
        files.add(folded[-1])
        folders.update(folded[:-1])
    return found


def _is_of_the_layout(parts: list[str], experiment: str) -> bool:
    if len(parts) < 3 or parts[1] != experiment:
        return False
    inside = "/".join(parts[2:])
    if parts[0] == REPORTS:
        return _REPORT_FILE.fullmatch(inside) is not None
    if parts[0] != RUNS:
        return False
    if len(parts) > 3 and RUN_NAME.fullmatch(parts[2]):
        return _RUN_FILE.fullmatch("/".join(parts[3:])) is not None
    return _SHARED_FILE.fullmatch(inside) is not None


def _is_safe_part(part: str) -> bool:
    if not part or part.startswith(".") or part[-1] in ". " or _DEVICE.fullmatch(part) or _FORBIDDEN.search(part):
        return False
    try:
        return len(part.encode()) <= MAX_PART_BYTES
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
