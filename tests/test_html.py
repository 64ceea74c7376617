"""The report as one HTML file: nothing hostile passes, nothing is fetched, tables sort, figures enlarge."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from report_data import lived, small_plan

from harness.report.form import ReportForm
from harness.report.html import html_page
from harness.report.language import ENGLISH, Language
from harness.report.render import render_report
from harness.tracking.snapshot import read_snapshot

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

MIXED = """# Report: a

## One & <b>two</b>

| #   | Cell | FID ↓ | Share | Words |
|----:|:-----|------:|------:|:------|
| –   | *real vs real* | 8.2 ± 2.0 | – | helps |
| 1   | **baseline** | 71.88 ± 14 | 12 % | not measured |
| 2   | `a\\|b` | ≈8.74 | ×1.28 | cell 10 |
| 3   | c | 2.5e-04 | −3 % | cell 9 |
| 4   | d | not measured | 1,200 | Cell 1 |
| 5   | e | < 0.001 | - | hurts |

### Part

![A "picture" of <it>](figures/a.png)

Text after it.
"""


def picture(width: int = 30, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 128).save(buffer, format="PNG", dpi=(192, 192))
    return buffer.getvalue()


def page(text: str = MIXED, language: Language = ENGLISH) -> str:
    return html_page(text, {"figures/a.png": picture()}, language, ["comparison.csv", "tables/a.tex"])


class Parts(HTMLParser):
    """Every start tag with its attributes, by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


FETCHING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping"}


def fetched(parts: Parts) -> list[str]:
    """Everything that a browser would load by itself and that is not in the file."""
    found = [
        f"{tag} {name}={value}"
        for tag, attributes in parts.tags
        for name, value in attributes.items()
        if name in FETCHING and not (value or "").startswith("data:image/png;base64,")
    ]
    return found + [f"link {attributes}" for attributes in parts.of("link")]


def test_a_whole_report_loads_nothing_and_holds_every_picture(tmp_path: Path) -> None:
    plan = small_plan(report={"samples": 16, "sections": ["summary", "comparison", "loss-crossings", "samples"]})
    lived(plan, tmp_path)
    output = tmp_path / "report"
    text = (output / "report.html").read_text(encoding="utf-8")
    parts = Parts(text)
    assert fetched(parts) == []
    assert not re.search(r"@import|url\(", text.split("</style>")[0])
    shown = [base64.b64decode((image["src"] or ",").split(",")[1]) for image in parts.of("img") if image.get("src")]
    assert shown == [(output / path).read_bytes() for path in re.findall(r"\]\((figures/.+?\.png)\)", markdown(output))]
    assert {image["alt"] for image in parts.of("img")} > {"Losses of G and D"}
    linked = [link["href"] for link in parts.of("a") if not (link["href"] or "").startswith("#")]
    assert {"comparison.csv", "report.json", "report.md"} <= set(linked)
    assert all((output / str(link)).is_file() for link in linked)
    anchors = {str(attributes["id"]) for _, attributes in parts.tags if "id" in attributes}
    assert {str(link["href"])[1:] for link in parts.of("a") if str(link["href"]).startswith("#")} - {""} <= anchors


def markdown(output: Path) -> str:
    return (output / "report.md").read_text(encoding="utf-8")


def test_without_html_a_former_page_goes_away(tmp_path: Path) -> None:
    plan = small_plan(grid=[], report={"samples": 16, "sections": ["summary"]})
    lived(plan, tmp_path)
    assert (tmp_path / "report" / "report.html").is_file()
    render_report(read_snapshot(plan, tmp_path / "runs"), tmp_path / "report", ReportForm(formats=("md",)))
    assert not (tmp_path / "report" / "report.html").exists()
    assert not list((tmp_path / "report" / "tables").glob("*"))


def test_the_policy_admits_the_pages_own_style_and_script_alone() -> None:
    parts = Parts(page())
    (policy,) = (meta["content"] for meta in parts.of("meta") if meta.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    assert not [
        tag for tag, attributes in parts.tags if any(name[:2] == "on" or name == "style" for name in attributes)
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        '![x](https://example.org/a.png "t")',
        "![x](javascript:alert(1))",
        '![" onload="alert(1)](figures/a.png)',
        "| a |\n|---|\n| <iframe src=//example.org></iframe> |",
        "<style>*{display:none}</style>\n\n</main></body>",
        "# </title><script>1</script>",
    ],
)
def test_hostile_text_stays_text(hostile: str) -> None:
    parts = Parts(page(f"{hostile}\n\n{MIXED}"))
    assert fetched(parts) == []
    assert [len(parts.of(tag)) for tag in ("script", "style", "iframe", "main", "title")] == [1, 1, 0, 1, 1]
    assert not [tag for tag, attributes in parts.tags if any(name.startswith("on") for name in attributes)]
    links = [str(link.get("href")) for link in parts.of("a")]
    assert not [link for link in links if link.startswith(("javascript", "data"))]


def test_headings_tables_and_pictures_are_named() -> None:
    parts = Parts(page())
    assert [heading.get("id") for heading in parts.of("h2") if heading] == ["one--btwob"]
    assert [table["aria-label"] for table in parts.of("div") if table.get("role") == "region"] == [
        "Table: One & <b>two</b>"
    ]
    shown = parts.of("img")[0]
    assert (shown["alt"], shown["width"], shown["height"]) == ('A "picture" of <it>', "15", "10")
    assert "numbered" in str(next(div["class"] for div in parts.of("div") if div.get("role") == "region"))
    assert {head["scope"] for head in parts.of("th")} == {"col"}
    assert parts.of("html") == [{"lang": "en"}]


def test_the_language_is_named() -> None:
    assert Parts(page(language=Language("zh"))).of("html") == [{"lang": "zh-Hans"}]


def test_equal_text_gives_equal_bytes() -> None:
    assert page() == page()


STEPS = """
const table = document.querySelector("main table");
const found = { columns: {}, errors: [] };
addEventListener("error", (event) => found.errors.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => found.errors.push(event.violatedDirective));
const first = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join(" ");
[...table.tHead.rows[0].cells].forEach((head, index) => {
  const button = head.querySelector("button");
  found.columns[index] = [0, 1, 2].map(() => { button.click(); return [first(), head.getAttribute("aria-sort")]; });
});
const link = document.querySelector("figure a");
link.focus();
found.focused = document.activeElement === link;
link.click();
const dialog = document.querySelector("dialog");
found.shown = [dialog.open, dialog.querySelector("img").src === link.querySelector("img").src,
  dialog.querySelector("span").textContent];
dialog.querySelector("button").click();
found.closed = !dialog.open;
document.title = JSON.stringify(found);
"""


def in_browser(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Chromium without a window, on a profile of its own."""
    assert CHROMIUM
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += [f"--user-data-dir={path.parent / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=2000"]
    return subprocess.run([CHROMIUM, *flags, *options, path.as_uri()], capture_output=True, text=True, timeout=120)


def with_script(text: str, steps: str) -> str:
    """The page with a script of the test's own, which its policy would refuse."""
    allowed = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", text)
    return allowed.replace("</body>", f"<script>{steps}</script></body>")


def tried(tmp_path: Path, text: str) -> tuple[str, str]:
    """The page's DOM once the browser has run it, and what it wrote to the console."""
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    done = in_browser(path, "--dump-dom")
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@in_chromium
def test_in_chromium_tables_sort_and_figures_enlarge(tmp_path: Path) -> None:
    dom, console = tried(tmp_path, with_script(page(), STEPS))
    assert console == ""
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title
    found = json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert found["errors"] == []
    states = [[state for _, state in tries] for tries in found["columns"].values()]
    assert states == [["ascending", "descending", None]] * 5
    orders = [[order for order, _ in tries] for tries in found["columns"].values()]
    original = "– 1 2 3 4 5"
    assert orders[0] == ["1 2 3 4 5 –", "5 4 3 2 1 –", original]
    assert orders[2] == ["3 5 – 2 1 4", "1 2 – 5 3 4", original]
    assert orders[3] == ["3 2 1 4 – 5", "4 1 2 3 – 5", original]
    assert orders[4] == ["4 3 2 – 5 1", "1 5 – 2 3 4", original]
    assert found["focused"] and found["closed"]
    assert found["shown"] == [True, True, 'A "picture" of <it>']


@in_chromium
def test_in_chromium_the_page_runs_under_its_own_policy(tmp_path: Path) -> None:
    dom, console = tried(tmp_path, page())
    assert console == ""
    assert dom.count("<th") == dom.count("<button") - 1 + dom.count("<thead") == 6


@in_chromium
@pytest.mark.parametrize("width", [390, 1400])
def test_in_chromium_nothing_but_tables_is_wider_than_the_window(tmp_path: Path, width: int) -> None:
    wide = "| # | " + " | ".join(["a_rather_long_column_name"] * 20) + " |\n" + "|---" * 21 + "|\n"
    wide += "| 1 | " + " | ".join(["12.34 ± 0.56"] * 20) + " |\n"
    text = html_page(f"{MIXED}\n\n{wide}", {"figures/a.png": picture(6000, 900)}, ENGLISH)
    told = (
        "setTimeout(() => parent.postMessage([document.documentElement.scrollWidth, innerWidth].join(' '), '*'), 300);"
    )
    framed, inner = tmp_path / "framed.html", tmp_path / "page.html"
    inner.write_text(with_script(text, told), encoding="utf-8")
    framed.write_text(
        f'<iframe src="page.html" width="{width}" height="800" style="border:0"></iframe>'
        "<script>onmessage = (event) => { document.title = event.data; };</script>"
    )
    title = re.search(r"<title>(\d+) (\d+)</title>", in_browser(framed, "--dump-dom").stdout)
    assert title and int(title[2]) == width
    assert int(title[1]) <= width
