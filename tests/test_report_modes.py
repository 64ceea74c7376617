"""Mode collapse and walks between latents in the report: only what the file asks for, only of the right checkpoint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_data import (
    SHA,
    Story,
    live,
    lived,
    measured_plan,
    prepare,
    report,
    section,
    small_plan,
    write_picture,
    write_run,
)
from report_tables import content_of, rows_of
from test_report_metrics import change
from test_training_sections import only

from harness.design.expansion import Plan
from harness.design.metrics import METRICS
from harness.report.content import gather
from harness.report.document import SECTIONS
from harness.report.figures.samples import read_picture
from harness.report.language import ENGLISH
from harness.report.modes import classes_of, mode_parts
from harness.store import atomic
from harness.store.pictures import ClassSheet, Interpolations
from harness.tracking.reader import read_experiment

EVEN = (10,) * 10
STORIES = {
    "latent_dim=100": Story(classes=(0, 20, *EVEN[:8])),
    "generator=mlp": Story(classes=(0, 60, 0, 0, 0, 0, 0, 40, 0, 0)),
    "normalization=none seed 1": Story(classes=(0, 10, 10, 10, 20, 10, 10, 10, 10, 10)),
}


def shown_plan() -> Plan:
    return only(measured_plan(), "modes", "interpolations", "problems")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modes")
    lived(shown_plan(), folder, STORIES)
    return folder


def modes_of(folder: Path) -> str:
    text = (folder / "report" / "report.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    return section(text, "modes")


def test_shares_stand_beside_the_real_ones(told: Path) -> None:
    rows = rows_of(next(part for part in modes_of(told).split("\n\n") if part.startswith("|")))
    assert [row["Cell"] for row in rows][:3] == ["*real images (1000)*", "**baseline**", "latent\\_dim=100"]
    real, _, wide, _, mlp = rows
    assert {real[f"`{digit}`"] for digit in range(10)} == {"10 %"}
    assert (wide["`0`"], wide["`1`"], wide["Largest share"]) == ("**0 %**", "20 %", "1: 20 %")
    assert (wide["Verdict, in seeds"], mlp["Verdict, in seeds"]) == ("classes missing (2 of 2)", "collapsed (2 of 2)")
    assert (mlp["`1`"], mlp["`7`"]) == ("60 %", "40 %")
    assert "Each row is of 600 images of 2 seeds together at step 400." in modes_of(told)
    assert all("Class KL (digits) ↓" in row for row in rows)


def test_every_cell_is_judged_by_seed_in_one_set_of_words(told: Path) -> None:
    shown = modes_of(told)
    assert "- All classes there in every seed, none below half or above twice its real share: **baseline**." in shown
    assert "- latent\\_dim=100: classes missing in 2 of 2 seeds: class 0 (seed 0); class 0 (seed 1)." in shown
    assert (
        "- generator=mlp: collapsed in 2 of 2 seeds: 2 of 10 classes there, 60 % of the images are 1 (seed 0); "
        in shown
    )
    mixed = "classes missing in 1 of 2 seeds: class 0 (seed 1); all classes there in 1 of 2 seeds."
    assert f"- normalization=none: {mixed}" in shown
    assert (
        "By the worst seed of each cell: collapsed in 1 of 4 cells (generator=mlp); classes missing in 2 of 4" in shown
    )
    assert "*collapsed*: fewer than half of the judged classes" in shown


def test_images_that_are_not_like_the_data_have_no_verdict(tmp_path: Path) -> None:
    """Precision is near 0 at an FID of 2000, whatever their classes are."""
    classes = (100, *(0,) * 9)
    noise = {"baseline": Story(classes=classes, fid=2000.0), "latent_dim=100": Story(classes=classes)}
    (part,) = mode_parts(content_of(measured_plan(), tmp_path, noise))
    verdicts = [row["Verdict, in seeds"] for row in rows_of(part.table)[1:3]]
    assert verdicts == ["no verdict (2 of 2)", "collapsed (2 of 2)"]
    assert part.verdicts[0].startswith("**baseline**: no verdict in 2 of 2 seeds: with a Precision of 0.0")


def test_the_evidence_has_the_counts_and_where_they_come_from(told: Path) -> None:
    document = atomic.read_json(told / "report" / "report.json")
    runs = {run["key"]: run for run in document["runs"]}
    mixed = next(one for one in document["classes"] if one["cell"] == "normalization=none")
    assert mixed["counts"] == [30, 60, 60, 60, 90, 60, 60, 60, 60, 60] and mixed["reference_counts"] == [100] * 10
    assert mixed["verdict_by_seed"]["1"] == "classes missing: 0"
    for source in mixed["sources"]:
        assert runs[source["key"]]["checkpoints"]["400"] == source["checkpoint_sha256"]
        assert source["protocol_sha256"] == document["columns"][0]["protocol_sha256"]
        assert len(source["class_counts"]) == 3


def test_counts_are_of_the_repeats_that_the_file_asks_for(tmp_path: Path) -> None:
    content = content_of(measured_plan(), tmp_path, {"baseline": Story(repeats=5)})
    found = classes_of(content, content.columns[0], content.cells[0])
    assert found is not None and found.counts == [60] * 10


def test_many_classes_have_no_column_each(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(1000)]
    kinds = {"classes": names, "class_counts": [[1] * 1000] * 3, "reference_class_counts": [1] * 1000}
    content = content_of(measured_plan(grid=[], seeds=[0]), tmp_path)
    (part,) = mode_parts(change(content, tmp_path, 0, **kinds))
    rows = rows_of(part.table)
    assert list(rows[0]) == [
        "#", "Cell", "Largest share", "Verdict, in seeds", "Class KL (digits) ↓",
    ]  # fmt: skip
    assert (rows[1]["Largest share"], rows[1]["Verdict, in seeds"]) == ("class 0: &lt; 1 %", "too few images (1 of 1)")
    assert max(len(line) for line in part.verdicts) < 200


def test_no_class_is_missing_where_none_could_be_judged(tmp_path: Path) -> None:
    content = content_of(measured_plan(grid=[], seeds=[0]), tmp_path, {"baseline": Story(classes=(1, 1, *(0,) * 8))})
    (part,) = mode_parts(content)
    assert rows_of(part.table)[1]["Verdict, in seeds"] == "too few images (1 of 1)"
    assert part.verdicts == ["**baseline**: too few images to judge."]


def test_of_one_class_in_the_real_images_nothing_is_told(tmp_path: Path) -> None:
    content = content_of(measured_plan(grid=[], seeds=[0]), tmp_path, {"baseline": Story(classes=(100, *(0,) * 9))})
    one = change(content, tmp_path, 0, reference_class_counts=[1000, *[0] * 9])
    (part,) = mode_parts(one)
    assert part.verdicts == ["**baseline**: the extractor sees one class in the real images."]
    few = change(content, tmp_path, 0, reference_class_counts=[1000, *[1] * 9])
    (part,) = mode_parts(few)
    assert part.verdicts == ["**baseline**: too few images to judge."]


def test_cells_whose_classes_were_not_counted_stay_in_the_table(tmp_path: Path) -> None:
    content = content_of(measured_plan(), tmp_path, {"generator=mlp": Story(evaluated=False)})
    (part,) = mode_parts(content)
    assert rows_of(part.table)[4]["`0`"] == "not counted"
    assert part.verdicts[0].count(";") == 2


def test_sections_are_there_only_where_the_file_asks(tmp_path: Path) -> None:
    def names(**changes: Any) -> set[str]:
        plan = small_plan(grid=[], **changes)
        prepare(plan, tmp_path / "-".join(["asked", *changes]))
        content = gather(read_experiment(plan, tmp_path / "-".join(["asked", *changes])))
        return {one.name for one in SECTIONS if one.is_asked_for(content)}

    assert not names() & {"modes", "interpolations"}
    assert names(report={"interpolations": [2, 3]}) & {"modes", "interpolations"} == {"interpolations"}
    counted = [{"samples": 100, "repeats": 3, "metrics": ["fid", "missing_classes"]}]
    assert names(evaluation=counted) & {"modes", "interpolations"} == {"modes"}
    counts = lived(only(small_plan(grid=[], evaluation=counted), "modes"), tmp_path / "counts")
    assert "classes.png" not in counts and "All classes there in every seed" in section(counts, "modes")
    sheets = lived(only(small_plan(grid=[], report={"classes": 64}), "modes"), tmp_path / "sheets")
    assert "figures/classes.png" in section(sheets, "modes") and "\n|" not in section(sheets, "modes")


def test_without_an_extractor_no_class_is_told(tmp_path: Path) -> None:
    plan = only(small_plan(grid=[], evaluation=[], report={"classes": 64}), "modes")
    text = report(plan, tmp_path, tmp_path / "report")
    assert "No class can be told: the file has no `[[evaluation]]`" in section(text, "modes")


def test_the_sheet_is_of_the_weights_and_the_resolution_that_are_measured(tmp_path: Path) -> None:
    block = {"repeats": 3, "resolution": 28, "generator_weights": "ema", "generator_mode": "train"}
    averaged = {"resolution": 16, "latent_dim": 16, "ema_decay": 0.9}
    plan = only(measured_plan(grid=[], evaluation=[block], baseline=averaged), "modes")
    shown = section(lived(plan, tmp_path / "ema"), "modes")
    assert "figures/classes.png" in shown and "the generator's ema weights" in shown
    assert "with the class that `digits` takes it for, which sees it at 28 pixels." in shown
    assert "Batch norm is in eval mode here, though values are measured in train mode." in shown
    plain = section(lived(only(measured_plan(grid=[], seeds=[0]), "modes"), tmp_path / "raw"), "modes")
    assert "the generator's raw weights" in plain and "sees it at 16 pixels" in plain and "Batch norm" not in plain


def test_the_first_extractor_that_is_there_tells_classes(tmp_path: Path) -> None:
    absent = {"extractor": "inception", "required": False, "repeats": 3}
    plan = only(measured_plan(grid=[], seeds=[0], evaluation=[absent, {"repeats": 3, "resolution": 8}]), "modes")
    prepare(plan, tmp_path, weights=None)
    write_run(plan.runs[0], plan, tmp_path, Story())
    shown = section(report(plan, tmp_path, tmp_path / "report"), "modes")
    assert "figures/classes.png" in shown and "with the class that `digits` takes it for" in shown


def test_where_every_evaluation_was_left_out_no_class_is_told_and_that_is_said(tmp_path: Path) -> None:
    absent = {"extractor": "inception", "required": False, "repeats": 3}
    plan = only(measured_plan(grid=[], seeds=[0], evaluation=[absent]), "modes")
    prepare(plan, tmp_path, weights=None)
    write_run(plan.runs[0], plan, tmp_path, Story())
    shown = section(report(plan, tmp_path, tmp_path / "report"), "modes")
    assert "No class is told: the evaluation was left out because its weights are missing" in shown
    assert "Nothing to show yet" not in shown


def test_a_trained_extractor_has_the_name_of_its_file_everywhere(tmp_path: Path) -> None:
    block = {"extractor": "trained", "extractor_weights": "nets/my-shoes.safetensors", "repeats": 3}
    text = lived(only(measured_plan(grid=[], seeds=[0], evaluation=[block]), "modes", "protocol"), tmp_path)
    assert "with the class that `my-shoes` takes it for" in section(text, "modes")
    assert re.search(r"\| Extractor +\| .*my-shoes", section(text, "protocol"))


def test_a_picture_too_large_to_be_opened_is_missing_and_said(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (20_000, 10_000)).save(path)
    picture, why = read_picture(path, {})
    assert picture is None and why(ENGLISH) == "the picture is too large to be opened"


def test_pictures_of_runs_are_traced_to_their_checkpoints(told: Path) -> None:
    document = atomic.read_json(told / "report" / "report.json")
    runs = {run["key"]: run for run in document["runs"]}
    for name in ("classes", "interpolations"):
        (picture,) = [one for one in document["pictures"] if one["path"] == f"figures/{name}.png"]
        assert len(picture["sources"]) == 4
        for source in picture["sources"]:
            assert source["step"] == 400 and runs[source["key"]]["checkpoints"]["400"] == source["checkpoint_sha256"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Interpolations(5, 11), "the picture on disk was drawn with another setting: points"),
        (Interpolations(5, 10, "slerp"), "the picture on disk was drawn with another setting: path"),
        (
            ClassSheet(64, "digits", "cd" * 32, "raw", 16),
            "the picture on disk was drawn with another setting: extractor SHA-256",
        ),
        (ClassSheet(50, "digits", SHA, "raw", 16), "the picture on disk was drawn with another setting: images"),
        (ClassSheet(64, "digits", SHA, "ema", 16), "the picture on disk was drawn with another setting: weights"),
        (
            ClassSheet(64, "digits", SHA, "raw", 28),
            "the picture on disk was drawn with another setting: resolution",
        ),
    ],
)
def test_a_picture_made_otherwise_is_missing_and_said(
    tmp_path: Path, asked: Interpolations | ClassSheet, reason: str
) -> None:
    plan = only(measured_plan(grid=[], seeds=[0]), "modes", "interpolations", "problems")
    live(plan, tmp_path)
    run = read_experiment(plan, tmp_path).runs[0]
    assert run.directory is not None
    write_picture(run.directory, run.run.key, run.checkpoints()[400], asked, 400)
    text = report(plan, tmp_path, tmp_path / "report")
    place, kind = {"interpolations": ("interpolations", "Interpolations"), "classes": ("modes", "Sheet of classes")}[
        asked.kind
    ]
    assert f"Missing: baseline, seed 0: {reason}" in section(text, place)
    assert f"{kind} of baseline, seed 0: {reason}." in section(text, "problems")
    assert not (tmp_path / "report" / "figures" / f"{asked.kind}.png").exists()


def test_a_run_on_its_way_has_no_picture_yet(tmp_path: Path) -> None:
    plan = only(measured_plan(), "modes", "interpolations")
    text = lived(plan, tmp_path, {"baseline": Story("interrupted", reached=200)})
    missing = "Missing: baseline, seed 0: not the last checkpoint yet (interrupted)"
    assert missing in section(text, "interpolations") and missing in section(text, "modes")
    assert "figures/interpolations.png" in section(text, "interpolations")


def test_the_same_runs_give_the_same_bytes_with_every_metric(told: Path, tmp_path: Path) -> None:
    report(shown_plan(), told / "runs", tmp_path)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) > 12 and set(METRICS) <= set((tmp_path / "report.json").read_text().split('"'))
    for name in names:
        assert (tmp_path / name).read_bytes() == (told / "report" / name).read_bytes()
