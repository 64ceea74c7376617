"""`harness report --verify`: one changed byte or number anywhere is found, and what could not be checked is said."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from verify_parts import planned, rewrite, told, verified

from harness.errors import StoreError
from harness.report import verify
from harness.report.verify import experiment_of, verify_report
from harness.store import atomic
from harness.store.locks import held
from harness.store.rundir import experiment_directory
from harness.tracking.report_files import LOCK
from harness.tracking.snapshot import read_snapshot

pytest_plugins = ["verify_fixtures"]


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def test_a_report_as_it_was_written_holds(made: Path) -> None:
    assert experiment_of(made / "report") == "small"
    found = verified(made, again=True)
    assert (found.doubts, found.holds, found.made_again) == ((), True, True)
    files = [path for path in (made / "report").rglob("*") if path.is_file()]
    assert found.files == len(files)
    assert found.traced is not None
    assert found.traced.runs == 4
    assert found.traced.checkpoints == 7  # one run diverged at half of the way
    assert found.traced.values > 7 * 3
    assert found.traced.numbers == len(json.loads((made / "report" / "report.json").read_text())["numbers"])


def test_one_flipped_byte_is_found_in_each_kind_of_file(place: Path) -> None:
    own = sorted(path for path in (place / "report").rglob("*") if path.is_file())
    assert {path.suffix for path in own} == {".md", ".html", ".csv", ".tex", ".json", ".png", ".svg"}
    by_kind = {(path.suffix, path.parent.name): path for path in own}
    for path in by_kind.values():
        content = path.read_bytes()
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        path.write_bytes(changed)
        name = path.relative_to(place / "report").as_posix()
        if name == "report.json":
            with pytest.raises(StoreError) if not is_json(path) else nullcontext():
                assert name in told(verified(place, "nowhere"))
        else:
            assert name in told(verified(place, "nowhere"))
            path.unlink()
            assert "is missing" in told(verified(place, "nowhere"))[name]
        path.write_bytes(content)
    assert verified(place).holds


def test_a_number_changed_in_the_text_is_found(place: Path) -> None:
    path = place / "report" / "report.md"
    text = path.read_text(encoding="utf-8")
    number = re.search(r"\d\d\.\d\d", text)
    assert number is not None
    path.write_text(text.replace(number[0], "1.23", 1), encoding="utf-8")
    assert "report.md" in told(verified(place))
    rewrite(place, lambda document: None)
    page = "does not show what report.md and the pictures show"
    assert told(verified(place)) == {"report.html": page}  # the text's own hash was made to fit
    assert told(verified(place, again=True)) == {"report.html": page, "report.md": "is not what the runs give now"}


def test_a_number_changed_in_the_page_is_found(place: Path) -> None:
    path = place / "report" / "report.html"
    text = path.read_text(encoding="utf-8")
    number = re.search(r"(?<=<td>)\d\d\.\d", text) or re.search(r"(?<=>)\d\d\.\d\d", text)
    assert number is not None
    path.write_text(f"{text[: number.start()]}0.001{text[number.end() :]}", encoding="utf-8")
    rewrite(place, lambda document: None)
    for again in (False, True):
        assert told(verified(place, again=again)) == {
            "report.html": "does not show what report.md and the pictures show"
        }


@pytest.mark.parametrize("name", ["report.md", "report.html", "comparison.csv", "tables/comparison-digits.tex"])
def test_a_file_that_report_json_does_not_name_is_found(place: Path, name: str) -> None:
    (place / "report" / name).write_text("better numbers", encoding="utf-8")
    rewrite(place, lambda document: document["files"].pop(name, None))
    assert name in told(verified(place, "nowhere"))


def test_an_old_figure_of_a_report_is_found(place: Path) -> None:
    figures = place / "report" / "figures"
    shutil.copy(figures / "losses.png", figures / "losses-2.png")
    assert told(verified(place, "nowhere")) == {
        "figures/losses-2.png": "lies with the report, and report.json does not name it"
    }


def test_a_person_s_own_files_are_no_doubt(place: Path) -> None:
    for name in ("thesis.tex", "figures/mine.png", "figures/sketch.svg", "data.csv", "tables/mine.tex", "notes/x.md"):
        path = place / "report" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    assert verified(place).holds


def test_a_report_that_is_being_written_is_not_judged(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "PATIENCE_S", 0.2)
    with held(place / "report" / LOCK, timeout_s=1.0), pytest.raises(StoreError, match="another process writes"):
        verified(place)
    assert verified(place).holds


def test_an_old_page_is_no_part_of_a_report_without_one(place: Path) -> None:
    def forge(document: dict[str, Any]) -> None:
        document["formats"] = ["md"]
        del document["files"]["report.html"]

    rewrite(place, forge)
    assert told(verified(place, "nowhere")) == {"report.html": "lies with the report, and report.json does not name it"}
    (place / "report" / "report.html").rename(place / "report" / "live.html")
    assert verified(place, "nowhere").holds  # that one is of the command that trains


def other_form(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update({name: value})


@pytest.mark.parametrize(
    "forge",
    [
        other_form("runs", [{}]),
        other_form("runs", [3]),
        other_form("pictures", [1]),
        other_form("numbers", [1]),
        other_form("columns", {}),
        other_form("language", "xx"),
        other_form("formats", 3),
        other_form("classes", [1]),
        other_form("crossings", 7),
    ],
)
def test_a_report_json_of_another_form_is_doubted(place: Path, forge: Callable[[dict[str, Any]], None]) -> None:
    rewrite(place, forge)
    assert not verified(place).holds


@pytest.mark.parametrize("name", ["language", "formats"])
def test_a_report_of_no_known_form_is_not_made_again(place: Path, name: str) -> None:
    rewrite(place, other_form(name, None))
    assert not verified(place, again=True).holds


def test_a_name_that_no_file_can_have_is_doubted(place: Path) -> None:
    path = place / "report" / "report.json"
    document = json.loads(path.read_bytes())
    document["files"]["a\0b"] = "ab"
    atomic.write_json(path, document)
    assert not verified(place).holds


def test_two_swapped_figures_are_found(place: Path) -> None:
    one, other = (place / "report" / "figures" / f"{name}.png" for name in ("losses", "losses-overlay"))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert {"figures/losses.png", "figures/losses-overlay.png"} < told(verified(place, "nowhere")).keys()
    rewrite(place, lambda document: None)
    assert {"figures/losses.png", "figures/losses-overlay.png"} < told(verified(place, "nowhere")).keys()


@pytest.mark.parametrize(
    "shown",
    [
        "![mine](figures/mine.png)",
        "![a \\[b\\]](figures/mine.png 'title')",
        "![mine](<figures/mine.png>)",
        "![mine][1]\n\n[1]: ./figures/mi%6ee.png",
        "<img src=figures/mine.png>",
    ],
)
def test_a_figure_that_report_json_does_not_name_is_found(place: Path, shown: str) -> None:
    path = place / "report" / "report.md"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{shown}\n", encoding="utf-8")
    rewrite(place, lambda document: None)
    assert told(verified(place, "nowhere"))["report.md"] == "shows figures/mine.png, which report.json does not name"


def test_pixels_are_compared_where_the_same_libraries_drew_them(place: Path) -> None:
    path = place / "report" / "figures" / "losses.png"
    with Image.open(path) as image:
        texts, mirrored = dict(image.info), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    about = PngInfo()
    for name, text in texts.items():
        if isinstance(text, str):
            about.add_text(name, text)
    mirrored.save(path, dpi=texts["dpi"], pnginfo=about)
    pictures = {path.relative_to(place / "report").as_posix(): path.read_bytes()}
    assert pictures
    rewrite(place, lambda document: None)
    page = "does not show what report.md and the pictures show"
    assert told(verified(place)) == {"report.html": page}  # all that the picture says of itself is as it was
    assert told(verified(place, again=True))["figures/losses.png"] == "is not what the runs give now"
    rewrite(place, lambda document: document["made_with"].update({"matplotlib": "3.0"}))
    found = verified(place, again=True)
    assert found.holds and found.skipped.endswith("neither pixels nor report.html are compared")


def test_what_a_picture_says_of_its_cells_is_compared(place: Path) -> None:
    path = place / "report" / "figures" / "losses.svg"
    text = path.read_text(encoding="utf-8")
    assert "latent_dim=100" in text
    for old, new in (("latent_dim=100", "latent_dim=999"), ("<title>Losses of G and D<", "<title>FID<")):
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        rewrite(place, lambda document: None)
        assert told(verified(place, "nowhere")) == {
            "figures/losses.svg": "does not say of itself what report.json says of it"
        }


def test_a_file_outside_of_the_report_is_not_read(place: Path) -> None:
    rewrite(place, lambda document: document["files"].update({"../runs/small/experiment.json": ""}))
    assert "lies outside" in told(verified(place))["../runs/small/experiment.json"]


def test_a_report_that_the_runs_outgrew_resolves_but_is_not_what_they_give_now(place: Path) -> None:
    fewer = replace(planned(), runs=planned().runs[:2])
    found = verify_report(
        place / "report", experiment_directory(place / "runs", "small"), read_snapshot(fewer, place / "runs")
    )
    assert {"report.md", "report.json", "runs.csv"} <= told(found).keys()
    assert set(told(found).values()) == {
        "is not what the runs give now",
        "is no part of the report that the runs give now",
    }


def test_without_runs_that_is_said(place: Path) -> None:
    found = verified(place, "nowhere")
    assert found.holds and found.traced is None and not found.made_again


def test_where_runs_are_asked_for_their_absence_is_a_doubt(place: Path) -> None:
    missing = experiment_directory(place / "nowhere", "small")
    found = verify_report(place / "report", missing, None, needs_runs=True)
    assert told(found) == {str(missing.root): "no runs lie here"}
