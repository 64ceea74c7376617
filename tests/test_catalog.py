"""The catalog of Chinese texts: all that a report says is in it, translated, and it is what the script makes."""

from __future__ import annotations

import gettext
import importlib.util
import io
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
CJK = "[\u4e00-\u9fff]"


def load_make_catalog() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_catalog", ROOT / "scripts" / "make_catalog.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_catalog"] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


make_catalog = load_make_catalog()
FOUND = make_catalog.extracted()
CATALOG = make_catalog.read_catalog()

UNTRANSLATED = {"FID", "KID", "FID∞", "Inception Score", "Spearman's ρ"} | {
    "G / D",
    "G − D",
    "G − D [nats]",
    "D(x)",
    "D(G(z))",
}
"""Names and formulas, which are the same in Chinese."""


def test_every_text_is_a_literal_or_one_of_a_known_list() -> None:
    assert FOUND.unknown == []
    assert len(FOUND.files) > 300


def test_every_text_has_its_translation_with_the_same_places() -> None:
    catalog = make_catalog.merged(FOUND, CATALOG)
    assert make_catalog.faults(catalog) == [], "write them into harness.po and run: python scripts/make_catalog.py"


def test_the_committed_catalog_is_what_the_script_makes() -> None:
    catalog = make_catalog.merged(FOUND, CATALOG)
    assert make_catalog.po_text(catalog) == make_catalog.CATALOG.read_bytes(), "run: python scripts/make_catalog.py"
    assert make_catalog.compiled(catalog) == make_catalog.CATALOG.with_suffix(".mo").read_bytes()


def test_a_text_without_translation_and_one_with_other_places_are_found() -> None:
    catalog = make_catalog.Catalog(locale="zh")
    catalog.add("{n} of {runs}", "{n} 中的 {m}")
    catalog.add("lost", "")
    catalog.add(("{n} run", "{n} runs"), ("{n} 次运行",))
    assert [fault.split(":")[0] for fault in make_catalog.faults(catalog)] == [
        "other places than the text",
        "not translated",
    ]


def test_calls_that_nothing_can_extract_are_found(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text('say(name)\nlanguage.plural("{n} a", "{n} b" "c", n)\nsay("x" "y", z=say("inner"))\n')
    calls = [(line, name, [text for text in texts if isinstance(text, str)])
             for line, name, texts in make_catalog.python_calls(path)]  # fmt: skip
    assert calls == [(1, "say", []), (2, "plural", ["{n} a", "{n} bc"]), (3, "say", ["xy"]), (3, "say", ["inner"])]
    found = make_catalog.Found()
    for call in make_catalog.python_calls(path):
        make_catalog._note(found, "one.py", *call)
    assert found.unknown == ["one.py:1: say(name) is no literal, and not in SAID_BY_NAME"]
    assert list(found.files) == [("{n} a", "{n} bc"), ("xy",), ("inner",)]


def test_the_compiled_catalog_is_one_that_gettext_reads() -> None:
    catalog = make_catalog.Catalog(locale="zh")
    catalog.add("Summary", "摘要")
    catalog.add(("{n} run", "{n} runs"), ("{n} 次运行",))
    read = gettext.GNUTranslations(io.BytesIO(make_catalog.compiled(catalog)))
    assert read.gettext("Summary") == "摘要"
    assert read.ngettext("{n} run", "{n} runs", 1) == read.ngettext("{n} run", "{n} runs", 5) == "{n} 次运行"
    assert read.gettext("unknown") == "unknown"


def translations() -> list[tuple[str, str]]:
    pairs = []
    for message in CATALOG:
        if message.id:
            text = message.string[0] if isinstance(message.string, list | tuple) else message.string
            pairs.append((message.id if isinstance(message.id, str) else message.id[-1], text))
    return pairs


def test_translations_are_chinese_with_chinese_punctuation() -> None:
    for english, chinese in translations():
        words = re.sub(r"\{[^}]*\}|`[^`]*`", "", english)
        if re.search("[a-z]{3}", words) and english not in UNTRANSLATED:
            assert re.search("[\u3000-\u9fff\uff00-\uffef]", chinese), english
        bare = re.sub(r"`[^`]*`", "码", chinese)
        assert not re.search(f"{CJK}[,.;:!?()]|[,;:!?(]{CJK}", bare), chinese
        assert not re.search(f"{CJK}[A-Za-z0-9]|[A-Za-z0-9]{CJK}", bare), f"a blank is missing: {chinese}"
