"""Which letters this machine's fonts have: those of Chinese come from a font that has to be installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from matplotlib import font_manager

from harness.report.language import ENGLISH, Language

LATIN = "DejaVu Sans"
"""Comes with matplotlib."""

CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans GB", "SimHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Heiti SC",
    "STHeiti", "Arial Unicode MS", "Noto Sans CJK JP",
)  # fmt: skip
"""Families with simplified Chinese, the best first."""

_FILES = ("notosanscjk", "notosanssc", "sourcehansans", "msyh", "simhei", "wqy-", "droidsansfallback", "pingfang")
"""How the files of such families begin."""


def chinese_family() -> str | None:
    """The first of CHINESE that this machine has; None where it has none."""
    for is_listed_anew in (False, True):
        if is_listed_anew:
            _list_anew()
        known = set(font_manager.get_font_names())
        if found := next((family for family in CHINESE if family in known), None):
            return found
    return None


@cache
def _list_anew() -> None:
    """Tells matplotlib, whose list of fonts is made once on a machine, of those that were installed since."""
    for path in sorted(font_manager.findSystemFonts()):
        if Path(path).name.lower().replace(" ", "").startswith(_FILES):
            font_manager.fontManager.addfont(path)


def families() -> list[str]:
    """The fonts that figures are drawn with: each letter comes from the first that has it."""
    found = chinese_family()
    return [LATIN, found] if found else [LATIN]


def figure_language(language: Language) -> Language:
    """The language of labels in figures of a report in `language`: English where no font has its letters."""
    return language if language.code != "zh" or chinese_family() else ENGLISH


def can_show(text: str) -> bool:
    """Whether fonts have every letter of `text`."""
    return not _lacking(text)


def shown(text: str, mark: str = "") -> str:
    """`text` as figures can show it: where a letter is in no font, `mark`, or with boxes where there is no mark."""
    lacking = _lacking(text)
    if not lacking:
        return text
    return mark or "".join("□" if letter in lacking else letter for letter in text)


def _lacking(text: str) -> set[str]:
    """The letters that no font has."""
    letters = {letter for letter in text if not letter.isspace() and not letter.isascii()}
    for family in families() if letters else ():
        path = font_manager.findfont(family, fallback_to_default=False)
        font = font_manager.get_font(path)
        letters = {letter for letter in letters if not font.get_char_index(ord(letter))}
    return letters
