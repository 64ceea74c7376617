"""Lines of keys and list elements: the number that a person will look for in the editor."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from harness.design.locate import MAX_DEPTH, MAX_KEY_PARTS, OversizeError, Path, locate

EVERY_FORM = r'''# line 1
top = 1
"quoted key" = 'a # no comment'
'literal.key' = "a \" [quoted] { # } ' text"
dotted.inner.key = true

[table] # comment
plain = 1_000
list = [
  1,  # one, [two]
  2, 3,

  [ 4,
    5 ],
]
inline = { a = 1, "b c" = [ "]",
  "}" ], d.e = { f = 'x' } }
after = 0x10
multi = """
[not.a.table]
not = "a key" \"""
"""
literal = """ QQQ """
raw = QQQ
[[neither]]
key = """
QQQ
date = 1979-05-27 07:32:00
last = "ends with backslash \\"
[table.sub]
key = -1e-4

[[grid]]
levels.latent_dim = [16, 100]
levels.resolution = [
  8,
  16]
[grid.sub]
x = 1
[[grid.inner]]
y = 1
[[grid.inner]]
y = 2
[[ grid ]]
levels = { latent_dim = [1,
  2] }
[[grid.inner]]
y = 3
[ "table" . 'other' ]
z = ""
"e\u0041" = 1
'''.replace("QQQ", "'''")

LINES: dict[Path, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("literal.key",): 4,
    ("dotted",): 5,
    ("dotted", "inner", "key"): 5,
    ("table",): 7,
    ("table", "plain"): 8,
    ("table", "list"): 9,
    ("table", "list", 0): 10,
    ("table", "list", 1): 11,
    ("table", "list", 2): 11,
    ("table", "list", 3): 13,
    ("table", "list", 3, 0): 13,
    ("table", "list", 3, 1): 14,
    ("table", "inline"): 16,
    ("table", "inline", "a"): 16,
    ("table", "inline", "b c"): 16,
    ("table", "inline", "b c", 1): 17,
    ("table", "inline", "d", "e", "f"): 17,
    ("table", "after"): 18,
    ("table", "multi"): 19,
    ("table", "literal"): 23,
    ("table", "raw"): 24,
    ("table", "date"): 28,
    ("table", "last"): 29,
    ("table", "sub"): 30,
    ("table", "sub", "key"): 31,
    ("grid",): 33,
    ("grid", 0): 33,
    ("grid", 0, "levels"): 34,
    ("grid", 0, "levels", "latent_dim", 1): 34,
    ("grid", 0, "levels", "resolution"): 35,
    ("grid", 0, "levels", "resolution", 0): 36,
    ("grid", 0, "levels", "resolution", 1): 37,
    ("grid", 0, "sub", "x"): 39,
    ("grid", 0, "inner", 0, "y"): 41,
    ("grid", 0, "inner", 1, "y"): 43,
    ("grid", 1): 44,
    ("grid", 1, "levels", "latent_dim", 0): 45,
    ("grid", 1, "levels", "latent_dim", 1): 46,
    ("grid", 1, "inner", 0, "y"): 48,
    ("table", "other"): 49,
    ("table", "other", "z"): 50,
    ("table", "other", "eA"): 51,
}


def paths_of(value: Any, path: Path = ()) -> set[Path]:
    """Every key and list element of a parsed document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} - {()} | {found for key, inner in items for found in paths_of(inner, (*path, key))}


@pytest.mark.parametrize(("path", "line"), LINES.items(), ids=str)
def test_the_line_of(path: Path, line: int) -> None:
    assert locate(EVERY_FORM).of(path) == line


def test_finds_exactly_what_tomllib_parses() -> None:
    assert set(locate(EVERY_FORM).by_path) == paths_of(tomllib.loads(EVERY_FORM))


def test_what_the_text_does_not_name_has_the_line_of_its_nearest_ancestor() -> None:
    lines = locate("a.b = 1\n[c]\n")
    assert (lines.of(("a", "b", "x")), lines.of(("c", "d", 0)), lines.of(("e",))) == (1, 2, None)


def test_a_key_may_have_so_many_parts_and_no_more() -> None:
    longest = ".".join(["a"] * MAX_KEY_PARTS)
    assert locate(f"{longest} = 1").of(("a",) * MAX_KEY_PARTS) == 1
    for text in (f"\n{longest}.a = 1", f"\n[{longest}.a]", f"\n[[{longest}.a]]", f"\nx = {{ {longest}.a = 1 }}"):
        with pytest.raises(OversizeError, match="parts") as caught:
            locate(text)
        assert caught.value.line == 2


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{ a = ", "}")])
def test_values_may_be_nested_so_deep_and_no_deeper(opening: str, closing: str) -> None:
    locate("a = " + opening * MAX_DEPTH + "1" + closing * MAX_DEPTH)
    with pytest.raises(OversizeError, match="deep") as caught:
        locate("\n\na = " + opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1))
    assert caught.value.line == 3


def test_a_number_may_not_be_endless() -> None:
    with pytest.raises(OversizeError, match="100 characters") as caught:
        locate("a = [1,\n" + "9" * 101 + "]")
    assert caught.value.line == 2
    locate("a = 1" + " " * 200 + "# " + "9" * 200 + '\nb = "' + "9" * 200 + '"')


@pytest.mark.parametrize(
    "text",
    ["", "\n", "[", "[[", "a", "a =", "a = [", "a = {", "a = {b", 'a = "', "a = '''", 'a = """x', "= 1", "]", "a = [}]",
     "a = {]}", "[a.", "a.", ".a = 1", '"', "a = [1 2]", "a = }", "#", "a = \\", "\0", "a\n.b = 1"],
)  # fmt: skip
def test_accepts_what_is_no_toml(text: str) -> None:
    locate(text)
