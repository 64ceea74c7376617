"""Makes the catalog of a report's texts in Chinese: harness/report/locale/zh/LC_MESSAGES/harness.po and harness.mo.

    python scripts/make_catalog.py            adds new texts to harness.po, drops those that are gone, writes harness.mo
    python scripts/make_catalog.py --check    writes nothing; exit status 1 where the catalog is not as it would be

Texts are the first argument of `say(...)` and the first two of `plural(...)` in harness/report and its templates. An
argument that is no literal has to be one of SAID_BY_NAME. What has no translation yet is listed, and is shown in
English until it has: write it into harness.po and run this script again.
"""

from __future__ import annotations

import argparse
import ast
import re
import string
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from harness.design.metrics import METRICS
from harness.evaluation.protocol import CAVEATS
from harness.report.factor_tables import MEANINGS
from harness.report.floors import REAL

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "harness" / "report"
CATALOG = SOURCES / "locale" / "zh" / "LC_MESSAGES" / "harness.po"

SAID_BY_NAME: dict[str, Callable[[], Iterable[str]]] = {
    "measures.title": lambda: [metric.title for metric in METRICS.values()],
    "measures.about": lambda: [metric.about for metric in METRICS.values()],
    "METRICS[metric].title": lambda: [metric.title for metric in METRICS.values()],
    "of.title": lambda: [metric.title for metric in METRICS.values()],
    "of.about": lambda: [metric.about for metric in METRICS.values()],
    "section.title": lambda: _section_titles(),
    "CAVEATS[found]": lambda: CAVEATS.values(),
    "REAL": lambda: [REAL],
    "MEANINGS[name]": lambda: MEANINGS.values(),
}
"""Texts that are said by a name, not as a literal: how the argument's source ends, and the texts that it stands for."""


def _section_titles() -> list[str]:
    from harness.report.document import SECTIONS

    return [section.title for section in SECTIONS]


HEADER = "Content-Type: text/plain; charset=UTF-8\nLanguage: zh\nPlural-Forms: nplurals=1; plural=0;\n"

Message = tuple[str, ...]
"""One text, or a singular and a plural."""


@dataclass
class Found:
    """Every message with the files that say it, and what cannot be extracted."""

    files: dict[Message, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def add(self, message: Message, file: str) -> None:
        files = self.files.setdefault(message, [])
        if file not in files:
            files.append(file)


def extracted() -> Found:
    """All that the report's code and templates say, in the order of their paths."""
    found = Found()
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in (".py", ".jinja"):
            file = path.relative_to(ROOT).as_posix()
            calls = python_calls(path) if path.suffix == ".py" else template_calls(path)
            for line, name, arguments in calls:
                _note(found, file, line, name, arguments)
    return found


Call = tuple[int, str, Sequence[str | ast.expr | None]]
"""Line, `say` or `plural`, and its texts: what is no literal is an expression, or None in a template."""


def python_calls(path: Path) -> Iterator[Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in sorted((one for one in ast.walk(tree) if isinstance(one, ast.Call)), key=_place):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("say", "plural"):
            arguments = node.args[: 1 if name == "say" else 2]
            yield node.lineno, name, [_literal(argument) for argument in arguments]


def _place(node: ast.Call) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _literal(argument: ast.expr) -> str | ast.expr:
    is_text = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    return str(argument.value) if is_text and isinstance(argument, ast.Constant) else argument


def template_calls(path: Path) -> Iterator[Call]:
    tree = Environment(trim_blocks=True, lstrip_blocks=True).parse(path.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        name = call.node.name if isinstance(call.node, nodes.Name) else ""
        if name in ("say", "plural"):
            arguments = call.args[: 1 if name == "say" else 2]
            texts = [one.value if isinstance(one, nodes.Const) else None for one in arguments]
            yield call.lineno, name, texts


def _note(found: Found, file: str, line: int, name: str, arguments: Sequence[str | ast.expr | None]) -> None:
    texts = [argument for argument in arguments if isinstance(argument, str)]
    if len(texts) == len(arguments) == (1 if name == "say" else 2):
        found.add(tuple(texts), file)
        return
    source = ", ".join(ast.unparse(one) if isinstance(one, ast.expr) else str(one) for one in arguments)
    known = next((said for ending, said in SAID_BY_NAME.items() if source.endswith(ending)), None)
    if known is None or name != "say":
        found.unknown.append(f"{file}:{line}: {name}({source}) is no literal, and not in SAID_BY_NAME")
        return
    for text in known():
        found.add((text,), file)


def merged(found: Found, former: Catalog) -> Catalog:
    """The catalog of `found` with the translations of `former`."""
    catalog = Catalog(locale="zh", fuzzy=False)
    catalog.header_comment = former.header_comment
    for message, files in found.files.items():
        translated = former.get(message[0])
        translation = translated.string if translated is not None else ""
        if isinstance(translation, list | tuple):
            translation = translation[0]
        comments = translated.user_comments if translated is not None else []
        catalog.add(
            message if len(message) > 1 else message[0],
            (translation,) if len(message) > 1 else translation,
            locations=[(file, 0) for file in files],
            user_comments=comments,
        )
        catalog[message[0]].flags.clear()
    return catalog


def po_text(catalog: Catalog) -> bytes:
    """harness.po: the glossary, a fixed header, and every message with the files that say it."""
    body = _Bytes()
    write_po(body, catalog, width=116, omit_header=True, include_lineno=False)
    header = "\n".join(f'"{line}\\n"' for line in HEADER.splitlines())
    return f'{catalog.header_comment}\nmsgid ""\nmsgstr ""\n{header}\n\n'.encode() + bytes(body.content)


class _Bytes:
    """A file in memory that write_po can write into."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)


def compiled(catalog: Catalog) -> bytes:
    """harness.mo: the translated messages, as https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html says.

    Nothing but messages goes into it, so that equal catalogs give equal bytes.
    """
    pairs = {b"": HEADER.encode()}
    for message in catalog:
        ids = message.id if isinstance(message.id, list | tuple) else (message.id,)
        strings = message.string if isinstance(message.string, list | tuple) else (message.string,)
        if message.id and all(strings):
            pairs["\0".join(ids).encode()] = "\0".join(strings).encode()
    ids_at = 28
    strings_at = ids_at + 8 * len(pairs)
    texts_at = strings_at + 8 * len(pairs)
    entries: tuple[list[int], list[int]] = ([], [])
    texts = b""
    for side, ordered in enumerate(zip(*sorted(pairs.items()), strict=True)):
        for text in ordered:
            entries[side].extend((len(text), texts_at + len(texts)))
            texts += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), ids_at, strings_at, 0, 0)
    return head + struct.pack(f"<{4 * len(pairs)}I", *entries[0], *entries[1]) + texts


def places(text: str) -> set[str]:
    """The named places of a template, with their formats."""
    return {f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def faults(catalog: Catalog) -> list[str]:
    """Translations that are missing, or whose named places are not those of the text."""
    lacking = []
    for message in catalog:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, list | tuple) else (message.id,)
        text = message.string[0] if isinstance(message.string, list | tuple) else message.string
        if not text:
            lacking.append(f"not translated: {ids[0]!r}")
        elif places(text) != places(ids[-1]):
            lacking.append(f"other places than the text: {ids[-1]!r}: {text!r}")
    return lacking


def read_catalog(path: Path = CATALOG) -> Catalog:
    with path.open("rb") as file:
        catalog = read_po(file, locale="zh")
    comment = re.match(r"(?:#.*\n)*", path.read_text(encoding="utf-8"))
    catalog.header_comment = comment.group().rstrip("\n") if comment else ""
    return catalog


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the report's Chinese catalog.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something has to be done")
    check = parser.parse_args().check
    found = extracted()
    catalog = merged(found, read_catalog())
    files = {CATALOG: po_text(catalog), CATALOG.with_suffix(".mo"): compiled(catalog)}
    lacking = [*found.unknown, *faults(catalog)]
    for line in lacking:
        print(line)
    outdated = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    for path in outdated:
        print(f"{'outdated' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_bytes(files[path])
    return 1 if lacking or (check and outdated) else 0


if __name__ == "__main__":
    sys.exit(main())
