"""Text and tables as LaTeX with booktabs, whatever people named their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONG = 45
"""Rows from which a table runs over several pages."""
_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "±": r"$\pm$", "×": r"$\times$", "÷": r"$\div$", "≈": r"$\approx$",
    "↓": r"$\downarrow$", "↑": r"$\uparrow$", "→": r"$\rightarrow$", "∞": r"$\infty$", "√": r"$\surd$",
    "≤": r"$\leq$", "≥": r"$\geq$", "−": "$-$", "–": "--", "—": "---", "…": r"\ldots{}", "µ": r"$\mu$",
}  # fmt: skip
_CODES = str.maketrans(_SIGNS)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_LIGATURES = re.compile(r"(?<=[-'`,!?<>])(?=[-'`,<>])")
"""Between letters that fonts would join: `--` is a dash there."""
_NOT_LABEL = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Entry:
    """One place of a table: plain text, how many stars stand behind it, and whether it is bold."""

    text: str
    stars: int = 0
    is_bold: bool = False

    def tex(self) -> str:
        shown = tex(self.text)
        shown = rf"\textbf{{{shown}}}" if self.is_bold and shown else shown
        return shown + (rf"\textsuperscript{{{'*' * self.stars}}}" if self.stars else "")


@dataclass(frozen=True)
class LatexTable:
    """All text is plain. comments: lines at the top of the file; label: what `\\ref` names it by.

    heads: the first is of the names, the others of numbers; first: rows that a rule divides from `rows`; notes: below
    the table.
    """

    comments: Sequence[str]
    caption: str
    label: str
    heads: Sequence[str]
    first: Sequence[Sequence[Entry]]
    rows: Sequence[Sequence[Entry]]
    notes: Sequence[str]

    @property
    def is_long(self) -> bool:
        return len(self.rows) > LONG

    def tex(self) -> str:
        """The file."""
        return "\n".join([*map(_comment, self.comments), *(self._pages() if self.is_long else self._float())]) + "\n"

    def _float(self) -> list[str]:
        return [
            r"\begin{table}[tbp]",
            r"\centering",
            self._caption(),
            r"\small",
            rf"\begin{{tabular}}{{{self._columns()}}}",
            r"\toprule",
            self._heads(),
            *self._body(),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            rf"\begin{{minipage}}{{\linewidth}}\footnotesize {self._notes()}\end{{minipage}}",
            r"\end{table}",
        ]

    def _pages(self) -> list[str]:
        return [
            r"\begingroup\small",
            rf"\begin{{longtable}}{{{self._columns()}}}",
            rf"{self._caption()}\\",
            r"\toprule",
            self._heads(),
            r"\midrule\endfirsthead",
            r"\toprule",
            self._heads(),
            r"\midrule\endhead",
            r"\bottomrule\endfoot",
            *self._body()[1:],
            r"\end{longtable}",
            rf"\par\footnotesize {self._notes()}\par\endgroup",
        ]

    def _caption(self) -> str:
        return rf"\caption{{{tex(self.caption)}}}\label{{{label(self.label)}}}"

    def _columns(self) -> str:
        return "l" + "r" * (len(self.heads) - 1)

    def _heads(self) -> str:
        return _row([tex(head) for head in self.heads])

    def _body(self) -> list[str]:
        first = [r"\midrule", *(_row([entry.tex() for entry in row]) for row in self.first)] if self.first else []
        return [*first, r"\midrule", *(_row([entry.tex() for entry in row]) for row in self.rows)]

    def _notes(self) -> str:
        return " ".join(tex(note) for note in self.notes)


def tex(text: str) -> str:
    """`text` as plain words on one line: no command, table border or ligature of its own takes effect."""
    line = " ".join(_CONTROLS.sub(" ", text).split())
    return "{}".join(part.translate(_CODES) for part in _LIGATURES.split(line))


def label(text: str) -> str:
    """`text` as the name of a label: small letters, digits and hyphens."""
    return "tab:" + _NOT_LABEL.sub("-", text.lower()).strip("-")


def needs_unicode(text: str) -> bool:
    """Whether pdfLaTeX alone would lack letters of it."""
    return any(ord(letter) > 0x17F and letter not in _SIGNS for letter in text)


def _row(cells: Sequence[str]) -> str:
    r"""A line of the table. A bracket or star first in it would be taken for an argument of the `\\` before."""
    first = f"{{}}{cells[0]}" if cells[0][:1] in ("[", "*") else cells[0]
    return " & ".join([first, *cells[1:]]) + r" \\"


def _comment(line: str) -> str:
    return f"% {' '.join(_CONTROLS.sub(' ', line).split())}"
