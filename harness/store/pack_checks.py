"""What a pack says, compared with what it holds, once it is laid out in a folder and before anything of it lands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import DamagedFileError, StoreError
from harness.store.commits import newest_commit
from harness.store.findings import Finding
from harness.store.inspection import inspect_free_runs
from harness.store.left_behind import note_left_behind
from harness.store.manifest import (
    ExperimentManifest,
    read_experiment_manifest,
    read_run_manifest,
)
from harness.store.pack_manifest import COPY_AGAIN, PackedRun, PackManifest
from harness.store.png import picture_texts
from harness.store.reading import is_there, read_bytes
from harness.store.rundir import ExperimentDirectory, RunDirectory


def check_staged(staged: ExperimentDirectory, manifest: PackManifest, where: str) -> ExperimentManifest:
    """Looks at every run as thoroughly as `harness run` does before work, and marks what stayed elsewhere.

    staged: where the pack was laid out; where: the pack. StoreError where something does not hold.
    """
    shared = _shared(staged, manifest, where)
    directories = staged.runs()
    named = {run.key[:8]: run for run in manifest.runs}
    if directories.keys() != named.keys():
        raise _lie(f"{where}: manifest.json", "it names other runs than there are")
    for key8, run in named.items():
        _check_run(directories[key8], run, manifest.experiment, where)
    found = inspect_free_runs([(directories[key8], run.key) for key8, run in named.items()])
    for findings in found.values():
        if bad := [finding for finding in findings if not _is_only_missing(finding)]:
            place = bad[0].path.relative_to(staged.root.parent.parent).as_posix()
            raise _lie(f"{where}: {place}", bad[0].what)
    return shared


def _shared(staged: ExperimentDirectory, manifest: PackManifest, where: str) -> ExperimentManifest:
    try:
        shared = read_experiment_manifest(staged)
    except DamagedFileError as error:
        raise _lie(f"{where}: experiment.json", error.what) from error
    if shared is None or not is_there(staged.file_copy):
        raise _lie(where, "it has no experiment.json or no experiment.toml")
    _check_types(shared, f"{where}: experiment.json")
    if shared.name != manifest.experiment:
        raise _lie(f"{where}: experiment.json", f"it is of the experiment {shared.name!r:.80}")
    for path in sorted(staged.pictures.glob("*.png")):
        if picture_texts(read_bytes(path)) is None:
            raise _lie(f"{where}: {path.name}", "the picture is not whole")
    return shared


def _check_types(shared: ExperimentManifest, where: str) -> None:
    hashes = (*shared.data_sha256.values(), *shared.data_sources.values()) if _are_objects(shared) else (None,)
    looked_for = shared.weights_sha256.values() if isinstance(shared.weights_sha256, dict) else (0,)
    counts = shared.image_counts.values() if isinstance(shared.image_counts, dict) else (None,)
    holds = (
        type(shared.threads) is int
        and shared.threads > 0
        and all(isinstance(digest, str) for digest in hashes)
        and all(digest is None or isinstance(digest, str) for digest in looked_for)
        and all(type(count) is int and count >= 0 for count in counts)
    )
    if not holds:
        raise _lie(where, "it holds something else than an experiment's first run writes")


def _are_objects(shared: ExperimentManifest) -> bool:
    return isinstance(shared.data_sha256, dict) and isinstance(shared.data_sources, dict)


def _check_run(directory: RunDirectory, told: PackedRun, experiment: str, where: str) -> None:
    place = f"{where}: {told.folder:.200}"
    try:
        manifest = read_run_manifest(directory)
    except DamagedFileError as error:
        raise _lie(place, error.what) from error
    if directory.root.name != told.folder or manifest is None:
        raise _lie(place, "its folder or its run.json is missing")
    if (manifest.key, manifest.experiment) != (told.key, experiment):
        raise _lie(place, "its run.json is of another run")
    commit = newest_commit(directory)
    if told.step != (commit.step if commit else 0):
        raise _lie(place, f"manifest.json says step {told.step}, and it stands at {commit.step if commit else 0}")
    if commit and not is_there(directory.state(commit.step)):
        kept = any(is_there(directory.checkpoint(int(step))) for step in commit.checkpoints)
        note_left_behind(directory, commit, checkpoints=bool(commit.checkpoints) and not kept)
    _refuse_uncommitted(directory, [] if commit is None else [int(step) for step in commit.checkpoints], place)


def _refuse_uncommitted(directory: RunDirectory, steps: Sequence[int], place: str) -> None:
    """StoreError for weights that no commit counts: nothing would ever compare them."""
    counted = {directory.checkpoint(step).name for step in steps}
    for path in directory.checkpoints.glob("*.safetensors"):
        if path.name not in counted:
            raise _lie(f"{place}/{path.name}", "no commit counts this checkpoint")
    if len(directory.committed_steps()) > 1 or len(list(directory.states.glob("*.pt"))) > 1:
        raise _lie(place, "it has more than one commit")


def _is_only_missing(finding: Finding) -> bool:
    """A picture that was not drawn yet is drawn when somebody asks for it."""
    return finding.kind == "picture" and not is_there(Path(finding.path))


def _lie(where: str, what: str) -> StoreError:
    return StoreError(f"nothing was unpacked: {what}", where=where, remedy=COPY_AGAIN)
