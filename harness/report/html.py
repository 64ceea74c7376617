"""report.md as one HTML file that needs nothing else: pictures, style and script lie inside, and no network is used."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from itertools import count, pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape
from PIL import Image

from harness.report.language import Language
from harness.report.policy import source_hash

WIDE, WIDEST = 9, 14
"""Columns from which a table is printed in smaller type, and in the smallest."""
_CSS_DPI = 96
_LANGUAGE_TAGS = {"en": "en", "zh": "zh-Hans"}
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass
class Heading:
    """One entry of the contents; parts: the headings below it."""

    text: str
    anchor: str
    parts: list[Heading] = field(default_factory=list)


def html_page(text: str, pictures: Mapping[str, bytes], language: Language, files: Sequence[str] = ()) -> str:
    """`text` (Markdown with tables; HTML in it is shown, never obeyed) as one page.

    pictures: PNG by the path that `text` names it by; other pictures become links. files: beside the page, by relative
    path, that it links to.
    """
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    tokens = markdown.parse(text)
    contents, title = _anchored(tokens)
    _captioned(tokens, pictures)
    body = markdown.renderer.render(tokens, markdown.options, {"page": _Page(pictures, language)})
    style, script = (_asset(name) for name in ("style.css", "page.js"))
    environment = Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    return environment.get_template("html/page.html.jinja").render(
        lang=_LANGUAGE_TAGS[language.code],
        title=title,
        contents=contents,
        files=files,
        body=Markup(body),
        style=Markup(style),
        style_hash=source_hash(style),
        script=Markup(script),
        script_hash=source_hash(script),
        say=language.say,
    )


@dataclass
class _Page:
    """What rendering needs beside the text, and where it stands: the heading passed last, the pictures so far."""

    pictures: Mapping[str, bytes]
    language: Language
    heading: str = ""
    shown: int = 0


class _Renderer(RendererHTML):
    """HTML of report.md: tables in boxes that scroll, pictures inside the file."""

    def heading_open(
        self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        env["page"].heading = _plain(tokens[at + 1])
        return self.renderToken(tokens, at, options, env)

    def table_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        heads = _heads(tokens, at)
        kinds = ["table"]
        kinds += ["wide"] if len(heads) >= WIDE else []
        kinds += ["widest"] if len(heads) >= WIDEST else []
        kinds += ["numbered"] if heads[:1] == ["#"] else []
        page: _Page = env["page"]
        label = escape(page.language.say("Table: {heading}", heading=page.heading))
        return f'<div class="{" ".join(kinds)}" role="region" tabindex="0" aria-label="{label}">\n<table>\n'

    def table_close(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return "</table>\n</div>\n"

    def th_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return f'<th scope="col"{_alignment(tokens[at])}>'

    def td_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return f"<td{_alignment(tokens[at])}>"

    def paragraph_open(
        self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "" if _is_figure(tokens[at + 1], env["page"]) else self.renderToken(tokens, at, options, env)

    def paragraph_close(
        self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "\n" if _is_figure(tokens[at - 1], env["page"]) else self.renderToken(tokens, at, options, env)

    def image(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        page: _Page = env["page"]
        path, title = str(tokens[at].attrs["src"]), _plain(tokens[at])
        content = page.pictures.get(path)
        if content is None:
            return f'<a href="{escape(path)}">{escape(title or path)}</a>'
        page.shown += 1
        caption = tokens[at].meta.get("caption")
        told = escape(title) if caption is None else Markup(self.renderInline(caption, options, env))
        return _figure(content, title, told, f"figure:{page.shown}", page.language)


def _captioned(tokens: Sequence[Token], pictures: Mapping[str, bytes]) -> None:
    """Of paragraphs that are a picture and, on the next line, its caption: the caption becomes part of the picture."""
    for inline in tokens:
        children = inline.children or []
        if len(children) > 2 and (children[0].type, children[1].type) == ("image", "hardbreak"):
            picture, _, *caption = children
            if str(picture.attrs["src"]) in pictures:
                picture.meta["caption"], inline.children = caption, [picture]


def _figure(content: bytes, title: str, caption: Markup, anchor: str, language: Language) -> str:
    """A picture that a click enlarges: by the page's script, or by its own address where scripts are off."""
    width, height = _size(content)
    data = base64.b64encode(content).decode()
    name, enlarge = escape(title), escape(language.say("Enlarge"))
    return (
        f'<figure id="{anchor}"><a href="#{anchor}" title="{enlarge}">'
        f'<img src="data:image/png;base64,{data}" alt="{name}" width="{width}" height="{height}"></a>'
        f'<a class="close" href="#">{escape(language.say("Close"))}</a><figcaption>{caption}</figcaption></figure>'
    )


def _size(content: bytes) -> tuple[int, int]:
    """Width and height on a page, in CSS pixels: the picture's size in print."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        dpi = float(image.info.get("dpi", (_CSS_DPI, _CSS_DPI))[0]) or _CSS_DPI
        return round(image.width * _CSS_DPI / dpi), round(image.height * _CSS_DPI / dpi)


def _is_figure(inline: Token, page: _Page) -> bool:
    """Whether a paragraph is nothing but one of the report's pictures."""
    children = inline.children or []
    return len(children) == 1 and children[0].type == "image" and str(children[0].attrs["src"]) in page.pictures


def _anchored(tokens: Sequence[Token]) -> tuple[list[Heading], str]:
    """Gives every heading an id, as GitHub does; returns the contents (levels 2 and 3) and the page's title."""
    contents: list[Heading] = []
    title, used = "", set[str]()
    for token, inline in pairwise(tokens):
        if token.type != "heading_open":
            continue
        text = _plain(inline)
        plain = _NOT_IN_ANCHORS.sub("", text.lower()).strip().replace(" ", "-") or "section"
        anchor, again = plain, count(1)
        while anchor in used:
            anchor = f"{plain}-{next(again)}"
        used.add(anchor)
        token.attrSet("id", anchor)
        title = title or text
        if token.tag == "h2":
            contents.append(Heading(text, anchor))
        elif token.tag == "h3" and contents:
            contents[-1].parts.append(Heading(text, anchor))
    return contents, title


def _heads(tokens: Sequence[Token], at: int) -> list[str]:
    """The column heads of the table that opens at `at`."""
    heads = []
    for token, inline in pairwise(tokens[at:]):
        if token.type == "thead_close":
            break
        if token.type == "th_open":
            heads.append(_plain(inline))
    return heads


def _plain(token: Token) -> str:
    """The text of a token without its markup."""
    if token.children is None:
        return token.content
    return "".join("\n" if child.type == "softbreak" else _plain(child) for child in token.children)


def _alignment(token: Token) -> str:
    """As a class: the page's policy allows no style of single elements."""
    side = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f' class="{side}"' if side in ("right", "center") else ""


def _asset(name: str) -> str:
    return (package_files("harness.report") / "templates" / "html" / name).read_text(encoding="utf-8")
