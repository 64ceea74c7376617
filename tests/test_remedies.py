"""Remedies: lines that the experiment file takes, levels that the cell does not have, other runs than it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from harness.analysis.remedies import Remedy, RemedyName, Symptom, remedies_for
from harness.design.experiment_file import read_experiment_file
from harness.design.factors import Hyperparameters, Level, levels_of

SYMPTOMS: tuple[Symptom, ...] = get_args(Symptom)
CELLS: list[dict[str, Any]] = [
    {},
    {"hidden_dim": 100, "latent_dim": 400, "loss": "hinge"},
    {"discriminator_lr": 1e-4, "discriminator_dropout": 0.3, "real_label": 0.9, "instance_noise": 0.2},
    {"loss": "wasserstein_gp", "discriminator_normalization": "none", "batch_size": 128, "lr_decay_from": 0.25},
    {"limit": 500, "discriminator_dropout": 0.5, "discriminator_hidden_dim": 1, "betas": [0.0, 0.9]},
    {"architecture": "mlp", "normalization": "none", "real_label": [0.8, 1.0]},
]


def file_text(varied: dict[str, Any], *tables: str) -> str:
    head = 'name = "x"\nseeds = [0]\n[baseline]\nresolution = 16\n[training]\nsteps = 100\n'
    return "\n\n".join([head, Remedy("all images", ()).cell_table(varied, "the cell itself"), *tables]) + "\n"


def remedies(symptom: Symptom, **levels: Any) -> dict[RemedyName, dict[str, Level]]:
    return {one.name: dict(one.levels) for one in remedies_for(symptom, Hyperparameters(**levels), {})}


@pytest.mark.parametrize("varied", CELLS[1:])
def test_every_remedy_is_read_and_expands_to_a_cell_of_its_own(varied: dict[str, Any], tmp_path: Path) -> None:
    """The real reader on the cell and each of its remedies, pasted behind one another."""
    path = tmp_path / "experiment.toml"
    path.write_text(file_text(varied), encoding="utf-8")
    plan = read_experiment_file(path).plan
    (cell,) = (cell for cell in plan.cells if not cell.is_baseline)
    found = {one.name: one for symptom in SYMPTOMS for one in remedies_for(symptom, cell.hyperparameters, {})}
    assert len(found) >= 8
    for remedy in found.values():
        levels = levels_of(cell.hyperparameters)
        assert any(levels[factor] != level for factor, level in remedy.levels)
    tables = [remedy.cell_table(cell.varied, remedy.name) for remedy in found.values()]
    path.write_text(file_text(varied, *tables), encoding="utf-8")
    changed = read_experiment_file(path).plan
    assert len(changed.cells) == 2 + len(found) and changed.merged == 0
    assert len({run.key for run in changed.runs}) == len(changed.runs)
    for remedy in found.values():
        (new,) = changed.cells_at(remedy.levels_with(cell.varied))
        assert all(levels_of(new.hyperparameters)[factor] == level for factor, level in remedy.levels)


def test_remedies_of_the_baseline_are_cells_of_its_own_file(tmp_path: Path) -> None:
    hp = Hyperparameters(resolution=16)
    tables = [
        one.cell_table({}, one.name)
        for one in {one.name: one for symptom in SYMPTOMS for one in remedies_for(symptom, hp, {})}.values()
    ]
    path = tmp_path / "experiment.toml"
    path.write_text(file_text({"latent_dim": 7}, *tables), encoding="utf-8")
    assert len(read_experiment_file(path).plan.cells) == 2 + len(tables)


def test_the_named_remedies_are_there() -> None:
    """What their author tried: D's rate 1e-4, a batch of 128, z of 200, a WGAN loss, more dropout."""
    assert remedies("vanishing gradient") == {
        "label smoothing": {"real_label": 0.9, "fake_label": 0.1},
        "slower discriminator": {"discriminator_lr": 1e-4},
    }
    assert remedies("losses out of range")["larger batch"] == {"batch_size": 128}
    collapse = remedies("mode collapse")
    assert collapse["larger latent vector"] == {"latent_dim": 200}
    assert collapse["noise on images"] == {"instance_noise": 0.1}
    assert collapse["WGAN loss"]["loss"] == "wasserstein_gp"
    assert collapse["WGAN loss"]["discriminator_normalization"] == "none"
    good = remedies("too good at real")
    assert good["more dropout in the discriminator"] == {"discriminator_dropout": 0.3}
    assert good["weaker discriminator"] == {"discriminator_hidden_dim": 8}


def test_a_level_that_the_cell_has_is_never_proposed() -> None:
    assert remedies("vanishing gradient", discriminator_lr=1e-4)["slower discriminator"] == {"discriminator_lr": 5e-5}
    assert "label smoothing" not in remedies("vanishing gradient", real_label=0.9)
    assert "label smoothing" not in remedies("vanishing gradient", loss="hinge")
    assert "more dropout in the discriminator" not in remedies("too good at fake", discriminator_dropout=0.5)
    assert "weaker discriminator" not in remedies("too good at fake", discriminator_hidden_dim=1)
    assert remedies("mode collapse", latent_dim=300)["larger latent vector"] == {"latent_dim": 600}
    assert "larger latent vector" not in remedies("mode collapse", latent_dim=65_536)  # no level is larger
    assert "WGAN loss" not in remedies("mode collapse", loss="wasserstein_gp", discriminator_normalization="none")
    assert "falling learning rates" not in remedies("oscillation", lr_decay_from=0.5)
    assert "all images" not in remedies("memorization")
    assert remedies("memorization", limit=100)["all images"] == {"limit": "all"}


def test_what_a_network_of_ones_own_would_not_notice_is_left_out() -> None:
    own = Hyperparameters(discriminator="nets.py:D")
    assert {one.name for one in remedies_for("too good at real", own, {"nets.py:D": ()})} == {"slower discriminator"}
    takes = {"nets.py:D": ("dropout",)}
    assert "more dropout in the discriminator" in {one.name for one in remedies_for("too good at real", own, takes)}


def test_lines_are_toml() -> None:
    levels = (("own.width", 3), ("own.größe", 'a "b"'), ("betas", (0.0, 0.9)), ("own.flag", True), ("lr", 1e-05))
    assert Remedy("all images", levels).lines == (
        "own.width = 3", 'own."gr\\u00f6\\u00dfe" = "a \\"b\\""', "betas = [0.0, 0.9]", "own.flag = true", "lr = 1e-05",
    )  # fmt: skip
    table = Remedy("slower discriminator", (("lr", 1e-4),)).cell_table({"lr": 2e-4, "latent_dim": 7}, "slow")
    assert table == "[[cell]]  # slow\nlatent_dim = 7\nlr = 0.0001"
