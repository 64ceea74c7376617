"""What a person wrote for a report: a Markdown file per section, in the folder `notes` beside it.

Imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import StoreError
from harness.store.reading import read_bytes


def read_notes(folder: Path) -> dict[str, str]:
    """What a person wrote, by note name; StoreError where a note cannot be read as UTF-8 text."""
    notes = {}
    for path in sorted(folder.glob("*.md")) if folder.is_dir() else []:
        try:
            notes[path.stem] = read_bytes(path).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            raise StoreError("not UTF-8 text", where=str(path), remedy="Save the note as UTF-8.") from None
        except FileNotFoundError:
            continue  # a link to nothing
    return notes
