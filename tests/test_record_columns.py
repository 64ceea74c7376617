"""Records as columns: the numbers of the records, to the bit, in every case."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from harness.store.record_columns import HeldRecords, columns_of
from harness.store.records import Record, encode, whole

ODD = [5e-324, -0.0, 1e308, 0.1 + 0.2, 1 / 3, 2.2250738585072014e-308, 123456789.12345679, -1e-17, 9007199254740993.0]


def content_of(records: list[Record]) -> bytes:
    return b"".join(map(encode, records))


def many() -> list[Record]:
    rng = np.random.default_rng(0)
    values = [*ODD, *(rng.normal(0, 1, 500) * 10.0 ** rng.integers(-300, 300, 500)).tolist()]
    return [{"step": 10 * i, "n": 10, "loss/generator": value, "seconds": 0.5} for i, value in enumerate(values)]


@pytest.mark.parametrize(
    "records",
    [
        many(),
        [{"step": 1, "n": 1, "prob/real": 0.5}, {"step": 2, "n": 1}],
        [{"step": 1, "n": 1}, {"step": 2, "n": 1, "late": 3}],
        [{"step": 1, "mixed": 1}, {"step": 2, "mixed": 0.25}],
        [{"step": 1, "mixed": 0.25}, {"step": 2, "mixed": 1}],
        [{"step": 1, "loss": None}, {"step": 2, "loss": 0.5}],
        [{"step": 1, "words": "中 | \"x\"", "truth": True, "list": [1, 2], "inner": {"a": 1}}],
        [{"step": 1, "odd": 1}, {"step": 2, "odd": "one"}],
        [],
    ],
    ids=["odd", "one lacks a field", "one has one more", "fraction", "whole", "null", "other kinds", "both", "none"],
)  # fmt: skip
def test_columns_hold_what_records_hold(records: list[Record]) -> None:
    content = content_of(records)
    assert whole(content) == records
    held = HeldRecords.of(content)
    assert held.records() == records and bool(held) == bool(records)
    fast, slow = held.columns, columns_of(records)
    assert set(fast) == set(slow)
    for name, column in slow.items():
        assert fast[name].dtype == column.dtype
        assert fast[name].tobytes() == column.tobytes(), name


def test_a_field_that_a_record_lacks_is_no_number_there() -> None:
    columns = columns_of([{"step": 1, "a": 1}, {"step": 2}])
    assert columns["step"].tolist() == [1, 2]
    assert columns["a"][0] == 1 and math.isnan(columns["a"][1])


@pytest.mark.parametrize("behind", [b"no record\n", b'{"step":3}\n', b"\n", b'{"step":3,"n":1,'])
def test_of_what_is_no_sequence_of_records_those_before_count(behind: bytes) -> None:
    records: list[Record] = [{"step": 1, "n": 1}, {"step": 2, "n": 1}]
    held = HeldRecords.of(content_of(records) + behind)
    assert held.records() == records
    columns = held.columns
    assert columns["step"].tolist() == [1, 2]
    assert json.dumps(columns["n"].tolist()) == "[1, 1]"


def test_numbers_alone_are_held_without_their_text() -> None:
    assert not HeldRecords.of(content_of(many())).content
    assert HeldRecords.of(content_of([{"step": 1, "words": "two"}])).content
