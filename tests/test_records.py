"""Appended records: a torn or damaged line ends what counts, and appending goes on behind the last that holds."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from run_files import flips, make_read_only, small_disk

from harness.errors import StoreError
from harness.store.records import (
    Record,
    append_record,
    damaged_lines,
    decode,
    encode,
    keep_intact,
    read_intact,
    read_records,
    scan,
)

RECORDS: list[Record] = [
    {"step": 10, "loss": 0.6931471805599453},
    {"step": 20, "text": 'J* \n\r\x0b\u2028\x85 "}, "crc":"00000000"}'},
    {"step": 30, "tiny": 1e-300, "missing": None},
    {"step": 40, "名": ["ä", True, {"inner": []}]},
    {"crc32": "ffffffff", "step": 50},
]


def write(path: Path, records: list[Record] = RECORDS) -> bytes:
    for record in records:
        append_record(path, record)
    return path.read_bytes()


def test_records_come_back_as_they_went(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    content = write(path)
    assert read_records(path) == RECORDS
    assert content.count(b"\n") == len(RECORDS)
    assert read_records(tmp_path / "absent.jsonl") == []


def test_an_end_in_bytes_leaves_out_later_records(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    content = write(path)
    offsets = [offset for _, offset in scan(content)]
    assert offsets[-1] == len(content)
    for number, offset in enumerate(offsets, 1):
        assert read_records(path, offset) == RECORDS[:number]
        assert read_records(path, offset - 1) == RECORDS[: number - 1]
    assert read_records(path, 0) == []


def test_every_truncation_leaves_a_strict_prefix(tmp_path: Path) -> None:
    content = write(tmp_path / "r.jsonl")
    offsets = [0, *(offset for _, offset in scan(content))]
    for length in range(len(content)):
        whole = sum(offset <= length for offset in offsets) - 1
        assert [record for record, _ in scan(content[:length])] == RECORDS[:whole]


def test_every_changed_bit_leaves_the_records_before_it(tmp_path: Path) -> None:
    content = write(tmp_path / "r.jsonl")
    offsets = [offset for _, offset in scan(content)]
    for number, changed in enumerate(flips(content)):
        before = sum(offset <= number // 8 for offset in offsets)
        assert [record for record, _ in scan(changed)] == RECORDS[:before]


@pytest.mark.parametrize("tail", [b"{", b'{"step":60,"crc":"00000000"}\n', b"\0" * 4096, b"\n", b'"'])
def test_appending_cuts_a_torn_tail_first(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "r.jsonl"
    content = write(path, RECORDS[:2])
    path.write_bytes(content + tail)
    append_record(path, RECORDS[2])
    assert read_records(path) == RECORDS[:3]
    assert path.read_bytes() == content + encode(RECORDS[2])


def test_appending_behind_damage_in_the_middle_loses_no_line_that_holds(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    content = bytearray(write(path))
    content[len(encode(RECORDS[0])) + 3] ^= 1
    path.write_bytes(bytes(content) + b"torn")
    append_record(path, {"step": 60})
    assert read_records(path) == RECORDS[:1]
    assert read_intact(path) == [RECORDS[0], *RECORDS[2:], {"step": 60}]
    assert damaged_lines(path.read_bytes()) == [2]
    keep_intact(path)
    assert read_records(path) == [RECORDS[0], *RECORDS[2:], {"step": 60}]
    assert damaged_lines(path.read_bytes()) == []
    assert read_intact(tmp_path / "absent.jsonl") == []


def test_a_checksum_made_to_fit_does_not_make_a_record() -> None:
    for body in (b'{"a":', b"[" * 100_000, b'{"a":1}', b"\xff"):
        assert decode(body + b',"crc":"%08x"}\n' % zlib.crc32(body)) is None


@pytest.mark.parametrize("record", [{}, {"crc": 1}, {"a": float("nan")}, {"a": float("inf")}])
def test_what_could_not_be_read_back_is_refused_and_nothing_is_lost(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "r.jsonl"
    content = write(path) + b"torn"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        append_record(path, record)
    assert path.read_bytes() == content


def test_file_names_that_are_no_unicode_can_be_noted(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    append_record(path, {"reason": "cannot read b\udcff.png"})
    assert read_records(path) == [{"reason": "cannot read b\udcff.png"}]


@pytest.mark.parametrize("line", [b"", b"\n", b',"crc":"00000000"}\n', b"{}\n", b'{"a":1}\n', encode({"a": 1})[:-1]])
def test_what_is_no_record_is_none(line: bytes) -> None:
    assert decode(line) is None


def test_a_disk_that_refuses_is_a_store_error_and_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path, what, where in (
        (tmp_path / "file" / "r.jsonl", "where a folder must be", tmp_path / "file"),
        (tmp_path, "a folder is where a file must be", tmp_path),
        (tmp_path / ("n" * 300), "cannot append", tmp_path / ("n" * 300)),
    ):
        with pytest.raises(StoreError, match=what) as caught:
            append_record(path, RECORDS[0])
        assert caught.value.where == str(where)
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "r.jsonl"
        write(path)
        with pytest.raises(StoreError, match="No space left"):
            append_record(path, {"text": "x" * 100_000})
        assert read_records(path) == RECORDS
        append_record(path, {"step": 60})
        assert read_records(path) == [*RECORDS, {"step": 60}]
        make_read_only(disk)
        with pytest.raises(StoreError, match="Read-only"):
            append_record(path, {"step": 70})
        assert read_records(path) == [*RECORDS, {"step": 60}]
