"""What was found in files before is told again only where they are still the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.store.looks import SETTLED_NS, Looks, look_at


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that was written long ago."""
    path = tmp_path / "file"
    path.write_bytes(b"first")
    age(path, 10 * SETTLED_NS)
    return path


def age(path: Path, by_ns: int) -> None:
    changed = path.stat().st_mtime_ns - by_ns
    os.utime(path, ns=(changed, changed))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Looks at a time when every file of the test is settled."""
    now = time.time_ns() + 10 * SETTLED_NS
    monkeypatch.setattr("harness.store.looks.time.time_ns", lambda: now)
    return Looks()


def test_an_unchanged_file_is_read_once_for_each_question(file: Path, looks: Looks) -> None:
    seen: list[bytes] = []

    def read() -> bytes:
        seen.append(file.read_bytes())
        return seen[-1]

    assert [looks.at(file, "content", read) for _ in range(3)] == [b"first"] * 3
    assert len(seen) == 1
    assert looks.at(file, "size", lambda: 5) == 5


def test_a_changed_file_of_the_same_size_is_read_again(file: Path, looks: Looks) -> None:
    assert looks.at(file, "content", file.read_bytes) == b"first"
    file.write_bytes(b"other")
    assert looks.at(file, "content", file.read_bytes) == b"other"


def test_another_file_in_its_place_is_read_although_its_times_are_the_same(file: Path, looks: Looks) -> None:
    looks.at(file, "content", file.read_bytes)
    other = file.with_name("other")
    other.write_bytes(b"other")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    assert looks.at(file, "content", file.read_bytes) == b"other"


def test_what_was_changed_a_moment_ago_is_read_each_time(file: Path) -> None:
    file.write_bytes(b"young")
    looks, count = Looks(), iter(range(9))
    assert [looks.at(file, "count", lambda: next(count)) for _ in range(3)] == [0, 1, 2]


def test_nothing_is_held_of_an_absent_file_or_of_a_failure(file: Path, looks: Looks) -> None:
    with pytest.raises(FileNotFoundError):
        looks.at(file.with_name("absent"), "content", file.with_name("absent").read_bytes)
    with pytest.raises(ZeroDivisionError):
        looks.at(file, "content", lambda: 1 // 0)
    assert looks.at(file, "content", file.read_bytes) == b"first"


def test_without_looks_each_look_is_anew(file: Path) -> None:
    count = iter(range(9))
    assert [look_at(None, file, "count", lambda: next(count)) for _ in range(3)] == [0, 1, 2]


def test_what_rests_on_several_files_is_looked_at_again_where_one_of_them_or_their_folder_changed(
    file: Path, looks: Looks
) -> None:
    other, count = file.with_name("other"), iter(range(9))

    def look() -> int:
        return looks.at_all("both", lambda: next(count), lambda _: (file, other, file.parent))

    assert [look() for _ in range(4)] == [0, 1, 1, 1]  # the first look says which files to watch
    other.write_bytes(b"it appeared")
    assert [look(), look()] == [2, 2]
    file.write_bytes(b"other")  # of the same size
    assert [look(), look()] == [3, 3]


def test_what_names_no_files_or_others_than_before_is_looked_at_each_time(file: Path, looks: Looks) -> None:
    count = iter(range(9))
    assert [looks.at_all("none", lambda: next(count), lambda _: ()) for _ in range(3)] == [0, 1, 2]

    def places(found: int) -> tuple[Path, ...]:
        return (file.with_name(str(found)),)

    assert [looks.at_all("another", lambda: next(count), places) for _ in range(3)] == [3, 4, 5]


def test_several_files_are_read_again_where_one_was_changed_a_moment_ago(file: Path) -> None:
    file.write_bytes(b"young")
    looks, count = Looks(), iter(range(9))
    assert [looks.at_all("it", lambda: next(count), lambda _: (file,)) for _ in range(3)] == [0, 1, 2]
