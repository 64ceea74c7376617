"""A key is the identity of a run for ever: what is in it, what is not, and values that must never change."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import plan_of

from harness.design import keys
from harness.design.experiment import DataSettings
from harness.design.factors import FACTORS, INTRODUCED_DEFAULTS, Hyperparameters, as_fields
from harness.design.keys import key_differences, key_parts, run_key
from harness.design.streams import stream_seed

DIGITS = DataSettings()
STEPS = 5000


def key_of(levels: dict[str, object], seed: int = 0, data: DataSettings = DIGITS, steps: int = STEPS) -> str:
    return run_key(Hyperparameters(**as_fields(levels)), seed, data, steps, {})


FIRST_LEVELS = {
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


CHANGED = as_fields(FIRST_LEVELS) | {
    "generator_kernel_size": 5,
    "discriminator_kernel_size": 5,
    "generator_output": "sigmoid",
    "generator_dropout": 0.5,
    "discriminator_dropout": 0.5,
    "initialization": "pytorch",
    "loss": "hinge",
    "gradient_penalty": 1.0,
    "discriminator_loss_reduction": "mean",
    "real_label": (0.9, 1.0),
    "fake_label": 0.1,
    "generator_target": 0.9,
    "label_swap": 0.1,
    "label_swap_decay": 0.5,
    "instance_noise": 0.1,
    "instance_noise_decay": 0.5,
    "fake_batch": "fresh",
    "discriminator_steps": 2,
    "generator_steps": 2,
    "lr_decay_from": 0.5,
    "ema_decay": 0.999,
    "precision": "bf16",
}


@pytest.mark.parametrize(
    ("levels", "seed", "data", "key"),
    [
        ({}, 0, DIGITS, "f9f4646c2872888dd84685a2c7e189239519b98d57c81cb75110e55a9d31d3d9"),
        (FIRST_LEVELS, 3, DIGITS, "f06d19a868fdac4f2ef685656bbdb0c6e087be32b35f9864182f6eba59536a2e"),
        (
            {},
            0,
            DataSettings(source="folder", color="gray", corrupt="skip"),
            "33c6cf0583a908796295bc1526a9a2b3a2a1a87675571b83b8f6ae3ed75fae1e",
        ),
        ({"normalization": "none"}, 0, DIGITS, "437f4c16882b2d7daa6b625400f495fc5a42294973838263e25b31b4c050869a"),
        (
            {"normalization": "none", "resolution": 8},
            1,
            DIGITS,
            "2bb030d6426204ecf79eb6383f9da6f83aaaf7795174ac84b2b394257c47d01d",
        ),
    ],
)
def test_keys_of_finished_runs_never_change(levels: dict[str, object], seed: int, data: DataSettings, key: str) -> None:
    """If this fails, everybody's finished runs would be trained again: pin an old default, or raise the version."""
    assert key_of(levels, seed, data) == key


def test_the_streams_of_finished_runs_never_change() -> None:
    assert stream_seed(0, "data order", 3) == 7601593957610589373
    assert stream_seed(0, "a", 1) != stream_seed(0, "a1")


def test_factors_at_their_first_default_are_left_out() -> None:
    assert key_parts(Hyperparameters(), 5, DIGITS, STEPS, {}) == {
        "hyperparameters": {},
        "seed": 5,
        "data": {"source": "digits", "split": "train", "channels": 1},
        "training_version": 1,
    }
    assert set(INTRODUCED_DEFAULTS) == set(Hyperparameters.model_fields)


def test_a_new_factor_orphans_no_run_and_a_changed_default_no_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(Hyperparameters):
        new_factor: int = 1

    before = key_of({"latent_dim": 5})
    monkeypatch.setattr(keys, "_INTRODUCED", {**keys._INTRODUCED, "new_factor": 1})
    assert run_key(Later(latent_dim=5), 0, DIGITS, STEPS, {}) == before
    assert run_key(Later(latent_dim=5, new_factor=2), 0, DIGITS, STEPS, {}) != before


@pytest.mark.parametrize("factor", FACTORS)
def test_every_factor_is_in_it(factor: str) -> None:
    changed = Hyperparameters(**{factor: CHANGED[factor]})
    assert run_key(changed, 0, DIGITS, STEPS, {}) != key_of({})
    assert key_parts(changed, 0, DIGITS, STEPS, {})["hyperparameters"] == {
        factor: list(level) if isinstance(level := CHANGED[factor], tuple) else level
    }


def test_normalization_is_one_factor_where_both_networks_have_the_same() -> None:
    def parts(**levels: str) -> object:
        return key_parts(Hyperparameters(**as_fields(levels)), 0, DIGITS, STEPS, {"n.py": "f"})["hyperparameters"]

    assert parts(normalization="none") == {"normalization": "none"}
    assert parts(normalization="n.py:Norm") == {"normalization": "n.py:Norm"}
    assert parts(generator_normalization="none") == {"generator_normalization": "none"}
    assert parts(generator_normalization="none", discriminator_normalization="spectral") == {
        "generator_normalization": "none",
        "discriminator_normalization": "spectral",
    }


@pytest.mark.parametrize(
    ("levels", "is_read"),
    [
        ({}, False),
        ({"label_swap": 0.1}, False),
        ({"label_swap": 0.1, "label_swap_decay": 0.5}, True),
        ({"instance_noise": 0.1, "instance_noise_decay": 1.0}, True),
        ({"lr_decay_from": 0.0}, True),
        ({"lr_decay_from": 0.9}, True),
    ],
)
def test_steps_are_in_it_where_a_schedule_reads_them(levels: dict[str, object], is_read: bool) -> None:
    parts = [key_parts(Hyperparameters(**levels), 0, DIGITS, steps, {}) for steps in (100, 200)]
    assert [part.get("steps") for part in parts] == ([100, 200] if is_read else [None, None])
    assert (key_of(levels, steps=100) != key_of(levels, steps=200)) is is_read


def test_own_files_that_a_cell_or_its_data_refer_to_are_in_it() -> None:
    hashes = {"nets.py": "a" * 64, "norms.py": "b" * 64, "losses.py": "c" * 64, "mydata.py": "d" * 64}

    def sources(data: DataSettings = DIGITS, **levels: str) -> object:
        return key_parts(Hyperparameters(**as_fields(levels)), 0, data, STEPS, hashes).get("sources")

    assert sources() is None
    assert sources(generator="nets.py:G", discriminator="nets.py:D") == {"nets.py": "a" * 64}
    assert sources(normalization="norms.py:P", loss="losses.py:L") == {"norms.py": "b" * 64, "losses.py": "c" * 64}
    assert sources(DataSettings(source="mydata.py:load")) == {"mydata.py": "d" * 64}


def test_own_levels_are_in_it_by_name() -> None:
    hp = Hyperparameters(loss="losses.py:L", own={"beta": 1, "alpha": 0.5})
    assert key_parts(hp, 0, DIGITS, STEPS, {"losses.py": "c"})["hyperparameters"] == {
        "loss": "losses.py:L",
        "own.alpha": 0.5,
        "own.beta": 1,
    }


def told(before: object, after: object) -> list[str]:
    assert isinstance(before, dict) and isinstance(after, dict)
    return [str(difference) for difference in key_differences(before, after)]


def test_what_differs_is_told_by_the_names_of_the_file() -> None:
    plain = key_parts(Hyperparameters(), 0, DIGITS, STEPS, {})
    none = Hyperparameters(generator_normalization="none", discriminator_normalization="none")
    assert told(plain, key_parts(none, 0, DIGITS, STEPS, {})) == ["normalization batch -> none"]
    decaying = Hyperparameters(lr_decay_from=0.5)
    assert told(key_parts(decaying, 0, DIGITS, 100, {}), key_parts(decaying, 0, DIGITS, 200, {})) == [
        "steps 100 -> 200"
    ]
    own = Hyperparameters(loss="parts/l.py:L", own={"alpha": 1.0})
    edited = [key_parts(own, 0, DIGITS, STEPS, {"parts/l.py": text * 64}) for text in "ab"]
    assert told(*edited) == ["sources.parts/l.py aaaaaaaa -> bbbbbbbb"]
    other = own.model_copy(update={"own": (("alpha", 2.0),)})
    assert told(edited[0], key_parts(other, 0, DIGITS, STEPS, {"parts/l.py": "a" * 64})) == ["own.alpha 1.0 -> 2.0"]


def test_manifests_of_any_age_are_compared() -> None:
    """A manifest holds every level: `normalization` of both networks in those of old, own levels in pairs."""
    now = key_parts(Hyperparameters(loss="l.py:L", own={"alpha": 1.0}), 0, DIGITS, STEPS, {"l.py": "a" * 64})
    whole = {**now, "hyperparameters": Hyperparameters(loss="l.py:L", own={"alpha": 1.0}).model_dump(mode="json")}
    assert told(whole, now) == []
    old = {**key_parts(Hyperparameters(), 0, DIGITS, STEPS, {}), "hyperparameters": {"normalization": "none"}}
    assert told(old, key_parts(Hyperparameters(), 0, DIGITS, STEPS, {})) == ["normalization none -> batch"]


def test_the_seed_and_the_declared_data_are_in_it() -> None:
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
    assert len({key_of({}, seed, data) for seed, data in documents}) == len(documents)


@pytest.mark.parametrize(
    "addition",
    [
        '[data]\nroot = "/elsewhere"',
        "[training]\nepochs = 2\ncheckpoint_every_epochs = 1",
        "[baseline]\ngradient_penalty = 3.0\nlabel_swap_decay = 0.5\ninstance_noise_decay = 0.1",
        "[cost]\nper_hour = 2.5",
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
