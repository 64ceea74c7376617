"""Whatever a person types is answered with a plan or with an error that names its place, never with a traceback."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.design.experiment_file import read_experiment_file
from harness.design.factors import ALIASES, Hyperparameters
from harness.design.locate import OversizeError, locate
from harness.errors import ExperimentFileError
from harness.store.records import encode, scan

bounded = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

many = settings(bounded, max_examples=int(os.environ.get("HARNESS_EXAMPLES", "3000")))
"""The long tier; HARNESS_EXAMPLES makes it longer still."""

KEYS = [
    *Hyperparameters.model_fields, *ALIASES, "name", "seeds", "max_runs", "include_baseline", "data", "baseline",
    "training", "evaluation", "grid", "cell", "exclude", "report", "labels", "levels", "kind", "source", "steps", "at",
    "epochs", "images", "cost", "per_hour", "alpha", "own.alpha", "claim", "against", "smallest_effect", "sections",
    "side_by_side", "interpolations", "int", "list[int]", "literal['all']", "x.y", "名", "",
]  # fmt: skip
TABLES = ["baseline", "data", "training", "report", "labels", "grid.levels", "cell", "", "other"]
ARRAYS = ["grid", "cell", "evaluation", "exclude", "claim", "baseline", "other"]
WORDS = [
    "all", "last", "cnn", "mlp", "none", "batch", "relu", "factorial", "paired", "one-at-a-time", "digits", "best",
    "hinge", "wasserstein_gp", "instance", "spectral", "cnn4", "sigmoid", "ema", "folder", "nets.py:G", "nets.py",
]  # fmt: skip

scalars = st.one_of(
    st.integers(-2, 200).map(str),
    st.sampled_from(
        ["true", "false", "nan", "-inf", "1e-4", "2e400", "0x1F", "1979-05-27", "07:32:00", "9" * 30, "10.0"]
    ),
    st.sampled_from(WORDS).map(lambda word: f'"{word}"'),
    st.text(max_size=8).map(lambda text: f"'''{text}'''"),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n".join(items) + "]"),
        st.tuples(st.sampled_from(KEYS), inner).map(lambda pair: f"{{ {quoted(pair[0])} = {pair[1]} }}"),
    ),
    max_leaves=6,
)


def quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


keys = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(lambda parts: ".".join(map(quoted, parts)))
lines = st.one_of(
    st.tuples(keys, values).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.sampled_from(TABLES).map(lambda name: f"[{name}]"),
    st.sampled_from(ARRAYS).map(lambda name: f"[[{name}]]"),
    st.text(max_size=12),
)
documents = st.lists(lines, max_size=10).map(lambda body: "\n".join(['name = "e"', *body]))
pieces = st.lists(
    st.sampled_from(
        ['"', "'", '"""', "'''", "[", "]", "{", "}", ",", "=", ".", "#", "\n", "\r\n", "\\", "a", "1", " "]
    ),
    max_size=30,
).map("".join)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("properties") / "e.toml"


def answer(file: Path, text: str | bytes, overrides: list[str]) -> None:
    """Reads the file; an error has to name the line of an existing line, or the override that it is about."""
    content = text if isinstance(text, bytes) else text.encode()
    file.write_bytes(content)
    try:
        read_experiment_file(file, overrides)
    except ExperimentFileError as error:
        assert error.what
        place = re.match(r"(.*e\.toml):(\d+)(: |$)", error.where, re.DOTALL)
        if place:
            assert place[1] == str(file)
            assert 1 <= int(place[2]) <= content.count(b"\n") + 1
        else:
            assert any(error.where.startswith(f"--set {override}") for override in overrides), error.where


@bounded
@given(text=st.one_of(st.text(max_size=200), pieces))
def test_any_text_is_answered(file: Path, text: str) -> None:
    answer(file, text, [])


@bounded
@given(content=st.binary(max_size=60))
def test_any_bytes_are_answered(file: Path, content: bytes) -> None:
    answer(file, content, [])


@bounded
@given(text=documents)
def test_any_document_is_answered(file: Path, text: str) -> None:
    answer(file, text, [])


dotted = st.lists(st.one_of(st.sampled_from([*KEYS, "0", "1", "²", "-1"]), st.text(max_size=3)), min_size=1, max_size=4)
overrides_of_any_kind = st.one_of(
    st.text(max_size=30),
    st.tuples(dotted.map(".".join), st.one_of(values, pieces, st.text(max_size=10))).map("=".join),
)
BASE = """
name = "e"
seeds = [0, 1]
[baseline]
lr = 1e-3
[[grid]]
levels.latent_dim = [1, 2]
[[evaluation]]
[labels]
"""


@bounded
@given(overrides=st.lists(overrides_of_any_kind, max_size=3))
def test_any_override_is_answered(file: Path, overrides: list[str]) -> None:
    answer(file, BASE, overrides)


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} - {()} | {found for key, inner in items for found in paths_of(inner, (*path, key))}


@bounded
@given(text=documents)
def test_the_locator_finds_exactly_what_tomllib_parses(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        document = None
    try:
        found = locate(text.replace("\r\n", "\n")).by_path
    except OversizeError:
        return
    if document is not None:
        assert set(found) == paths_of(document)


@pytest.mark.long
@pytest.mark.timeout(1800)
@many
@given(text=documents, overrides=st.lists(overrides_of_any_kind, max_size=2))
def test_many_documents_are_answered(file: Path, text: str, overrides: list[str]) -> None:
    answer(file, text, overrides)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
some_records = st.lists(
    st.dictionaries(st.text().filter(lambda key: key != "crc"), json_values, min_size=1, max_size=3), max_size=4
)


@bounded
@given(records=some_records, tail=st.binary(max_size=40))
def test_any_records_come_back_whatever_is_torn_behind_them(records: list[dict[str, Any]], tail: bytes) -> None:
    content = b"".join(map(encode, records))
    found = list(scan(content + tail))
    assert [record for record, _ in found[: len(records)]] == records
    assert len(found) == len(records)
    assert (found[-1][1] if found else 0) == len(content)
