"""Epochs are steps of a cell's own images and batches; and what else of training a plan settles."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import cell_named, first_line, plan_of, read

from harness.design.experiment import DataSettings, TrainingSettings

EPOCHS = "[training]\nepochs = 3\ncheckpoint_every_epochs = 1\n"


@pytest.mark.parametrize(
    ("levels", "steps", "checkpoints"),
    [
        ("", 84, (28, 56, 84)),  # 1797 // 64 = 28 batches
        ("batch_size = 100", 51, (17, 34, 51)),
        ("batch_size = 1797", 3, (1, 2, 3)),
        ("limit = 640", 30, (10, 20, 30)),
        ("limit = 5000", 84, (28, 56, 84)),
        ("discriminator_steps = 5", 17, (6, 12, 17)),  # 84 / 5 and 28 / 5, rounded up
        ("discriminator_steps = 100", 1, (1,)),
        ("generator_steps = 5", 84, (28, 56, 84)),
    ],
)
def test_epochs_of_a_cells_own_images(tmp_path: Path, levels: str, steps: int, checkpoints: tuple[int, ...]) -> None:
    plan = plan_of(tmp_path, f"{EPOCHS}log_every = 7\n[[cell]]\nname = 'x'\nlatent_dim = 3\n{levels}")
    training = cell_named(plan, "x").training
    assert training == TrainingSettings(steps=steps, log_every=7, checkpoint_every=checkpoints[0])
    assert training.checkpoint_steps() == checkpoints
    assert cell_named(plan, "baseline").training.steps == 84


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        ("source = 'mnist'", 3 * 937),
        ("source = 'mnist'\nsplit = 'test'", 3 * 156),
        ("source = 'fashion-mnist'", 3 * 937),
        ("source = 'cifar10'", 3 * 781),
        ("source = 'folder'\nimages = 200", 9),
    ],
)
def test_epochs_of_every_source(tmp_path: Path, data: str, steps: int) -> None:
    assert plan_of(tmp_path, f"[data]\n{data}\n{EPOCHS}").cells[0].training.steps == steps


def test_in_steps_every_cell_trains_what_the_file_says(tmp_path: Path) -> None:
    file = read(tmp_path, 'name = "e"\n[training]\nsteps = 7\n[[grid]]\nlevels.batch_size = [8, 16]')
    assert {cell.training for cell in file.plan.cells} == {file.experiment.training}


def test_checkpoints_by_epochs_of_a_run_in_steps_and_the_other_way_round(tmp_path: Path) -> None:
    (cell,) = plan_of(tmp_path, "[training]\nsteps = 60\ncheckpoint_every_epochs = 1").cells
    assert cell.training.checkpoint_steps() == (28, 56, 60)
    (cell,) = plan_of(tmp_path, "[training]\nepochs = 2\ncheckpoint_every = 50").cells
    assert cell.training.checkpoint_steps() == (50, 56)


def test_the_number_of_images_is_in_no_key() -> None:
    assert DataSettings(source="folder", images=5).declared() == DataSettings(source="folder").declared()
    assert (DataSettings(source="folder", images=5).count, DataSettings(source="folder").count) == (5, None)


def test_a_schedule_puts_the_steps_of_the_cell_into_its_key(tmp_path: Path) -> None:
    def keys(training: str) -> list[str]:
        plan = plan_of(tmp_path, f"[training]\n{training}\n[[grid]]\nlevels.lr_decay_from = [0.5]")
        return [run.key for run in plan.runs]

    in_epochs, in_steps, longer = keys("epochs = 2"), keys("steps = 56"), keys("steps = 57")
    assert in_epochs == in_steps
    assert [before == after for before, after in zip(in_steps, longer, strict=True)] == [True, False]


@pytest.mark.parametrize(
    ("addition", "line", "key", "what"),
    [
        ("[training]\nsteps = 5\nepochs = 1", 2, "training", "steps and epochs say the same thing twice; keep one"),
        ("[training]\ncheckpoint_every = 5\ncheckpoint_every_epochs = 1", 2, "training", "checkpoint_every and"),
        ("[training]\nepochs = 0", 3, "training.epochs", "0 is outside the domain; allowed: at least 1"),
        ("[data]\nsource = 'folder'\n[training]\nepochs = 1", 5, "training.epochs", "not known before they are read"),
        ("[training]\nepochs = 1\n[[cell]]\nbatch_size = 1798", 3, "training.epochs",
         "batch_size 1,798 is more than the 1,797 images of a cell"),
        ("[training]\nepochs = 1\n[[cell]]\nlimit = 50", 3, "training.epochs", "more than the 50 images"),
        ("[training]\nepochs = 1000000000", 3, "training.epochs", "28,000,000,000 steps are more than"),
        ("[training]\nepochs = 1000000\ncheckpoint_every = 1", 2, "training", "more than 10,000 checkpoints"),
        ("[data]\nimages = 7", 2, "data", 'images is for source = "folder" and your own code; digits has 1,797'),
        (f"{EPOCHS}[[evaluation]]\nat = [28]\n[[cell]]\nname = 'x'\nbatch_size = 100", 6, "evaluation.0.at",
         "step 28 has no checkpoint in cell x; there is one every 17 steps and at 51"),
        ("[[evaluation]]\n[[evaluation]]\ngenerator_weights = 'ema'\n[[cell]]\nname = 'x'\nema_decay = 0.9", 4,
         "evaluation.1.generator_weights", "cell baseline keeps no moving average"),
        ("[cost]\nper_hour = -1", 3, "cost.per_hour", "allowed: at least 0"),
        ("[cost]", 2, "cost.per_hour", "is missing"),
        ("[cost]\nper_hour = 1\nper_hours = 1", 4, "cost.per_hours", "unknown key; did you mean 'per_hour'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_told(tmp_path: Path, addition: str, line: int, key: str, what: str) -> None:
    told = first_line(tmp_path, f'name = "e"\n{addition}')
    assert told.startswith(f"e.toml:{line}: {key}: ")
    assert what in told


def test_averaged_weights_are_measured_where_every_cell_keeps_them(tmp_path: Path) -> None:
    text = "[baseline]\nema_decay = 0.9\n[[evaluation]]\ngenerator_weights = 'ema'\n[[grid]]\nlevels.ema_decay = [0.99]"
    assert [cell.hyperparameters.ema_decay for cell in plan_of(tmp_path, text).cells] == [0.9, 0.99]


def test_what_a_machine_costs(tmp_path: Path) -> None:
    cost = read(tmp_path, 'name = "e"\n[cost]\nper_hour = 2\ncurrency = "EUR"').experiment.cost
    assert cost is not None
    assert (cost.per_hour, cost.currency) == (2.0, "EUR")
    assert read(tmp_path, 'name = "e"').experiment.cost is None


def test_an_override_in_steps_takes_the_place_of_the_files_epochs(tmp_path: Path) -> None:
    in_steps = read(tmp_path, f'name = "x"\n{EPOCHS}', "training.steps=20", "training.checkpoint_every=5")
    assert in_steps.plan.cells[0].training.checkpoint_steps() == (5, 10, 15, 20)
    in_epochs = read(tmp_path, 'name = "x"\n[training]\nsteps = 9\ncheckpoint_every = 3\n', "training.epochs=2")
    assert in_epochs.plan.cells[0].training.steps == 56
    assert in_epochs.plan.cells[0].training.checkpoint_every == 3
