"""Locks are held by live processes and by nobody else."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest
from run_files import holder_of, read_only_view, small_disk

from harness.errors import StoreError
from harness.store.locks import WAIT_FOR_EVER, held, is_held


def test_a_lock_of_this_process_is_seen_and_let_go(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "lock"
    assert not is_held(lock)
    assert not lock.parent.exists()
    with held(lock, timeout_s=0.0) as mine:
        assert mine
        assert is_held(lock)
        with held(lock, timeout_s=0.0) as twice:
            assert not twice
    assert not is_held(lock)


def test_a_lock_is_let_go_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path / "lock", timeout_s=0.0):
        raise ZeroDivisionError
    assert not is_held(tmp_path / "lock")


def test_another_process_keeps_it_until_it_dies(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder_of(lock) as other:
        assert is_held(lock)
        assert is_held(lock)  # looking takes nothing away
        with held(lock, timeout_s=0.05) as mine:
            assert not mine
        other.kill()
        other.wait()
        assert not is_held(lock)
        with held(lock, timeout_s=0.0) as mine:
            assert mine


def test_waiting_lasts_until_the_holder_leaves(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder_of(lock) as other:
        assert other.stdin is not None
        other.stdin.close()
        with held(lock, timeout_s=WAIT_FOR_EVER) as mine:
            assert mine
        assert other.wait() == 0


def test_looking_disturbs_nobody_who_waits_a_moment(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        assert not is_held(lock)
        with held(lock, timeout_s=1.0) as mine:
            assert mine


def test_a_folder_that_refuses_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    lock = tmp_path / "file" / "lock"
    with pytest.raises(StoreError, match="where a folder must be") as caught, held(lock, timeout_s=0.0):
        pass
    assert caught.value.where == str(tmp_path / "file")
    with pytest.raises(StoreError, match="where a folder must be"):
        is_held(lock)
    with pytest.raises(StoreError, match="cannot lock"), held(tmp_path / ("n" * 300), timeout_s=0.0):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot look at a lock that it may not write")
def test_a_lock_that_may_only_be_read_is_told_right(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, holder_of(disk / "lock") as other:
        (disk / "free").touch()
        with read_only_view(disk, tmp_path / "view") as view:
            assert is_held(view / "lock")
            assert not is_held(view / "free")
            other.kill()
            other.wait()
            assert not is_held(view / "lock")
            with pytest.raises(StoreError, match="Read-only"), held(view / "free", timeout_s=0.0):
                pass


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of Unix")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    import fcntl

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="has no locks"), held(tmp_path / "lock", timeout_s=1.0):
        pytest.fail("two could be in here")


def test_a_killed_holders_lock_is_free_at_once(tmp_path: Path) -> None:
    """The file stays; the lock goes with the process, also where nobody could clean up."""
    with holder_of(tmp_path / "lock") as process:
        process.kill()
        process.wait()
    assert (tmp_path / "lock").exists()
    assert not is_held(tmp_path / "lock")
    with held(tmp_path / "lock", timeout_s=0.0) as mine:
        assert mine


def test_a_lock_brings_back_no_folder_above_its_own(tmp_path: Path) -> None:
    with held(tmp_path / "made" / "lock", timeout_s=0.0) as mine:
        assert mine
    with pytest.raises(StoreError, match="cannot lock"), held(tmp_path / "gone" / "tracking" / "lock", timeout_s=0.0):
        pass
    assert not (tmp_path / "gone").exists()
