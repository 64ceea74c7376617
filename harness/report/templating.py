"""Jinja templates of a report's text. `say`, `plural`, `listed` and `paragraph` in a template are those of
the report's language."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.language import Language


def rendered(template: str, language: Language, /, **values: object) -> str:
    """`templates/TEMPLATE` as Markdown; values are Markdown already, escaped where they are a person's text."""
    environment = Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown, escaped by `markdown.escape` where text is a person's
    )
    return environment.get_template(template).render(
        say=language.say, plural=language.plural, listed=language.listed, paragraph=language.paragraph, **values
    )
