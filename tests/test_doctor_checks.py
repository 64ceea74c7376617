"""Each check of the machine and of a file, on real files, file systems and programs that stand in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from doctor_parts import facts, findings, first_on_path, program, request, the
from PIL import Image
from run_files import make_read_only, small_disk

from experiments import TINY, run_here, write_file
from harness.cli.doctor_disk import size
from harness.cli.doctor_versions import bounds, numbers
from harness.execution.machine_limits import Limits, limits
from harness.execution.programs import ask
from harness.store.checkup import Finding
from harness.store.file_systems import Mount, mount_of

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU here")


@no_gpu
def test_a_gpu_that_torch_cannot_use_is_a_problem_unless_it_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "nvidia-smi", "print('0, NVIDIA H200, 143771, 0, 570.1, Default')")
    monkeypatch.setenv("PATH", first_on_path(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    broken = the("problem", findings("devices", request(tmp_path)))
    assert "NVIDIA H200, driver 570.1" in broken.found
    assert "--device cpu" in broken.remedy
    assert facts("devices", request(tmp_path))["cuda"] == "a GPU is there, but torch cannot use it"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    hidden = the("note", findings("devices", request(tmp_path)))
    assert "hides every GPU (the driver lists 1)" in hidden.found
    assert facts("devices", request(tmp_path))["cuda"] == "none"


@no_gpu
def test_what_the_driver_says_of_a_gpu_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", first_on_path(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program(tmp_path, "nvidia-smi", "print('0, A100, 40960, 30000, 570.1, Exclusive_Process')")
    notes = [found.found for found in findings("devices", request(tmp_path)) if found.state == "note"]
    assert notes == [
        "GPU 0 (A100) takes one process only: compute mode Exclusive_Process",
        "GPU 0 (A100): 30,000 of 40,960 MiB are taken by other programs",
    ]
    program(tmp_path, "nvidia-smi", "print('NVIDIA-SMI has failed because of its driver'); sys.exit(9)")
    note, fine = findings("devices", request(tmp_path))
    assert (note.state, note.found) == ("note", "nvidia-smi finds no GPU: NVIDIA-SMI has failed because of its driver")
    assert fine == Finding("devices", "ok", "no GPU: runs train on the CPU")


def test_packages_that_are_missing_old_or_do_not_fit_are_problems(tmp_path: Path) -> None:
    told = tmp_path / "gan_ablation_harness-9.dist-info"
    told.mkdir()
    needs = "Requires-Dist: surely-not-there>=1.5\nRequires-Dist: numpy>=999\nRequires-Dist: ray>=999; extra == 'ray'\n"
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: gan-ablation-harness\nVersion: 9\n{needs}")
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    missing, old = [found for found in separately("versions", tmp_path) if found["state"] == "problem"]
    assert (missing["found"], missing["remedy"]) == (
        "surely-not-there is not installed",
        '`pip install "surely-not-there>=1.5"`',
    )
    assert old["found"].endswith("is older than 999")
    (misfit,) = separately("imports", tmp_path)
    assert misfit["state"] == "problem"
    assert "operator torchvision::nms does not exist" in misfit["found"]
    assert "torchvision" in misfit["remedy"]


def separately(topic: str, first: Path) -> list[dict[str, str]]:
    """Findings of a check in a process that looks for packages in `first` before all others."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness.cli.doctor_topics", topic],
        input=request(first).to_json(),
        env={**os.environ, "PYTHONPATH": f"{first}:{Path(__file__).parents[1]}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line["finding"] for line in lines if "finding" in line]


def test_versions_compare_by_their_numbers() -> None:
    assert numbers("2.15.0+cu130") == numbers("2.15") > numbers("2.9.1")
    assert numbers("3.0.0rc1") == (3,)
    assert {"torch", "mlflow", "typer"} <= set(bounds())
    assert "ray" not in bounds(), "what an extra needs is not needed by all"


def test_limits_of_control_groups_are_the_narrowest_on_the_way_up(tmp_path: Path) -> None:
    inner = tmp_path / "groups" / "job" / "step"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text(f"{2**30}\n")
    member = tmp_path / "cgroup"
    member.write_text("0::/job/step\n")
    assert limits(tmp_path / "groups", member) == Limits(1.5, 2**30)
    member.write_text("0::/\n")
    assert limits(tmp_path / "groups", member) == Limits(None, None)
    old = tmp_path / "groups" / "cpu,cpuacct" / "docker"
    old.mkdir(parents=True)
    (old / "cpu.cfs_quota_us").write_text("50000\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    member.write_text("4:cpu,cpuacct:/docker\n3:memory:/docker\n")
    assert limits(tmp_path / "groups", member) == Limits(0.5, None)
    assert limits(tmp_path, tmp_path / "absent") == Limits(None, None)


def test_more_threads_than_cores_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    assert any("OMP_NUM_THREADS=4096" in found.found for found in findings("machine", request(tmp_path)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    path = write_file(tmp_path, TINY + "[resources]\ncpus = 4096\nmemory_gb = 90000.0\n")
    told = [found.found for found in findings("machine", request(tmp_path, file=str(path))) if found.remedy]
    assert any("cpus = 4096" in text for text in told)
    assert any("memory_gb = 90000" in text for text in told)
    elsewhere = findings("machine", request(tmp_path, file=str(path), executor="slurm"))
    assert not any("4096" in found.found for found in elsewhere), "a cluster's nodes are not this machine"


def test_a_full_disk_is_a_problem(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", kilobytes=128) as folder:
        full = [found for found in findings("disk", request(folder)) if found.state == "problem"]
    assert full[0].found.startswith("0 MiB free")
    assert "--runs-dir" in full[0].remedy
    assert "No space left" in full[1].found
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", kilobytes=2**18) as folder:
        make_read_only(folder)
        broken = the("problem", findings("disk", request(folder)))
    assert "no file can be written: Read-only file system" in broken.found
    (tmp_path / "runs").write_text("a file")
    broken = the("problem", findings("disk", request(tmp_path)))
    assert broken.found.endswith("runs is a file, not a folder")


def test_few_files_left_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m,nr_inodes=500", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        notes = [found.found for found in findings("disk", request(folder)) if found.state == "note"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert any("more files can be made" in note for note in notes)


def test_a_local_disk_is_noted_where_others_train(tmp_path: Path) -> None:
    def storage(**asked: object) -> list[Finding]:
        return [found for found in findings("disk", request(tmp_path, **asked)) if found.topic == "storage"]

    mount = mount_of(tmp_path)
    if mount is None or mount.is_network:
        pytest.skip("not on a local disk")
    assert storage() == storage(executor="ray") == []
    for asked in ({"executor": "slurm"}, {"ray_address": "head:6379"}):
        (note,) = storage(**asked)
        assert note.state == "note"
        assert "--runs-dir" in note.remedy


def test_network_file_systems_and_their_locks_are_known() -> None:
    def mounted(kind: str, *options: str) -> Mount:
        return Mount(Path("/mnt"), kind, frozenset(options))

    assert [mounted(kind).is_network for kind in ("nfs4", "lustre", "fuse.sshfs", "cifs", "ext4", "tmpfs")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip
    assert mounted("nfs", "rw", "local_lock=all").local_locks == "local_lock=all"
    assert mounted("nfs4", "rw", "local_lock=none").local_locks == ""


def test_a_cache_folder_that_cannot_be_used_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (fine,) = findings("cache", request(tmp_path))
    assert (fine.state, (tmp_path / "cache").exists()) == ("ok", False)
    with small_disk(tmp_path / "small") as folder:
        make_read_only(folder)
        monkeypatch.setenv("HARNESS_CACHE_DIR", str(folder))
        (note,) = findings("cache", request(tmp_path))
    assert note.state == "note"
    assert "HARNESS_CACHE_DIR" in note.remedy


def test_images_are_there_whole_and_those_of_the_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "images"
    text = TINY + f'[data]\nsource = "folder"\nroot = "{root.as_posix()}"\ncolor = "gray"\n'
    path = write_file(
        tmp_path, text.replace("reference = 200", 'reference = "all"').replace("samples = 64", "samples = 8")
    )
    asked = request(tmp_path, file=str(path))
    absent = the("problem", findings("data", asked))
    assert "there is no such image folder" in absent.found
    root.mkdir()
    draws = np.random.default_rng(0)
    for index in range(40):
        Image.fromarray(draws.integers(0, 256, (8, 8), dtype=np.uint8)).save(root / f"{index:02}.png")
    (fine,) = findings("data", asked)
    assert (fine.state, fine.found) == ("ok", f"40 images in {root}")
    run_here(path, "training.steps=2", "training.checkpoint_every=2", "training.log_every=1", "evaluation=[]")
    assert "the same images as at the first run" in findings("data", asked)[1].found
    (root / "00.png").write_bytes((root / "01.png").read_bytes())
    changed = the("problem", findings("data", asked))
    assert "not those of the first run" in changed.found
    (root / "00.png").write_bytes(b"no picture")
    assert "cannot be read" in the("problem", findings("data", asked)).found


def test_data_and_weights_that_a_run_would_download_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    path = write_file(
        tmp_path,
        TINY.replace("[[evaluation]]", '[[evaluation]]\nextractor = "inception"')
        + f'[data]\nsource = "mnist"\nroot = "{tmp_path.as_posix()}"\n',
    )
    asked = request(tmp_path, file=str(path))
    (data,) = findings("data", asked)
    assert (data.state, "harness fetch FILE" in data.remedy) == ("note", True)
    *shipped, inception = findings("weights", asked)
    assert [(found.state, found.found.partition(":")[0]) for found in shipped] == [("ok", "digits"), ("ok", "mnist")]
    assert (inception.state, "harness fetch FILE" in inception.remedy) == ("note", True)
    monkeypatch.setenv("HARNESS_INCEPTION_WEIGHTS", str(tmp_path / "absent.pth"))
    assert "absent.pth" in the("problem", findings("weights", asked)).found
    (tmp_path / "absent.pth").write_bytes(b"other")
    assert "not the expected weights" in the("problem", findings("weights", asked)).found
    optional = request(tmp_path, file=str(path), sets=("evaluation.0.required=false",))
    assert "will be left out" in the("note", findings("weights", optional)).found
    on_its_own = findings("weights", request(tmp_path))
    assert the("note", on_its_own).found.startswith("inception (HARNESS_INCEPTION_WEIGHTS)")


def test_networks_are_built_and_their_disk_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_file(tmp_path)
    built, disk = findings("networks", request(tmp_path, file=str(path)))
    assert (built.state, built.found) == ("ok", "2 cells, 2 kinds of networks, all can be built")
    assert (disk.topic, disk.state) == ("disk", "ok")
    assert "needed for 2 runs that are not done" in disk.found
    with small_disk(tmp_path / "small") as folder:
        many = request(folder, file=str(path), sets=("training.steps=24000",))
        full = the("problem", findings("networks", many))
    assert "--runs-dir" in full.remedy
    (tmp_path / "mine.py").write_text("import not_there_at_all\n\ndef generator(latent_dim): ...\n")
    own = request(tmp_path, file=str(path), sets=("baseline.generator=mine.py:generator",))
    assert "not_there_at_all" in the("problem", findings("networks", own)).found


def test_letters_that_no_font_has_are_told(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY + '[labels]\n"architecture=mlp" = "\U00012000"\n')
    note = the("note", findings("fonts", request(tmp_path, file=str(path))))
    assert "figures show boxes" in note.found
    assert "fonts-noto-cjk" in note.remedy


def test_a_program_that_cannot_be_started_or_hangs_has_no_exit_status(tmp_path: Path) -> None:
    assert ask([str(tmp_path / "absent")], 5.0).code == 127
    slow = program(tmp_path, "slow", "time.sleep(600)")
    assert ask([str(slow)], 1.0).code is None
    failed = ask([str(program(tmp_path, "failing", "sys.exit('\\nno such thing\\nmore')"))], 100.0)
    assert (failed.code, failed.reason) == (1, "no such thing")


def test_sizes_are_words_for_people() -> None:
    assert [size(count) for count in (0, 5 * 2**20, 2**30, 1500 * 2**30)] == [
        "0 MiB",
        "5 MiB",
        "1.0 GiB",
        "1,500.0 GiB",
    ]
