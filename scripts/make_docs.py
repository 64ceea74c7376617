"""Writes the generated parts of the documentation: help texts, tables of keys, the factor reference.

    python scripts/make_docs.py            rewrites what has changed in README.md and docs/

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is `help COMMAND`, `keys TABLE`,
`factors`, `aliases`, `file PATH` (an experiment file), `plan PATH` (what `harness plan` says of it) or `reliability
FAMILY` (figures in docs/reliability.json, which `python -m tests.faults FAMILY --record` writes). The tests compare
what is committed with what this script would write.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import typer
from pydantic import BaseModel

from harness.cli import app
from harness.cli.design import plan_text
from harness.design.experiment import (
    Claim,
    CostSettings,
    DataSettings,
    EvaluationSettings,
    Experiment,
    Grid,
    NamedCell,
    ReportSettings,
    ResourceSettings,
    SlurmSettings,
    TrainingSettings,
)
from harness.design.experiment_file import read_experiment_file
from harness.design.factors import ALIASES, FACTORS, Hyperparameters, canonical_level
from harness.design.schema import allowed_levels, allowed_values
from harness.tracking.reader import read_experiment

ROOT = Path(__file__).resolve().parents[1]
TERMINAL = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
"""The terminal that help texts are made for; they are never wider than 80 columns."""

TABLES: dict[str, type[BaseModel]] = {
    "data": DataSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "grid": Grid,
    "cell": NamedCell,
    "report": ReportSettings,
    "claim": Claim,
    "cost": CostSettings,
    "resources": ResourceSettings,
    "slurm": SlurmSettings,
}
"""Tables of the experiment file that have keys of their own, beside factors."""

_PART = re.compile(r"(<!-- generated: (?P<name>[^\n]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """The pages that may hold generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def regenerated(text: str) -> str:
    """`text` with every generated part as it should be; ValueError for a part of an unknown name."""
    return _PART.sub(lambda part: f"{part[1]}{generated(part['name'])}\n{part[3]}", text)


def parts(text: str) -> list[str]:
    """The names of the generated parts in `text`, in order."""
    return [part["name"] for part in _PART.finditer(text)]


def generated(name: str) -> str:
    """The Markdown of one generated part, without a line end."""
    match name.split():
        case ["help"]:
            return fenced_help()
        case ["help", *words] if " ".join(words) in commands():
            return fenced_help(" ".join(words))
        case ["keys", "top"]:
            return key_table(Experiment, [key for key in Experiment.model_fields if key in top_keys()])
        case ["keys", table] if table in TABLES:
            return key_table(TABLES[table], own_keys(table))
        case ["factors"]:
            return factor_table()
        case ["aliases"]:
            rows = [(f"`{alias}`", " and ".join(f"`{name}`" for name in names)) for alias, names in ALIASES.items()]
            return markdown_table(("alias", "sets"), rows)
        case ["file", path]:
            return f"```toml\n{(ROOT / path).read_text(encoding='utf-8').strip()}\n```"
        case ["reliability", family]:
            return reliability_table(family)
        case ["plan", path]:
            return f"```text\n{planned(ROOT / path)}\n```"
    raise ValueError(f"nothing is generated under the name {name!r}")


def commands() -> dict[str, Any]:
    """The commands that `harness --help` lists, by name; of a group its own commands: `extractor train`."""
    group: Any = typer.main.get_command(app)
    listed: dict[str, Any] = {}
    for name, command in group.commands.items():
        if not command.hidden:
            members = getattr(command, "commands", {})
            listed |= {f"{name} {member}": below for member, below in members.items()} or {name: command}
    return listed


def fenced_help(command: str | None = None) -> str:
    """What `harness COMMAND --help` prints on a wide terminal, in a fenced block."""
    arguments = [*(command or "").split(), "--help"]
    with patch.dict(os.environ, TERMINAL), redirect_stdout(io.StringIO()) as output:
        app(arguments, prog_name="harness", standalone_mode=False)
    return f"```text\n{output.getvalue().strip()}\n```"


def planned(path: Path) -> str:
    """What `harness plan` prints on a wide terminal where nothing was run yet."""
    with TemporaryDirectory() as runs:
        return plan_text(read_experiment(read_experiment_file(path).plan, Path(runs)), width=200)


def top_keys() -> list[str]:
    """Keys of the experiment file that stand outside all tables."""
    properties = Experiment.model_json_schema()["properties"]
    return [name for name, schema in properties.items() if not _is_table(schema)]


def own_keys(table: str) -> list[str]:
    """The keys of a table beside the factors, which only `[[cell]]` mixes with its own."""
    factors = {*Hyperparameters.model_fields, *ALIASES} if table == "cell" else set()
    return [name for name in TABLES[table].model_fields if name not in factors]


def key_table(model: type[BaseModel], keys: Iterable[str]) -> str:
    """A row per key: its default as TOML spells it, what is allowed, what it means."""
    properties = model.model_json_schema()["properties"]
    rows = []
    for key in keys:
        schema = properties[key]
        allowed = "a table of lists" if "$ref" in schema else allowed_values(schema)
        rows.append((f"`{key}`", _default(schema), allowed, schema["description"]))
    return markdown_table(("key", "default", "allowed", "meaning"), rows)


def factor_table() -> str:
    """What `harness factors` lists."""
    rows = [
        (f"`{name}`", f"`{canonical_level(field.default)}`", allowed_levels(name), field.description or "")
        for name, field in ((name, Hyperparameters.model_fields[name]) for name in FACTORS)
    ]
    return markdown_table(("factor", "default", "levels", "meaning"), rows)


def reliability_table(family: str) -> str:
    """The measured figures of one family of faults, and how and where they were measured."""
    campaign = json.loads((ROOT / "docs" / "reliability.json").read_text(encoding="utf-8")).get(family)
    if campaign is None:
        return f"Not measured in numbers yet; `python -m tests.faults {family}` does it."
    rows = [(row["fault"], *(str(row[name]) for name in ("tries", "survived", "lost"))) for row in campaign["rows"]]
    total = [str(sum(row[name] for row in campaign["rows"])) for name in ("tries", "survived", "lost")]
    table = markdown_table(("fault", "tries", "survived", "lost"), [*rows, ("**all**", *total)])
    machine = ", ".join(
        f"{value} cores" if name == "cores" else value if name == "system" else f"{name} {value}"
        for name, value in campaign["platform"].items()
    )
    return f"`{campaign['command']}`, {campaign['date']}, {campaign['seconds']} s on {machine}.\n\n{table}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_table(schema: dict[str, Any]) -> bool:
    return "$ref" in schema or "$ref" in schema.get("items", {}) or schema.get("type") == "object"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "must be given"
    return "not set" if schema["default"] is None else f"`{json.dumps(schema['default'])}`"


def main() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        current = regenerated(text)
        if current != text:
            page.write_text(current, encoding="utf-8")
            print(f"rewrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
