"""The mark by which another machine tells whether it sees an experiment's folder: there for a moment, then gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.execution.storage import storage_mark
from harness.store.rundir import experiment_directory


def test_a_mark_holds_its_own_word_and_leaves_nothing_behind(tmp_path: Path) -> None:
    here = experiment_directory(tmp_path / "runs", "tiny")
    here.cache.mkdir(parents=True)
    with storage_mark(here) as first, storage_mark(here) as second:
        assert first.word != second.word
        assert [here.storage_mark(mark.word).read_text() for mark in (first, second)] == [first.word, second.word]
    with pytest.raises(KeyboardInterrupt), storage_mark(here):
        raise KeyboardInterrupt
    assert list(here.cache.iterdir()) == []
