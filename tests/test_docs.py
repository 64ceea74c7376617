"""What the documentation says is true: help texts, keys, factors, examples, commands, links, names of files."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from harness.cli import app
from harness.design.experiment import Experiment
from harness.design.experiment_file import read_experiment_file
from harness.errors import ExperimentFileError
from harness.store.status import RunState

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def load_make_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_docs = load_make_docs()
COMMANDS: dict[str, Any] = make_docs.commands()


def visible_options(command: Any) -> set[str]:
    """The options that a command's help shows, in all spellings."""
    shown = (parameter for parameter in command.params if not getattr(parameter, "hidden", False))
    return {"-h", "--help"} | {option for parameter in shown for option in parameter.opts if option.startswith("-")}


def code_of(text: str) -> list[str]:
    """Every line of fenced code but usage lines, and every inline code span in one line."""
    fenced = [line.strip() for _, body in FENCED.findall(text) for line in body.splitlines()]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCED.sub("", text))]
    return [line for line in fenced if not line.startswith("Usage:")] + spans


def mentions(text: str) -> list[list[str]]:
    """The arguments of every `harness ...` in code."""
    found = (re.search(r"(?:^|[\s`])harness ([^`]*)", line) for line in code_of(text))
    return [shlex.split(match[1], comments=True) for match in found if match]


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", make_docs.pages(), ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert make_docs.regenerated(text) == text, "run: python scripts/make_docs.py"
    assert text.count("<!-- generated:") == text.count("<!-- end -->") == len(make_docs.parts(text))


def test_every_command_is_documented_once() -> None:
    parts = make_docs.parts((ROOT / "docs" / "commands.md").read_text(encoding="utf-8"))
    assert len(COMMANDS) > 10
    assert sorted(parts) == sorted(["help", *(f"help {name}" for name in COMMANDS)])


@pytest.mark.parametrize("command", [None, "run"])
def test_help_texts_are_what_a_user_sees(command: str | None) -> None:
    arguments = ["harness", *([command] if command else []), "--help"]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = {arguments}; from harness.cli import main; main()"],
        capture_output=True, text=True, check=True, env={**os.environ, **make_docs.TERMINAL},
    )  # fmt: skip
    assert f"```text\n{done.stdout.strip()}\n```" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_factor_table_is_what_harness_factors_gives(capsys: pytest.CaptureFixture[str]) -> None:
    app(["factors", "--json"], standalone_mode=False)
    given = json.loads(capsys.readouterr().out)
    table = (ROOT / "docs" / "factors.md").read_text(encoding="utf-8").split("<!-- end -->")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if line.startswith("| `")]
    shown = [[cell.strip().replace("\\|", "|").strip("`") for cell in row] for row in rows]
    assert [(name, levels, meaning) for name, _, levels, meaning in shown] == [
        (factor["name"], factor["allowed"], factor["meaning"]) for factor in given
    ]
    defaults = [str(factor["default"]).strip("[]").replace(" ", "") for factor in given]
    assert [default for _, default, _, _ in shown] == defaults


def test_every_table_and_key_of_the_file_is_documented() -> None:
    page = ROOT / "docs" / "experiment-file.md"
    text = page.read_text(encoding="utf-8")
    headed = set(re.findall(r"^## `\[+(\w+)\]+`", text, re.MULTILINE))
    assert {*headed, *make_docs.top_keys()} == set(Experiment.model_fields)
    assert {f"keys {table}" for table in ["top", *make_docs.TABLES]} < set(make_docs.parts(text))
    for table, model in make_docs.TABLES.items():
        own = set(model.model_fields) - (set(make_docs.Hyperparameters.model_fields) if table == "cell" else set())
        section = text.split(f"<!-- generated: keys {table} -->")[1].split("<!-- end -->")[0]
        assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == own - set(make_docs.ALIASES)
    example = tomllib.loads((ROOT / "docs" / "example.toml").read_text(encoding="utf-8"))
    assert headed <= example.keys()


@every_page
def test_toml_examples_parse_and_plan(page: Path, tmp_path: Path) -> None:
    for number, (language, body) in enumerate(FENCED.findall(page.read_text(encoding="utf-8"))):
        if language != "toml":
            continue
        file = tmp_path / f"example-{number}.toml"
        named = body.lstrip().startswith("name")
        file.write_text(body if named else f'name = "example"\n{body}', encoding="utf-8")
        assert len(read_experiment_file(file).plan.cells) > 1


def test_the_readme_counts_its_example_right(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    file = tmp_path / "first.toml"
    file.write_text(next(body for language, body in FENCED.findall(text) if language == "toml"), encoding="utf-8")
    plan = read_experiment_file(file).plan
    assert (len(plan.cells), len(plan.runs)) == (3, 6)
    assert "three cells" in text
    assert "six runs" in text


def test_the_error_message_shown_is_the_one_given(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "experiment-file.md").read_text(encoding="utf-8")
    shown = re.search(r"^error: experiments/ablation.toml:(\d+): (.*)$", text, re.MULTILINE)
    assert shown
    file = tmp_path / "ablation.toml"
    file.write_text('name = "x"\n' + "\n" * (int(shown[1]) - 3) + "[baseline]\nlatent_dimm = 16\n", encoding="utf-8")
    with pytest.raises(ExperimentFileError) as error:
        read_experiment_file(file)
    assert str(error.value) == f"{file}:{shown[1]}: {shown[2]}"


@every_page
def test_no_page_names_a_command_or_an_option_that_does_not_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, *arguments in mentions(text):
        if name.startswith("-"):
            assert name in {"--help", "-h", "--version"}
            continue
        if arguments and f"{name} {arguments[0]}" in COMMANDS:
            name, *arguments = f"{name} {arguments[0]}", *arguments[1:]
        assert name in COMMANDS, f"harness {name}"
        options = {argument.split("=")[0] for argument in arguments if argument.startswith("-")}
        assert options <= visible_options(COMMANDS[name]), f"harness {name} {' '.join(arguments)}"
        if arguments and "--help" not in arguments:
            COMMANDS[name].make_context(name, list(arguments))  # raises for what cannot be parsed
    known = set().union(*map(visible_options, COMMANDS.values()))
    alone = {line.split()[0].split("=")[0] for line in code_of(FENCED.sub("", text)) if line.startswith("--")}
    assert alone <= known


def test_overrides_shown_can_be_made() -> None:
    tried = 0
    for page in PAGES:
        for _, *arguments in mentions(page.read_text(encoding="utf-8")):
            sets = [after for option, after in pairwise(arguments) if option == "--set"]
            if sets and (ROOT / arguments[0]).is_file():
                assert read_experiment_file(ROOT / arguments[0], sets).plan.runs
                tried += 1
    assert tried


@every_page
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in slugs(linked), f"{page.name} links to {target}"


@every_page
def test_files_and_make_targets_named_in_code_exist(page: Path) -> None:
    code = code_of(page.read_text(encoding="utf-8"))
    for line in code:
        for name in re.findall(r"(?<![\w/.-])((?:harness|experiments|scripts|docs|tests|\.ci)/[\w./-]*\w)", line):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {match[1] for line in code if (match := re.match(r"make ([\w-]+)", line))}
    assert named <= targets


def test_the_direction_of_imports_is_the_one_that_is_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    shown = " -> ".join(layer.replace("harness.", "") for layer in layers)
    assert f"    {shown}\n" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_glossary_has_all_run_states_and_metrics() -> None:
    from harness.gan.metrics import METRICS

    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `?([\w/]+)`? \|", text, re.MULTILINE)
    assert {*get_args(RunState), *METRICS} == {row for row in rows if row not in ("state", "metric")}


def test_the_changelog_names_this_version_below_what_is_unreleased() -> None:
    from harness import __version__

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", text, re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == __version__
    assert headings[1][1]
