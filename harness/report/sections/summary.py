"""Summary: what was run, and what came out, in sentences with numbers."""

from __future__ import annotations

from harness.report import diagnoses, equilibrium, findings, prose, training_prose
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    paragraphs = [prose.extent(content), prose.interim(content)]
    for group in content.groups:
        paragraphs += findings.findings(content, group[0])
    paragraphs.append(findings.diverged(content))
    return rendered(
        "sections/summary.md.jinja",
        content.language,
        summary=[paragraph for paragraph in paragraphs if paragraph],
        claimed=findings.claimed(content),
        training=[sentence for sentence in _training(content) if sentence],
    )


def _training(content: Content) -> list[str]:
    """A sentence each on what the curves of training show."""
    return [
        training_prose.crossings_summary(content),
        equilibrium.equilibrium_summary(content),
        diagnoses.diagnosis_summary(content),
    ]
