"""The form of a report: its language, and the files that it is written as beside Markdown. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from harness.errors import HarnessError
from harness.report.language import LanguageCode, language_named

FormatName = Literal["md", "html", "latex"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)


@dataclass(frozen=True)
class ReportForm:
    """formats: in the order of `FORMATS`, each once; report.md, the CSV files, the figures and report.json are always
    written, since the other forms are made from them."""

    language: LanguageCode = "en"
    formats: tuple[FormatName, ...] = FORMATS


def form_named(formats: str | None, language: str) -> ReportForm:
    """The form that `--format md,html` and `--language zh` ask for; HarnessError where there is no such one.

    formats None: all of them.
    """
    code = language_named(language).code
    if formats is None:
        return ReportForm(code)
    asked = {name.strip() for name in formats.split(",")}
    unknown = sorted(asked.difference(FORMATS))
    if unknown:
        raise HarnessError(
            f"{unknown[0]!r} is no form of reports; allowed: {', '.join(FORMATS)}, with commas between",
            where="--format",
        )
    return ReportForm(code, tuple(name for name in FORMATS if name == "md" or name in asked))
