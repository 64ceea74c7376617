"""Summary: what was run, and what came out, in sentences with numbers."""

from __future__ import annotations

from harness.report import prose
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    sentences = [prose.extent(content), prose.interim(content)]
    sentences += [prose.measured_summary(content, group[0]) for group in content.groups]
    sentences.append(prose.crossings_summary(content))
    return rendered(
        "sections/summary.md.jinja",
        content.language,
        summary=[sentence for sentence in sentences if sentence],
        groups=content.groups,
    )
