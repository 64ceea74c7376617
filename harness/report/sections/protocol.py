"""Protocol: all that values depend on besides the generator, one table per protocol."""

from __future__ import annotations

from typing import NamedTuple

from harness.report import settings
from harness.report.album import Album
from harness.report.columns import joined_title
from harness.report.content import Content
from harness.report.markdown import escape
from harness.report.problems import left_out
from harness.report.templating import rendered


class ProtocolPart(NamedTuple):
    """One protocol: the metrics measured under it, its table, and what makes its values not comparable with others'."""

    titles: str
    table: str
    caveat: str


def body(content: Content, album: Album) -> str:
    parts = [
        ProtocolPart(
            escape(joined_title(group, content.language)),
            settings.protocol_table(content, group),
            settings.extractor_caveat(content, group[0]),
        )
        for group in content.groups
    ]
    return rendered("sections/protocol.md.jinja", content.language, parts=parts, left_out=left_out(content))
