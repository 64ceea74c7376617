"""`plan --check`, `--time` and `eject`: what they say of networks is right, and they leave nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments import TINY, run_here, write_file
from harness.cli.app import app
from harness.cli.preflight import bytes_text, check_plan, disk_of
from harness.cli.timing import FREE, MAX_STEPS, kind_of, speed_of
from harness.data.own_code import OwnCode
from harness.design.experiment_file import read_experiment_file
from harness.design.factors import Hyperparameters
from harness.errors import HarnessError
from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.preflight import PreflightError
from harness.gan.randomness import random_stream

NO_CODE = OwnCode({})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    call("plan", *arguments, "--check", "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_layers_are_listed_once_for_the_cells_that_share_them(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TINY + "levels.generator_lr = [1e-3]\n"
    write_file(here, text)
    call("plan", "tiny.toml", "--check")
    shown = capsys.readouterr().out
    assert "2 cells: baseline, generator_lr=0.001\n" in shown
    assert "cell: architecture=mlp\n" in shown
    assert shown.count("ConvTranspose2d") == shown.split("cell: architecture=mlp")[0].count("ConvTranspose2d") > 1
    assert "disk needed: " in shown
    assert not (here / "runs").exists()


def test_counts_are_those_of_the_networks_that_train(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(here, TINY)
    for cell in document(capsys, "tiny.toml")["cells"]:
        hp = Hyperparameters(**cell["hyperparameters"])
        for name, build in (("generator", build_generator), ("discriminator", build_discriminator)):
            network = build(hp, 1, random_stream(0, "initialization", name), NO_CODE)
            assert cell["parameters"][name] == sum(parameter.numel() for parameter in network.parameters())
            held = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
            assert cell["weights_bytes"][name] == held


def test_disk_grows_with_checkpoints_seeds_and_the_average(here: Path) -> None:
    def needed(text: str) -> tuple[int, int]:
        plan = read_experiment_file(write_file(here, text)).plan
        disk = disk_of(check_plan(plan), {cell.name: len(cell.seeds) for cell in plan.cells})
        return disk.checkpoints, disk.states

    alone = TINY[: TINY.index("[[grid]]")]
    checkpoints, states = needed(alone)
    assert needed(alone.replace("seeds = [0]", "seeds = [0, 1]")) == (2 * checkpoints, 2 * states)
    assert needed(alone.replace("[baseline]", "[baseline]\nema_decay = 0.9"))[0] == 2 * checkpoints
    assert needed(alone.replace("[baseline]", "[baseline]\nema_decay = 0.9"))[1] > states


def test_a_network_that_cannot_work_ends_it_with_cell_layer_and_numbers(here: Path) -> None:
    (here / "nets.py").write_text(
        "from torch import nn\n\n\n"
        "class Small(nn.Module):\n"
        "    def __init__(self, latent_dim):\n"
        "        super().__init__()\n"
        "        self.dense = nn.Linear(latent_dim, 49)\n\n"
        "    def forward(self, z):\n"
        "        return self.dense(z).tanh().view(-1, 1, 7, 7)\n",
        encoding="utf-8",
    )
    write_file(here, TINY + '\n[[cell]]\nname = "mine"\ngenerator = "nets.py:Small"\n')
    with pytest.raises(PreflightError) as error:
        call("plan", "tiny.toml", "--check")
    assert error.value.exit_code == 2
    assert "cell mine" in str(error.value)
    assert "[2, 1, 7, 7]" in str(error.value) and "[2, 1, 8, 8]" in str(error.value)


def test_times_tell_training_and_evaluation_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(here, TINY + '\n[cost]\nper_hour = 3600.0\ncurrency = "EUR"\n')
    call("plan", "tiny.toml", "--check", "--time")
    text = capsys.readouterr().out
    assert "steps of each kind of cell on made-up images" in text
    assert "all 2 runs: training" in text and "evaluation" in text
    assert "checkpoints, pictures and states were not" in text
    assert "cost at 3600 EUR an hour of this machine: " in text
    found = document(capsys, "tiny.toml", "--time")
    whole = found["time"]
    assert whole["cost"]["amount"] == pytest.approx(whole["wall_s"])
    assert whole["wall_s"] == pytest.approx((whole["training_s"] + whole["evaluation_s"]) / whole["workers"])
    for cell in found["cells"]:
        assert cell["time"]["training_s"] == pytest.approx(24 * cell["time"]["step_s"])
        assert cell["time"]["steps_timed"] > 1 and cell["time"]["evaluation_s"] > 0
    assert not (here / "runs").exists()


def test_only_runs_that_are_not_done_are_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_file(here, TINY.replace("seeds = [0]", "seeds = [0, 1]"))
    before = document(capsys, "tiny.toml", "--time")
    plan = read_experiment_file(path).plan
    run_here(path, keys=frozenset(run.key for run in plan.runs if run.cell.is_baseline))
    after = document(capsys, "tiny.toml", "--time")
    assert (before["time"]["runs"], after["time"]["runs"]) == (4, 2)
    assert 0 < after["disk_bytes"] < before["disk_bytes"]
    left = {cell["name"]: cell["time"]["runs"] for cell in after["cells"]}
    assert left == {"baseline": 0, "architecture=mlp": 2}
    mlp = next(cell["time"] for cell in after["cells"] if cell["name"] == "architecture=mlp")
    assert after["time"]["training_s"] == pytest.approx(2 * mlp["training_s"])
    call("plan", "tiny.toml", "--check", "--time")
    text = capsys.readouterr().out
    assert text.count("2 of 4 runs, the others being done") == 2
    run_here(path)
    call("plan", "tiny.toml", "--check", "--time")
    text = capsys.readouterr().out
    assert "disk needed: none, all 4 runs are done" in text and "\nall 4 runs are done\n" in text
    assert document(capsys, "tiny.toml", "--time")["time"]["wall_s"] == 0


def test_steps_are_timed_together_and_not_one_by_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the sums off after every step would make each one longer; what prepares is not timed."""
    monkeypatch.setattr("harness.cli.timing.ENOUGH_S", 600.0)
    cell = read_experiment_file(write_file(here, TINY)).plan.cells[0]
    speed = speed_of(cell.hyperparameters, 1, NO_CODE, torch.device("cpu"))
    assert speed.steps == MAX_STEPS and 0 < speed.step_s < 0.5


def test_kinds_of_cells_differ_by_what_takes_time(here: Path) -> None:
    assert set(FREE) < set(Hyperparameters.model_fields)
    levels = "levels.lr = [1e-3]\nlevels.limit = [500]\nlevels.ema_decay = [0.9]\nlevels.lr_decay_from = [0.5]\n"
    cells = read_experiment_file(write_file(here, TINY + levels)).plan.cells
    baseline = kind_of(cells[0])
    alike = {name for cell in cells[1:] for name in cell.varied if kind_of(cell) == baseline}
    assert alike == {"lr", "limit", "lr_decay_from"}


def test_what_cannot_be_timed_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(here / "no weights"))
    block = '\n[[evaluation]]\nextractor = "inception"\nrequired = false\n'
    write_file(here, TINY[: TINY.index("[[grid]]")] + block)
    call("plan", "tiny.toml", "--check", "--time")
    assert "not timed: evaluation with inception: " in capsys.readouterr().out


def test_planning_loads_no_torch_until_it_checks(here: Path) -> None:
    write_file(here, TINY)
    (here / "own.py").write_text("class Loss: ...\n", encoding="utf-8")
    code = (
        "import sys\nfrom harness.cli.app import app\n"
        "try: app(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    for options, loaded in (([], "False"), (["--check"], "True")):
        arguments = [sys.executable, "-c", code, "plan", "tiny.toml", *options]
        done = subprocess.run(arguments, cwd=here, capture_output=True, text=True, check=True, env={**os.environ})
        assert done.stderr.strip().splitlines()[-1] == loaded


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_an_ejected_network_starts_with_the_built_in_weights(
    here: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(here, TINY)
    call("eject", network, "tiny.toml", "--to", "parts/nets.py")
    line = capsys.readouterr().out.strip()
    assert line == f'{network} = "parts/nets.py:{network.capitalize()}"'
    own = read_experiment_file(write_file(here, TINY + f'\n[[cell]]\nname = "mine"\n{line}\n')).plan
    mine, built_in = (next(cell for cell in own.cells if cell.name == name) for name in ("mine", "baseline"))
    build = build_generator if network == "generator" else build_discriminator
    code = OwnCode({"parts/nets.py": Path("parts/nets.py")})
    first, second = (
        build(cell.hyperparameters, 1, random_stream(3, "initialization", network), code).state_dict()
        for cell in (mine, built_in)
    )
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_eject_never_writes_over_a_file(here: Path) -> None:
    write_file(here, TINY)
    (here / "nets.py").write_text("mine", encoding="utf-8")
    with pytest.raises(HarnessError, match="the file exists"):
        call("eject", "generator", "tiny.toml", "--to", "nets.py")
    assert (here / "nets.py").read_text(encoding="utf-8") == "mine"


def test_eject_takes_the_cell_that_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(here, TINY)
    call("eject", "generator", "tiny.toml", "--to", "cnn.py")
    call("eject", "generator", "tiny.toml", "--to", "mlp.py", "--cell", "architecture=mlp", "--json")
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["level"] == "mlp.py:Generator"
    assert "ConvTranspose2d" in (here / "cnn.py").read_text(encoding="utf-8")
    assert "ConvTranspose2d" not in (here / "mlp.py").read_text(encoding="utf-8")


def test_samples_come_from_an_own_generator_and_from_averaged_weights(here: Path) -> None:
    alone = TINY[: TINY.index("[[grid]]")].replace("steps = 24", "steps = 12")
    write_file(here, alone)
    call("eject", "generator", "tiny.toml", "--to", "nets.py")
    levels = '[baseline]\ngenerator = "nets.py:Generator"\nema_decay = 0.9'
    run_here(write_file(here, alone.replace("[baseline]", levels)))
    for weights in ("raw", "ema"):
        call("sample", "tiny.toml", "--cell", "baseline", "--weights", weights, "--output", f"{weights}.png")
    assert (here / "raw.png").read_bytes() != (here / "ema.png").read_bytes()


def test_sizes_are_told_in_units_of_a_thousand() -> None:
    shown = [bytes_text(count) for count in (7, 999, 1000, 5236, 39_900_000, 999_900_000, 2.5e12, 3e15)]
    assert shown == ["7 B", "999 B", "1 KB", "5.24 KB", "39.9 MB", "1 GB", "2.5 TB", "3,000 TB"]
