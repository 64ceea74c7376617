"""Fonts: figures in Chinese need one that has its letters."""

from __future__ import annotations

from collections.abc import Iterator

from harness.cli.doctor_request import Request
from harness.store.checkup import Finding

_INSTALL = "Install one: `apt-get install fonts-noto-cjk`, `dnf install google-noto-sans-cjk-fonts`, or by hand into "
_INSTALL += "~/.local/share/fonts."


def fonts(request: Request) -> Iterator[Finding]:
    """The font of every figure, one with Chinese letters, and whether the file's own words can be drawn."""
    from matplotlib import font_manager

    from harness.report.figures.fonts import LATIN, can_show, chinese_family

    try:
        font_manager.findfont(LATIN, fallback_to_default=False)
    except ValueError:
        yield Finding(
            "fonts",
            "problem",
            f"{LATIN}, which comes with matplotlib, is not there",
            "Install matplotlib again: `pip install --force-reinstall matplotlib`",
        )
        return
    chinese = chinese_family()
    if chinese:
        yield Finding("fonts", "ok", f"{LATIN}, and {chinese} for Chinese")
    elif request.language == "zh":
        yield Finding(
            "fonts", "problem", "no font with Chinese letters: figures of a Chinese report stay in English", _INSTALL
        )
    else:
        yield Finding("fonts", "ok", f"{LATIN}; none with Chinese letters, which only --language zh needs")
    if request.opened is None:
        return
    words = [*request.opened.experiment.labels.values(), *(cell.name for cell in request.opened.plan.cells)]
    lacking = next((word for word in words if not can_show(word)), None)
    if lacking is not None:
        yield Finding("fonts", "note", f"no font has all letters of {lacking!r}: figures show boxes there", _INSTALL)
