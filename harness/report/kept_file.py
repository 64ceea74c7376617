"""The copy of the experiment file that runs keep, beside the file that the report is made from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.design.experiment import Experiment
from harness.design.experiment_file import read_experiment_file
from harness.errors import HarnessError
from harness.store.reading import read_bytes
from harness.tracking.reader import ExperimentView

_SETS = re.compile(r"(?:# --set [^\n]*\n)*")
"""The lines that the kept copy of an experiment file has before the file's own text."""


@dataclass(frozen=True)
class KeptFile:
    """text: as the last `harness run` that had something to do used it, and what `--set` put over it.

    differs_in: top-level names that the report's own file says otherwise, such as `labels`.
    """

    text: str
    overrides: tuple[str, ...]
    differs_in: tuple[str, ...]


def kept_file(view: ExperimentView) -> KeptFile | None:
    """None where there is no copy that is text."""
    path = view.directory.file_copy
    try:
        text = read_bytes(path).decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    found = _SETS.match(text)
    lines = found.group() if found else ""
    overrides = tuple(line.removeprefix("# --set ") for line in lines.split("\n")[:-1])
    try:
        kept = read_experiment_file(path, overrides).experiment
    except HarnessError:
        differs = tuple(_names(view.plan.experiment))  # no experiment by what this version takes
    else:
        differs = _differing(kept, view.plan.experiment)
    return KeptFile(text[len(lines) :].replace("\r\n", "\n"), overrides, differs)


def _differing(kept: Experiment, used: Experiment) -> tuple[str, ...]:
    fields = _names(used)
    return tuple(shown for shown, name in fields.items() if getattr(kept, name) != getattr(used, name))


def _names(experiment: Experiment) -> dict[str, str]:
    """Fields by the name that the file has for them."""
    return {field.alias or name: name for name, field in type(experiment).model_fields.items()}
