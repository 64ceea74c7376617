"""What failed, diverged or is missing; made last, when it is known which pictures are."""

from __future__ import annotations

from harness.report.album import Album
from harness.report.content import Content
from harness.report.problems import problems
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    found = problems(content, album.missing)
    return rendered("sections/problems.md.jinja", content.language, problems=found)
