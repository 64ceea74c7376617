"""A mark in the experiment's folder tells whether another machine sees the same storage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.execution.storage import storage_mark
from harness.store.rundir import experiment_directory


def test_a_mark_is_seen_where_the_folder_is_the_same(tmp_path: Path) -> None:
    here = experiment_directory(tmp_path / "runs", "tiny")
    here.cache.mkdir(parents=True)
    with storage_mark(here) as mark:
        assert mark.is_seen()
        assert not replace(mark, directory=experiment_directory(tmp_path / "other", "tiny")).is_seen()
        assert not replace(mark, word="0" * 16).is_seen()
    assert not mark.is_seen()
    assert list(here.cache.iterdir()) == []
