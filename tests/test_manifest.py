"""Manifests say what a run is and what an experiment fixed; another version's or other data are refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from run_files import flips, run_at

from harness.design.experiment import DataSettings
from harness.design.factors import Hyperparameters
from harness.errors import DamagedFileError, DataError, StoreError
from harness.store import atomic
from harness.store.manifest import (
    ExperimentManifest,
    RunManifest,
    read_experiment_manifest,
    read_run_manifest,
    write_experiment_manifest,
    write_run_manifest,
)
from harness.store.rundir import FORMAT, ExperimentDirectory, RunDirectory, experiment_directory, slug

DIGITS, FOLDER = DataSettings().declared(), DataSettings(source="folder").declared()
EXPERIMENT = ExperimentManifest("e", 1, {})


def run_manifest() -> RunManifest:
    return RunManifest(
        key="01" * 32, experiment="e", cell="latent_dim=5", seed=3,
        hyperparameters=Hyperparameters(latent_dim=5).model_dump(mode="json"), data=dict(DIGITS),
        data_sha256="cd" * 32, training_version=1, harness_version="0.1.0",
    )  # fmt: skip


def test_manifests_come_back_as_they_went(tmp_path: Path) -> None:
    run, experiment = run_at(tmp_path), ExperimentDirectory(tmp_path)
    assert read_run_manifest(run) is None
    assert read_experiment_manifest(experiment) is None
    write_run_manifest(run, run_manifest())
    assert read_run_manifest(run) == run_manifest()
    manifest = ExperimentManifest("e", 2, {"a": "b"}, {"digits": "ab", "inception": None})
    write_experiment_manifest(experiment, manifest)
    assert read_experiment_manifest(experiment) == manifest


@pytest.mark.parametrize("found", [FORMAT + 1, 0, None, "1"])
def test_a_folder_of_another_version_is_refused_with_a_remedy(tmp_path: Path, found: object) -> None:
    run, experiment = run_at(tmp_path), ExperimentDirectory(tmp_path)
    atomic.write_json(run.run_json, {**asdict(run_manifest()), "format": found})
    atomic.write_json(experiment.manifest, {"format": found, "whatever": "that version keeps"})
    for path, read in ((run.run_json, lambda: read_run_manifest(run)),
                       (experiment.manifest, lambda: read_experiment_manifest(experiment))):  # fmt: skip
        with pytest.raises(StoreError, match=f"format {found} by another version") as caught:
            read()
        assert caught.value.where == str(path)
        assert "--runs-dir" in caught.value.remedy


def test_damage_is_told(tmp_path: Path) -> None:
    run = run_at(tmp_path)
    write_run_manifest(run, run_manifest())
    content = run.run_json.read_bytes()
    for changed in list(flips(content))[::97]:
        run.run_json.write_bytes(changed)
        with pytest.raises(DamagedFileError):
            read_run_manifest(run)
    atomic.write_json(run.run_json, {"format": FORMAT, "key": "x"})
    with pytest.raises(DamagedFileError, match="not a manifest"):
        read_run_manifest(run)


def test_other_images_under_the_same_declaration_are_refused() -> None:
    manifest = EXPERIMENT.with_data(DIGITS, "aa" * 32, where="digits")
    assert manifest.data_sha256_of(DIGITS) == "aa" * 32
    assert manifest.data_sha256_of(FOLDER) is None
    assert manifest.data_sha256_of(dict(reversed(DIGITS.items()))) == "aa" * 32
    assert manifest.with_data(DIGITS, "aa" * 32, where="digits") == manifest
    both = manifest.with_data(FOLDER, "bb" * 32, where="images/")
    assert (both.data_sha256_of(DIGITS), both.data_sha256_of(FOLDER)) == ("aa" * 32, "bb" * 32)
    with pytest.raises(DataError, match=r"not those of the first run \(SHA-256 bbbbbbbbbbbbbbbb, now cccc") as caught:
        both.with_data(FOLDER, "cc" * 32, where="images/")
    assert caught.value.where == "images/"
    assert EXPERIMENT.data_sha256 == {}


def test_run_folders_are_found_by_their_key(tmp_path: Path) -> None:
    experiment = experiment_directory(tmp_path, "e")
    assert experiment.runs() == {}
    run = experiment.new_run("lr=0.001,latent_dim=5", 7, "0123456789abcdef")
    assert run.root == tmp_path / "e" / "lr=0.001,latent_dim=5--s7--01234567"
    write_run_manifest(run, replace(run_manifest(), cell="renamed -- since"))
    for stray in ("cache", "a--file"):
        (experiment.root / stray).mkdir() if stray == "cache" else (experiment.root / stray).write_text("")
    assert experiment.runs() == {"01234567": run}
    for name in ("z--s0--01234567", "z--s0--89abcdef"):
        (experiment.root / name).write_text("in the place of a run's folder")
    assert experiment.runs() == {"01234567": run, "89abcdef": RunDirectory(experiment.root / "z--s0--89abcdef")}
    assert experiment.new_run("a -- b/c:d", 0, "f" * 64).root.name == "a----b-c-d--s0--ffffffff"


def test_a_runs_folder_that_is_none_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("a file")
    experiment = experiment_directory(tmp_path, "e")
    with pytest.raises(StoreError, match="where a folder must be"):
        experiment.runs()
    with pytest.raises(StoreError, match="where a folder must be"):
        read_experiment_manifest(experiment)
    with pytest.raises(StoreError, match="where a folder must be"):
        write_experiment_manifest(experiment, EXPERIMENT)


@pytest.mark.parametrize("name", ["深" * 200, "𠀀" * 200, "x" * 500, "../../etc", "...", "a/b\\c:d*e?f", "", "é" * 120])
def test_every_cell_name_gives_a_folder_that_can_be_made(tmp_path: Path, name: str) -> None:
    experiment = experiment_directory(tmp_path, "e")
    run = experiment.new_run(name, 2**32 - 1, "01" * 32)
    assert run.root.parent == experiment.root
    write_run_manifest(run, run_manifest())
    assert experiment.runs() == {"01010101": run}


def test_common_names_keep_their_letters() -> None:
    assert slug("latent_dim=100,lr=5e-05") == "latent_dim=100,lr=5e-05"
    assert slug("ReLU only!") == "ReLU-only"
    assert slug("深层") == "深层"


def test_committed_steps_are_those_of_commit_files(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.committed_steps() == []
    run.states.mkdir()
    for name in ("step-000005.json", "step-1234567.json", "step-000007.pt", ".step-000009.json.1.tmp", "other.json"):
        (run.states / name).touch()
    assert run.committed_steps() == [1234567, 5]
