"""Factors: domains, aliases, one spelling of a level."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from harness.design.factors import (
    ALIASES,
    FACTORS,
    Hyperparameters,
    LevelLists,
    Levels,
    as_fields,
    canonical_level,
    fields_of,
    levels_of,
)
from harness.design.schema import allowed_levels


@pytest.mark.parametrize(
    ("factor", "level"),
    [
        ("latent_dim", 0),
        ("latent_dim", -1),
        ("latent_dim", 65_537),
        ("latent_dim", True),
        ("latent_dim", 5.0),
        ("generator_hidden_dim", 0),
        ("generator_lr", 0.0),
        ("generator_lr", float("nan")),
        ("generator_lr", float("inf")),
        ("generator_lr", True),
        ("generator_betas", (0.5, 1.0)),
        ("generator_betas", (-0.1, 0.9)),
        ("generator_betas", (float("nan"), 0.9)),
        ("generator_betas", (0.5,)),
        ("generator_weight_decay", -1e-9),
        ("batch_size", 1),
        ("limit", 1),
        ("limit", "some"),
        ("generator_normalization", "spectral"),
        ("generator_normalization", "group"),
        ("discriminator_normalization", "group"),
        ("generator_kernel_size", 3),
        ("discriminator_kernel_size", 4.5),
        ("generator_output", "relu"),
        ("generator_dropout", 1.0),
        ("discriminator_dropout", -0.1),
        ("initialization", "xavier"),
        ("loss", "wgan"),
        ("loss", "losses.py"),
        ("loss", "losses.py:"),
        ("loss", "losses.py:a-b"),
        ("loss", "losses:Margin"),
        ("gradient_penalty", -1.0),
        ("gradient_penalty", float("inf")),
        ("discriminator_loss_reduction", "max"),
        ("real_label", 1.1),
        ("real_label", (0.9, 1.1)),
        ("real_label", (0.9,)),
        ("fake_label", -0.1),
        ("generator_target", 2.0),
        ("label_swap", 1.5),
        ("label_swap_decay", 0.0),
        ("label_swap_decay", "all"),
        ("instance_noise", -1.0),
        ("instance_noise_decay", 1.5),
        ("fake_batch", "old"),
        ("discriminator_steps", 0),
        ("generator_steps", 1001),
        ("lr_decay_from", 1.0),
        ("ema_decay", 1.0),
        ("precision", "bfloat16"),
        ("precision", "float16"),
        ("own", {"hidden_dim": 3}),
        ("own", {"a-b": 3}),
        ("own", {"class": 3}),
        ("own", {"alpha": float("nan")}),
        ("own", {"alpha": [1]}),
        ("own", {"alpha": "line\nbreak"}),
        ("generator_activation", "tanh"),
        ("generator", "resnet"),
        ("resolution", 0),
        ("resolution", 513),
        ("unknown", 1),
    ],
)
def test_levels_outside_a_domain_are_refused(factor: str, level: object) -> None:
    with pytest.raises(ValidationError):
        Hyperparameters(**{factor: level})


def test_whole_numbers_for_real_factors_become_real() -> None:
    rate = Hyperparameters(generator_lr=1).generator_lr
    assert isinstance(rate, float) and rate == 1.0


def test_hyperparameters_are_frozen_and_equal_by_value() -> None:
    one, same = Hyperparameters(latent_dim=5), Hyperparameters(latent_dim=5)
    assert one == same and hash(one) == hash(same)
    with pytest.raises(ValidationError):
        one.latent_dim = 6  # type: ignore[misc]


def test_every_alias_sets_fields_of_one_default_and_takes_what_all_of_them_take() -> None:
    for alias, fields in ALIASES.items():
        assert fields_of(alias) == fields
        assert len({Hyperparameters.model_fields[name].default for name in fields}) == 1, alias
        words = set(re.split(r" \| | or ", allowed_levels(alias)))
        for name in fields:
            assert words <= set(re.split(r" \| | or ", allowed_levels(name))), (alias, name)
    assert fields_of("latent_dim") == ("latent_dim",)
    assert fields_of("own.alpha") == ("own.alpha",)
    assert fields_of("latentdim") == fields_of("own") == fields_of("own.") == ()


def test_an_alias_takes_no_level_of_one_network_alone() -> None:
    assert allowed_levels("architecture") == "cnn | mlp"
    assert allowed_levels("normalization") == "batch | none | instance or FILE.py:NAME"
    assert allowed_levels("discriminator_normalization") == "batch | none | instance | spectral or FILE.py:NAME"


def test_levels_by_field_with_those_of_own_parts_behind_them() -> None:
    hp = Hyperparameters(latent_dim=8, own={"beta": True, "alpha": 0.5})
    levels = levels_of(hp)
    assert list(levels) == [*FACTORS, "own.alpha", "own.beta"]
    assert (levels["latent_dim"], levels["own.alpha"], levels["own.beta"]) == (8, 0.5, True)
    assert Hyperparameters(**levels) == hp == Hyperparameters(**hp.model_dump(mode="json"))
    assert hash(Hyperparameters(own={"alpha": 0.5, "beta": True})) == hash(
        Hyperparameters(own={"beta": True, "alpha": 0.5})
    )


@pytest.mark.parametrize("level", [1, 1.0, True, "on"])
def test_an_own_level_keeps_its_type(level: object) -> None:
    for data in ({"own": {"alpha": level}}, {"own.alpha": level}, {"own": [["alpha", level]]}):
        ((_, kept),) = Hyperparameters(**data).own
        assert type(kept) is type(level) and kept == level


def test_a_reference_to_an_own_part_has_one_spelling() -> None:
    for written in (
        "parts/nets.py:G",
        "./parts/nets.py:G",
        "parts//nets.py:G",
        "parts\\nets.py:G",
        "x/../parts/nets.py:G",
    ):
        assert Hyperparameters(generator=written).generator == "parts/nets.py:G"


def test_a_field_named_itself_beats_its_alias_in_any_order() -> None:
    for levels in ({"lr": 1, "generator_lr": 2}, {"generator_lr": 2, "lr": 1}):
        assert as_fields(levels) == {"generator_lr": 2, "discriminator_lr": 1}
    assert as_fields({"x": 1}) == {"x": 1}


def test_tables_remember_what_was_given_in_file_order() -> None:
    table: Any = Levels.model_validate({"resolution": 16, "lr": 1e-3, "batch_size": 64})
    assert list(table.given().items()) == [("resolution", 16), ("lr", 1e-3), ("batch_size", 64)]
    lists: Any = LevelLists.model_validate({"limit": ["all", 5], "betas": [[0, 0.9]]})
    assert lists.given() == {"limit": ["all", 5], "betas": [(0.0, 0.9)]}
    own: Any = Levels.model_validate({"lr": 1e-3, "own": {"b": 1, "a": "x"}, "latent_dim": 8})
    assert list(own.given().items()) == [("lr", 1e-3), ("own.b", 1), ("own.a", "x"), ("latent_dim", 8)]


@pytest.mark.parametrize(
    ("level", "spelled"),
    [(16, "16"), (2e-4, "0.0002"), (5e-5, "5e-05"), (1.0, "1.0"), ("cnn", "cnn"), ((0.5, 0.999), "0.5,0.999"),
     ([0.0, 0.9], "0.0,0.9"), (True, "true")],
)  # fmt: skip
def test_a_level_has_one_spelling(level: object, spelled: str) -> None:
    assert canonical_level(level) == spelled


def test_every_factor_says_what_it_is() -> None:
    for name, field in Hyperparameters.model_fields.items():
        assert field.description, name
        assert field.default is not None, name
    assert get_args(Hyperparameters.model_fields["limit"].annotation)
