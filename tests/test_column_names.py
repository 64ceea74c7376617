"""Names of files that columns give: apart for protocols whose names differ in what a file name leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from report_data import live, measured_plan

from harness.report.columns import columns_of
from harness.report.content import gather
from harness.report.latex import latex_tables
from harness.report.pictures import slug
from harness.report.tables import MOST_METRICS
from harness.tracking.reader import read_experiment


def test_names_that_look_alike_give_files_apart(tmp_path: Path) -> None:
    plan = measured_plan(grid=[])
    live(plan, tmp_path)
    view = read_experiment(plan, tmp_path)
    block = view.blocks[0]
    names = ["my_net", "My-net", "网络", "模型", "digits"]
    runs = tuple(replace(run, protocols=run.protocols[:1] * len(names)) for run in view.runs)
    many = replace(view, blocks=tuple(replace(block, column=name) for name in names), runs=runs)
    columns = [column for column in columns_of(many) if column.metric == "fid"]
    slugs = [slug(column) for column in columns]
    assert [column.name for column in columns] == names
    assert len(set(slugs)) == len(names)
    assert slugs[-1] == "fid-digits"
    assert all(name.isascii() and not name.endswith("-") for name in slugs)
    pages = -(-len(block.settings.metrics) // MOST_METRICS)
    tables = latex_tables(gather(many))
    assert len([name for name in tables if name.startswith("tables/comparison")]) == pages * len(names)
