"""LaTeX tables: whole and compilable whatever names hold; numbers, stars and notes as the report has them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_data import Story, lived, small_plan
from report_tables import content_of

from harness.analysis.statistics import Difference, Verdict
from harness.report.latex import latex_tables, stars
from harness.report.latex_text import LONG, Entry, LatexTable, label, tex
from harness.report.rounding import rounded

HOSTILE = r"a_b & 50% #1 {x} \input{/etc/passwd} $1^2$ ~ <|> -- '' [0] \\ & 中"
TEX = next(filter(None, map(shutil.which, ("tectonic", "lualatex", "xelatex", "pdflatex"))), None)


def unescaped(text: str, sign: str) -> int:
    """How often a sign stands in LaTeX without a backslash before it."""
    return len(re.findall(rf"(?<!\\){re.escape(sign)}", text.replace("\\\\", "")))


def rows_of(text: str) -> list[list[str]]:
    """The cells of every row of a table."""
    body = text.split("\\toprule")[-1]
    body = body.split("\\end{longtable}")[0] if "\\endfoot" in body else body.split("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith("\\\\")]
    return [re.split(r"(?<!\\)&", line.removesuffix("\\\\")) for line in lines]


def columns_of(text: str) -> int:
    found = re.search(r"\\begin\{(?:tabular|longtable)\}\{(l?r*)\}", text)
    assert found
    return len(found[1])


def assert_whole(text: str) -> None:
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    content = "\n".join(lines)
    assert unescaped(content, "{") == unescaped(content, "}")
    assert unescaped(content, "$") % 2 == 0
    open_ones: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", content):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert open_ones == []
    assert {len(row) for row in rows_of(text)} == {columns_of(text)}
    assert not re.search(r"(?<!\\)[#%~^]", re.sub(r"\$[^$]*\$", "", content))


@given(st.text(max_size=80))
def test_any_text_stays_on_one_line_and_closes_what_it_opens(text: str) -> None:
    found = tex(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", found)
    assert unescaped(found, "{") == unescaped(found, "}")
    assert unescaped(found, "$") % 2 == 0
    assert unescaped(found, "&") == unescaped(found, "#") == unescaped(found, "%") == unescaped(found, "_") == 0
    commands = {r"\_", r"\&", r"\%", r"\#", r"\$", r"\{", r"\}"}
    named = re.findall(r"\\([a-zA-Z]+|.)", found)
    known = {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar", "ldots"}
    known |= {"pm", "times", "div", "approx", "downarrow", "uparrow", "rightarrow", "infty", "surd", "leq", "geq", "mu"}
    assert set(named) <= known | {command[1] for command in commands}


def test_signs_of_numbers_are_mathematics_and_dashes_stay_apart() -> None:
    assert tex("71.88 ± 14 ↓") == r"71.88 $\pm$ 14 $\downarrow$"
    assert tex("a--b") == "a-{}-b"
    assert tex(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert tex("–") == "--"
    assert label("a/b_C 中 FID") == "tab:a-b-c-fid"


def table(rows: int, name: str = HOSTILE) -> str:
    body = [[Entry(name, is_bold=index == 0), Entry("1.0 ± 0.1", stars=index % 4)] for index in range(rows)]
    return LatexTable(
        [r"\usepackage{booktabs}", "a\nb"], name, name, ["Cell", "FID ↓"], [[Entry("real"), Entry("–")]], body, [name]
    ).tex()


@pytest.mark.parametrize("rows", [1, 4, LONG, LONG + 1])
def test_a_table_is_whole_whatever_its_names_hold(rows: int) -> None:
    text = table(rows)
    assert_whole(text)
    assert ("longtable" in text.replace("\\usepackage", "")) == (rows > LONG)
    assert len(rows_of(text)) == rows + 2
    assert text.splitlines()[:2] == [r"% \usepackage{booktabs}", "% a b"]
    assert "中" in text


def test_a_row_that_begins_with_a_bracket_is_no_argument_of_the_row_before() -> None:
    assert [row[0][:3] for row in rows_of(table(2, "[2cm] *"))[-1:]] == ["{}["]
    assert Entry("x", stars=2, is_bold=True).tex() == r"\textbf{x}\textsuperscript{**}"


def difference(p_holm: float | None, verdict: Verdict = "hurts") -> Difference:
    return Difference(
        "a", "b", "log", 0.1, 0.1, 2.0, -0.1, 0.3, 0.01, p_holm, 0.5, 0.5, (0, 1), (0.1, 0.1), 0, 2, 0, 2, False,
        "pooled", verdict, None, None, None,
    )  # fmt: skip


def test_stars_stand_for_adjusted_p_alone() -> None:
    ps = [None, 0.2, 0.05, 0.049, 0.01, 0.009, 0.001, 0.0009]
    assert [stars(difference(p)) for p in ps] == [0, 0, 0, 1, 1, 2, 2, 3]
    assert stars(difference(0.0001, "inconclusive")) == 0, "a diverged run bars the verdict"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a far worse cell, an equal one, one of a single seed that diverged, and hostile labels."""
    folder = tmp_path_factory.mktemp("latex")
    metrics = ["fid", "fid_pooled", "kid", "precision", "recall", "missing_classes"]
    plan = small_plan(
        grid=[],
        seeds=[0, 1, 2],
        cell=[
            {"name": "worse", "latent_dim": 64},
            {"name": "equal", "normalization": "none"},
            {"name": "lone", "generator": "mlp", "seeds": [0]},
        ],
        labels={"worse": HOSTILE},
        evaluation=[{"extractor": "digits", "samples": 100, "repeats": 3, "metrics": metrics}],
        report={"samples": 16, "sections": ["comparison"]},
    )
    lived(plan, folder, {"worse": Story(fid=4000), "lone": Story(outcome="diverged", reached=200)})
    return folder / "report"


def test_files_are_whole_and_pages_hold_all_metrics(told: Path) -> None:
    names = sorted(path.name for path in (told / "tables").iterdir())
    assert names == ["comparison-digits.tex", "comparison2-digits.tex", "differences-fid-digits.tex"]
    for name in names:
        assert_whole((told / "tables" / name).read_text(encoding="utf-8"))


def test_values_are_the_evidences_and_stars_the_differences(told: Path) -> None:
    text = (told / "tables" / "comparison-digits.tex").read_text(encoding="utf-8")
    rows = {row[0].strip(): row[1:] for row in rows_of(text)}
    numbers = json.loads((told / "report.json").read_text())["numbers"]
    last = {(one["cell"], one["column"]): one for one in numbers if one["step"] == 400}
    for name, shown in (("\\textbf{baseline}", "baseline"), ("equal", "equal"), (tex(HOSTILE), "worse")):
        value = re.match(r" ([\d.]+) \$\\pm\$ ([\d.]+)", rows[name][0])
        assert value
        of = last[shown, "FID (digits)"]
        assert f"{value[1]} ± {value[2]}" == rounded(of["mean_over_seeds"], of["sd_over_seeds"])
    assert rows[tex(HOSTILE)][0].strip().endswith(r"\textsuperscript{***}")
    assert "superscript" not in rows["equal"][0] + rows["\\textbf{baseline}"][0]
    assert rows["lone"][0].strip().endswith(r"$\pm$ --")
    assert [rows["real vs real"][at].strip() for at in (0, 1, -1)] == [r"4.00 $\pm$ 0.71", "--", "--"]


def test_notes_name_the_test_the_seeds_and_the_protocol(told: Path) -> None:
    for name in ("comparison-digits.tex", "differences-fid-digits.tex"):
        text = (told / "tables" / name).read_text(encoding="utf-8")
        assert "t-test of log ratios paired by seed" in text and "Holm's method over 2 tests" in text
        protocol = json.loads((told / "report.json").read_text())["columns"][0]["protocol_sha256"]
        assert f"Protocol {protocol[:8]}." in text
        assert r"\usepackage{booktabs}" in text.splitlines()[0]
    comparison = (told / "tables" / "comparison-digits.tex").read_text(encoding="utf-8")
    assert (
        "lone: 1 of 1 runs diverged." in comparison
        and "lone: step 200." in comparison
        and "one seed, so no standard deviation" in comparison
    )
    assert "No difference was tested." in (told / "tables" / "comparison2-digits.tex").read_text(encoding="utf-8")


def test_differences_repeat_what_the_csv_says(told: Path) -> None:
    text = (told / "tables" / "differences-fid-digits.tex").read_text(encoding="utf-8")
    rows = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows_of(text)}
    assert rows["Cell"] == ["Ratio", r"95 \% interval", "p", "p (Holm)", "Seeds", "Verdict"]
    assert rows["lone"][-1] == "not measured"
    assert rows[tex(HOSTILE)][-1] == "hurts" and rows["equal"][-1] == "inconclusive"


@pytest.mark.skipif(shutil.which("pandoc") is None, reason="no pandoc on this machine")
def test_pandoc_reads_every_row_of_every_table(told: Path) -> None:
    for path in sorted((told / "tables").iterdir()):
        text = path.read_text(encoding="utf-8")
        done = subprocess.run(["pandoc", "-f", "latex", "-t", "json", str(path)], capture_output=True, check=True)
        assert done.stderr == b""
        kinds = done.stdout.decode()
        assert kinds.count('"t":"Table"') == 1
        plain = subprocess.run(
            ["pandoc", "-f", "latex", "-t", "plain", str(path)], capture_output=True, text=True
        ).stdout
        assert "a_b & 50% #1 {x} \\input{/etc/passwd}" in " ".join(plain.split()) and "root:" not in plain
        assert len(rows_of(text)) > 3


@pytest.mark.skipif(TEX is None, reason="no TeX engine on this machine")
def test_tables_compile(told: Path, tmp_path: Path) -> None:
    assert TEX
    inputs = "\n".join(rf"\input{{{path}}}" for path in sorted((told / "tables").iterdir()))
    (tmp_path / "long.tex").write_text(table(LONG + 1).replace("中", "a"), encoding="utf-8")
    document = (
        rf"\documentclass{{article}}\usepackage{{booktabs,longtable}}\begin{{document}}{inputs}\input{{long.tex}}"
    )
    (tmp_path / "paper.tex").write_text(document.replace("中", "a") + r"\end{document}", encoding="utf-8")
    options = [] if "tectonic" in TEX else ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run([TEX, *options, "paper.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_metric_without_a_test_has_no_star_and_no_note(tmp_path: Path) -> None:
    """One claim on Recall: FID was not tested, and the note names the test that Recall had."""
    blocks = [{"extractor": "digits", "samples": 100, "repeats": 3, "metrics": ["fid", "recall"]}]
    claim = [{"cell": "generator=mlp", "metric": "recall"}]
    content = content_of(
        small_plan(seeds=[0, 1, 2], evaluation=blocks, claim=claim), tmp_path, {"generator=mlp": Story(fid=300)}
    )
    tables = {name: text.decode() for name, text in latex_tables(content).items()}
    both = tables["tables/comparison-digits.tex"]
    assert "Stars (Recall):" in both and "log ratios" not in both and "test, not adjusted" in both
    assert "Stars" not in tables["tables/differences-fid-digits.tex"]
    assert "p < 0.05" not in re.sub(r"[\\$]|textless\{\}", "", tables["tables/differences-fid-digits.tex"])
