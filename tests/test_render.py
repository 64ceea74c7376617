"""The report as a whole: at every stage, the same bytes again, every number traced, and a person's notes kept."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_data import (
    MACHINE,
    NOTES,
    SHA,
    Story,
    live,
    lived,
    measured_plan,
    prepare,
    report,
    section,
    small_plan,
    write_run,
    write_samples,
)
from test_tables import rows_of

from harness.errors import StoreError
from harness.store import atomic
from harness.tracking.reader import read_experiment

ASKED_FOR = ("side-by-side", "modes", "interpolations")
"""Sections of what a file may ask for beside FID."""


def only(*sections: str) -> dict[str, Any]:
    """Settings of a report that has no other sections: each costs time."""
    return {"report": {"samples": 16, "sections": list(sections)}}


def evidence(output: Path) -> dict[str, Any]:
    return atomic.read_json(output / "report.json")


def files(output: Path) -> dict[str, bytes]:
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four cells with two seeds, one run diverged, one interrupted; runs beside it."""
    folder = tmp_path_factory.mktemp("whole")
    stories = {
        "latent_dim=100": Story(fid=15, swings=8),
        "generator=mlp seed 1": Story("diverged", reached=200, fid=150),
        "normalization=none seed 0": Story("interrupted", reached=200, evaluated=False),
    }
    lived(small_plan(), folder, stories)
    return folder


def first_table(text: str) -> list[dict[str, str]]:
    """The rows of the first table of a metric, by header."""
    return rows_of(next(part for part in text.split("\n\n") if part.startswith("|") and "FID (digits)" in part))


def text_of(folder: Path) -> str:
    return (folder / "report" / "report.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")


def test_every_section_is_there_in_order(whole: Path) -> None:
    headings = re.findall(r"^## (.+)$", text_of(whole), flags=re.MULTILINE)
    assert headings == [title for name, title in NOTES.items() if name not in ASKED_FOR]


def test_every_picture_is_linked_relatively_and_exists(whole: Path) -> None:
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text_of(whole))
    figures = whole / "report" / "figures"
    written = {f"figures/{path.name}" for path in figures.glob("*.png")}
    drawn = {path.stem for path in figures.glob("*.svg")}
    assert "losses" in drawn and "samples" not in drawn and drawn < {Path(path).stem for path in written}
    assert set(links) == written == {picture["path"] for picture in evidence(whole / "report")["pictures"]}
    assert all("\\" not in link and not link.startswith("/") for link in links)
    assert len(written) == 10


def test_the_same_runs_give_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """Of every section, from a store and back: test_download."""
    plan = small_plan(**only("comparison", "effects", "loss-crossings", "samples"))
    for name in ("one", "other"):
        report(plan, whole / "runs", tmp_path / name, painted=True)
    assert files(tmp_path / "one") == files(tmp_path / "other")


def test_every_number_resolves_to_key_checkpoint_and_protocol(whole: Path) -> None:
    document = evidence(whole / "report")
    runs = {run["key"]: run for run in document["runs"]}
    protocols = {column["protocol_sha256"] for column in document["columns"]}
    assert len(document["numbers"]) == 8
    for number in document["numbers"]:
        means = []
        for source in number["sources"]:
            assert runs[source["key"]]["checkpoints"][str(source["step"])] == source["checkpoint_sha256"]
            assert source["protocol_sha256"] in protocols
            means.append(sum(source["values"]) / len(source["values"]))
        assert number["mean_over_seeds"] == pytest.approx(sum(means) / len(means))


def test_every_picture_resolves_and_says_so_itself(whole: Path) -> None:
    document = evidence(whole / "report")
    runs = {run["key"]: run for run in document["runs"]}
    for picture in document["pictures"]:
        assert picture["sources"]
        for source in picture["sources"]:
            if "real_images" in source:
                assert len(source["data_sha256"]) == 64
                continue
            run = runs[source["key"]]
            if "checkpoint_sha256" in source:
                assert run["checkpoints"][str(source["step"])] == source["checkpoint_sha256"]
            else:
                assert len(source["metrics_sha256"]) == 64 and source["records_to_step"] <= run["step"]
        with Image.open(whole / "report" / picture["path"]) as image:
            named = [
                {"cell": runs[source["key"]]["cell"], **source} if "key" in source else source
                for source in picture["sources"]
            ]
            assert json.loads(str(image.info["harness:sources"])) == named
            assert image.info["harness:experiment"] == "small"


def test_crossings_in_the_evidence_are_those_in_the_table(whole: Path) -> None:
    document = evidence(whole / "report")
    of_100 = [item for item in document["crossings"] if item["cell"] == "latent_dim=100"]
    steps = {item["seed"]: ", ".join(str(round(one["step"])) for one in item["crossings"]) for item in of_100}
    shown = "; ".join(f"seed {seed}: {places}" for seed, places in steps.items())
    assert shown in section(text_of(whole), "loss-crossings")
    assert all(len(item["crossings"]) == item["count"] for item in of_100)


def test_what_went_wrong_is_said_with_its_reason(whole: Path) -> None:
    problems = section(text_of(whole), "problems")
    assert (
        "generator=mlp, seed 1: **diverged** after step 200: loss/generator is not finite \\| &lt;script&gt;."
        in problems
    )
    assert "normalization=none, seed 0: interrupted at step 200." in problems
    interim = "Interim report: 1 of 8 runs is not finished (normalization=none, seed 0: interrupted at step 200)."
    assert interim in section(text_of(whole), "summary")
    assert "normalization=none: FID (digits) is missing or has fewer than 3 repeats: seed 0 at 200, 400." in problems


def test_spread_is_named_and_nothing_is_called_better(whole: Path) -> None:
    text = text_of(whole)
    assert "SD over 2 seeds" in section(text, "summary")
    assert "± the standard deviation (SD) over seeds" in section(text, "comparison")
    assert "One seed: no comparison is possible for normalization=none, generator=mlp." in section(text, "comparison")
    assert not re.search(r"\b(better|worse|wins)\b", text)
    told = {row["Cell"]: row["Verdict"] for row in first_table(section(text, "comparison"))}
    assert (told["normalization=none"], told["generator=mlp"]) == ("one seed: no verdict", "one seed: no verdict")


def test_one_seed_says_that_nothing_compares(tmp_path: Path) -> None:
    text = lived(small_plan(seeds=[3], **only("summary", "comparison", "effects")), tmp_path)
    assert "One seed: no comparison is possible." in section(text, "summary")
    assert "**One seed: no comparison is possible.**" in section(text, "comparison")
    rows = first_table(section(text, "comparison"))
    assert len(rows) == 5 and not any("±" in row["FID (digits) ↓"] for row in rows[1:])
    assert [row["Verdict"] for row in rows[1:]] == ["–", *["one seed: no verdict"] * 3]
    assert not re.search(r"\b(better|helps|hurts|p =|95 % interval)\b", text)


def test_no_run_at_all(tmp_path: Path) -> None:
    text = report(measured_plan(), tmp_path / "runs", tmp_path / "report")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings == [title for name, title in NOTES.items() if name != "side-by-side"]
    assert "Of 8 runs: 0 complete, 8 pending." in section(text, "summary")
    for name in ("against-step", "loss-crossings", "probabilities", "samples", "progress", "cost", "modes"):
        assert "Nothing to show yet" in section(text, name)
    assert "8 runs have not started yet." in section(text, "problems")
    assert "No run has kept a copy" in section(text, "reproduce")
    assert not (tmp_path / "report" / "figures").exists()


def test_half_a_grid(tmp_path: Path) -> None:
    plan = small_plan(**only("summary", "comparison", "problems"))
    prepare(plan, tmp_path / "runs")
    for run in plan.runs[:3]:
        write_run(run, plan, tmp_path / "runs", Story())
    text = report(plan, tmp_path / "runs", tmp_path / "report")
    assert "5 runs have not started yet." in section(text, "problems")
    assert "Interim report: 5 of 8 runs are not finished. All tables" in section(text, "summary")
    assert "One seed: no comparison is possible for latent\\_dim=100." in section(text, "comparison")
    assert "not measured" in section(text, "comparison")


def test_nothing_wrong_says_nothing(tmp_path: Path) -> None:
    text = lived(small_plan(grid=[], **only("summary", "comparison", "problems")), tmp_path)
    assert section(text, "problems").strip() == "Nothing failed, diverged or is missing."
    assert "Interim" not in text


def test_a_file_without_evaluation_has_no_sections_of_it(tmp_path: Path) -> None:
    text = lived(small_plan(evaluation=[], grid=[], seeds=[0]), tmp_path)
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings == [
        title for name, title in NOTES.items() if name not in ("protocol", "effects", "against-step", *ASKED_FOR)
    ]
    assert "FID" not in text
    assert "nothing was measured" in section(text, "comparison")


def test_a_left_out_block_is_said_in_every_table(tmp_path: Path) -> None:
    blocks = [{"repeats": 3}, {"extractor": "inception", "required": False}]
    plan = small_plan(evaluation=blocks, grid=[], **only("protocol", "comparison", "problems"))
    runs = tmp_path / "runs"
    prepare(plan, runs, weights=None)
    for run in plan.runs:
        write_run(run, plan, runs, Story())
    text = report(plan, runs, tmp_path / "report")
    for name in ("protocol", "comparison", "problems"):
        assert "FID (inception) was left out: its weights are missing" in section(text, name)
    assert evidence(tmp_path / "report")["left_out"] == ["inception"]


def test_unverified_weights_are_marked_wherever_their_numbers_stand(tmp_path: Path) -> None:
    block = {"extractor": "inception", "unverified_weights": True, "repeats": 3}
    sections = only("summary", "protocol", "comparison", "against-step")
    plan = small_plan(evaluation=[block], grid=[], **sections)
    text = lived(plan, tmp_path)
    for name in ("summary", "protocol", "comparison", "against-step"):
        assert "FID (inception, unverified weights)" in section(text, name)
    assert f"`{SHA[:16]}`… **(unverified weights)**" in section(text, "protocol")
    assert SHA not in section(text, "protocol")
    assert evidence(tmp_path / "report")["columns"][0]["protocol"]["extractor_sha256"] == SHA


def test_mixed_machines_are_said_and_hosts_are_not(tmp_path: Path) -> None:
    mixed = "These runs were made with different torch (2.15.0, 2.16.0), device (cpu, cuda)"
    other = Story(machine={**MACHINE, "torch": "2.16.0", "device": "cuda"})
    text = lived(small_plan(**only("settings", "comparison", "cost", "reproduce")), tmp_path, {"generator=mlp": other})
    assert mixed in section(text, "settings") and mixed in section(text, "comparison")
    assert "somewhere" not in text


def test_hosts_alone_are_no_difference(whole: Path) -> None:
    assert "different" not in section(text_of(whole), "settings")


def test_a_picture_with_other_settings_is_shown_as_missing(tmp_path: Path) -> None:
    plan = small_plan(grid=[], **only("samples", "problems"))
    live(plan, tmp_path / "runs")
    run = read_experiment(plan, tmp_path / "runs").runs[0]
    assert run.directory is not None
    write_samples(run.directory.samples(400), run.run.key, 400, run.checkpoints()[400], 9)
    text = report(plan, tmp_path / "runs", tmp_path / "report")
    assert "Missing: baseline, seed 0: the picture on disk was drawn with another setting: samples" in section(
        text, "samples"
    )
    assert "Sample grid of baseline, seed 0: the picture on disk was drawn with another setting: samples" in section(
        text, "problems"
    )
    assert not (tmp_path / "report" / "figures" / "samples.png").exists()


def test_notes_are_set_into_their_sections_and_never_touched(tmp_path: Path) -> None:
    plan = measured_plan(grid=[])
    live(plan, tmp_path / "runs")
    notes = tmp_path / "report" / "notes"
    notes.mkdir(parents=True)
    for name in NOTES:
        (notes / f"{name}.md").write_text(f"My own words on {name}: **mine** {{{{ 1 + 1 }}}}\n\n\n", encoding="utf-8")
    (notes / "sumary.md").write_text("a slip\n", encoding="utf-8")
    before = files(notes)
    text = report(plan, tmp_path / "runs", tmp_path / "report")
    for name in (name for name in NOTES if name != "side-by-side"):
        assert f"My own words on {name}: **mine** {{{{ 1 + 1 }}}}" in section(text, name)
    assert "belong to no section of this report: side-by-side, sumary" in text
    assert files(notes) == before


def test_a_note_that_is_not_utf8_is_an_error_with_its_path(tmp_path: Path) -> None:
    plan = small_plan(grid=[])
    note = tmp_path / "report" / "notes" / "summary.md"
    note.parent.mkdir(parents=True)
    note.write_bytes("Größe".encode("latin-1"))
    with pytest.raises(StoreError, match="UTF-8") as error:
        report(plan, tmp_path / "runs", tmp_path / "report")
    assert error.value.where == str(note)


def test_only_figures_of_its_own_are_removed(tmp_path: Path) -> None:
    plan = small_plan(grid=[], **only("against-step", "loss-crossings", "samples"))
    live(plan, tmp_path / "runs")
    output = tmp_path / "report"
    report(plan, tmp_path / "runs", output)
    mine = output / "figures" / "mine.png"
    mine.write_bytes(b"mine")
    assert "fid-digits-against-step.png" in files(output / "figures")
    fewer = small_plan(grid=[], **only("loss-crossings", "samples"))
    report(fewer, tmp_path / "runs", output)
    assert sorted(files(output / "figures")) == ["losses.png", "losses.svg", "mine.png", "samples.png"]


def test_the_experiment_file_is_shown_in_a_fence_that_it_cannot_leave(tmp_path: Path) -> None:
    plan = small_plan(grid=[])
    source = 'name = "small"\n# ```\n# <script>\n'
    prepare(plan, tmp_path / "runs", source)
    text = report(plan, tmp_path / "runs", tmp_path / "report")
    assert f"````toml\n{source}````\n" in section(text, "reproduce")
    assert "harness run experiment.toml --threads 1\n" in section(text, "reproduce")


def test_overrides_are_in_the_commands_and_not_in_the_file(tmp_path: Path) -> None:
    plan = small_plan(grid=[])
    source = '# my first experiment\nname = "small"\n# --set of words\n'
    prepare(plan, tmp_path / "runs", f'# --set training.steps=400\n# --set report.title=it\'s; "so"\n{source}')
    shown = section(report(plan, tmp_path / "runs", tmp_path / "report"), "reproduce")
    assert f"```toml\n{source}```\n" in shown
    commands = [line for line in shown.splitlines() if line.startswith("harness ")]
    sets = ["--set", "training.steps=400", "--set", 'report.title=it\'s; "so"']
    assert [shlex.split(line) for line in commands] == [
        ["harness", "plan", "experiment.toml", *sets],
        ["harness", "run", "experiment.toml", *sets, "--threads", "1"],
        ["harness", "report", "experiment.toml", *sets],
        [
            "harness",
            "sample",
            "experiment.toml",
            *sets,
            "--cell",
            "baseline",
            "--count",
            "64",
            "--output",
            "samples.png",
        ],
    ]


def test_hostile_names_are_words_everywhere(tmp_path: Path) -> None:
    name = "a|b `c` <script>alert(1)</script> ![x](http://y) $z$ _"
    sections = only("summary", "comparison", "effects", "loss-crossings", "settings", "protocol", "problems")
    text = lived(small_plan(grid=[], seeds=[0], cell=[{"name": name, "latent_dim": 7}], **sections), tmp_path)
    body = text.split("```toml")[0]
    assert "<script>" not in body
    assert "\\!" not in body and "!\\[x\\](http://y)" in body
    tables = [line for line in body.splitlines() if line.startswith("|")]
    for one in re.findall(r"(?:^\|.*\n)+", body, flags=re.MULTILINE):
        assert len({line.replace("\\|", "").count("|") for line in one.splitlines()}) == 1
    assert any("alert" in line for line in tables)


def test_no_time_of_day_or_local_path_is_in_a_report(whole: Path) -> None:
    for name, content in files(whole / "report").items():
        assert str(whole).encode() not in content, name
    days = re.findall(r"\b20\d\d-\d\d-\d\d\b", text_of(whole))
    assert days and set(days) == set(re.findall(r"20[-\d]+", text_of(whole).split("(UTC)")[0]))
    assert not re.search(r"\b\d\d:\d\d\b", text_of(whole))
