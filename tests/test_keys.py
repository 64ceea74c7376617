"""A key is the identity of a run for ever: what is in it, what is not, and values that must never change."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import plan_of

from harness.design import keys
from harness.design.experiment import DataSettings
from harness.design.factors import INTRODUCED_DEFAULTS, Hyperparameters
from harness.design.keys import key_parts, run_key
from harness.design.streams import stream_seed

DIGITS = DataSettings()
CHANGED = {
    "generator": "mlp",
    "discriminator": "mlp",
    "latent_dim": 16,
    "generator_hidden_dim": 32,
    "discriminator_hidden_dim": 32,
    "normalization": "none",
    "generator_activation": "relu",
    "discriminator_activation": "relu",
    "generator_lr": 1e-4,
    "discriminator_lr": 1e-4,
    "generator_betas": (0.0, 0.9),
    "discriminator_betas": (0.0, 0.9),
    "generator_weight_decay": 1e-3,
    "discriminator_weight_decay": 1e-3,
    "resolution": 16,
    "batch_size": 32,
    "limit": 500,
}


@pytest.mark.parametrize(
    ("levels", "seed", "data", "key"),
    [
        ({}, 0, DIGITS, "f9f4646c2872888dd84685a2c7e189239519b98d57c81cb75110e55a9d31d3d9"),
        (CHANGED, 3, DIGITS, "f06d19a868fdac4f2ef685656bbdb0c6e087be32b35f9864182f6eba59536a2e"),
        (
            {},
            0,
            DataSettings(source="folder", color="gray", corrupt="skip"),
            "33c6cf0583a908796295bc1526a9a2b3a2a1a87675571b83b8f6ae3ed75fae1e",
        ),
    ],
)
def test_keys_of_finished_runs_never_change(levels: dict[str, object], seed: int, data: DataSettings, key: str) -> None:
    """If this fails, everybody's finished runs would be trained again: pin an old default, or raise the version."""
    assert run_key(Hyperparameters(**levels), seed, data) == key


def test_the_streams_of_finished_runs_never_change() -> None:
    assert stream_seed(0, "data order", 3) == 7601593957610589373
    assert stream_seed(0, "a", 1) != stream_seed(0, "a1")


def test_factors_at_their_first_default_are_left_out() -> None:
    assert key_parts(Hyperparameters(), 5, DIGITS) == {
        "hyperparameters": {},
        "seed": 5,
        "data": {"source": "digits", "split": "train", "channels": 1},
        "training_version": 1,
    }
    assert set(INTRODUCED_DEFAULTS) == set(Hyperparameters.model_fields)


def test_a_new_factor_orphans_no_run_and_a_changed_default_no_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(Hyperparameters):
        new_factor: int = 1

    before = run_key(Hyperparameters(latent_dim=5), 0, DIGITS)
    monkeypatch.setattr(keys, "_INTRODUCED", {**keys._INTRODUCED, "new_factor": 1})
    assert run_key(Later(latent_dim=5), 0, DIGITS) == before
    assert run_key(Later(latent_dim=5, new_factor=2), 0, DIGITS) != before


@pytest.mark.parametrize("factor", list(Hyperparameters.model_fields))
def test_every_factor_is_in_it(factor: str) -> None:
    changed = Hyperparameters(**{factor: CHANGED[factor]})
    assert run_key(changed, 0, DIGITS) != run_key(Hyperparameters(), 0, DIGITS)
    assert key_parts(changed, 0, DIGITS)["hyperparameters"] == {
        factor: list(level) if isinstance(level := CHANGED[factor], tuple) else level
    }


def test_the_seed_and_the_declared_data_are_in_it() -> None:
    base = Hyperparameters()
    folder = DataSettings(source="folder")
    documents = [
        (0, DIGITS),
        (1, DIGITS),
        (0, DataSettings(source="mnist")),
        (0, DataSettings(source="mnist", split="test")),
        (0, DataSettings(source="cifar10")),
        (0, folder),
        (0, folder.model_copy(update={"color": "gray"})),
        (0, folder.model_copy(update={"corrupt": "skip"})),
    ]
    assert len({run_key(base, seed, data) for seed, data in documents}) == len(documents)


@pytest.mark.parametrize(
    "addition",
    [
        '[data]\nroot = "/elsewhere"',
        "[training]\nsteps = 7\nlog_every = 1\ncheckpoint_every = 3",
        '[[evaluation]]\nrepeats = 2\nat = "last"',
        "[report]\nsamples = 4",
        '[labels]\nbaseline = "x"',
        "max_runs = 5",
        "seeds = [1, 0]",
        "[baseline]\nlr = 0.00020\nresolution = 32",
        "[[cell]]\nname = 'x'\nseeds = [0]",
        "[[exclude]]\nlatent_dim = 5",
    ],
)
def test_nothing_else_is_in_it(tmp_path: Path, addition: str) -> None:
    def key(text: str) -> str:
        return next(run.key for run in plan_of(tmp_path, text).runs if run.seed == 0 and run.cell.is_baseline)

    assert key(addition) == key("")


def test_a_run_has_one_key_however_its_cell_is_called_or_reached(tmp_path: Path) -> None:
    def key(text: str) -> str:
        return plan_of(tmp_path, f"include_baseline = false\n{text}").runs[0].key

    assert len({
        key("[[cell]]\nlatent_dim = 5\nlr = 1"),
        key("[[cell]]\nname = 'other'\nlatent_dim = 5\ngenerator_lr = 1.0\ndiscriminator_lr = 1"),
        key("[baseline]\nlatent_dim = 5\n[[grid]]\nlevels.lr = [1.0]"),
        key("[baseline]\nlr = 1\n[[grid]]\nkind = 'one-at-a-time'\nlevels.latent_dim = [5]"),
    }) == 1  # fmt: skip
