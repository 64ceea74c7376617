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
from report_data import Story, live, measured_plan, report

from harness.design.expansion import Plan
from harness.errors import StoreError
from harness.report.verify import Verification, experiment_of, verify_report
from harness.store import atomic
from harness.store.rundir import experiment_directory
from harness.tracking.reader import read_experiment
from harness.tracking.snapshot import read_snapshot

SECTIONS = ["comparison", "against-step", "loss-crossings", "modes"]


def planned() -> Plan:
    return measured_plan(
        report={"samples": 16, "classes": 64, "sections": SECTIONS},
        grid=[{"kind": "one-at-a-time", "levels": {"latent_dim": [100]}}],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished report with its runs beside it."""
    folder = tmp_path_factory.mktemp("made")
    live(planned(), folder / "runs", {"latent_dim=100 seed 1": Story("diverged", reached=200, fid=90)})
    report(planned(), folder / "runs", folder / "report")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "place")
    return tmp_path / "place"


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def verified(place: Path, runs: str = "runs", *, again: bool = False) -> Verification:
    view = read_snapshot(planned(), place / runs) if again else None
    return verify_report(place / "report", experiment_directory(place / runs, "small"), view)


def told(found: Verification) -> dict[str, str]:
    """What is said of each file first."""
    return {doubt.file: doubt.what for doubt in reversed(found.doubts)}


def rewrite(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edits report.json and makes its own hash, and those of the files, fit again."""
    path = place / "report" / "report.json"
    document = json.loads(path.read_bytes())
    change(document)
    document["files"] = {name: atomic.file_sha256(place / "report" / name) for name in document["files"]}
    atomic.write_json(path, document)


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


@pytest.mark.parametrize("name", ["report.md", "report.html", "comparison.csv", "tables/old.tex", "figures/old.png"])
def test_a_file_that_report_json_does_not_name_is_found(place: Path, name: str) -> None:
    (place / "report" / name).write_text("better numbers", encoding="utf-8")
    rewrite(place, lambda document: document["files"].pop(name, None))
    assert name in told(verified(place, "nowhere"))


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
    ],
)
def test_a_report_json_of_another_form_is_doubted(place: Path, forge: Callable[[dict[str, Any]], None]) -> None:
    rewrite(place, forge)
    assert not verified(place, again=True).holds


def test_a_name_that_no_file_can_have_is_doubted(place: Path) -> None:
    path = place / "report" / "report.json"
    document = json.loads(path.read_bytes())
    document["files"]["a\0b"] = "ab"
    atomic.write_json(path, document)
    assert not verified(place).holds


def test_two_swapped_figures_are_found(place: Path) -> None:
    one, other = (place / "report" / "figures" / f"{name}.png" for name in ("losses", "fid-digits-last"))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert {"figures/losses.png", "figures/fid-digits-last.png"} < told(verified(place, "nowhere")).keys()
    rewrite(place, lambda document: None)
    assert {"figures/losses.png", "figures/fid-digits-last.png"} < told(verified(place, "nowhere")).keys()


def test_a_figure_that_report_json_does_not_name_is_found(place: Path) -> None:
    path = place / "report" / "report.md"
    path.write_text(path.read_text(encoding="utf-8") + "\n![mine](figures/mine.png)\n", encoding="utf-8")
    rewrite(place, lambda document: None)
    assert told(verified(place, "nowhere"))["report.md"] == "shows figures/mine.png, which report.json does not name"


def test_a_file_outside_of_the_report_is_not_read(place: Path) -> None:
    rewrite(place, lambda document: document["files"].update({"../runs/small/experiment.json": ""}))
    assert "lies outside" in told(verified(place))["../runs/small/experiment.json"]


def first_source(document: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = document["numbers"][0]["sources"][0]
    return source


def better_value(document: dict[str, Any]) -> None:
    first_source(document)["values"][0] -= 10


def better_mean(document: dict[str, Any]) -> None:
    document["numbers"][0]["mean_over_seeds"] -= 10


def smaller_spread(document: dict[str, Any]) -> None:
    document["numbers"][0]["sd_over_seeds"] /= 2


def other_checkpoint(document: dict[str, Any]) -> None:
    first_source(document)["checkpoint_sha256"] = "ab" * 32


def other_run(document: dict[str, Any]) -> None:
    first_source(document)["key"] = "cd" * 32


def other_protocol(document: dict[str, Any]) -> None:
    document["columns"][0]["protocol"]["samples"] *= 10


def lower_floor(document: dict[str, Any]) -> None:
    floor = document["columns"][0]["floor"]
    floor["values"] = [value / 2 for value in floor["values"]]
    floor["mean"] /= 2


def other_records(document: dict[str, Any]) -> None:
    document["crossings"][0]["metrics_sha256"] = "ef" * 32


def fewer_steps_of_records(document: dict[str, Any]) -> None:
    document["crossings"][0]["records_to_step"] += 5


FORGERIES = [
    better_value, better_mean, smaller_spread, other_checkpoint, other_run, other_protocol, lower_floor, other_records,
    fewer_steps_of_records,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_the_runs_contradict_a_forged_report(place: Path, forge: Callable[[dict[str, Any]], None]) -> None:
    rewrite(place, forge)
    assert verified(place, "nowhere").holds  # all of its hashes fit
    assert not verified(place).holds


def test_the_runs_are_read_themselves(place: Path) -> None:
    run = read_experiment(planned(), place / "runs").runs[0]
    assert run.directory is not None and run.protocols[0] is not None
    for path in (
        run.directory.checkpoint(200),
        run.directory.evaluation(400, run.protocols[0].sha256),
        run.directory.metrics,
    ):
        content = path.read_bytes()
        changed = bytearray(content)
        changed[len(changed) // 3] ^= 1
        path.write_bytes(changed)
        assert not verified(place).holds, path
        path.write_bytes(content)
    assert verified(place).holds
    run.directory.checkpoint(200).unlink()
    found = verified(place)
    assert found.holds and found.traced is not None
    assert (found.traced.gone, found.traced.checkpoints) == (1, 6)
    shutil.rmtree(run.directory.root)
    assert told(verified(place))["baseline, seed 0"] == "its run is not among the runs"


def test_a_report_that_the_runs_outgrew_resolves_but_is_not_what_they_give_now(place: Path) -> None:
    fewer = replace(planned(), runs=planned().runs[:2])
    found = verify_report(
        place / "report", experiment_directory(place / "runs", "small"), read_snapshot(fewer, place / "runs")
    )
    assert {"report.md", "report.json", "runs.csv"} <= told(found).keys()
    assert set(told(found).values()) == {"is not what the runs give now"}


def test_without_runs_that_is_said(place: Path) -> None:
    found = verified(place, "nowhere")
    assert found.holds and found.traced is None and not found.made_again
