"""Factors: domains, aliases, one spelling of a level."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from harness.design.factors import (
    ALIASES,
    CNN_RESOLUTIONS,
    Hyperparameters,
    LevelLists,
    Levels,
    as_fields,
    canonical_level,
    fields_of,
)


@pytest.mark.parametrize("resolution", [4, 12, 24, 100, 256, 512])
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_cnn_refuses_what_it_cannot_do_also_beside_an_mlp(resolution: int, network: str) -> None:
    networks = {"generator": "mlp", "discriminator": "mlp"}
    assert Hyperparameters(**networks, resolution=resolution).resolution == resolution
    with pytest.raises(ValidationError, match=f"{network} cnn cannot do resolution {resolution}; allowed with cnn: 8"):
        Hyperparameters(**{**networks, network: "cnn"}, resolution=resolution)


def test_the_cnn_does_every_power_of_two_from_8_to_128() -> None:
    assert CNN_RESOLUTIONS == (8, 16, 32, 64, 128)
    for resolution in CNN_RESOLUTIONS:
        assert Hyperparameters(resolution=resolution).resolution == resolution


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
        ("normalization", "instance"),
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


def test_every_alias_sets_fields_of_one_kind() -> None:
    for alias, fields in ALIASES.items():
        assert fields_of(alias) == fields
        kinds = {repr(Hyperparameters.model_fields[name].annotation) for name in fields}
        defaults = {Hyperparameters.model_fields[name].default for name in fields}
        assert len(kinds) == len(defaults) == 1, alias
    assert fields_of("latent_dim") == ("latent_dim",)
    assert fields_of("latentdim") == ()


def test_a_field_named_itself_beats_its_alias_in_any_order() -> None:
    for levels in ({"lr": 1, "generator_lr": 2}, {"generator_lr": 2, "lr": 1}):
        assert as_fields(levels) == {"generator_lr": 2, "discriminator_lr": 1}
    assert as_fields({"x": 1}) == {"x": 1}


def test_tables_remember_what_was_given_in_file_order() -> None:
    table: Any = Levels.model_validate({"resolution": 16, "lr": 1e-3, "batch_size": 64})
    assert list(table.given().items()) == [("resolution", 16), ("lr", 1e-3), ("batch_size", 64)]
    lists: Any = LevelLists.model_validate({"limit": ["all", 5], "betas": [[0, 0.9]]})
    assert lists.given() == {"limit": ["all", 5], "betas": [(0.0, 0.9)]}


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
