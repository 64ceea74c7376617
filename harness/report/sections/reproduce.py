"""How to reproduce: the experiment file as it was used, and the commands."""

from __future__ import annotations

import re
import shlex

from harness import __version__
from harness.report.album import Album
from harness.report.content import Content
from harness.report.markdown import fenced
from harness.report.templating import rendered
from harness.store.reading import read_bytes

_SETS = re.compile(r"(?:# --set [^\n]*\n)*")
"""The lines that the kept copy of an experiment file has before the file's own text."""


def body(content: Content, album: Album) -> str:
    experiment_file, overrides = _experiment_file(content)
    manifest = content.view.manifest
    return rendered(
        "sections/reproduce.md.jinja",
        content.language,
        version=__version__,
        experiment_file=experiment_file,
        overrides="".join(f" --set {shlex.quote(override)}" for override in overrides),
        threads=manifest.threads if manifest else None,
        code=content.language.code,
    )


def _experiment_file(content: Content) -> tuple[str, list[str]]:
    """The experiment file as a fenced block, and what `--set` put over it; empty where there is no copy that is text.

    The next `harness run` that has something to do copies it again.
    """
    try:
        text = read_bytes(content.view.directory.file_copy).decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return "", []
    found = _SETS.match(text)
    lines = found.group() if found else ""
    overrides = [line.removeprefix("# --set ") for line in lines.split("\n")[:-1]]
    return fenced(text[len(lines) :].replace("\r\n", "\n"), "toml"), overrides
