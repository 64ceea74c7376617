"""Experiment files as text, read as the command line reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.design.expansion import Cell, Plan
from harness.design.experiment_file import ExperimentFile, read_experiment_file
from harness.errors import ExperimentFileError


def read(folder: Path, text: str | bytes, *overrides: str) -> ExperimentFile:
    path = folder / "e.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_experiment_file(path, overrides)


def plan_of(folder: Path, text: str, *overrides: str) -> Plan:
    """The plan of `text` under a name that need not be given."""
    return read(folder, f'name = "e"\n{text}', *overrides).plan


def refusal(folder: Path, text: str | bytes, *overrides: str) -> str:
    """What the person reads; the folder is left out of it."""
    with pytest.raises(ExperimentFileError) as caught:
        read(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "")


def first_line(folder: Path, text: str | bytes, *overrides: str) -> str:
    return refusal(folder, text, *overrides).split("\n")[0]


def refused_at(folder: Path, text: str, *overrides: str) -> int:
    """The line that the first error names."""
    match = re.match(r"e\.toml:(\d+): ", refusal(folder, text, *overrides))
    assert match, refusal(folder, text, *overrides)
    return int(match[1])


def names(plan: Plan) -> list[str]:
    return [cell.name for cell in plan.cells]


def cell_named(plan: Plan, name: str) -> Cell:
    return next(cell for cell in plan.cells if cell.name == name)


def write(**files: str) -> None:
    """Python files in the current folder, by name without `.py`; `FOLDER_of_NAME` lies in a folder."""
    for name, text in files.items():
        path = Path(name.replace("_of_", "/") + ".py")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")
