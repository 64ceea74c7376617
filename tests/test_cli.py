"""The command line as a contract: outputs, exit codes, messages, and how little it loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from experiments import TINY, harness, opened, run_here, statuses, write_file
from harness.cli.app import app
from harness.cli.options import parse_seeds
from harness.errors import HarnessError
from harness.store.locks import held

ALONE = TINY[: TINY.index("[[grid]]")]


def call(*arguments: str) -> None:
    """A command in this process; HarnessError comes through."""
    app(list(arguments), standalone_mode=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, without report or MLflow."""
    path = write_file(tmp_path_factory.mktemp("cli"), ALONE)
    run_here(path)
    return path.parent


@pytest.mark.parametrize("command", [["--help"], ["plan", "tiny.toml"], ["status", "tiny.toml"], ["factors"]])
def test_light_commands_load_neither_torch_nor_mlflow_nor_pandas(finished: Path, command: list[str]) -> None:
    code = (
        "import sys\nfrom harness.cli.app import app\n"
        f"try: app({command!r})\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'mlflow', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=finished, capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_plan_shows_only_what_varies_and_what_is_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(here, TINY + '\n[[cell]]\nname = "perceptron"\narchitecture = "mlp"\n')
    call("plan", "tiny.toml")
    text = capsys.readouterr().out
    assert "2 cells, 2 runs of 24 steps (0 done), 1 named twice and run once" in text
    header, *rows = text.splitlines()[2:]
    assert header.split()[:2] == ["cell", "architecture"]
    assert "latent_dim" not in header
    assert rows[1].split()[0] == "perceptron"
    assert "grid 1" in rows[1]


def test_plan_json_is_the_documented_document(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(finished, ALONE)
    call("plan", str(finished / "tiny.toml"), "--runs-dir", str(finished / "runs"), "--json")
    document = json.loads(capsys.readouterr().out)
    assert {"experiment", "factors", "cells", "merged", "folded", "runs"} <= document.keys()
    cell = document["cells"][0]
    assert {"name", "varied", "hyperparameters", "runs"} <= cell.keys()
    assert cell["hyperparameters"]["latent_dim"] == 8
    assert cell["runs"][0] == {"seed": 0, "key": cell["runs"][0]["key"], "state": "complete"}
    assert len(cell["runs"][0]["key"]) == 64
    assert (document["merged"], document["runs"]) == (0, 1)


def test_status_json_is_the_documented_document(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("status", str(finished / "tiny.toml"), "--runs-dir", str(finished / "runs"), "--json")
    document = json.loads(capsys.readouterr().out)
    run = document["runs"][0]
    assert run.keys() == {"cell", "seed", "key", "state", "step", "steps", "attempts", "fid", "log", "job"}
    assert (run["cell"], run["seed"], run["state"], run["step"], run["steps"]) == ("baseline", 0, "complete", 24, 24)
    assert run["fid"] > 0
    assert Path(run["log"]).exists()


def test_status_explains_keys(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("status", str(finished / "tiny.toml"), "--runs-dir", str(finished / "runs"), "--explain")
    text = capsys.readouterr().out
    assert "training_version 1" in text
    assert "latent_dim 8" in text and "generator cnn" not in text


def test_init_writes_a_file_that_plans_and_keeps_what_is_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("init", "my/first.toml")
    call("plan", "my/first.toml")
    assert "4 cells, 8 runs" in capsys.readouterr().out
    with pytest.raises(HarnessError, match="the file exists"):
        call("init", "my/first.toml")


def test_schema_is_a_json_schema_that_knows_aliases(capsys: pytest.CaptureFixture[str]) -> None:
    call("schema")
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "hidden_dim" in schema["$defs"]["Levels"]["properties"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "tiny.toml", "--executor", "spark"], "'spark' is no executor; allowed: local, inline, ray, slurm"),
        (["run", "tiny.toml", "--ray-address", "auto"], "the local executor has no address"),
        (["run", "tiny.toml", "--submit"], "the local executor works while this command lives"),
        (["run", "tiny.toml", "--stall-timeout", "0"], "0 is no time to wait; allowed: more than 0"),
        (["evaluate", "tiny.toml", "--stall-timeout", "nan"], "nan is no time to wait"),
        (["run", "tiny.toml", "--executor", "inline", "--stall-timeout", "9"], "inline executor .* cannot watch"),
        (["run", "tiny.toml", "--device", "tpu"], "'tpu' is no device"),
        (["run", "tiny.toml", "--only", "nobody"], "no cell is called 'nobody'"),
        (["run", "tiny.toml", "--seeds", "7"], r"no run has these seeds; the file names \[0\]"),
        (["run", "tiny.toml", "--seeds", "a-b"], "no range of seeds"),
        (["plan", "tiny.toml", "--time"], "times are told of checked networks"),
        (["eject", "critic", "tiny.toml", "--to", "nets.py"], "'critic' is no network; allowed: generator, disc"),
        (["eject", "generator", "tiny.toml", "--to", "nets.txt"], "no name for a file of own parts"),
        (["eject", "generator", "tiny.toml", "--to", "nets.py", "--cell", "x"], "no cell is called 'x'"),
        (["sample", "tiny.toml", "--cell", "baseline", "--weights", "best"], "'best' are no weights"),
        (["plan", "missing.toml"], "no such file"),
        (["report", "tiny.toml", "--format", "pdf"], "'pdf' is no form of reports; allowed: md, html, latex"),
        (["report", "tiny.toml", "--language", "de"], "'de' is no language of reports; allowed: en, zh"),
        (["report", "tiny.toml", "--source", "wandb"], "'wandb' holds no runs; allowed: runs, mlflow"),
        (["report", "tiny.toml", "--source", "mlflow"], "there is no MLflow store"),
        (["report", "--verify", "x"], "no report lies here"),
        (["sample", "tiny.toml", "--cell", "baseline"], "there is no checkpoint yet"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(here: Path, arguments: list[str], message: str) -> None:
    write_file(here)
    with pytest.raises(HarnessError, match=message):
        call(*arguments)
    assert not (here / "runs").exists()


def test_help_lists_only_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    call("--help")
    text = capsys.readouterr().out
    for name in ("ray", "slurm"):
        assert f" {name}" not in text


def test_cells_are_found_by_name_levels_and_best(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.cli.options import find_cell, open_file, view_of

    write_file(
        here, TINY.replace('levels.architecture = ["mlp"]', 'levels.architecture = ["mlp"]\nlevels.hidden_dim = [6]')
    )
    view = view_of(open_file(here / "tiny.toml", None), here / "runs")
    assert find_cell(view, "baseline") == "baseline"
    assert find_cell(view, "architecture=mlp") == "architecture=mlp"
    assert find_cell(view, "generator=mlp,discriminator=mlp") == "architecture=mlp"
    assert find_cell(view, "hidden_dim=6") == "hidden_dim=6"
    with pytest.raises(HarnessError, match="nothing was measured yet"):
        find_cell(view, "best")
    with pytest.raises(HarnessError, match="'depth' is no factor"):
        find_cell(view, "depth=3")


@pytest.mark.parametrize(("text", "seeds"), [("0-2", {0, 1, 2}), ("3", {3}), ("0,2,4-5", {0, 2, 4, 5})])
def test_seed_ranges(text: str, seeds: set[int]) -> None:
    assert parse_seeds(text) == seeds


def test_an_error_is_a_message_with_line_and_exit_code_2(here: Path) -> None:
    write_file(here, TINY.replace("steps = 24", 'steps = "many"'))
    done = harness("run", "tiny.toml", cwd=here)
    assert done.returncode == 2
    assert done.stderr == "error: tiny.toml:12: training.steps: expected a whole number, got 'many'\n"
    assert done.stdout == ""


def test_sample_writes_a_picture_that_names_its_checkpoint(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(finished)
    call("sample", "tiny.toml", "--cell", "best", "--step", "12", "--count", "9", "--output", "grid.png")
    with Image.open(finished / "grid.png") as image:
        assert image.info["harness:step"] == "12"
        assert image.info["harness:samples"] == "9"
    with pytest.raises(HarnessError, match="no checkpoint at step 13"):
        call("sample", "tiny.toml", "--cell", "best", "--step", "13")


def test_prune_lists_then_removes_what_the_file_no_longer_names(
    here: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(finished / "runs", here / "runs")
    write_file(here, ALONE.replace("latent_dim = 8", "latent_dim = 9"))
    old = next((here / "runs" / "tiny").glob("baseline--*"))
    call("prune", "tiny.toml")
    assert str(old) in capsys.readouterr().out
    assert old.exists()
    call("prune", "tiny.toml", "--yes")
    assert not old.exists()


def test_fetch_takes_images_from_own_code(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "import numpy as np\n\n\ndef load():\n    return np.zeros((4, 8, 8), dtype=np.uint8)\n"
    (here / "mydata.py").write_text(text, encoding="utf-8")
    write_file(here, ALONE + '\n[data]\nsource = "mydata.py:load"\ncolor = "gray"\n')
    call("fetch", "tiny.toml", "--json")
    found = json.loads(capsys.readouterr().out)[0]
    assert found["what"] == "mydata.py:load" and len(found["sha256"]) == 64


def test_fetch_names_what_is_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(here)
    call("fetch", "tiny.toml", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [item["what"] for item in found] == ["digits", "digits"]
    assert all(len(item["sha256"]) == 64 for item in found)


def test_a_gpu_that_torch_cannot_use_is_an_error_with_the_remedy(here: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch can use the GPU here")
    tools = here / "bin"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-0)'\n")
    (tools / "nvidia-smi").chmod(0o755)
    write_file(here, ALONE)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    done = harness("run", "tiny.toml", "--tracking-uri", "none", "--no-report", cwd=here, PATH=path)
    assert done.returncode == 2
    assert "has an NVIDIA GPU that torch cannot use" in done.stderr
    assert "--device cpu" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_reports_projects_and_then_does_nothing(here: Path) -> None:
    write_file(here, ALONE)
    first = harness("run", "tiny.toml", "--json", cwd=here)
    assert first.returncode == 0, first.stderr
    document = json.loads(first.stdout)
    assert document["runs"][0]["state"] == "complete"
    assert document["runs"][0]["fid"] > 0
    assert (here / document["report"]).read_text().startswith("# ")
    assert (here / "runs" / "mlflow.db").exists()
    again = harness("run", "tiny.toml", cwd=here)
    assert again.returncode == 0
    assert again.stderr.startswith("nothing to do: all 1 runs are done")


@pytest.mark.faults
def test_two_commands_at_once_train_every_run_once_and_both_succeed(here: Path) -> None:
    path = write_file(here, TINY.replace("steps = 24", "steps = 240"))
    command = [sys.executable, "-m", "harness", "run", "tiny.toml", "--tracking-uri", "none", "--no-report"]
    both = [subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    found = statuses(path)
    assert {status.state for status in found.values()} == {"complete"}
    assert [len(status.attempts) for status in found.values()] == [1, 1]


def test_no_wait_leaves_with_exit_code_3(finished: Path) -> None:
    path = finished / "tiny.toml"
    key = opened(path).plan.runs[0].key[:8]
    with held(finished / "runs" / "tiny" / f"baseline--s0--{key}" / "lock", timeout_s=1.0) as mine:
        assert mine
        arguments = ("run", "tiny.toml", "--no-wait", "--tracking-uri", "none", "--no-report")
        done = harness(*arguments, "--set", "training.steps=48", cwd=finished)
    assert done.returncode == 3
    assert "another process holds: baseline seed 0" in done.stderr


def test_a_signal_during_preparation_is_obeyed_at_once(here: Path) -> None:
    """Preparing leaves nothing half-done, so it is broken off; the folder's lock is held here to keep it waiting."""
    write_file(here, ALONE)
    (here / "runs" / "tiny").mkdir(parents=True)
    with held(here / "runs" / "tiny" / "lock", timeout_s=1.0) as mine:
        assert mine
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", "tiny.toml", "--tracking-uri", "none", "--no-report"],
            cwd=here,
            stderr=subprocess.PIPE,
            text=True,
        )
        loaded = psutil.Process(process.pid)
        deadline = time.monotonic() + 60  # torch is loaded when preparation begins
        while time.monotonic() < deadline and not any("libtorch" in file.path for file in loaded.memory_maps()):
            time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 143, stderr
    assert "Traceback" not in stderr


def test_a_run_that_fails_gives_exit_code_1_and_its_log(here: Path) -> None:
    path = write_file(here)
    key = opened(path).plan.runs[0].key[:8]
    folder = here / "runs" / "tiny" / f"baseline--s0--{key}"
    folder.mkdir(parents=True)
    (folder / "checkpoints").write_text("a file where a folder must be")
    arguments = ("run", "tiny.toml", "--tracking-uri", "none", "--no-report", "--executor", "inline")
    done = harness(*arguments, cwd=here)
    assert done.returncode == 1
    assert "failed: baseline seed 0" in done.stderr
    assert str(folder / "log.txt") in done.stderr
    assert "Traceback" not in done.stderr
    assert statuses(path)["architecture=mlp seed 0"].state == "complete"


@pytest.mark.faults
def test_an_unreachable_tracking_server_stops_nothing(here: Path) -> None:
    path = write_file(here, ALONE)
    arguments = ("run", "tiny.toml", "--no-report", "--executor", "inline", "--tracking-uri", "http://127.0.0.1:9")
    done = harness(*arguments, cwd=here)
    assert done.returncode == 0
    assert "warning:" in done.stderr and "harness sync" in done.stderr
    assert statuses(path)["baseline seed 0"].state == "complete"
    assert harness("sync", "tiny.toml", "--tracking-uri", "http://127.0.0.1:9", cwd=here).returncode == 1


@pytest.mark.faults
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_with_a_state_and_their_exit_code(here: Path, number: int, code: int) -> None:
    path = write_file(here, ALONE)
    sets = ("training.steps=20000", "training.checkpoint_every=20000", "evaluation=[]")
    arguments = [argument for text in sets for argument in ("--set", text)]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "tiny.toml", "--tracking-uri", "none", "--no-report", *arguments],
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(here.glob("runs/tiny/*/metrics.jsonl")):
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    sent = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < 15
    assert process.returncode == code, stderr
    assert "the newest states count" in stderr
    status = statuses(path, *sets)["baseline seed 0"]
    assert status.state == "interrupted"
    assert status.step > 0
