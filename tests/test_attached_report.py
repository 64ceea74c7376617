"""The report in the tracking store: what of its folder is put there, and whether it tells of the runs as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tracking_data import Laboratory, artifact_folder, database, parents

from harness.store import atomic
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import StoreAddress

pytest_plugins = ["tracking_fixtures"]


def written(report: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files, and a report.json that names them."""
    for name, content in files.items():
        (report / name).parent.mkdir(parents=True, exist_ok=True)
        (report / name).write_bytes(content)
    atomic.write_json(report / "report.json", {"files": {name: "" for name in files}})
    return report


def test_only_the_report_and_notes_are_shared(lab: Laboratory, address: StoreAddress, tmp_path: Path) -> None:
    lab.complete(0)
    report = written(tmp_path / "report", {"report.md": b"# one", "figures/old.png": b"old"})
    (report / "notes").mkdir()
    (report / "notes" / "summary.md").write_text("mine, and meant for the report")
    for name in ("thesis.tex", "figures/mine.png", ".lock", "live.html"):
        (report / name).write_text("nobody else's business")
    project(lab.view(), address)
    finish(lab.view(), address, report)
    assert is_up_to_date(lab.view(), address, report)
    written(report, {"report.md": b"# two", "figures/new.png": b"new"})
    assert not is_up_to_date(lab.view(), address, report)
    finish(lab.view(), address, report)
    with connected(address) as client:
        parent = client.get_run(parents(database(lab))[0].run_id)
        kept = artifact_folder(parent.info.artifact_uri) / "report"
    assert (kept / "report.md").read_text(encoding="utf-8") == "# two"
    found = sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*.*"))
    assert found == ["figures/new.png", "notes/summary.md", "report.json", "report.md"]


def test_a_report_that_the_runs_outgrew_is_told_as_such(lab: Laboratory, address: StoreAddress, tmp_path: Path) -> None:
    def tag() -> str | None:
        with connected(address) as client:
            told: str | None = client.get_run(parents(database(lab))[0].run_id).data.tags.get("harness.report")
        return told

    report = written(tmp_path / "report", {"report.md": b"# one"})
    lab.complete(0)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    assert not tag()
    finish(lab.view(), address, report)
    assert tag() == "of these runs as they are"
    lab.complete(1)
    assert not is_up_to_date(lab.view(), address)
    project(lab.view(), address)
    finish(lab.view(), address, None)  # as after `--no-report`, or a refusal
    told = tag()
    assert told is not None and told.startswith("older than these runs: `harness report FILE`")
    assert is_up_to_date(lab.view(), address)
    finish(lab.view(), address, report)
    assert tag() == "of these runs as they are"
    assert is_up_to_date(lab.view(), address, report)
