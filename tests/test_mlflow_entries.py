"""What MLflow's page shows beside points: samples by step, data sets, what a process took, notes, the shared view."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image
from tracking_data import Laboratory, artifact_folder, assert_mirrors, children, database, parents, small_experiment

from harness.store import atomic
from harness.store.records import append_record
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project, project_and_finish
from harness.tracking.shared_view import varied_parameters
from harness.tracking.stores import StoreAddress

pytest_plugins = ["tracking_fixtures"]


def draw(lab: Laboratory, index: int) -> None:
    """Real pictures where the laboratory has bytes that are none."""
    directory = lab.directory(index)
    for step in lab.view().runs[index].checkpoints():
        content = io.BytesIO()
        Image.new("L", (600, 300), color=step).save(content, "PNG")
        atomic.write_bytes(directory.samples(step), content.getvalue())


def images(lab: Laboratory, address: StoreAddress, index: int) -> dict[str, bytes]:
    """What lies in the store's folder `images` of a run."""
    with connected(address) as client:
        run = client.get_run(children(database(lab))[lab.plan.runs[index].key].run_id)
    return {path.name: path.read_bytes() for path in (artifact_folder(run.info.artifact_uri) / "images").glob("*")}


def rows(lab: Laboratory, query: str) -> list[Any]:
    with closing(sqlite3.connect(database(lab))) as store:
        return store.execute(query).fetchall()


def test_samples_lie_where_log_image_lays_them_under_names_that_stay(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    draw(lab, 0)
    project(lab.view(), address)
    first = images(lab, address, 0)
    times = {record["step"]: round(record["time"] * 1000) for record in lab.view().runs[0].metrics()}
    words = [name.split("+") for name in sorted(first) if name.endswith(".png")]
    assert [name[:5] for name in words] == [
        ["samples", "step", str(step), "timestamp", str(times[step])] for step in (20, 40)
    ]
    for name in (name for name in first if name.endswith(".png")):
        step = int(name.split("+")[2])
        assert first[name] == lab.directory(0).samples(step).read_bytes()
        small = Image.open(io.BytesIO(first[f"{name.removesuffix('.png')}+compressed.webp"]))
        assert (small.format, small.size) == ("WEBP", (256, 128))
    assert len(first) == 4
    assert children(database(lab))[lab.plan.runs[0].key].tags["mlflow.loggedImages"] == "True"
    lab.directory(0).cursor(address.fingerprint).unlink()
    assert project(lab.view(), address).rebuilt == 1
    assert images(lab, address, 0) == first


def test_a_picture_that_is_none_ends_nothing(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)  # its sample pictures are no pictures
    project(lab.view(), address)
    assert sorted(Path(name).suffix for name in images(lab, address, 0)) == [".png", ".png"]
    finish(lab.view(), address, None)
    assert is_up_to_date(lab.view(), address)


def test_data_sets_are_entered_once(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0, 1)
    project(lab.view(), address)
    lab.experiment = small_experiment(training={"steps": 60, "log_every": 10, "checkpoint_every": 20})
    lab.train(0, 60)
    lab.measure(0)
    project(lab.view(), address)
    found = rows(
        lab,
        "SELECT inputs.destination_id, datasets.name, datasets.digest, input_tags.value FROM inputs "
        "JOIN datasets ON datasets.dataset_uuid = inputs.source_id "
        "JOIN input_tags ON input_tags.input_uuid = inputs.input_uuid WHERE inputs.source_type = 'DATASET'",
    )
    runs = {run.run_id for run in children(database(lab)).values()}
    assert {row[0] for row in found} == runs and len(found) == 2 * len(runs)
    names = {(name, context) for _, name, _, context in found}
    assert names == {("digits train", "training"), ("digits train, reference of digits", "evaluation")}
    assert {digest for _, name, digest, _ in found if name == "digits train"} == {"d" * 36}


def test_samples_of_the_process_are_points_of_their_own(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    system = lab.directory(0).system

    def note(step: int) -> None:
        append_record(system, {"step": step, "time": 1_700_000_000.0 + step, "system/process_memory_megabytes": 100.0})

    def noted() -> list[Any]:
        return rows(lab, "SELECT step, value FROM metrics WHERE key LIKE 'system/%' ORDER BY step")

    note(0)
    project(lab.view(), address)
    note(1)
    assert not is_up_to_date(lab.view(), address)
    done = project(lab.view(), address)
    assert (done.points, done.rebuilt) == (1, 0)
    with system.open("ab") as file:
        file.write(b'{"step":2,"time":17')  # of a process that was killed
    finish(lab.view(), address, None)
    assert is_up_to_date(lab.view(), address)
    assert noted() == [(0, 100.0), (1, 100.0)]
    system.unlink()
    assert project(lab.view(), address).rebuilt == 1
    assert_mirrors(lab)


def test_notes_say_where_to_look(lab: Laboratory, address: StoreAddress, tmp_path: Path) -> None:
    def note() -> str:
        return parents(database(lab))[0].tags["mlflow.note.content"]

    report = tmp_path / "report"
    report.mkdir()
    summary = "## Summary\n\nNo effect is shown.\n\n" + "Much more. " * 400 + "\n\n## Cells\n\nelse"
    (report / "report.md").write_text(f"# small\n\nmade today\n\n{summary}", encoding="utf-8")
    atomic.write_json(report / "report.json", {"files": {"report.md": ""}})
    lab.complete(0)
    project_and_finish(lab.view(), address, report)
    assert "| baseline |" in note() and "No effect is shown." in note() and "`report/report.md`" in note()
    assert "Much more" not in note() and "else" not in note() and "made today" not in note()
    assert is_up_to_date(lab.view(), address, report)
    lab.complete(1)
    project_and_finish(lab.view(), address, None)
    assert "No effect is shown." not in note()  # that was said of other runs
    (experiment,) = rows(lab, "SELECT value FROM experiment_tags WHERE key = 'mlflow.note.content'")
    assert f"/runs/{parents(database(lab))[0].run_id}/artifacts" in experiment[0]


def test_the_shared_view_holds_what_varies_and_the_first_metric(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    ((value,),) = rows(lab, "SELECT value FROM experiment_tags WHERE key = 'mlflow.sharedViewState.harness'")
    kind, _, packed = value.partition(";")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert kind == "deflate" and len(value) < 5000
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`eval/fid.digits`", True)
    parallel = state["compareRunCharts"][0]
    assert (parallel["type"], parallel["selectedParams"]) == ("PARALLEL", ["latent_dim"])
    assert parallel["selectedMetrics"] == ["eval/fid.digits"]
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections


def test_fields_that_differ_alike_are_one_axis(lab: Laboratory) -> None:
    lab.experiment = small_experiment(cell=({"hidden_dim": 8}, {"latent_dim": 7}))
    assert varied_parameters(lab.view()) == ("latent_dim", "generator_hidden_dim")
