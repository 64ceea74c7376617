"""The JSON schema for editors and the words of the factor reference say what the reader accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.design.experiment import Experiment
from harness.design.factors import ALIASES, FACTORS
from harness.design.schema import allowed_levels, experiment_schema


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(experiment_schema()))
    return document


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(inner) for inner in node.values()))
    return set().union(*(references(inner) for inner in node)) if isinstance(node, list) else set()


def test_every_table_and_key_of_the_file_is_in_it(schema: dict[str, Any]) -> None:
    assert set(schema["properties"]) == set(Experiment.model_fields)
    assert schema["required"] == ["name"]
    assert schema["$schema"].startswith("https://json-schema.org/draft/2020-12")


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    found = references(schema)
    assert found
    assert {name.removeprefix("#/$defs/") for name in found} <= set(schema["$defs"])
    assert "Hyperparameters" not in schema["$defs"]


@pytest.mark.parametrize("table", ["Levels", "NamedCell", "LevelLists"])
def test_levels_take_factors_and_aliases(schema: dict[str, Any], table: str) -> None:
    assert {*FACTORS, *ALIASES, "own"} <= set(schema["$defs"][table]["properties"])
    assert schema["$defs"][table]["additionalProperties"] is False


def test_baseline_and_exclude_are_tables_of_levels(schema: dict[str, Any]) -> None:
    assert schema["properties"]["baseline"]["$ref"] == "#/$defs/Levels"
    assert schema["properties"]["exclude"]["items"]["$ref"] == "#/$defs/Levels"


def test_no_table_takes_unknown_keys(schema: dict[str, Any]) -> None:
    for name, table in {**schema["$defs"], "top": schema}.items():
        if "properties" in table:
            assert table["additionalProperties"] is False, name


def test_every_key_says_what_it_is(schema: dict[str, Any]) -> None:
    for name in (
        "DataSettings", "TrainingSettings", "EvaluationSettings", "ReportSettings", "CostSettings", "Grid", "Levels"
    ):  # fmt: skip
        for key, entry in schema["$defs"][name]["properties"].items():
            assert entry.get("description"), f"{name}.{key}"


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ("generator_activation", "leaky_relu | relu"),
        ("normalization", "batch | none | instance or FILE.py:NAME"),
        ("generator", "cnn | mlp | mlp_conv | upsample_cnn or FILE.py:NAME"),
        ("generator_kernel_size", "4 | 5"),
        ("real_label", "0 to 1 or 2 numbers, each 0 to 1"),
        ("label_swap_decay", 'more than 0, at most 1 or "none"'),
        ("own.alpha", "a number, a text, true or false"),
        ("latent_dim", "1 to 65536"),
        ("generator_lr", "more than 0, at most 10"),
        ("limit", 'at least 2 or "all"'),
        ("batch_size", "2 to 65536"),
        ("generator_weight_decay", "0 to 10"),
    ],
)
def test_domains_in_words(factor: str, words: str) -> None:
    assert allowed_levels(factor) == words


def test_every_factor_has_a_domain_in_words() -> None:
    for factor in (*FACTORS, *ALIASES):
        assert allowed_levels(factor)
