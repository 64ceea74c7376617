"""The languages of a report: every sentence is written in English in the code and looked up in a catalog by it."""

from __future__ import annotations

import gettext
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
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
        return self._catalog.gettext(template).format(**values)

    def plural(self, one: str, many: str, n: int, /, **values: object) -> str:
        """`one` for n = 1, else `many`, where the language knows the difference; n is a value of either."""
        return self._catalog.ngettext(one, many, n).format(n=n, **values)

    def listed(self, items: Iterable[str]) -> str:
        """`a, b, c`."""
        return ("、" if self.code == "zh" else ", ").join(items)

    def paragraph(self, *sentences: str) -> str:
        """Sentences one after the other; empty ones are left out."""
        return ("" if self.code == "zh" else " ").join(sentence for sentence in sentences if sentence)


ENGLISH = Language()


def language_named(code: str) -> Language:
    """HarnessError for a language that no report is written in."""
    for known in get_args(LanguageCode):
        if code == known:
            return Language(known)
    raise HarnessError(
        f"{code!r} is no language of reports; allowed: {', '.join(get_args(LanguageCode))}", where="--language"
    )
