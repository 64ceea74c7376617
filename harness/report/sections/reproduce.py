"""How to reproduce: the experiment file as it was used, and the commands."""

from __future__ import annotations

import shlex

from harness import __version__
from harness.report.album import Album
from harness.report.content import Content
from harness.report.kept_file import kept_file
from harness.report.markdown import code, fenced
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    kept = kept_file(content.view)
    manifest = content.view.manifest
    return rendered(
        "sections/reproduce.md.jinja",
        content.language,
        version=__version__,
        experiment_file=fenced(kept.text, "toml") if kept else "",
        differs_in=content.language.listed([code(name) for name in kept.differs_in]) if kept else "",
        overrides="".join(f" --set {shlex.quote(override)}" for override in (kept.overrides if kept else ())),
        threads=manifest.threads if manifest else None,
        code=content.language.code,
        cell=shlex.quote(_first_cell(content)),
    )


def _first_cell(content: Content) -> str:
    """The baseline's name where it is a cell, else the first one's."""
    names = [cell.cell.name for cell in sorted(content.cells, key=lambda cell: not cell.cell.is_baseline)]
    return " ".join(names[0].split())
