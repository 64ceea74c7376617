"""The thorough look finds every changed bit and cut of what counts, and is silent about what killed processes leave."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_files import flips, holder_of

from experiments import TINY, run_here, views, write_file
from harness.errors import StoreError
from harness.store import atomic
from harness.store.attempts import begin_attempt
from harness.store.commits import discard_commit
from harness.store.findings import Finding, mended_by_work
from harness.store.inspection import inspect_free_runs, inspect_run, inspect_shared
from harness.store.manifest import RunManifest, write_run_manifest
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory

NAME = "baseline seed 0"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_file(tmp_path_factory.mktemp("finished"))
    run_here(path)
    return path


@pytest.fixture
def path(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished.parent / "runs", tmp_path / "runs")
    return Path(shutil.copy(finished, tmp_path))


def baseline(path: Path) -> tuple[RunDirectory, str]:
    view = views(path)[NAME]
    assert view.directory is not None
    return view.directory, view.run.key


def look(path: Path) -> tuple[Finding, ...]:
    return inspect_run(*baseline(path))


def told(path: Path) -> list[tuple[str, str]]:
    run, _ = baseline(path)
    return [(finding.path.relative_to(run.root).as_posix(), finding.kind) for finding in look(path)]


def parts(run: RunDirectory) -> Iterator[tuple[Path, int]]:
    """One file of every kind, with the bytes of it that count."""
    newest = run.committed_steps()[0]
    for file in (
        run.run_json,
        run.attempts,
        run.metrics,
        run.state(newest),
        run.commit(newest),
        run.checkpoint(12),
        atomic.note_of(run.checkpoint(12)),
        run.samples(12),
        next(iter(sorted(run.evaluations.iterdir()))),
    ):
        yield file, file.stat().st_size


def test_a_finished_experiment_holds(path: Path) -> None:
    assert look(path) == ()
    assert inspect_shared(experiment_directory(path.parent / "runs", "tiny")) == ()


def test_every_kind_of_file_is_looked_at_byte_by_byte(path: Path) -> None:
    """A bit in every 97th byte or so of each file, the first, the last, and cuts of every other length alike."""
    run, key = baseline(path)
    for file, size in parts(run):
        content = file.read_bytes()
        for at in {0, size - 1, *range(0, size, max(1, size // 12))}:
            changed = bytearray(content)
            changed[at] ^= 1 << at % 8
            file.write_bytes(changed)
            assert file in {finding.path for finding in inspect_run(run, key)}, (file.name, at)
            if file != run.attempts or content[at - 1 : at] not in (b"\n", b""):
                file.write_bytes(content[:at])
                assert file in {finding.path for finding in inspect_run(run, key)}, (file.name, "cut", at)
        file.write_bytes(content)
    assert inspect_run(run, key) == ()


@pytest.mark.parametrize("which", ["note", "attempts", "evaluation", "commit"])
def test_every_bit_of_small_files_counts(path: Path, which: str) -> None:
    run, key = baseline(path)
    files = {
        "note": atomic.note_of(run.checkpoint(24)),
        "attempts": run.attempts,
        "evaluation": next(iter(sorted(run.evaluations.iterdir()))),
        "commit": run.commit(24),
    }
    file = files[which]
    content = file.read_bytes()
    for number, changed in enumerate(flips(content)):
        if number % (1 if which == "note" else 29):
            continue
        file.write_bytes(changed)
        assert [finding.path for finding in inspect_run(run, key)] == [file], number


def test_missing_files_are_found(path: Path) -> None:
    run, _ = baseline(path)
    for file in (run.run_json, run.state(24), run.checkpoint(12), atomic.note_of(run.checkpoint(24)), run.samples(24)):
        file.unlink()
    assert told(path) == [
        ("state/step-000024.pt", "state"),
        ("checkpoints/step-000012.safetensors", "checkpoint"),
        ("checkpoints/step-000024.safetensors.sha256", "note"),
        ("samples/step-000024.png", "picture"),
        ("run.json", "manifest"),
    ]


def test_what_is_older_than_a_whole_state_is_spare(path: Path) -> None:
    run, _ = baseline(path)
    run.state(12).write_bytes(b"")
    assert told(path) == [("state/step-000012.pt", "spare")]
    run.commit(12).write_bytes(b"")
    assert told(path) == [("state/step-000012.json", "spare")]
    run.state(24).write_bytes(b"")
    assert told(path) == [("state/step-000024.pt", "state"), ("state/step-000012.json", "commit")]


def test_what_a_killed_process_leaves_is_no_damage(path: Path) -> None:
    run, _ = baseline(path)
    with run.metrics.open("ab") as file:
        file.write(b'{"step":28,"torn')
    for leftover in (
        run.states / "step-000020.pt",
        run.states / ".step-000024.json.4711.tmp",
        run.checkpoints / ".step-000024.safetensors.4711.tmp",
        run.checkpoint(36),
        run.samples(36),
        run.evaluations / ".x.json.4711.tmp",
    ):
        leftover.write_bytes(b"half")
    begin_attempt(run, step=24, machine={})
    assert look(path) == ()
    discard_commit(run, 24)
    discard_commit(run, 12)
    assert look(path) == ()
    shutil.rmtree(run.states)
    run.run_json.unlink()
    assert look(path) == ()


def test_a_run_that_somebody_holds_is_left_alone(path: Path) -> None:
    run, key = baseline(path)
    run.checkpoint(12).write_bytes(b"")
    assert list(inspect_free_runs([(run, key)])) == [key]
    with holder_of(run.lock):
        assert inspect_free_runs([(run, key)]) == {}


def test_a_run_that_cannot_be_read_says_nothing_about_the_others(path: Path) -> None:
    run, key = baseline(path)
    run.checkpoint(12).unlink()
    run.checkpoint(12).mkdir()
    ((found,),) = inspect_free_runs([(run, key)]).values()
    assert (found.kind, found.path) == ("unreadable", run.checkpoint(12))
    with pytest.raises(StoreError, match="a folder is where a file must be"):
        inspect_run(run, key)


def test_a_folder_of_another_run_and_of_another_format(path: Path) -> None:
    run, key = baseline(path)
    ((found,),) = inspect_free_runs([(run, "ff" * 32)]).values()
    assert found.kind == "unreadable" and f"belongs to another run ({key[:16]})" in str(found)
    document = atomic.read_json(run.run_json)
    write_run_manifest(run, RunManifest(**{**document, "format": 99}))
    ((found,),) = inspect_free_runs([(run, key)]).values()
    assert (found.kind, found.path) == ("unreadable", run.run_json)


def test_an_evaluation_under_another_name_is_found(path: Path) -> None:
    run, _ = baseline(path)
    first, last = sorted(run.evaluations.iterdir())
    last.write_bytes(first.read_bytes())
    assert told(path) == [(f"evaluations/{last.name}", "evaluation")]
    document = atomic.read_json(first)
    for values in ({"fid": "1"}, {"fid": [True]}, [], None):
        atomic.write_json(first, {**document, "values": values})
        assert (f"evaluations/{first.name}", "evaluation") in told(path)
        assert not views(path)[NAME].status.is_settled


def test_a_picture_of_another_checkpoint_is_found(path: Path) -> None:
    run, _ = baseline(path)
    shutil.copy(run.samples(12), run.samples(24))
    assert told(path) == [("samples/step-000024.png", "picture")]
    run.samples(24).write_bytes(run.samples(12).read_bytes() + b"behind the end")
    assert told(path) == [("samples/step-000024.png", "picture")]


def test_commits_of_wrong_types_do_not_count(path: Path) -> None:
    run, _ = baseline(path)
    document = atomic.read_json(run.commit(24))
    for wrong in (
        {"step": "24"},
        {"step": 23},
        {"metrics_offset": -1},
        {"checkpoints": {"a": "b"}},
        {"checkpoints": 3},
    ):
        atomic.write_json(run.commit(24), {**document, **wrong})
        assert told(path) == [("state/step-000024.json", "commit")]
        assert views(path)[NAME].status.step == 12


def test_damaged_shared_files_are_found(path: Path) -> None:
    directory = experiment_directory(path.parent / "runs", "tiny")
    atomic.write_json(directory.reports, {"a": 1})
    atomic.write_json(directory.tracking("ab" * 32), {"a": 1})
    run, _ = baseline(path)
    atomic.write_json(run.cursor("ab" * 32), {"a": 1})
    caches = [file for file in sorted(directory.cache.iterdir()) if file.suffix in (".npy", ".json", ".safetensors")]
    assert len(caches) == 6  # images and their notes; features of two sets, a decomposition, and the floor
    for file in (directory.reports, directory.tracking("ab" * 32), *caches):
        content = file.read_bytes()
        assert inspect_shared(directory) == ()
        file.write_bytes(content[:-2])
        (found,) = inspect_shared(directory)
        assert (found.path, mended_by_work([found], "train and evaluate")) == (file, ())
        file.write_bytes(content)
    atomic.note_of(caches[0]).unlink(missing_ok=True)  # a process was killed between the two
    assert inspect_shared(ExperimentDirectory(directory.root)) == ()
    cursor = run.cursor("ab" * 32)
    cursor.write_bytes(b"{}")
    assert told(path) == []  # no worker needs it
    (found,) = inspect_free_runs([baseline(path)])[baseline(path)[1]]
    assert (found.path, found.kind, mended_by_work([found], "train and evaluate")) == (cursor, "cursor", ())


def test_what_no_run_needs_may_be_unreadable(path: Path) -> None:
    """A folder in the place of a cursor, of the note of reports, of a cache's note: told, and nothing is raised."""
    directory = experiment_directory(path.parent / "runs", "tiny")
    run, key = baseline(path)
    array = next(directory.cache.glob("reference-*.safetensors"))
    atomic.note_of(array).unlink()
    places = [directory.reports, directory.tracking("ab" * 32), atomic.note_of(array), run.cursor("ab" * 32)]
    for place in places:
        place.mkdir(parents=True)
    directory.cursors.joinpath("x.json").mkdir()
    found = (*inspect_shared(directory), *inspect_free_runs([(run, key)]).get(key, ()))
    assert {finding.path for finding in found} == {directory.reports, atomic.note_of(array)}  # folders are no cursors
    assert {finding.kind for finding in found} == {"barred"}
    assert all("a folder is where a file must be; what needs it fails" in str(finding) for finding in found)
    assert mended_by_work(found, "train and evaluate") == ()
    for folder in (directory.cursors, run.cursors):
        shutil.rmtree(folder)
        folder.write_text("in the way")
    (shared,) = (finding for finding in inspect_shared(directory) if finding.path == directory.cursors)
    (own,) = inspect_free_runs([(run, key)])[key]
    assert (shared.kind, own.kind, own.path) == ("barred", "barred", run.cursors)
    assert inspect_run(run, key) == ()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file here whose first byte is a read error")
def test_a_read_error_is_damage_of_what_is_made_again(path: Path) -> None:
    """The start of a process's memory: a regular file that opens, and whose reading is an EIO."""
    directory = experiment_directory(path.parent / "runs", "tiny")
    run, key = baseline(path)
    array = next(directory.cache.glob("reference-*.safetensors"))
    for place in (run.state(12), run.checkpoint(24), array):
        place.unlink()
        place.symlink_to("/proc/self/mem")
    found = {finding.path: finding for finding in inspect_run(run, key)}
    assert {place: finding.kind for place, finding in found.items()} == {
        run.state(12): "spare",
        run.checkpoint(24): "checkpoint",
    }
    assert all("cannot be read: Input/output error" in finding.what for finding in found.values())
    (shared,) = inspect_shared(directory)
    assert (shared.path, shared.kind) == (array, "barred")
    assert "cannot be read: Input/output error" in shared.what


DIVERGING = TINY.replace('levels.architecture = ["mlp"]', "levels.lr = [1.0]\nlevels.betas = [[0.9, 0.0]]")
SETS = ("training.log_every=1", "training.checkpoint_every=6", "training.steps=20",
        "grid.0.kind=paired", "baseline.resolution=16")  # fmt: skip


def test_a_divergence_counts_its_own_records(tmp_path: Path) -> None:
    path = write_file(tmp_path, DIVERGING)
    run_here(path, *SETS)
    view = next(view for view in views(path, *SETS).values() if view.status.reason)
    run = view.directory
    assert run is not None and view.status.state == "diverged"
    assert inspect_run(run, view.run.key) == ()
    content = bytearray(run.metrics.read_bytes())
    assert view.status.commit is not None and len(content) > view.status.commit.metrics_offset
    content[-5] ^= 1
    run.metrics.write_bytes(content)
    (found,) = inspect_run(run, view.run.key)
    assert found.kind == "divergence"
    status = views(path, *SETS)[view.run.name].status
    assert (status.state, status.is_settled, status.damage) == ("diverged", False, (str(run.metrics),))
    assert "damaged: metrics.jsonl" in status.reason
