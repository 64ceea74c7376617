"""Files that are no experiment at all: no TOML, too large, too deep, not there. Refused at once, with their line."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import first_line, read, refusal, refused_at

from harness.design.experiment_file import MAX_BYTES, read_experiment_file
from harness.errors import ExperimentFileError


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "e"\nseeds = [0\n[data]\n', 3),
        ("name = e\n", 1),
        ('name = "e"\nname = "f"\n', 2),
        ('name = "e"\n\n[data\n', 3),
        ('name = "e"\n[data]\nroot = """x\n\n', 3),
        ('name = "e"\na = [1,\n', 2),
        ('name = "e"\n[[grid]]\n[grid]\n', 3),
        ('name = "e"\n= 3\n', 2),
        ('name = "e"\ndate = 2021-02-30\n', 2),
    ],
)
def test_a_syntax_error_has_its_line(tmp_path: Path, text: str, line: int) -> None:
    assert "no valid TOML" in refusal(tmp_path, text)
    assert refused_at(tmp_path, text) == line


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("\n" + "a." * 20_000 + "a = 1", "e.toml:2: "),
        ("\n[" + "a." * 20_000 + "a]", "e.toml:2: "),
        ("\na = " + "[" * 30_000 + "]" * 30_000, "e.toml:2: "),
        ("\na = " + "{a=" * 10_000 + "1" + "}" * 10_000, "e.toml:2: "),
        ("\nseeds = [\n" + "9" * 5_000 + "]", "e.toml:3: "),
        ("\nseeds = [\n0x" + "f" * 5_000 + "]", "e.toml:3: "),
        ("#" * (MAX_BYTES + 1), "e.toml: larger than 64 KiB"),
        (b'name = "e"\n# \xff', "e.toml:2: not UTF-8"),
    ],
    ids=["dotted key", "dotted header", "lists", "tables", "digits", "hex digits", "size", "encoding"],
)
def test_what_would_choke_the_parser_is_refused_first(tmp_path: Path, text: str | bytes, where: str) -> None:
    assert refusal(tmp_path, text).startswith(where)


def test_a_file_of_exactly_the_allowed_size_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, 'name = "e"\n'.ljust(MAX_BYTES, "#")).experiment.name == "e"


def test_a_missing_file_suggests_its_neighbor(tmp_path: Path) -> None:
    (tmp_path / "ablation.toml").write_text('name = "e"')
    with pytest.raises(ExperimentFileError, match=r"no such file\n  Did you mean .*/ablation.toml\?"):
        read_experiment_file(tmp_path / "abaltion.toml")
    with pytest.raises(ExperimentFileError, match="harness init"):
        read_experiment_file(tmp_path / "other" / "x.toml")
    for unreadable in (tmp_path, tmp_path / "ablation.toml" / "x.toml"):
        with pytest.raises(ExperimentFileError, match="cannot be read"):
            read_experiment_file(unreadable)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "ends.", "ends ", "x" * 65, "a\\u0000b", "a\\nb"])
def test_a_name_must_do_as_a_folder(tmp_path: Path, name: str) -> None:
    assert first_line(tmp_path, f'name = "{name}"').startswith("e.toml:1: name: ")


def test_a_name_is_required(tmp_path: Path) -> None:
    assert first_line(tmp_path, "seeds = [0]") == "e.toml:1: name: is missing and has no default"
