"""`harness prune`: removes runs that the file no longer names, and nothing that is not such a run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from experiments import write_file
from harness.cli.app import app
from harness.errors import StoreError
from harness.store import pruning
from harness.store.atomic import write_json
from harness.store.locks import held
from harness.store.manifest import RunManifest, write_run_manifest
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory

KEYS = {letter: letter * 64 for letter in "abcdef"}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentDirectory:
    """An experiment with two old runs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path, 'name = "tiny"')
    directory = experiment_directory(tmp_path / "runs", "tiny")
    for letter in "ab":
        old_run(directory, KEYS[letter])
    return directory


def old_run(directory: ExperimentDirectory, key: str, *, experiment: str = "tiny", ends: str = "") -> RunDirectory:
    run = directory.new_run("old", 0, ends or key)
    write_run_manifest(run, RunManifest(key, experiment, "old", 0, {}, {}, "", 1, "1.0"))
    run.checkpoints.mkdir()
    run.checkpoint(1).write_bytes(b"weights")
    return run


def prune(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, list[str]], str]:
    """The JSON document and what was said."""
    app(["prune", "tiny.toml", "--json", *arguments], standalone_mode=False)
    printed = capsys.readouterr()
    return json.loads(printed.out), printed.err


def test_old_runs_are_listed_then_removed(directory: ExperimentDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    old = [str(directory.new_run("old", 0, KEYS[letter]).root) for letter in "ab"]
    assert prune(capsys)[0] == {"would_remove": old, "kept": []}
    assert all(Path(root).exists() for root in old)
    assert prune(capsys, "--yes")[0] == {"removed": old, "kept": []}
    assert not any(Path(root).exists() for root in old)
    assert prune(capsys, "--yes")[0] == {"removed": [], "kept": []}


def test_what_is_not_a_run_of_this_experiment_stays(
    directory: ExperimentDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [
        old_run(directory, KEYS["c"], experiment="other").root,
        old_run(directory, KEYS["d"], ends=KEYS["e"]).root,
        directory.new_run("empty", 0, KEYS["e"]).root,
        directory.new_run("damaged", 0, KEYS["e"]).root,
        directory.new_run("newer", 0, KEYS["e"]).root,
    ]
    for root in kept[2:]:
        root.mkdir()
    (kept[3] / "run.json").write_text('{"key": "eee')
    write_json(kept[4] / "run.json", {"format": 99})
    silent = [directory.root / name for name in ("my--notes", "plots--2024", "old--s0--AAAAAAAA", "x--s0--aaaaaaaab")]
    for root in silent:
        root.mkdir()
        shutil.copy(directory.new_run("old", 0, KEYS["a"]).run_json, root)
    (directory.root / "file--s0--ffffffff").write_text("no folder")
    document, said = prune(capsys, "--yes")
    assert document["kept"] == sorted(map(str, kept))
    assert [Path(root).name for root in document["removed"]] == ["old--s0--aaaaaaaa", "old--s0--bbbbbbbb"]
    assert all(f"not a run, kept: {root}" in said for root in kept)
    assert all(root.is_dir() for root in [*kept, *silent])
    assert (directory.root / "file--s0--ffffffff").exists()


def test_links_and_what_they_lead_to_stay(
    directory: ExperimentDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = tmp_path / "elsewhere" / "old--s0--cccccccc"
    shutil.copytree(old_run(directory, KEYS["c"]).root, away)
    shutil.rmtree(directory.new_run("old", 0, KEYS["c"]).root)
    link = directory.root / away.name
    link.symlink_to(away)
    inside = directory.new_run("old", 0, KEYS["a"]).root / "shared"
    inside.symlink_to(tmp_path / "elsewhere")
    document, _ = prune(capsys, "--yes")
    assert document["kept"] == [str(link)]
    assert link.is_symlink()
    assert not inside.is_symlink()
    assert (away / "checkpoints" / "step-000001.safetensors").exists()


def test_a_run_that_a_process_holds_stays(directory: ExperimentDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    busy = directory.new_run("old", 0, KEYS["a"])
    with held(busy.lock, timeout_s=1.0) as mine:
        assert mine
        document, said = prune(capsys, "--yes")
    assert document["kept"] == [str(busy.root)]
    assert f"in use, kept: {busy.root}" in said
    assert busy.checkpoint(1).exists()
    assert len(document["removed"]) == 1


def test_a_run_that_the_file_names_stays(directory: ExperimentDirectory) -> None:
    left = pruning.find_leftovers(directory, "tiny", {KEYS["a"]})
    assert [run.root.name for run in left.runs] == ["old--s0--bbbbbbbb"]
    assert left.foreign == ()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs folders that may not be written")
def test_what_cannot_be_removed_is_an_error_and_done_by_the_next_call(directory: ExperimentDirectory) -> None:
    run = directory.new_run("old", 0, KEYS["a"])
    run.checkpoints.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be removed"):
        pruning.remove_run(run)
    run.checkpoints.chmod(0o700)
    assert pruning.remove_run(pruning.find_leftovers(directory, "tiny", {KEYS["b"]}).runs[0])
    assert not run.root.exists()


def test_a_failing_removal_leaves_run_json_for_the_next_call(
    directory: ExperimentDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = directory.new_run("old", 0, KEYS["a"])

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("harness.store.pruning.shutil.rmtree", refuse)
        with pytest.raises(StoreError, match="cannot be removed: Permission denied") as caught:
            pruning.remove_run(run)
    assert caught.value.where == str(run.checkpoints)
    assert run.run_json.exists()
    assert pruning.remove_run(run)
    assert not run.root.exists()
