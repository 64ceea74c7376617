"""Two `[[evaluation]]` blocks in one file: each its own column, and weights that nobody knows marked everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import TINY, opened, run_here, views, write_file
from harness.cli.app import app
from harness.report.render import render_report
from harness.tracking.reader import read_experiment

BLOCK = """
[[evaluation]]
extractor = "inception"
extractor_weights = "{weights}"
unverified_weights = true
samples = 6
repeats = 2
reference = 6
at = "last"
"""


@pytest.fixture(scope="module")
def measured(random_inception: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    block = BLOCK.format(weights=random_inception.as_posix())
    text = TINY[: TINY.index("[[grid]]")].replace("[report]", block + "\n[report]")
    path = write_file(tmp_path_factory.mktemp("two"), text)
    run_here(path)
    return path


def test_both_are_measured_each_under_its_own_protocol(measured: Path) -> None:
    view = views(measured)["baseline seed 0"]
    assert view.status.state == "complete"
    digits, inception = view.evaluation(0, 24), view.evaluation(1, 24)
    assert digits and inception
    assert digits.protocol_sha256 != inception.protocol_sha256
    assert inception.protocol["extractor"] == "inception"
    assert len(inception.values["fid"]) == 2
    assert view.evaluation(0, 12) is not None
    assert view.evaluation(1, 12) is None  # at = "last"


def test_unverified_weights_are_marked_wherever_their_numbers_stand(
    measured: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    view = read_experiment(opened(measured).plan, measured.parent / "runs")
    assert [block.key for block in view.blocks] == ["digits", "inception-unverified"]
    report = render_report(view, tmp_path / "report").read_text()
    assert "FID (digits)" in report
    assert "FID (inception, unverified weights)" in report
    assert "FID (inception)" not in report
    first = 'evaluation = [{extractor = "inception", extractor_weights = "%s", unverified_weights = true, samples = 6, '
    only = (first + "repeats = 2, reference = 6}]") % view.blocks[1].settings.extractor_weights
    app(
        ["status", str(measured), "--runs-dir", str(measured.parent / "runs"), "--set", only.replace(" = [", "=[", 1)],
        standalone_mode=False,
    )
    assert "FID (inception, unverified weights)" in capsys.readouterr().out
