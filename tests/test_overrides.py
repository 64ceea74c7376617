"""`--set a.b=v`: what it reaches, and that its errors name it and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import read, refusal

OVERRIDDEN = 'name = "e"\nseeds = [0, 1]\n[baseline]\nlr = 1e-4\n[[evaluation]]\n[[grid]]\nlevels.latent_dim = [1, 2]\n'


def test_overrides_replace_add_and_reach_into_lists(tmp_path: Path) -> None:
    file = read(
        tmp_path, OVERRIDDEN,
        "training.steps=70", "training.checkpoint_every = 70", "evaluation.0.repeats=2", "seeds.1=7",
        "grid.0.levels.latent_dim=[4, 5, 6]", "baseline.normalization=none", 'data.source="mnist"', "name=with text",
        "labels.baseline=b=c", "baseline.lr=1e-3", "baseline.lr=1e-2",
    )  # fmt: skip
    experiment = file.experiment
    assert (experiment.name, experiment.seeds, experiment.training.steps) == ("with text", (0, 7), 70)
    assert experiment.evaluation[0].repeats == 2
    assert [cell.hyperparameters.latent_dim for cell in file.plan.cells] == [100, 4, 5, 6]
    assert experiment.baseline.generator_normalization == "none"
    assert experiment.baseline.generator_lr == 1e-2
    assert experiment.data.source == "mnist"
    assert experiment.labels == {"baseline": "b=c"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["steps"], "--set steps: expected KEY=VALUE"),
        (["=3"], "--set =3: expected KEY=VALUE"),
        (["a..b=3"], "--set a..b=3: expected KEY=VALUE"),
        (["a.b.c.d.e.f.g.h.i=3"], "--set a.b.c.d.e.f.g.h.i=3: expected KEY=VALUE"),
        (["training.stepps=3"], "--set training.stepps=3: training.stepps: unknown key; did you mean 'steps'?"),
        (["training.steps=many"], "--set training.steps=many: training.steps: expected a whole number, got 'many'"),
        (["training.steps=10", "training.steps=0"], "--set training.steps=0: training.steps: 0 is outside"),
        (["baseline.generator_lr=-1"], "--set baseline.generator_lr=-1: baseline.generator_lr: -1 is outside"),
        (["baseline.lr=-1"], "--set baseline.lr=-1: baseline.lr: -1 is outside"),
        (["baseline.activation=tanh"], "--set baseline.activation=tanh: baseline.activation: 'tanh' is not allowed"),
        (["baseline={lr=-1}"], "--set baseline={lr=-1}: baseline"),
        (["baseline=3"], "--set baseline=3: baseline: expected a table, got 3"),
        (["seeds.2=3"], "--set seeds.2=3: '2' is no position in a list of 2"),
        (["seeds.²=3"], "--set seeds.²=3: '²' is no position"),
        ([f"seeds.{'9' * 5000}=3"], f"--set seeds.{'9' * 5000}=3: "),
        (["seeds.-1=3"], "--set seeds.-1=3: '-1' is no position"),
        ([f"seeds=[{'9' * 5000}]"], "--set seeds=[9"),
        (["seeds=[5]\nname='x'"], "--set seeds=[5]"),
        (["name.x=3"], "--set name.x=3: name is no table"),
        (["name.x.y=3"], "--set name.x.y=3: x is inside something that is no table"),
        (["labels.x=\udcff"], "--set 'labels.x=\\udcff': not UTF-8 text"),
        (["max_runs=2"], "e.toml:6: grid.0: the file asks for 6 runs"),
        (["grid.0.levels.resolution=[20]"], "--set grid.0.levels.resolution=[20]: grid.0.levels: latent_dim = 1, "),
    ],
)  # fmt: skip
def test_an_override_that_is_wrong_is_named(tmp_path: Path, overrides: list[str], told: str) -> None:
    assert refusal(tmp_path, OVERRIDDEN, *overrides).startswith(told)


def test_what_the_file_says_wrong_is_not_blamed_on_an_override(tmp_path: Path) -> None:
    text = 'name = "e"\n[baseline]\ngenerator_lr = -1\n'
    assert refusal(tmp_path, text, "baseline.lr=1e-3").startswith("e.toml:3: baseline.generator_lr: -1 is outside")
