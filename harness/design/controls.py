"""Characters that change how the text around them is shown, spelled out, so that they are seen and do nothing."""

from __future__ import annotations

import re

CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal or turns text around (line ends aside), and lone surrogates, which no encoding has."""


def spelled_out(text: str) -> str:
    """`text` with `\\x1b[31m` instead of a color, and `\\u202e` instead of a change of direction."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)
