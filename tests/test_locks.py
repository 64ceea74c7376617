"""Locks are held by live processes and by nobody else."""

from __future__ import annotations

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
    with pytest.raises(StoreError, match="cannot lock") as caught, held(tmp_path / "file" / "lock", timeout_s=0.0):
        pass
    assert caught.value.where == str(tmp_path / "file" / "lock")
    assert not is_held(tmp_path / "file" / "lock")


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
