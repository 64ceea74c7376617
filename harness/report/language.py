"""The languages of a report: every sentence is written in English in the code and looked up in a catalog by it."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Literal, get_args

from harness.errors import HarnessError

LanguageCode = Literal["en", "zh"]

_LOCALE = Path(__file__).parent / "locale"


@dataclass(frozen=True)
class Language:
    """One language; templates are `str.format` templates in English, whose values are put in after the look-up.

    A template without an entry in the catalog is shown in English; a test holds that every one has its entry.
    """

    code: LanguageCode = "en"

    @cached_property
    def _catalog(self) -> gettext.NullTranslations:
        if self.code == "en":
            return gettext.NullTranslations()
        return gettext.translation("harness", _LOCALE, [self.code])

    def say(self, template: str, /, **values: object) -> str:
        """`template` in this language, with `values` in its places."""
        return self._filled(self._catalog.gettext(template), values)

    def plural(self, one: str, many: str, n: int, /, **values: object) -> str:
        """`one` for n = 1, else `many`, where the language knows the difference; n is a value of either."""
        return self._filled(self._catalog.ngettext(one, many, n), {"n": n, **values})

    def _filled(self, template: str, values: Mapping[str, object]) -> str:
        return filled_in_chinese(template, values) if self.code == "zh" else template.format(**values)

    def listed(self, items: Iterable[str]) -> str:
        """`a, b, c`."""
        return ("、" if self.code == "zh" else ", ").join(items)

    def clauses(self, items: Iterable[str]) -> str:
        """`a; b; c`, of items that have commas of their own."""
        return ("；" if self.code == "zh" else "; ").join(items)

    def all_of(self, items: Sequence[str]) -> str:
        """`a, b and c`."""
        return self._ended(items, " 和 " if self.code == "zh" else " and ")

    def one_of(self, items: Sequence[str]) -> str:
        """`a, b or c`."""
        return self._ended(items, " 或 " if self.code == "zh" else " or ")

    def _ended(self, items: Sequence[str], before_last: str) -> str:
        if len(items) < 2:
            return "".join(items)
        return _set_beside(_set_beside(self.listed(items[:-1]), before_last), items[-1])

    def shortened(self, items: Sequence[str], most: int = 12) -> str:
        """`a, b, c`, with the middle left out of more than `most` items, and how many there are in all."""
        return self._in_all(self.listed(_ends(items, most)), len(items), most)

    def shortened_clauses(self, items: Sequence[str], most: int = 12) -> str:
        """`shortened`, of items that have commas of their own."""
        return self._in_all(self.clauses(_ends(items, most)), len(items), most)

    def _in_all(self, shown: str, n: int, most: int) -> str:
        return shown if n <= most else self.say("{shown} ({n} in all)", shown=shown, n=n)

    def sentence(self, text: str) -> str:
        """`text` with its full stop; text from elsewhere that has one keeps it."""
        if text.endswith((".", "!", "?", "。", "！", "？")):
            return text
        return f"{text}。" if self.code == "zh" else f"{text}."

    def paragraph(self, *sentences: str) -> str:
        """Sentences one after the other; empty ones are left out."""
        return ("" if self.code == "zh" else " ").join(sentence for sentence in sentences if sentence)


def _ends(items: Sequence[str], most: int) -> Sequence[str]:
    return items if len(items) <= most else [*items[:4], "…", *items[-2:]]


_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef“”]")
"""Chinese letters and punctuation of full width."""
_PUNCTUATION = re.compile(r"[\u3000-\u303f\uff00-\uffef]")


def filled_in_chinese(template: str, values: Mapping[str, object]) -> str:
    """`template.format(**values)`, without the blank between template and value that only Latin letters need."""
    text = ""
    for literal, name, form, _ in Formatter().parse(template):
        text = _set_beside(text, literal)
        if name is not None:
            text = _set_beside(text, format(values[name], form or ""))
    return text


def _set_beside(before: str, after: str) -> str:
    """Both texts, without a blank at their seam where Chinese meets Chinese, or anything its punctuation."""
    left, right = before.rstrip(" "), after.lstrip(" ")
    blanks = len(before) - len(left) + len(after) - len(right)
    if blanks != 1 or not left or not right:
        return before + after
    is_needless = _WIDE.match(left[-1]) and _WIDE.match(right[0])
    is_needless = is_needless or _PUNCTUATION.match(left[-1]) or _PUNCTUATION.match(right[0])
    return left + right if is_needless else before + after


ENGLISH = Language()


def language_named(code: str) -> Language:
    """HarnessError for a language that no report is written in."""
    for known in get_args(LanguageCode):
        if code == known:
            return Language(known)
    raise HarnessError(
        f"{code!r} is no language of reports; allowed: {', '.join(get_args(LanguageCode))}", where="--language"
    )
