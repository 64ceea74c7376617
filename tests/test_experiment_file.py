"""Reading experiment files: every form is understood; whatever is wrong is told with its line, its key, its remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from design_files import first_line, names, read, refusal, refused_at

from harness.design.experiment import EvaluationSettings
from harness.design.experiment_file import MAX_ERRORS_SHOWN

FULL = """\
name = "ablation"
seeds = [0, 1]

[data]
source = "digits"            # digits (scikit-learn's 8x8 digits, ships with it) | mnist | ...
root = "data"

[baseline]
architecture = "cnn"
resolution = 16
latent_dim = 16
hidden_dim = 16

[training]
steps = 600
log_every = 10
checkpoint_every = 200

[[evaluation]]
extractor = "digits"
metrics = ["fid"]
samples = 1000
repeats = 5
at = "all"
resolution = 16
reference = 1000

[[grid]]
name = "dims"
levels.latent_dim = [16, 100]
levels.hidden_dim = [16, 100]

[[grid]]
kind = "one-at-a-time"
levels.normalization = ["none"]
levels.generator_activation = ["relu"]
levels.resolution = [32]

[[grid]]
kind = "paired"
name = "lr gap"
levels.generator_lr     = [2e-4, 2e-4]
levels.discriminator_lr = [1e-4, 5e-5]

[[cell]]
name = "mlp"
architecture = "mlp"
seeds = [0]

[[exclude]]
latent_dim = 100
normalization = "none"

[report]
samples = 64

[labels]
"normalization=none" = "w/o norm"
"""


def test_the_full_example_is_understood(tmp_path: Path) -> None:
    file = read(tmp_path, FULL)
    experiment = file.experiment
    assert (experiment.name, experiment.seeds, experiment.max_runs) == ("ablation", (0, 1), 10_000)
    assert (experiment.data.source, experiment.data.root, experiment.data.channels) == ("digits", "data", 1)
    assert experiment.training.checkpoint_steps() == (200, 400, 600)
    assert experiment.evaluation == (EvaluationSettings(samples=1000, repeats=5, resolution=16, reference=1000),)
    assert experiment.baseline.generator_hidden_dim == experiment.baseline.discriminator_hidden_dim == 16
    assert [grid.kind for grid in experiment.grid] == ["factorial", "one-at-a-time", "paired"]
    assert experiment.report.samples == 64
    assert file.text == FULL
    assert names(file.plan) == [
        "baseline",
        "hidden_dim=100",
        "latent_dim=100",
        "latent_dim=100,hidden_dim=100",
        "normalization=none",
        "generator_activation=relu",
        "resolution=32",
        "discriminator_lr=0.0001",
        "discriminator_lr=5e-05",
        "mlp",
    ]
    assert file.plan.merged == 1
    assert len(file.plan.runs) == 19


@pytest.mark.parametrize("name", ["ablation.toml", "smoke.toml"])
def test_the_shipped_experiments_are_valid(name: str, tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "experiments" / name).read_text(encoding="utf-8")
    assert len(read(tmp_path, text).plan.cells) > 1


def test_windows_line_ends_and_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    windows = b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()
    assert read(tmp_path, windows).plan == read(tmp_path, FULL).plan
    broken = FULL.replace("levels.resolution = [32]", "levels.resolution = [\n16,\n3]")
    assert refused_at(tmp_path, broken) == refused_at(tmp_path, broken.replace("\n", "\r\n")) == 39


@pytest.mark.parametrize(
    ("addition", "line", "key", "what"),
    [
        ("seed = [0]", 2, "seed", "unknown key; did you mean 'seeds'?"),
        ("[basline]\nlr = 1", 2, "basline", "unknown key; did you mean 'baseline'?"),
        ("[baseline]\n\nlatentdim = 3", 4, "baseline.latentdim", "unknown key; did you mean 'latent_dim'?"),
        ("[baseline]\nlearning_rate = 3", 3, "baseline.learning_rate", "unknown key; allowed here: generator, "),
        ("[training]\nstep = 3", 3, "training.step", "unknown key; did you mean 'steps'?"),
        ("[data]\nsorce = 'x'", 3, "data.sorce", "unknown key; did you mean 'source'?"),
        ("[[evaluation]]\n[[evaluation]]\nsample = 3", 4, "evaluation.1.sample", "did you mean 'samples'?"),
        ("[[grid]]\nlevel.lr = [1]\nlevels.lr = [1]", 3, "grid.0.level", "unknown key; did you mean 'levels'?"),
        ("[[grid]]\nlevels.hiden_dim = [1]", 3, "grid.0.levels.hiden_dim", "unknown key; did you mean 'hidden_dim'?"),
        ("[[cell]]\nsedes = [1]", 3, "cell.0.sedes", "unknown key; did you mean 'seeds'?"),
        ("[[exclude]]\nnormalisation = 'none'", 3, "exclude.0.normalisation", "did you mean 'normalization'?"),
        ("[report]\nsample = 3", 3, "report.sample", "unknown key; did you mean 'samples'?"),
        ("int = 5", 2, "int", "unknown key"),
        ("'a[b]' = 5", 2, "a[b]", "unknown key"),
        ("[labels]\n'x[0]' = 5", 3, "labels.x[0]", "expected a text in quotes, got 5"),
        ("[data]\nsource = 'cifar'", 3, "data.source", "'cifar' is not allowed; allowed: 'digits', 'mnist', "),
        ("[data]\nsource = 'cifar'", 3, "data.source", "(did you mean 'cifar10'?)"),
        ("[[evaluation]]\nmetrics = ['kidd']", 3, "evaluation.0.metrics.0", "did you mean 'kid'?"),
        ("[[evaluation]]\ngenerator_weights = 'em'", 3, "evaluation.0.generator_weights", "did you mean 'ema'?"),
        ("[[evaluation]]\nextractor_weights = 'w'", 2, "evaluation.0", "extractor_weights is for inception"),
        ("[[evaluation]]\nat = [7]", 3, "evaluation.0.at", "step 7 has no checkpoint; there is one every 1000 steps"),
        ("[[evaluation]]\nat = []", 3, "evaluation.0.at", "may not be empty"),
        ("[data]\ncolor = 'gray'", 2, "data", 'color is for source = "folder"'),
        ("[data]\nsource = 'digits'\nsplit = 'test'", 2, "data", "digits has one split"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(tmp_path: Path, addition: str, line: int, key: str, what: str) -> None:
    told = first_line(tmp_path, f'name = "e"\n{addition}')
    assert told.startswith(f"e.toml:{line}: {key}: ")
    assert what in told


@pytest.mark.parametrize(
    ("addition", "line", "key", "what"),
    [
        ("seeds = 0", 2, "seeds", "expected a list, got 0"),
        ("seeds = [0,\n true]", 3, "seeds.1", "expected a whole number, got True"),
        ("seeds = [0.0]", 2, "seeds.0", "expected a whole number, got 0.0"),
        ("seeds = []", 2, "seeds", "may not be empty"),
        ("seeds = [-1]", 2, "seeds.0", "-1 is outside the domain; allowed: at least 0"),
        ("seeds = 2020-01-01", 2, "seeds", "expected a list"),
        ("include_baseline = 'no'", 2, "include_baseline", "expected true or false, got 'no'"),
        ("include_baseline = 0", 2, "include_baseline", "expected true or false, got 0"),
        ("baseline = 3", 2, "baseline", "expected a table, got 3"),
        ("grid = 3", 2, "grid", "expected a list, got 3"),
        ("[grid]\nlevels.lr = [1]", 2, "grid", "write [[grid]]"),
        ("[training]\nsteps = '5'", 3, "training.steps", "expected a whole number, got '5'"),
        ("[training]\nsteps = true", 3, "training.steps", "expected a whole number, got True"),
        ("[training]\nlog_every = 0", 3, "training.log_every", "0 is outside the domain; allowed: at least 1"),
        ("[data]\nroot = 5", 3, "data.root", "expected a text in quotes, got 5"),
        ("[[evaluation]]\nrequired = 'false'", 3, "evaluation.0.required", "expected true or false, got 'false'"),
        ("[[evaluation]]\nat = 'some'", 3, "evaluation.0.at", "'some' is not allowed; allowed: 'all' or 'last'"),
        ("[[evaluation]]\nsamples = 1", 3, "evaluation.0.samples", "allowed: at least 2"),
        ("[baseline]\nlatent_dim = 0", 3, "baseline.latent_dim", "0 is outside the domain; allowed: at least 1"),
        ("[baseline]\nlatent_dim = true", 3, "baseline.latent_dim", "expected a whole number, got True"),
        ("[baseline]\nlatent_dim = '16'", 3, "baseline.latent_dim", "expected a whole number, got '16'"),
        ("[baseline]\nlatent_dim = 16.0", 3, "baseline.latent_dim", "expected a whole number, got 16.0"),
        ("[baseline]\nlr = '1e-3'", 3, "baseline.lr", "expected a number, got '1e-3'"),
        ("[baseline]\nlr = true", 3, "baseline.lr", "expected a number, got True"),
        ("[baseline]\nlr = 0", 3, "baseline.lr", "0 is outside the domain; allowed: more than 0"),
        ("[baseline]\nlr = nan", 3, "baseline.lr", "nan is not a finite number"),
        ("[baseline]\nlr = 1e999", 3, "baseline.lr", "inf is not a finite number"),
        ("[baseline]\nbetas = [0.5,\n1.0]", 4, "baseline.betas.1", "1.0 is outside the domain; allowed: less than 1"),
        ("[baseline]\nbetas = [nan, 0.9]", 3, "baseline.betas.0", "nan is outside the domain"),
        ("[baseline]\nbetas = [0.5]", 3, "baseline.betas.1", "is missing"),
        ("[baseline]\nbetas = [0.5, 0.9, 0.9]", 3, "baseline.betas", "at most 2"),
        ("[baseline]\nlimit = 1", 3, "baseline.limit", "1 is outside the domain; allowed: at least 2"),
        ("[baseline]\nnormalization = 'bath'", 3, "baseline.normalization", "(did you mean 'batch'?)"),
        ("[baseline]\nlr='x'\ngenerator_lr=1e-3\ndiscriminator_lr=1e-3", 3, "baseline.lr", "expected a number"),
        ("[[cell]]\nlatent_dim = 5\n[[cell]]\nlatent_dim = 0", 5, "cell.1.latent_dim", "0 is outside the domain"),
        ("[[cell]]\nlatent_dim = [5]", 3, "cell.0.latent_dim", "expected a whole number, got [5]"),
        ("[[grid]]\nlevels.latent_dim = [\n1,\n0]", 5, "grid.0.levels.latent_dim.1", "0 is outside the domain"),
        ("[[grid]]\nlevels.latent_dim = 5", 3, "grid.0.levels.latent_dim", "expected a list, got 5"),
        ("[[grid]]\nlevels.limit = ['all', 5,\ntrue]", 4, "grid.0.levels.limit.2", "expected a whole number, got True"),
        ("[[grid]]\nlevels.betas = [[0.5, 0.9], [0.5,\n1.5]]", 4, "grid.0.levels.betas.1.1", "allowed: less than 1"),
        ("[labels]\nx = 5", 3, "labels.x", "expected a text in quotes, got 5"),
    ],
)  # fmt: skip
def test_wrong_types_and_impossible_levels(tmp_path: Path, addition: str, line: int, key: str, what: str) -> None:
    told = first_line(tmp_path, f'name = "e"\n{addition}')
    assert told.startswith(f"e.toml:{line}: {key}: ")
    assert what in told


@pytest.mark.parametrize(
    ("addition", "line", "key"),
    [
        ("[baseline]\nresolution = 0", 3, "baseline.resolution"),
        ("[baseline]\nlatent_dim = 5\nresolution = 20", 2, "baseline"),
        ("[baseline]\narchitecture = 'mlp'\ngenerator = 'cnn'\nresolution = 20", 2, "baseline"),
        ("[[cell]]\nlatent_dim = 5\n[[cell]]\nresolution = 20", 4, "cell.1"),
        ("[baseline]\narchitecture = 'mlp'\nresolution = 20\n[[cell]]\ndiscriminator = 'cnn'", 5, "cell.0"),
        ("[[grid]]\nlevels.resolution = [8, 256]\nlevels.architecture = ['mlp', 'cnn']", 3, "grid.0.levels"),
        ("[[grid]]\nkind = 'one-at-a-time'\nlevels.latent_dim = [5]\nlevels.resolution = [12]", 5,
         "grid.0.levels.resolution"),
    ],
)  # fmt: skip
def test_resolutions_outside_the_networks_domain(tmp_path: Path, addition: str, line: int, key: str) -> None:
    told = first_line(tmp_path, f'name = "e"\n{addition}')
    assert told.startswith(f"e.toml:{line}: {key}: ")
    assert "allowed" in told


def test_the_mlp_takes_any_resolution(tmp_path: Path) -> None:
    plan = read(tmp_path, 'name = "e"\n[[cell]]\nname = "odd"\narchitecture = "mlp"\nresolution = 29').plan
    assert names(plan) == ["baseline", "odd"]


@pytest.mark.parametrize(
    ("grid", "what"),
    [
        ("", "levels: is missing"),
        ("levels = {}", "a grid without levels"),
        ("levels.latent_dim = []", "may not be empty"),
        ("kind = 'paired'\nlevels.lr = [1, 2]\nlevels.latent_dim = [1]", "lr has 2, latent_dim has 1"),
        ("kind = 'pairs'\nlevels.lr = [1]", "(did you mean 'paired'?)"),
    ],
)  # fmt: skip
def test_grids_that_name_nothing(tmp_path: Path, grid: str, what: str) -> None:
    told = first_line(tmp_path, f'name = "e"\n[[grid]]\n{grid}')
    assert told.startswith("e.toml:") and ": grid.0" in told
    assert what in told


def test_an_exclude_without_levels_is_refused(tmp_path: Path) -> None:
    assert "e.toml:2: exclude.0: names no level" in refusal(tmp_path, 'name = "e"\n[[exclude]]\n')


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    text = 'name = "e"\nseed = 1\n[training]\nsteps = 0\n[[grid]]\nlevels.latent_dim = [0]'
    told = refusal(tmp_path, text)
    for place in ("e.toml:2: seed", "e.toml:4: training.steps", "e.toml:6: grid.0.levels.latent_dim.0"):
        assert place in told
    assert "may not be empty" not in told
    assert "... and 12 more" in refusal(tmp_path, 'name = "e"\n' + "\n".join(f"x{i} = 1" for i in range(20)))
    assert refusal(tmp_path, 'name = "e"\n' + "\n".join(f"x{i} = 1" for i in range(20))).count("e.toml:") == (
        MAX_ERRORS_SHOWN
    )


def test_more_checkpoints_than_anyone_keeps_are_refused_without_counting_them(tmp_path: Path) -> None:
    text = 'name = "e"\n[training]\nsteps = 1_000_000_000\ncheckpoint_every = 1\n[[evaluation]]'
    assert first_line(tmp_path, text).startswith("e.toml:2: training: 1,000,000,000 steps")


def test_design_and_store_load_nothing_heavy() -> None:
    code = (
        "import importlib, pkgutil, sys, harness.design as design, harness.store as store\n"
        "for room in (design, store):\n"
        "    for module in pkgutil.iter_modules(room.__path__, room.__name__ + '.'):\n"
        "        if module.name != 'harness.store.record_columns':  # numpy's; no other module here may import it\n"
        "            importlib.import_module(module.name)\n"
        "assert 'harness.store.status' in sys.modules and 'harness.design.experiment_file' in sys.modules\n"
        "print(*sorted({'torch', 'torchvision', 'mlflow', 'pandas', 'numpy', 'scipy', 'sklearn'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
