"""Files are written whole or not at all, and every changed bit is seen."""

from __future__ import annotations

import os
from io import BufferedRandom
from pathlib import Path
from typing import Any

import pytest
from run_files import flips, make_read_only, small_disk

from harness.errors import DamagedFileError, StoreError
from harness.store import atomic, reading

DOCUMENT: dict[str, Any] = {
    "step": 12,
    "rate": 1e-05,
    "big": 1e22,
    "text": "z\x1fJ*ä深\n",
    "list": [0.1, True, None, []],
    "inner": {"b": 1, "a": {}},
}


class Killed(BaseException):
    """Stands for SIGKILL: nothing between here and the end of the process runs."""


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, name, fail)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_are_replaced_and_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.bin"
    atomic.write_bytes(path, b"old")
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert files_in(path.parent) == ["x.bin"]


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Killed()])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "x.json"
    atomic.write_json(path, {"a": 1})
    fail_at(monkeypatch, call, error)
    with pytest.raises(Killed if isinstance(error, Killed) else StoreError):
        atomic.write_json(path, {"a": 2})
    assert atomic.read_json(path) == {"a": 1}
    assert files_in(tmp_path) == ["x.json"]


def test_the_content_is_on_disk_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        calls.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        fsync(descriptor)

    def note_replace(source: Path, target: Path) -> None:
        calls.append("replace")
        assert source.read_bytes() == b"content"
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    atomic.write_bytes(tmp_path / "x", b"content")
    assert calls == ["file", "replace", "folder"]


def test_a_folder_that_refuses_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path, what in (
        (tmp_path / "file" / "x", "where a folder must be"),
        (tmp_path / ("n" * 300), "cannot write"),
        (tmp_path, "a folder is where a file must be"),
    ):
        with pytest.raises(StoreError, match=what) as caught:
            atomic.write_bytes(path, b"")
        assert caught.value.where == str(tmp_path / "file" if path.name == "x" else path)
        assert caught.value.remedy
    assert files_in(tmp_path) == ["file"]


def test_a_full_or_read_only_disk_is_a_store_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        atomic.write_hashed(disk / "x", b"old")
        with pytest.raises(StoreError, match="No space left"):
            atomic.write_hashed(disk / "x", b"n" * 100_000)
        with pytest.raises(StoreError, match="No space left"):
            atomic.write_hashed_from(disk / "x", lambda file: file.write(b"n" * 100_000))
        assert atomic.read_hashed(disk / "x") == b"old"
        assert files_in(disk) == ["x", "x.sha256"]
        make_read_only(disk)
        with pytest.raises(StoreError, match="Read-only"):
            atomic.write_bytes(disk / "x", b"new")
        assert atomic.read_hashed(disk / "x") == b"old"


def write_in_memory(path: Path, content: bytes) -> str:
    return atomic.write_hashed(path, content)


def write_in_pieces(path: Path, content: bytes) -> str:
    def write(file: BufferedRandom) -> None:
        for byte in content:
            file.write(bytes([byte]))

    return atomic.write_hashed_from(path, write)


@pytest.mark.parametrize("write", [write_in_memory, write_in_pieces])
def test_a_hash_lies_beside_the_file(tmp_path: Path, write: Any) -> None:
    path = tmp_path / "x.bin"
    digest = write(path, b"content")
    assert digest == atomic.sha256_of(b"content") == atomic.stored_hash(path) == atomic.file_sha256(path)
    assert atomic.read_hashed(path) == b"content"
    assert (tmp_path / "x.bin.sha256").read_text() == f"{digest}  x.bin\n"  # what sha256sum --check reads


@pytest.mark.parametrize("write", [write_in_memory, write_in_pieces])
def test_killed_between_file_and_hash_the_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    path, replace = tmp_path / "x.bin", os.replace

    def only_the_file(source: Path, target: Path) -> None:
        if target.suffix == ".sha256":
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", only_the_file)
    with pytest.raises(Killed):
        write(path, b"content")
    assert path.read_bytes() == b"content"
    assert atomic.stored_hash(path) is None
    with pytest.raises(DamagedFileError):
        atomic.read_hashed(path)
    monkeypatch.undo()
    write(path, b"content")
    assert atomic.read_hashed(path) == b"content"


def test_whatever_the_writer_raises_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    atomic.write_hashed(path, b"old")

    def write(file: BufferedRandom) -> None:
        file.write(b"half")
        raise ValueError("no image")

    with pytest.raises(ValueError, match="no image"):
        atomic.write_hashed_from(path, write)
    assert atomic.read_hashed(path) == b"old"
    assert files_in(tmp_path) == ["x.bin", "x.bin.sha256"]


def test_a_changed_file_or_hash_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    atomic.write_hashed(path, b"content")
    note = tmp_path / "x.bin.sha256"
    digest = note.read_bytes()
    for changed in flips(b"content"):
        path.write_bytes(changed)
        with pytest.raises(DamagedFileError):
            atomic.read_hashed(path)
    path.write_bytes(b"content")
    for damaged in (b"", digest[:63], b"\xff" * 70, b"0" * 64, b"   "):
        note.write_bytes(damaged)
        with pytest.raises(DamagedFileError):
            atomic.read_hashed(path)
    path.unlink()
    note.write_bytes(digest)
    assert atomic.stored_hash(path) is None


def test_json_comes_back_as_it_went(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    atomic.write_json(path, DOCUMENT)
    assert atomic.read_json(path) == DOCUMENT
    assert list(atomic.read_json(path)) == list(DOCUMENT)
    atomic.write_json(path, {"sha256": "stale", "a": (1, 2), "steps": {2: "x", 10: "y"}, "name": "\udcff.png"})
    assert atomic.read_json(path) == {"a": [1, 2], "steps": {"2": "x", "10": "y"}, "name": "\udcff.png"}


def test_numbers_that_json_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert files_in(tmp_path) == []


def test_every_changed_bit_of_a_json_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    atomic.write_json(path, DOCUMENT)
    for changed in flips(path.read_bytes()):
        monkeypatch.setattr(reading, "read_bytes", lambda _, content=changed: content)  # thousands of files are slow
        with pytest.raises(DamagedFileError):
            atomic.read_json(path)


def test_every_truncation_of_a_json_file_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    atomic.write_json(path, DOCUMENT)
    content = path.read_bytes()
    for changed in (*(content[:length] for length in range(len(content))), content + b"\n"):
        monkeypatch.setattr(reading, "read_bytes", lambda _, content=changed: content)
        with pytest.raises(DamagedFileError):
            atomic.read_json(path)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", b"null", b"3", b'"x"', b'{"sha256": 1}', b'{"a": NaN, "sha256": "x"}', b"\xff\xfe", b"\0" * 100,
     b"[" * 50_000],
    ids=repr,
)  # fmt: skip
def test_what_is_no_document_is_damage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError):
        atomic.read_json(path)


def test_absent_and_unreadable_are_not_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.read_json(tmp_path / "x.json")
    with pytest.raises(StoreError, match="a folder is where a file must be") as caught:
        atomic.read_json(tmp_path)
    assert not isinstance(caught.value, DamagedFileError)


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    names = [".x[1].npy.77.tmp", ".x[1].npy.1234.tmp", ".x1.npy.77.tmp", "x[1].npy", ".other.77.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    atomic.remove_leftovers(tmp_path / "x[1].npy")
    assert files_in(tmp_path) == sorted(names[2:])


def test_what_was_removed_does_not_come_back_with_one_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        atomic.write_bytes(tmp_path / "removed run" / "state" / "x", b"")
    assert files_in(tmp_path) == []
    atomic.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="where a folder must be"):
        atomic.make_folder(tmp_path / "file" / "b")
    with pytest.raises(StoreError, match="the folder cannot be made"):
        atomic.make_folder(tmp_path / ("n" * 300))
