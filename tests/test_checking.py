"""Networks are tried before anything trains: each distinct pair once, whenever in a call its cells come up."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import TINY, opened, write_file
from harness.data.own_code import OwnCode
from harness.errors import OwnPartError
from harness.execution.checking import NetworkChecks
from harness.execution.events import Event
from harness.store.rundir import ExperimentDirectory
from harness.store.source import keep_sources

NETS = """
from torch import nn

MADE = []

def norm(channels):
    MADE.append(channels)
    if channels > 40:
        raise ValueError("too wide for me")
    return nn.BatchNorm2d(channels)
"""
CELLS = """
[[cell]]
name = "one"
lr = 1e-3
[[cell]]
name = "two"
lr = 1e-4
[[cell]]
name = "wide"
hidden_dim = 64
"""


def test_each_distinct_pair_is_tried_once_and_what_comes_later_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("norms.py").write_text(NETS)
    text = TINY[: TINY.index("[[grid]]")].replace("[baseline]", '[baseline]\nnormalization = "norms.py:norm"') + CELLS
    plan = opened(write_file(tmp_path, text.replace("resolution = 8", "resolution = 16"))).plan
    code = OwnCode(keep_sources(ExperimentDirectory(tmp_path / "runs"), plan.sources))
    cells = {cell.name: cell for cell in plan.cells}
    checks, events = NetworkChecks(1, code), list[Event]()

    checks.tell([cells["baseline"], cells["one"]], events.append)
    made = code.load("norms.py:MADE")
    once = len(made)
    assert once > 0
    checks.tell([cells["two"], cells["baseline"]], events.append)
    assert len(made) == once
    with pytest.raises(OwnPartError, match=r"too wide for me \(cell wide\)") as caught:
        checks.tell([cells["one"], cells["wide"]], events.append)
    assert caught.value.where.startswith("norms.py:9")
