"""Where in a TOML text each key and each list element stands: tomllib tells values, people need lines.

A scanner, not a parser: it accepts anything and relies on tomllib to refuse what is no TOML. It also counts nesting
before tomllib sees the text, because long dotted keys and deep lists cost tomllib seconds or a recursion error, and
refuses numbers of so many digits that Python will not convert them.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field

MAX_KEY_PARTS = 8
MAX_DEPTH = 16
MAX_BARE_VALUE = 100

Path = tuple[str | int, ...]

_KEY_PART = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)')\s*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'", re.DOTALL
)


class OversizeError(ValueError):
    """A key, a number or a nesting larger than any experiment file needs; carries its line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


@dataclass
class Lines:
    """Line numbers (from 1) by path: `("grid", 0, "levels", "latent_dim", 1)`."""

    by_path: dict[Path, int] = field(default_factory=dict)

    def of(self, path: Path) -> int | None:
        """The line of `path`, or of its nearest ancestor that the text names."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.by_path:
                return self.by_path[path[:length]]
        return None

    def note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self.by_path.setdefault(path[:length], line)


def locate(text: str) -> Lines:
    """The line of every key and list element in `text`; OversizeError where it is nested too deep or too long."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self.lines = Lines()
        self.tables: dict[Path, int] = {}  # how often each array of tables was opened

    def scan(self) -> Lines:
        table: Path = ()
        while self.position < len(self.text):
            self._skip_blank()
            if self._peek() == "[":
                table = self._header()
            elif self._peek():
                self._pair(table)
            self._to_next_line()
        return self.lines

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.position)
        self._advance(2 if is_array else 1)
        path = self._in_current_tables(self._key())
        if is_array:
            index = self.tables.get(path, -1) + 1
            self.tables[path] = index
            path = (*path, index)
        self.lines.note(path, self.line)
        return path

    def _in_current_tables(self, key: Path) -> Path:
        """A header's path with the index of each array of tables that it goes through."""
        path: Path = ()
        for part in key:
            if path in self.tables:
                path = (*path, self.tables[path])
            path = (*path, part)
        return path

    def _pair(self, table: Path, depth: int = 0) -> None:
        key = self._key()
        if not key or self._peek() != "=":
            return
        self._advance(1)
        path = (*table, *key)
        self.lines.note(path, self.line)
        self._value(path, depth)

    def _key(self) -> Path:
        parts: list[str] = []
        while match := _KEY_PART.match(self.text, self.position):
            if "\n" in match[0]:
                break
            parts.append(_key_text(match))
            if len(parts) > MAX_KEY_PARTS:
                raise OversizeError(self.line, f"a key of more than {MAX_KEY_PARTS} parts")
            self.position = match.end()
            if self._peek() != ".":
                break
            self._advance(1)
        return tuple(parts)

    def _value(self, path: Path, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise OversizeError(self.line, f"lists or tables nested more than {MAX_DEPTH} deep")
        while self._peek() and self._peek() in " \t":
            self._advance(1)
        opening = self._peek()
        if opening == "[":
            self._list(path, depth)
        elif opening == "{":
            self._inline_table(path, depth)
        elif match := _STRING.match(self.text, self.position):
            self._advance(len(match[0]))
        else:
            self._bare_value()

    def _bare_value(self) -> None:
        start = self.position
        while self._peek() and self._peek() not in ",]}#\n":
            self._advance(1)
        if len(self.text[start : self.position].strip()) > MAX_BARE_VALUE:
            raise OversizeError(self.line, f"a value of more than {MAX_BARE_VALUE} characters without quotes")

    def _list(self, path: Path, depth: int) -> None:
        self._advance(1)
        index = 0
        while True:
            self._skip_blank()
            if self._peek() in ("", "]"):
                break
            self.lines.note((*path, index), self.line)
            before = self.position
            self._value((*path, index), depth + 1)
            index += 1
            self._skip_blank()
            if self._peek() == "," or self.position == before:
                self._advance(1)
        self._advance(1)

    def _inline_table(self, path: Path, depth: int) -> None:
        self._advance(1)
        while True:
            self._skip_blank()
            if self._peek() in ("", "}"):
                break
            before = self.position
            self._pair(path, depth + 1)
            self._skip_blank()
            if self._peek() == "," or self.position == before:
                self._advance(1)
        self._advance(1)

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _advance(self, count: int) -> None:
        self.line += self.text.count("\n", self.position, self.position + count)
        self.position += count

    def _skip_blank(self) -> None:
        """Over white space, line ends and comments."""
        while character := self._peek():
            if character == "#":
                self._advance(self._line_end() - self.position)
            elif character.isspace():
                self._advance(1)
            else:
                return

    def _to_next_line(self) -> None:
        self._advance(self._line_end() + 1 - self.position)

    def _line_end(self) -> int:
        end = self.text.find("\n", self.position)
        return len(self.text) if end < 0 else end


def _key_text(match: re.Match[str]) -> str:
    """A bare or quoted part of a key as tomllib gives it, its escapes resolved."""
    bare, basic, literal = match.groups()
    if basic is not None and "\\" in basic:
        try:
            return str(tomllib.loads(f'key = "{basic}"')["key"])
        except tomllib.TOMLDecodeError:
            return basic  # tomllib refuses the whole text
    return next(text for text in (bare, basic, literal) if text is not None)
