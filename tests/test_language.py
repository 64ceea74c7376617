"""Reports in Chinese: a whole one has no English left and the same numbers; figures need a font with its letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from report_data import Story, live, measured_plan, small_plan

from harness.design.expansion import Plan
from harness.errors import HarnessError
from harness.report import album, render
from harness.report.figures import fonts
from harness.report.figures.files import FigureFiles
from harness.report.figures.press import Press
from harness.report.figures.style import figure_style, new_figure, wrapped
from harness.report.form import ReportForm
from harness.report.language import ENGLISH, Language, LanguageCode, filled_in_chinese, language_named
from harness.tracking.reader import ExperimentView
from harness.tracking.snapshot import read_snapshot

CHINESE = Language("zh")
CJK = "[\u4e00-\u9fff]"


LATIN = (
    "Inception Score", "Noto Sans CJK SC", "Goodfellow et al", "batch norm", "SHA-256", "XeLaTeX", "LuaLaTeX",
    "dropout", "Wasserstein", "Spearman", "Holm", "Fréchet", "epoch", "harness",
)  # fmt: skip
"""Names and terms that Chinese texts write in Latin letters, too."""


def test_a_blank_stands_only_between_chinese_and_latin() -> None:
    assert filled_in_chinese(
        "在 {n} 上的 {what} 与 {other}。", {"n": "50 步", "what": "FID（digits）", "other": "x"}
    ) == ("在 50 步上的 FID（digits）与 x。")
    assert filled_in_chinese("{what} 随步数", {"what": "FID"}) == "FID 随步数"
    assert filled_in_chinese("{{{n:.1f}}}", {"n": 0.25}) == "{0.2}"


def test_lists_and_sentences_of_both_languages() -> None:
    assert ENGLISH.all_of(["a"]) == "a" and ENGLISH.all_of(["a", "b", "c"]) == "a, b and c"
    assert CHINESE.all_of(["a", "b", "c"]) == "a、b 和 c" and CHINESE.one_of(["a", "b"]) == "a 或 b"
    assert ENGLISH.one_of(["a", "b", "c"]) == "a, b or c"
    assert ENGLISH.clauses(["a, b", "c"]) == "a, b; c" and CHINESE.clauses(["a", "c"]) == "a；c"
    assert ENGLISH.sentence("It failed") == ENGLISH.sentence("It failed.") == "It failed."
    assert CHINESE.sentence("失败") == CHINESE.sentence("失败。") == "失败。"
    assert ENGLISH.paragraph("A.", "", "B.") == "A. B." and CHINESE.paragraph("甲。", "", "乙。") == "甲。乙。"
    numbers = [str(index) for index in range(14)]
    assert ENGLISH.shortened(numbers[:12]) == ", ".join(numbers[:12])
    assert ENGLISH.shortened(numbers) == "0, 1, 2, 3, …, 12, 13 (14 in all)"
    assert CHINESE.shortened(numbers) == "0、1、2、3、…、12、13（共 14 项）"


def test_other_languages_are_refused() -> None:
    assert language_named("zh").code == "zh"
    with pytest.raises(HarnessError, match="allowed: en, zh"):
        language_named("de")


def test_values_with_braces_are_no_places() -> None:
    assert ENGLISH.say("{cell}: {verdict}.", cell="{n}", verdict="{x!r}") == "{n}: {x!r}."


# -- whole reports ------------------------------------------------------------------------------------------------

REASON = "loss/generator is not finite | <script>"


def rich_plan() -> Plan:
    """Every section, claims, costs, several losses, a crossed grid and a second protocol whose weights are missing."""
    block = {
        "samples": 100,
        "repeats": 3,
        "metrics": ["fid", "fid_pooled", "kid", "precision", "class_kl", "nearest_ratio"],
    }
    return measured_plan(
        evaluation=[block, {"extractor": "inception", "samples": 64, "required": False}],
        grid=[
            {"name": "dims", "levels": {"latent_dim": [16, 100], "generator": ["cnn", "mlp"]}},
            {"kind": "one-at-a-time", "levels": {"normalization": ["none"], "loss": ["hinge"]}},
        ],
        claim=[{"cell": "latent_dim=100", "smallest_effect": 0.1}, {"metric": "kid", "cell": "generator=mlp"}],
        cost={"per_hour": 2.5, "currency": "EUR"},
        report={
            "samples": 16,
            "interpolations": [5, 10],
            "classes": 64,
            "side_by_side": [["baseline", "generator=mlp"]],
        },
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[str]]]:
    """By language: the text of one report, and every text in its figures."""
    runs = tmp_path_factory.mktemp("language") / "runs"
    plan = rich_plan()
    names = [cell.name for cell in plan.cells]
    stories = {
        names[1]: Story(fid=60, classes=(0,) * 8 + (50, 50)),
        f"{names[2]} seed 0": Story(outcome="diverged", reached=200),
        f"{names[2]} seed 1": Story(outcome="failed", reached=200, pictured=False),
        f"{names[3]} seed 1": Story(outcome="finished", reached=200, repeats=2),
    }
    live(plan, runs, stories)
    view = read_snapshot(plan, runs)
    codes: tuple[LanguageCode, ...] = ("en", "zh")
    return {code: written(view, Language(code), runs.parent / code) for code in codes}


def written(view: ExperimentView, language: Language, output: Path) -> tuple[str, list[str]]:
    """report.md, and the texts of its figures, which are laid out but not saved; a letter of no font is a warning."""
    texts: list[str] = []

    def laid_out(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
        with figure_style():
            figure.draw_without_rendering()
        texts.extend(texts_of(figure))
        return FigureFiles(b"not saved", None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(album, "press", lambda: Press(1, make=laid_out))
        path = render.render_report(view, output, ReportForm(language.code, ("md",)))
    return path.read_text(encoding="utf-8"), texts


def texts_of(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_visible()]
    return [text for text in found if text.strip()]


def without_names(text: str) -> str:
    """Without code, links, names that a person or the code gave, and terms that Chinese writes in Latin letters."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "码", text).replace("\\", "")
    text = text.replace(REASON, "").replace("loss/generator is not finite | &lt;script&gt;", "")
    for name in LATIN:
        text = text.replace(name, "")
    return re.sub(r"[\w.,%-]+=[\w.,%-]+", "", text)


def english_in(text: str) -> list[str]:
    """Runs of three English words or more."""
    return [
        found.group() for found in re.finditer(r"[A-Za-z]{2,}(?:[ ,:;()'-]+[A-Za-z'’]{1,}){2,}", without_names(text))
    ]


def test_a_chinese_report_has_no_english_sentence(reports: dict[str, tuple[str, list[str]]]) -> None:
    english, chinese = reports["en"][0], reports["zh"][0]
    assert len(english_in(english)) > 100, "the check sees English"
    assert english_in(chinese) == []
    headings = re.findall(r"^#+ (.*)$", chinese, flags=re.MULTILINE)
    assert [heading for heading in headings if not re.search(CJK, heading)] == []
    assert not re.search(f"{CJK}[,.;!?](?:\\s|$)", without_names(chinese))


def test_both_languages_have_the_same_tables_and_numbers(reports: dict[str, tuple[str, list[str]]]) -> None:
    english, chinese = (plain_numbers(reports[code][0]) for code in ("en", "zh"))
    assert english == chinese
    rows = [
        [
            re.findall(r"\d+(?:\.\d+)?", without_prose(line))
            for line in reports[code][0].splitlines()
            if line.startswith("|")
        ]
        for code in ("en", "zh")
    ]
    assert len(rows[0]) == len(rows[1])
    assert [sorted(row) for row in rows[0]] == [sorted(row) for row in rows[1]]


def plain_numbers(text: str) -> Counter[str]:
    """Every number with decimals, and how often it stands in the report."""
    return Counter(re.findall(r"\d+\.\d+(?:e-?\d+)?", text))


def without_prose(line: str) -> str:
    """A table's row without what lengths of words change: the rule under the headers."""
    return "" if set(line) <= set("|:-") else line


def test_labels_in_figures_are_chinese(reports: dict[str, tuple[str, list[str]]]) -> None:
    if fonts.chinese_family() is None:
        pytest.skip("this machine has no font with Chinese characters")
    labels = reports["zh"][1]
    assert any("步数" in label for label in labels)
    latin = {label for label in labels if re.search(r"[a-z]{3,} [a-z]{2,}", without_names(label))}
    assert latin == set()


def test_without_a_chinese_font_labels_are_english_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "CHINESE", ())
    plan = small_plan(report={"samples": 16, "sections": ["comparison", "against-step"]})
    live(plan, tmp_path / "runs")
    text, labels = written(read_snapshot(plan, tmp_path / "runs"), CHINESE, tmp_path / "report")
    assert "本机没有中文字体，因此图中的文字是英文。" in text
    assert "step" in labels and not any(re.search(CJK, label) for label in labels)


def test_names_that_no_font_can_show_have_their_number_in_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "CHINESE", ())
    plan = small_plan(labels={"latent_dim=100": "大潜变量"}, report={"samples": 16, "sections": ["against-step"]})
    live(plan, tmp_path / "runs")
    text, labels = written(read_snapshot(plan, tmp_path / "runs"), ENGLISH, tmp_path / "report")
    assert "No font of this machine has all letters of these names: 大潜变量 (#2)." in text
    assert "#2" in labels and not any(re.search(CJK, label) for label in labels)


def test_names_in_chinese_are_drawn_where_a_font_has_them(tmp_path: Path) -> None:
    if fonts.chinese_family() is None:
        pytest.skip("this machine has no font with Chinese characters")
    plan = small_plan(labels={"latent_dim=100": "大潜变量"}, report={"samples": 16, "sections": ["against-step"]})
    live(plan, tmp_path / "runs")
    text, labels = written(read_snapshot(plan, tmp_path / "runs"), ENGLISH, tmp_path / "report")
    assert "大潜变量" in labels and "No font of this machine" not in text


def test_letters_of_no_font_are_boxes_where_nothing_else_can_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "CHINESE", ())
    assert not fonts.can_show("a 模") and fonts.can_show("Größe ±√∞ ✗")
    assert wrapped("a 模", 20, 3, "#4") == "#4" and wrapped("a 模", 20) == "a □"
    with figure_style():
        new_figure(2, 1).text(0.1, 0.5, wrapped("模型", 20))


def test_a_report_is_written_in_the_language_asked_for(tmp_path: Path) -> None:
    plan = small_plan(report={"samples": 16, "sections": ["settings", "problems"]})
    live(plan, tmp_path / "runs")
    view = read_snapshot(plan, tmp_path / "runs")
    path = render.render_report(view, tmp_path / "zh", ReportForm("zh", ("md",)))
    title = "# small：digits 上的 GAN（16 × 16 像素），4 个单元 × 2 个种子\n"
    assert path.read_text(encoding="utf-8").startswith(title)
    assert "## 实验设置\n" in path.read_text(encoding="utf-8")
