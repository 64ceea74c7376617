"""How `--only`, `--cell`, `--retry` and `--seeds` find cells and runs, and which cell is best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiments import run_here, write_file
from harness.cli.options import chosen_keys, find_cell, open_file, parse_seeds, view_of
from harness.errors import HarnessError
from harness.store.evaluations import Evaluation, write_evaluation
from harness.tracking.reader import ExperimentView

LEVELS = """
name = "tiny"
seeds = [0, 1]
[[grid]]
kind = "one-at-a-time"
levels.generator_lr = [1e-4]
levels.latent_dim = [8]
levels.betas = [[0.5, 0.9], [0.0, 0.9]]
levels.limit = [500]
[[cell]]
name = "both"
latent_dim = 8
generator_lr = 1e-4
"""

MEASURED = """
name = "tiny"
seeds = [0, 1]
[baseline]
resolution = 8
latent_dim = 8
hidden_dim = 4
batch_size = 32
[training]
steps = 4
log_every = 2
checkpoint_every = 4
[[evaluation]]
samples = 32
repeats = 2
reference = 100
generator_mode = "train"
[report]
samples = 4
[[cell]]
name = "mlp"
architecture = "mlp"
seeds = [0]
"""


def view_here(folder: Path, *sets: str) -> ExperimentView:
    return view_of(open_file(folder / "tiny.toml", list(sets)), folder / "runs")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("generator_lr=1e-4", "generator_lr=0.0001"),
        ("generator_lr=0.00010", "generator_lr=0.0001"),
        (" latent_dim = 8 ", "latent_dim=8"),
        ("latent_dim=0x8", "latent_dim=8"),
        ("betas=0.5,0.9", "betas=0.5,0.9"),
        ("betas = [0.5, 0.9]", "betas=0.5,0.9"),
        ("generator_betas=0,0.9, discriminator_betas=0, 0.9", "betas=0.0,0.9"),
        ("limit=500", "limit=500"),
        ("limit=all", "baseline"),
        ("limit='all'", "baseline"),
        ("generator_lr=1e-4,latent_dim=8", "both"),
        ("latent_dim=100", "baseline"),
    ],
)
def test_levels_are_compared_as_values(tmp_path: Path, text: str, cell: str) -> None:
    write_file(tmp_path, LEVELS)
    assert find_cell(view_here(tmp_path), text) == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latent_dim=9", "no cell is called 'latent_dim=9'"),
        ("latent_dim=8.0", "'8.0' is no level of latent_dim; allowed: 1 to 65536"),
        ("latent_dim=0", "'0' is no level of latent_dim"),
        ("latent_dim=" + "9" * 5000, "is no level of latent_dim"),
        ("latent_dim=", "'latent_dim=' is no level"),
        ("latent_dim=8,latent_dim=8", "latent_dim is named twice"),
        ("architecture=rnn", r"'rnn' is no level of architecture; allowed: cnn \| mlp"),
        ("betas=0.5", "'0.5' is no level of betas"),
        ("depth=3", "'depth' is no factor"),
    ],
)
def test_what_is_no_level_is_refused_behind_its_option(tmp_path: Path, text: str, message: str) -> None:
    write_file(tmp_path, LEVELS)
    view = view_here(tmp_path)
    with pytest.raises(HarnessError, match=message) as caught:
        find_cell(view, text, "--cell")
    assert caught.value.where == f"--cell {text}"
    with pytest.raises(HarnessError, match=message) as caught:
        chosen_keys(view, [text], None)
    assert caught.value.where == f"--only {text}"


def test_a_name_beats_a_label_and_a_label_of_two_cells_means_none(tmp_path: Path) -> None:
    write_file(tmp_path, LEVELS + '[labels]\nbaseline = "both"\n"latent_dim=8" = "x"\n"limit=500" = "x"\n')
    view = view_here(tmp_path)
    assert find_cell(view, "both") == "both"
    with pytest.raises(HarnessError, match="2 cells are labeled 'x'"):
        find_cell(view, "x")


@pytest.mark.parametrize(
    "text", ["", " ", "²", "0-²", "1-", "-1", "0,,1", "9" * 5000, "0-" + "9" * 11, "4-0", "0-100000"]
)
def test_what_is_no_range_of_seeds_is_refused(tmp_path: Path, text: str) -> None:
    write_file(tmp_path, LEVELS)
    with pytest.raises(HarnessError, match=r"seeds|ends before") as caught:
        chosen_keys(view_here(tmp_path), None, text)
    assert caught.value.where == "--seeds"
    assert len(str(caught.value)) < 200


def test_seeds_leave_the_runs_that_have_them(tmp_path: Path) -> None:
    write_file(tmp_path, LEVELS)
    view = view_here(tmp_path)
    assert parse_seeds("0 - 2, 7") == {0, 1, 2, 7}
    assert chosen_keys(view, ["both"], "1-9") == {run.key for run in view.plan.runs if run.name == "both seed 1"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three finished runs of two cells."""
    path = write_file(tmp_path_factory.mktemp("best"), MEASURED)
    run_here(path)
    return path.parent


def store_values(view: ExperimentView, name: str, fid: list[float]) -> None:
    """Replaces what was measured of one run."""
    run = next(run for run in view.runs if run.run.name == name)
    evaluation = view.last_measured(run)
    assert run.directory and isinstance(evaluation, Evaluation)
    write_evaluation(run.directory, replace(evaluation, values={"fid": fid}))


def test_best_ranks_complete_cells_by_the_repeats_that_the_file_asks_for(measured: Path) -> None:
    view = view_here(measured)
    store_values(view, "baseline seed 0", [2.0, 2.0, 900.0])  # the third repeat is of an earlier file
    store_values(view, "baseline seed 1", [2.0, 2.0])
    store_values(view, "mlp seed 0", [3.0, 3.0])
    assert find_cell(view_here(measured), "best") == "baseline"
    assert find_cell(view_here(measured, "evaluation.0.repeats=1"), "best") == "baseline"
    half = view_here(measured, "seeds=[0,1,2]")  # the baseline's third seed is missing, so its mean is no mean yet
    assert find_cell(half, "best") == "mlp"


def test_best_is_refused_where_values_do_not_compare(measured: Path) -> None:
    with pytest.raises(HarnessError, match="no cell has all of its runs complete"):
        find_cell(view_here(measured, "training.steps=8"), "best", "--cell")
    with pytest.raises(HarnessError, match=r"no \[\[evaluation\]\]"):
        find_cell(view_here(measured, "evaluation=[]"), "best")
    write_file(measured, MEASURED + '[[cell]]\nname = "small batch"\nbatch_size = 8\nseeds = [0]\n')
    try:
        run_here(measured / "tiny.toml")
        with pytest.raises(HarnessError, match="different protocols") as caught:
            find_cell(view_here(measured), "best", "--only")
        assert caught.value.where == "--only best"
    finally:
        write_file(measured, MEASURED)
