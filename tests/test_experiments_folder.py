"""The experiments that ship: each has the cells and counts that were published, and runs, reduced, to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.cli import app
from harness.design.experiment_file import read_experiment_file

FOLDER = Path(__file__).resolve().parents[1] / "experiments"

MNIST = {
    "baseline": (57_936, 42_545),
    "hidden 100": (1_706_100, 1_609_901),
    "latent 100": (143_952, 42_545),
    "both 100": (2_243_700, 1_609_901),
    "architecture=mlp": (21_328, 68_321),
    "generator_activation=relu": (57_936, 42_545),
    "discriminator_activation=relu": (57_936, 42_545),
    "only ReLU": (57_936, 42_545),
    "G 100, D 16": (1_706_100, 42_545),
}
"""Trainable values of generator and discriminator, as published."""

VERSIONS = ("v1", "v2", "v3.0", "v3.1", "v3.2", "v3.2b", "v4.0", "v4.1", "v5.0")
UPDATES = (200, 300, 10, 30, 1, 5, 1, 1, 1)

SMALL_EVALUATION = ("samples=32", "reference=32", "repeats=1")


def checked(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """`plan --check --json` of one file: its cells by all names that they have."""
    app(["plan", str(FOLDER / name), "--check", "--json", "--runs-dir", str(tmp_path)], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert document["warnings"] == []
    return {called: cell for cell in document["cells"] for called in (cell["name"], *cell["names"])}


def counts(cell: dict[str, Any]) -> tuple[int, int]:
    return cell["parameters"]["generator"], cell["parameters"]["discriminator"]


def megabytes(cell: dict[str, Any], network: str) -> float:
    return float(cell["weights_bytes"][network]) / 1e6


def test_mnist_has_the_published_cells_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = checked("mnist.toml", tmp_path, capsys)
    assert {name: counts(cells[name]) for name in MNIST} == MNIST
    assert set(cells) == {*MNIST, "normalization=none"}


def test_resolution_has_the_four_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = checked("resolution.toml", tmp_path, capsys)
    assert set(cells) == {
        "baseline", "regularised", "learning-rate gap", "128x128", "kernel_size=4", "initialization=dcgan",
    }  # fmt: skip
    assert counts(cells["regularised"]) == counts(cells["learning-rate gap"]) == counts(cells["baseline"])
    assert counts(cells["128x128"]) > counts(cells["baseline"]) > counts(cells["kernel_size=4"])
    rates = [cells["learning-rate gap"]["hyperparameters"][f"{name}_lr"] for name in ("generator", "discriminator")]
    assert rates[0] - rates[1] == pytest.approx(1e-4)


def test_versions_have_the_stated_weights_and_updates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = checked("versions.toml", tmp_path, capsys)
    assert tuple(cells[name]["hyperparameters"]["generator_steps"] for name in VERSIONS) == UPDATES
    for name in ("v3.0", "v3.1", "v3.2", "v3.2b", "v4.0", "v4.1"):
        assert megabytes(cells[name], "generator") == pytest.approx(40, rel=0.02)
        assert cells[name]["parameters"]["discriminator"] == 1_309
        assert megabytes(cells[name], "discriminator") == pytest.approx(0.005, rel=0.1)
    assert megabytes(cells["v5.0"], "generator") == pytest.approx(1, rel=0.05)
    assert megabytes(cells["v5.0"], "discriminator") == pytest.approx(40, rel=0.05)
    assert "real_label=0.9,1.0" in cells


def test_stable_has_the_published_counts_and_every_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = checked("stable.toml", tmp_path, capsys)
    assert counts(cells["baseline"]) == (856_065, 2_756_801)
    assert len(cells) == 9
    assert cells["WGAN loss"]["hyperparameters"]["loss"] == "wasserstein_gp"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_every_file_plans_without_data_and_fits_on_a_line(file: Path, tmp_path: Path) -> None:
    assert read_experiment_file(file).plan.runs
    assert all(len(line) <= 130 for line in file.read_text(encoding="utf-8").splitlines())


@pytest.fixture
def photographs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 255, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    yield folder


def run_reduced(name: str, sets: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs every cell of one file with one seed; returns report.json."""
    monkeypatch.chdir(tmp_path)
    options = [part for text in ("seeds=[0]", *sets) for part in ("--set", text)]
    code = app(
        ["run", str(FOLDER / name), *options, "--executor", "inline", "--tracking-uri", "none"], standalone_mode=False
    )
    assert code == 0
    report: dict[str, Any] = json.loads(next((tmp_path / "reports").glob("*/report.json")).read_text(encoding="utf-8"))
    assert {run["state"] for run in report["runs"]} == {"complete"}
    return report


def small(block: int) -> tuple[str, ...]:
    return tuple(f"evaluation.{block}.{text}" for text in SMALL_EVALUATION)


def test_mnist_runs_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (
        "data.source=digits", "training.steps=2", "training.checkpoint_every=2", "baseline.batch_size=4",
        "grid.0.levels.hidden_dim=[16, 20]", "cell.1.hidden_dim=20", "cell.2.hidden_dim=20",
        "cell.4.generator_hidden_dim=20",
    )  # fmt: skip
    report = run_reduced("mnist.toml", (*sets, *small(0), *small(1), "evaluation.0.repeats=2"), tmp_path, monkeypatch)
    assert report["left_out"] == ["inception"]
    assert len(report["runs"]) == 10
    assert len(report["numbers"]) == 8 * 10  # eight metrics


def test_resolution_runs_reduced(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (
        f"data.root={photographs}", "data.images=4", "training.epochs=1", "training.checkpoint_every_epochs=1",
        "baseline.batch_size=2", "baseline.hidden_dim=2", "cell.2.hidden_dim=1",
    )  # fmt: skip
    report = run_reduced("resolution.toml", sets, tmp_path, monkeypatch)
    assert {run["step"] for run in report["runs"]} == {2}


def test_versions_run_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (
        "data.source=digits", "training.epochs=1", "baseline.limit=8", "baseline.batch_size=4",
        "baseline.discriminator_hidden_dim=4",
        *(f"cell.{index}.generator_steps=2" for index in range(4)),
        *(f"cell.{index}.generator_hidden_dim=8" for index in range(2, 8)),
    )  # fmt: skip
    report = run_reduced("versions.toml", (*sets, *small(0)), tmp_path, monkeypatch)
    assert len(report["runs"]) == 10


def test_stable_runs_reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (
        "data.source=digits", "training.epochs=1", "training.checkpoint_every_epochs=1", "baseline.limit=320",
        "baseline.generator_hidden_dim=4", "baseline.discriminator_hidden_dim=4",
    )  # fmt: skip
    report = run_reduced("stable.toml", (*sets, *small(0)), tmp_path, monkeypatch)
    steps = {run["cell"]: run["step"] for run in report["runs"]}
    assert (steps["baseline"], steps["batch_size=128"], steps["WGAN loss"]) == (5, 2, 1)
