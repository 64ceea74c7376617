"""What an experiment was trained with so far is found, its manifest lost or not."""

from __future__ import annotations

from pathlib import Path

from harness.execution.threads import threads_before
from harness.store.attempts import begin_attempt
from harness.store.manifest import ExperimentManifest
from harness.store.rundir import experiment_directory


def test_what_was_is_in_the_manifest_or_in_attempts_where_that_is_lost(tmp_path: Path) -> None:
    directory = experiment_directory(tmp_path, "threads")
    assert threads_before(None, directory) is None
    run = directory.new_run("baseline", 0, "0123456789abcdef")
    run.root.mkdir(parents=True)
    begin_attempt(run, step=0, machine={"threads": 4})
    assert threads_before(None, directory) == 4
    assert threads_before(ExperimentManifest("threads", 2, {}), directory) == 2
