"""`status --explain` after real changes: other threads, versions, data, keys; missing and damaged files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments import TINY, run_directories, run_here, statuses, write_file
from harness.cli import explanation as explanation_module
from harness.cli.app import app
from harness.design import keys
from harness.errors import DataError
from harness.execution import machine
from harness.store.attempts import begin_attempt, end_attempt, read_attempts

ONE = TINY.split("[[grid]]")[0]
LONGER = "training.steps=36"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment of one run, with one thread."""
    folder = tmp_path_factory.mktemp("explained")
    run_here(write_file(folder, ONE), threads=1)
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def explained(capsys: pytest.CaptureFixture[str], *sets: str) -> str:
    options = [word for text in sets for word in ("--set", text)]
    app(["status", "tiny.toml", "--explain", *options], standalone_mode=False)
    page = capsys.readouterr().out.split("\n\n", 1)[1]
    assert max(map(len, page.splitlines())) <= 100
    return " ".join(page.split())


def explain_document(capsys: pytest.CaptureFixture[str], *sets: str) -> dict[str, Any]:
    options = [word for text in sets for word in ("--set", text)]
    app(["status", "tiny.toml", "--explain", "--json", *options], standalone_mode=False)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["runs"][0]["explain"]
    return found


def test_a_run_of_one_kind_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = explained(capsys)
    (run,) = run_directories(here / "tiny.toml").values()
    assert page.startswith("baseline seed 0: complete, step 24 of 24 key ")
    assert "latent_dim 8" in page and "generator cnn" not in page
    assert "seed 0, data (source digits split train channels 1), training_version 1" in page
    assert "trained from step 0 to 24, finished" in page
    assert f"torch {machine.torch.__version__}, device cpu, threads 1, harness {machine.__version__}" in page
    assert "all of one kind" in page
    assert all(word not in page for word in ("run now", "missing", "damaged", "other key", "recorded", "changed"))
    assert explain_document(capsys)["attempts"][0]["machine"]["pid"] == read_attempts(run)[0].machine["pid"]


def test_another_thread_count_is_told_from_its_attempt_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Any] = []
    run_here(here / "tiny.toml", LONGER, threads=2, events=events)
    assert any("threads change from 1 to 2" in event.text for event in events)
    page = explained(capsys, LONGER)
    assert "2: " in page and "trained from step 24 to 36" in page
    assert "changed: threads 1 -> 2" in page
    assert "bit-identical weights are not promised since attempt 2: threads 1 -> 2" in page
    assert "run now" not in page  # the new count is the experiment's from now on
    document = explain_document(capsys, LONGER)
    assert document["not_promised_since_attempt"] == 2
    assert document["attempts"][1]["changes"] == [{"name": "threads", "before": "1", "after": "2"}]
    (run,) = run_directories(here / "tiny.toml").values()
    assert "since the last attempt: threads 1 -> 2; bit-identical weights are not promised" in run.log.read_text()


def test_a_worker_that_died_at_once_hides_no_change(here: Path) -> None:
    (run,) = run_directories(here / "tiny.toml").values()
    end_attempt(run, "failed", step=24, reason="killed")  # its begin was never written: no machine is known
    run_here(here / "tiny.toml", LONGER, threads=2)
    assert "since the last attempt: threads 1 -> 2; bit-identical weights are not promised" in run.log.read_text()


def test_another_harness_is_told_before_and_after_it_trains(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = machine.__version__
    monkeypatch.setattr(machine, "__version__", "9.9.9")
    monkeypatch.setattr(explanation_module, "__version__", "9.9.9")
    assert f"run now would use harness 9.9.9 instead of {now}: bit-identical" in explained(capsys, LONGER)
    run_here(here / "tiny.toml", LONGER)
    page = explained(capsys, LONGER)
    assert f"not promised since attempt 2: harness {now} -> 9.9.9" in page
    assert "run now" not in page


def test_another_torch_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = run_directories(here / "tiny.toml").values()
    here_now = read_attempts(run)[-1].machine
    begin_attempt(run, step=24, machine={**here_now, "torch": "1.0.0"})
    end_attempt(run, "finished", step=30)
    page = explained(capsys, LONGER)
    assert f"changed: torch {here_now['torch']} -> 1.0.0" in page
    assert "would use torch 2." in page and "instead of 1.0.0" in page
    assert [item["name"] for item in explain_document(capsys, LONGER)["now"]] == ["torch"]


def test_a_raised_training_version_trains_anew_and_keeps_the_old_folders(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = run_directories(here / "tiny.toml").values()
    monkeypatch.setattr(keys, "TRAINING_VERSION", 2)
    assert {status.state for status in statuses(here / "tiny.toml").values()} == {"pending"}
    page = explained(capsys)
    folder = old.root.relative_to(here)
    assert f"other key this run starts anew: {folder} stands at step 24, but training_version 1 -> 2" in page
    (other,) = explain_document(capsys)["other_folders"]
    assert (other["folder"], other["step"]) == (str(old.root), 24)
    app(["prune", "tiny.toml", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["would_remove"] == [str(old.root)]
    run_here(here / "tiny.toml")
    assert len(run_directories(here / "tiny.toml")) == 2
    assert "other key" not in explained(capsys)


def test_other_levels_name_the_parts_of_the_key_that_differ(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = explained(capsys, "baseline.latent_dim=16", "baseline.hidden_dim=8", 'data.source="mnist"')
    assert "but latent_dim 8 -> 16, hidden_dim 4 -> 8, data.source digits -> mnist" in page
    assert "other key" not in explained(capsys, "seeds=[1]", "baseline.latent_dim=16")  # another seed is another run


def test_what_is_missing_or_damaged_has_its_reason(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "missing step 12, digits: fid has 2 of 3 repeats" in explained(capsys, "evaluation.0.repeats=3")
    (run,) = run_directories(here / "tiny.toml").values()
    first, second = sorted(run.evaluations.iterdir())
    first.unlink()
    second.write_text("{")
    Path(f"{run.checkpoint(12)}.sha256").write_text("0" * 64)
    run.checkpoint(24).unlink()
    run.run_json.write_text("{}")
    page = explained(capsys)
    assert "missing step 12, digits: not measured yet" in page
    assert "step 24, digits: its file is damaged" in page
    assert f"{run.checkpoint(12).relative_to(here)}: does not match the SHA-256 that was committed" in page
    assert f"{run.checkpoint(24).relative_to(here)}: missing" in page
    assert f"{run.run_json.relative_to(here)}: " in page
    older, newer = sorted(run.committed_steps())
    run.commit(newer).write_text("x")
    page = explained(capsys)
    assert f"{run.commit(newer).relative_to(here)}: not whole; the state before takes over" in page
    assert f"step {older} of 24" in page


def test_explaining_loads_nothing_heavy(here: Path) -> None:
    code = (
        "import sys; from harness.cli import app\n"
        "app(['status', 'tiny.toml', '--explain'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'mlflow', 'pandas') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"


def test_images_that_changed_on_disk_are_refused_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    for number in range(40):
        Image.new("L", (8, 8), 6 * number).save(images / f"{number:02d}.png")
    data = '[data]\nsource = "folder"\nroot = "images"\ncolor = "gray"\n'
    text = ONE.replace("reference = 200", "reference = 30").replace("[baseline]", f"{data}\n[baseline]")
    path = write_file(tmp_path, text)
    run_here(path)
    kept = (images / "07.png").read_bytes()
    Image.new("L", (8, 8), 250).save(images / "07.png")
    before = {file: file.read_bytes() for file in (tmp_path / "runs").rglob("*") if file.is_file()}
    with pytest.raises(DataError, match=r"SHA-256 [0-9a-f]{16}, now [0-9a-f]{16}") as caught:
        run_here(path, LONGER)
    assert caught.value.exit_code == 2
    assert {file: file.read_bytes() for file in (tmp_path / "runs").rglob("*") if file.is_file()} == before
    assert "missing" not in explained(capsys)
    (images / "07.png").write_bytes(kept)
    run_here(path, LONGER)
    assert statuses(path, LONGER)["baseline seed 0"].state == "complete"


def test_a_folder_trained_on_other_images_says_which(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.store.manifest import ExperimentManifest, read_experiment_manifest, write_experiment_manifest
    from harness.store.rundir import experiment_directory

    directory = experiment_directory(here / "runs", "tiny")
    manifest = read_experiment_manifest(directory)
    assert manifest
    changed = dict.fromkeys(manifest.data_sha256, "f" * 64)
    write_experiment_manifest(directory, ExperimentManifest("tiny", 1, changed, manifest.weights_sha256))
    page = explained(capsys)
    assert "recorded trained on other images: a run refuses until the old ones are back" in page
    assert f"now {'f' * 16}..." in page


def test_a_time_that_is_none_is_shown_as_it_is() -> None:
    assert explanation_module.moment(1e300) == "1e+300"
    assert explanation_module.moment(0.0) == "1970-01-01T00:00:00Z"
    assert explanation_module.moment(time.time()).endswith("Z")


def test_an_edited_own_file_and_a_total_that_a_schedule_reads_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    norms = "from torch import nn\n\n\ndef Norm(channels):\n    return nn.BatchNorm2d(channels, momentum={})\n"
    (tmp_path / "norms.py").write_text(norms.format("0.1"), encoding="utf-8")
    levels = 'generator_normalization = "norms.py:Norm"\nlr_decay_from = 0.5\n'
    run_here(write_file(tmp_path, ONE.replace("[baseline]\n", f"[baseline]\n{levels}")))
    page = explained(capsys)
    assert "steps 24, which a schedule reads" in page and "own file norms.py, SHA-256 " in page
    (tmp_path / "norms.py").write_text(norms.format("0.2"), encoding="utf-8")
    (other,) = explain_document(capsys, LONGER)["other_folders"]
    assert [one["name"] for one in other["differences"]] == ["steps", "sources.norms.py"]
    page = explained(capsys, LONGER)
    assert "this run starts anew" in page and "steps 24 -> 36" in page and "sources.norms.py " in page
