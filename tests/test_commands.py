"""Commands are listed without being loaded, and what is listed is what they say themselves."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_group

from harness.cli.app import app
from harness.cli.commands import COMMANDS, load_command

PLACES = sorted({place.module for place in COMMANDS.values()})


def loaded_by(code: str) -> set[str]:
    """The modules of the command line that `code` loads in a fresh process."""
    shown = "import sys\nprint(*(name for name in sys.modules if name.startswith('harness.cli.')))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=True)
    return {name.removeprefix("harness.cli.") for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_first_paragraph_of_its_own_help(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    own = (command.help or "").split("\n\n")[0]
    assert COMMANDS[name].help == " ".join(own.split())


def test_the_list_is_what_the_commands_themselves_would_give(capsys: pytest.CaptureFixture[str]) -> None:
    app(["--help"], standalone_mode=False)
    lazy = capsys.readouterr().out
    group = get_group(app)
    ctx = typer.Context(group, info_name="harness")
    formatter = ctx.make_formatter()
    TyperGroup(commands=[load_command(name) for name in COMMANDS]).format_commands(ctx, formatter)
    assert formatter.getvalue() in lazy


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_list_loads_no_command(arguments: list[str]) -> None:
    code = f"from harness.cli.app import app\ntry: app({arguments!r})\nexcept SystemExit: pass"
    assert not loaded_by(code) & set(PLACES)


def test_a_command_loads_only_its_own_module_and_what_that_needs() -> None:
    code = "from harness.cli.app import app\ntry: app(['plan', '--help'])\nexcept SystemExit: pass"
    assert loaded_by(code) & set(PLACES) == {"design"}


def test_an_unknown_command_is_told_with_the_one_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        app(["pla"])
    assert left.value.code == 2
    assert "No such command 'pla'. Did you mean 'plan'?" in capsys.readouterr().err


def test_names_are_known_without_loading_and_a_name_can_be_added_or_taken() -> None:
    group = get_group(app)
    assert list(group.commands) == list(COMMANDS)
    assert "plan" in group.commands
    assert "nonsense" not in group.commands
    plan = group.commands.pop("plan")
    assert "plan" not in group.commands
    group.commands["plan"] = plan
    assert group.commands["plan"] is plan
    assert inspect.getdoc(plan.callback)
