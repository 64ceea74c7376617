"""The one table of all benchmarks, and its check against committed ratios. No test looks at a time."""

from __future__ import annotations

import importlib
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
rows, bench, table = (importlib.import_module(name) for name in ("rows", "bench", "table"))
sys.path.remove(str(BENCHMARKS))

ROW = rows.Row("training.x", "training, one run", 20.0, "ms a step", 40.0, "by hand", 2.0, 0.1, 1.7, "ratio")
MACHINE = {"cpu": "a processor", "cores": 2, "gpu": None, "torch": "2.15", "system": "Linux"}


def found(*lines: Any) -> dict[str, Any]:
    return {"machine": MACHINE, "rows": [asdict(line) for line in lines]}


@pytest.mark.parametrize(("ratio", "worse"), [(2.0, False), (1.81, False), (1.79, True), (9.0, False)])
def test_a_ratio_may_fall_by_its_noise_and_no_more(ratio: float, worse: bool) -> None:
    lines = bench.worse_ratios(found(ROW), found(replace(ROW, ratio=ratio, ours=1.0)))
    assert bool(lines) is worse
    if worse:
        assert "training.x: 1.79 times the peer, was 2.00" in lines[0]


def test_a_noisy_measurement_does_not_excuse_itself() -> None:
    (line,) = bench.worse_ratios(found(ROW), found(replace(ROW, ratio=0.3, noise=1.1)))
    assert "0.30 times the peer" in line
    (line,) = bench.worse_ratios(found(ROW), found(replace(ROW, noise=1.1)))
    assert "too noisy" in line
    wild = replace(ROW, noise=5.0)
    assert bench.worse_ratios(found(wild), found(replace(ROW, ratio=1.5))) == []
    assert len(bench.worse_ratios(found(wild), found(replace(ROW, ratio=1.3)))) == 1


def test_a_line_that_is_absent_and_another_machine_are_told() -> None:
    assert "not measured now" in bench.worse_ratios(found(ROW), found())[0]
    assert bench.worse_ratios(found(ROW), found(), ["startup"]) == []
    other = found(ROW) | {"machine": {**MACHINE, "cpu": "another"}}
    assert "another machine" in bench.worse_ratios(found(ROW), other)[0]


def test_seconds_alone_are_never_compared() -> None:
    slower = replace(ROW, ours=2000.0, peer=4000.0)
    assert bench.worse_ratios(found(ROW), found(slower)) == []
    alone = replace(ROW, peer=None, ratio=None)
    assert bench.worse_ratios(found(alone), found(replace(alone, ours=99.0))) == []


def test_the_table_says_what_is_met_and_what_is_unmeasured() -> None:
    late = replace(ROW, what="a command", ours=0.3, ours_unit="s", target=0.25, target_of="ours", ratio=None, peer=None)
    text = table.text_table(MACHINE, [ROW, replace(ROW, ratio=1.2), late], bench.UNMEASURED)
    lines = text.splitlines()
    assert lines[0] == "a processor, 2 cores, no GPU, torch 2.15, Linux"
    assert [line.split()[-1] for line in lines[3:6]] == ["yes", "no", "no"]  # no notes here
    assert sum("unmeasured" in line for line in lines) == len(bench.UNMEASURED)


def test_a_page_gets_its_part_anew() -> None:
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter"
    filled = table.page_part(page, MACHINE, [ROW], ())
    assert "old" not in filled
    assert filled.startswith("before") and filled.endswith("after")
    assert table.page_part(filled, MACHINE, [ROW], ()) == filled
    with pytest.raises(ValueError, match="no part"):
        table.page_part("empty", MACHINE, [ROW], ())
