"""The examples run as they are, only shorter, and show what they say that they show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experiments import opened, run_here, statuses, views
from harness.execution.events import Event

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("*/*.toml"))
SHORT = (
    "seeds=[0]",
    "training={steps=6, log_every=2, checkpoint_every=6}",
    "evaluation.0.samples=32",
    "evaluation.0.repeats=1",
)


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one example's folder, as the current folder; its experiment file."""
    source = EXAMPLES / request.param
    shutil.copytree(source.parent, tmp_path / source.parent.name)
    monkeypatch.chdir(tmp_path / source.parent.name)
    return tmp_path / source.parent.name / source.name


def test_there_is_one_of_each_kind_and_the_page_lists_them() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(FILES) == 4
    for file in FILES:
        assert f"]({file.parent.name}/" in text
        lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
        assert any(f"`{line}`" in text for line in lines if line), file


@pytest.mark.parametrize("example", FILES, ids=lambda file: file.stem, indirect=True)
def test_an_example_trains_and_is_measured(example: Path) -> None:
    events: list[Event] = []
    run_here(example, *SHORT, events=events)
    assert {status.state for status in statuses(example, *SHORT).values()} == {"complete"}
    assert all(view.evaluation(0, 6) is not None for view in views(example, *SHORT).values())
    assert [event.text for event in events if event.kind == "note" and "(cell " in event.text] == []
    assert any((example.parent / "runs").glob("*/source/*/*.py"))


@pytest.mark.parametrize(
    ("example", "names"),
    [
        ("own_normalization/normalization.toml", ["baseline", "normalization=none", "power norm"]),
        ("own_generator/generator.toml", ["baseline", "residual", "residual, own.blocks=2", "residual, own.blocks=4"]),
        ("own_loss/loss.toml", ["baseline", "own.margin=0.1", "own.margin=5.0", "bce"]),
        ("own_data/data.toml", ["baseline", "resolution=32"]),
    ],
    indirect=["example"],
)
def test_the_cells_of_an_example_are_those_that_it_speaks_of(example: Path, names: list[str]) -> None:
    plan = opened(example).plan
    assert [cell.label for cell in plan.cells] == names
    assert all(cell.seeds == (0, 1) for cell in plan.cells)
