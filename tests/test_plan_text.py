"""The plan for people: a table where it fits, else a line per cell; levels that change nothing are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import write_file
from harness.cli.app import app
from harness.cli.design import plan_text
from harness.design.experiment_file import read_experiment_file
from harness.tracking.reader import ExperimentView, read_experiment

FILE = """
name = "tiny"
seeds = [0, 1, 2]
[[cell]]
name = "wide"
generator_kernel_size = 5
label_swap = 0.1
[[cell]]
name = "flat"
generator = "mlp"
[[cell]]
name = "swapped"
label_swap = 0.1
label_swap_decay = 0.5
[[grid]]
name = "again"
levels.generator = ["mlp"]
"""


def view_of(folder: Path, text: str = FILE) -> ExperimentView:
    return read_experiment(read_experiment_file(write_file(folder, text)).plan, folder / "runs")


def test_a_table_has_a_sign_for_a_factor_that_changes_nothing(tmp_path: Path) -> None:
    _, _, header, *rows = plan_text(view_of(tmp_path)).splitlines()
    assert header.split()[:5] == ["cell", "generator", "generator_kernel_size", "label_swap", "label_swap_decay"]
    levels = {row.split()[0]: row.split()[1:5] for row in rows[:4]}
    assert levels == {
        "baseline": ["cnn", "4", "0.0", "-"],
        "wide": [".", "5", "0.1", "none"],  # the baseline's own level, but here it matters
        "flat": ["mlp", "-", ".", "-"],
        "swapped": [".", ".", "0.1", "0.5"],
    }
    assert "-: the factor changes nothing in that cell" in rows
    assert "the factor changes nothing" not in plan_text(view_of(tmp_path, FILE.split("[[cell]]")[0]))


def test_what_is_wider_than_the_page_is_a_line_for_each_cell(tmp_path: Path) -> None:
    view = view_of(tmp_path)
    table = plan_text(view).splitlines()[2:]
    widest = max(map(len, table))
    assert plan_text(view, widest).splitlines()[2:] == table
    _, _, *lines = plan_text(view, widest - 1).splitlines()
    assert lines == [
        "the baseline's levels: generator=cnn, generator_kernel_size=4, label_swap=0.0, label_swap_decay=-",
        "baseline: as the baseline; seeds 0-2; done 0/3",
        "flat: generator=mlp, generator_kernel_size=-; seeds 0-2; done 0/3; also named by again",
        "wide: generator_kernel_size=5, label_swap=0.1, label_swap_decay=none; seeds 0-2; done 0/3",
        "swapped: label_swap=0.1, label_swap_decay=0.5; seeds 0-2; done 0/3",
        "",
        "-: the factor changes nothing in that cell",
    ]


def test_a_plan_that_is_read_by_no_terminal_has_120_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    path = write_file(tmp_path, FILE)
    app(["plan", str(path), "--runs-dir", str(tmp_path)], standalone_mode=False)
    assert "label_swap_decay  seeds" in capsys.readouterr().out
    write_file(tmp_path, FILE + '\n[[cell]]\nname = "' + "n" * 60 + '"\nlatent_dim = 7\n')
    app(["plan", str(path), "--runs-dir", str(tmp_path)], standalone_mode=False)
    assert "the baseline's levels: generator=cnn, latent_dim=100" in capsys.readouterr().out
