"""No two cells are secretly the same run: what cannot matter is put back, unseen in names, and the plan says so."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from design_files import cell_named, names, plan_of

from harness.design.factors import Hyperparameters, as_fields, levels_of
from harness.design.folding import LABEL_FACTORS, fold, idle_factors, reads_total, references_of

PARAMETERS = {
    "n.py:G": ("latent_dim", "hidden_dim", "alpha"),
    "n.py:D": ("channels", "kernel_size", "dropout"),
    "n.py:Norm": ("channels", "alpha"),
    "n.py:L": ("beta",),
}


def folded(**levels: object) -> tuple[dict[str, object], set[str]]:
    """What of the given levels is left beside the defaults, and which factors were put back."""
    hp, changed = fold(Hyperparameters(**as_fields(levels)), PARAMETERS)
    left = {name: level for name, level in levels_of(hp).items() if level != levels_of(Hyperparameters()).get(name)}
    return left, set(changed)


@pytest.mark.parametrize(
    ("levels", "put_back"),
    [
        ({"architecture": "mlp", "kernel_size": 5}, {"generator_kernel_size", "discriminator_kernel_size"}),
        ({"generator": "mlp", "kernel_size": 5}, {"generator_kernel_size"}),
        ({"generator": "mlp_conv", "generator_kernel_size": 5}, {"generator_kernel_size"}),
        ({"generator": "upsample_cnn", "generator_kernel_size": 5}, {"generator_kernel_size"}),
        ({"discriminator": "cnn2", "discriminator_kernel_size": 5}, {"discriminator_kernel_size"}),
        ({"discriminator": "cnn2_mlp", "discriminator_kernel_size": 5}, {"discriminator_kernel_size"}),
        ({"discriminator": "cnn4", "discriminator_kernel_size": 5}, {"discriminator_kernel_size"}),
        ({"kernel_size": 5}, set()),
        ({"gradient_penalty": 1.0}, {"gradient_penalty"}),
        ({"gradient_penalty": 1.0, "loss": "wasserstein_gp", "discriminator_normalization": "none"}, set()),
        ({"loss": "hinge", "real_label": 0.9, "fake_label": 0.1, "generator_target": 0.9, "label_swap": 0.1,
          "label_swap_decay": 0.5}, set(LABEL_FACTORS)),
        ({"loss": "n.py:L", "real_label": 0.9, "discriminator_loss_reduction": "mean"},
         {"real_label", "discriminator_loss_reduction"}),
        ({"loss": "least_squares", "real_label": 0.9, "label_swap": 0.1, "label_swap_decay": 0.5}, set()),
        ({"loss": "sigmoid_logits", "generator_target": 0.9}, set()),
        ({"label_swap_decay": 0.5}, {"label_swap_decay"}),
        ({"instance_noise_decay": 0.5}, {"instance_noise_decay"}),
        ({"instance_noise_decay": 0.5, "instance_noise": 0.1}, set()),
        ({"normalization": "none", "initialization": "dcgan_bn0"}, {"initialization"}),
        ({"generator_normalization": "none", "initialization": "dcgan_bn0"}, set()),
        ({"normalization": "instance", "initialization": "dcgan_bn0"}, set()),
        ({"normalization": "n.py:Norm", "initialization": "dcgan_bn0"}, set()),
        ({"normalization": "none", "discriminator": "n.py:D", "initialization": "dcgan_bn0"},
         {"discriminator_normalization"}),
        ({"normalization": "none", "initialization": "pytorch"}, set()),
        ({"resolution": 8, "discriminator_normalization": "none"}, {"discriminator_normalization"}),
        ({"resolution": 8, "discriminator_normalization": "spectral"}, set()),
        ({"resolution": 8, "normalization": "none"}, set()),
        ({"resolution": 16, "discriminator_normalization": "none"}, set()),
        ({"generator": "n.py:G", "hidden_dim": 8, "kernel_size": 5, "normalization": "none", "activation": "relu",
          "dropout": 0.5, "generator_output": "sigmoid", "latent_dim": 8},
         {"generator_kernel_size", "generator_normalization", "generator_activation", "generator_dropout"}),
        ({"discriminator": "n.py:D", "hidden_dim": 8, "kernel_size": 5, "discriminator_normalization": "spectral",
          "activation": "relu", "dropout": 0.5},
         {"discriminator_hidden_dim", "discriminator_normalization", "discriminator_activation"}),
        ({"own": {"alpha": 1, "beta": 2, "gamma": 3}}, {"own.alpha", "own.beta", "own.gamma"}),
        ({"own": {"alpha": 1, "beta": 2}, "loss": "n.py:L"}, {"own.alpha"}),
        ({"own": {"alpha": 1, "beta": 2}, "normalization": "n.py:Norm"}, {"own.beta"}),
        ({"own": {"alpha": 1, "beta": 2}, "generator": "n.py:G"}, {"own.beta"}),
        ({"own": {"alpha": 1}, "discriminator": "n.py:D", "discriminator_normalization": "n.py:Norm"},
         {"own.alpha", "discriminator_normalization"}),
    ],
)  # fmt: skip
def test_what_cannot_matter_is_put_back_and_the_rest_is_kept(levels: dict[str, object], put_back: set[str]) -> None:
    left, changed = folded(**levels)
    assert changed == put_back
    asked = levels_of(Hyperparameters(**as_fields(levels)))
    kept = {name: level for name, level in asked.items() if level != levels_of(Hyperparameters()).get(name)}
    assert left == {name: level for name, level in kept.items() if name not in put_back}


def test_folding_twice_is_folding_once_and_what_is_folded_can_be_read_again() -> None:
    levels = {
        "generator": ["cnn", "mlp", "n.py:G"], "discriminator": ["cnn", "cnn4", "n.py:D"],
        "loss": ["bce", "wasserstein_gp", "n.py:L"], "resolution": [8, 32],
        "generator_normalization": ["none", "n.py:Norm"], "discriminator_normalization": ["none", "spectral"],
        "initialization": ["dcgan", "dcgan_bn0"],
    }  # fmt: skip
    others = {"kernel_size": 5, "real_label": 0.9, "gradient_penalty": 1.0, "own": {"alpha": 1, "beta": 2}}
    checked = 0
    for combination in itertools.product(*levels.values()):
        fields = as_fields(dict(zip(levels, combination, strict=True)) | others)
        if fields["discriminator"] == "cnn4" and fields["resolution"] == 8:
            continue
        hp, changed = fold(Hyperparameters(**fields), PARAMETERS)
        assert fold(hp, PARAMETERS) == (hp, ())
        assert Hyperparameters(**levels_of(hp)) == hp
        assert set(changed) <= set(idle_factors(Hyperparameters(**fields), PARAMETERS))
        checked += 1
    assert checked == 24 * 15


def test_parts_and_schedules_of_a_cell() -> None:
    hp = Hyperparameters(generator="n.py:G", discriminator_normalization="n.py:Norm")
    assert references_of(hp) == {"generator": "n.py:G", "discriminator_normalization": "n.py:Norm"}
    assert references_of(Hyperparameters()) == {}
    assert not reads_total(Hyperparameters())
    assert not reads_total(fold(Hyperparameters(instance_noise_decay=0.5), {})[0])
    assert reads_total(Hyperparameters(instance_noise=0.1, instance_noise_decay=0.5))


KERNELS = "[[grid]]\nlevels.architecture = ['cnn', 'mlp']\nlevels.kernel_size = [4, 5]\n"


def test_cells_that_would_be_the_same_run_are_one(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, KERNELS)
    assert names(plan) == ["baseline", "kernel_size=5", "architecture=mlp"]
    assert plan.merged == 2
    assert cell_named(plan, "architecture=mlp").hyperparameters.generator_kernel_size == 4
    assert plan.factors == ("architecture", "kernel_size")
    assert plan.folded == ("kernel_size does not matter in 1 cell (architecture=mlp) and is left at 4 there",)


def test_a_folded_factor_is_in_no_name_whatever_the_baseline_has(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "[baseline]\nkernel_size = 5\n[[grid]]\nlevels.architecture = ['mlp']\nlevels.lr = [1, 2]")
    assert names(plan) == ["baseline", "architecture=mlp,lr=1.0", "architecture=mlp,lr=2.0"]
    assert [cell.hyperparameters.generator_kernel_size for cell in plan.cells] == [5, 4, 4]
    assert plan.factors == ("architecture", "lr")
    assert plan.folded == ("kernel_size does not matter in 2 cells (architecture=mlp) and is left at 4 there",)
    turned = plan_of(
        tmp_path, "[baseline]\narchitecture = 'mlp'\nkernel_size = 5\n[[grid]]\nlevels.architecture=['cnn']"
    )
    assert names(turned) == ["baseline", "architecture=cnn"]
    assert turned.cells[0].is_baseline
    assert [cell.hyperparameters.generator_kernel_size for cell in turned.cells] == [4, 5]


def test_one_network_may_fold_what_the_other_keeps(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "[[grid]]\nlevels.generator = ['cnn', 'mlp']\nlevels.kernel_size = [4, 5]")
    assert names(plan) == ["baseline", "kernel_size=5", "generator=mlp", "generator=mlp,kernel_size=5"]
    assert plan.folded == ("generator_kernel_size does not matter in 1 cell (generator=mlp) and is left at 4 there",)
    alone = plan_of(tmp_path, "[baseline]\ndiscriminator = 'mlp'\n[[grid]]\nlevels.generator_kernel_size = [4, 5]")
    assert names(alone) == ["baseline", "generator_kernel_size=5"]


def test_the_strided_discriminator_at_8_pixels_has_nothing_to_normalise(tmp_path: Path) -> None:
    text = "[baseline]\nresolution = 8\n[[grid]]\nlevels.normalization = ['none']\n"
    plan = plan_of(tmp_path, f'{text}[labels]\n"normalization=none" = "w/o norm"')
    assert (names(plan), plan.cells[1].label, plan.folded) == (["baseline", "normalization=none"], "w/o norm", ())
    plan = plan_of(
        tmp_path, f"{text}[[cell]]\ngenerator_normalization = 'none'\n[[cell]]\ndiscriminator_normalization = 'none'"
    )
    assert names(plan) == ["baseline", "normalization=none"]
    assert plan.merged == 2
    assert plan.folded == (
        "discriminator_normalization does not matter in 2 cells (discriminator=cnn, resolution=8) and follows the "
        "generator's there",
    )


def test_exclude_means_what_is_written_and_what_is_shown(tmp_path: Path) -> None:
    assert names(plan_of(tmp_path, f"{KERNELS}[[exclude]]\narchitecture = 'mlp'\nkernel_size = 5")) == [
        "baseline", "kernel_size=5", "architecture=mlp",
    ]  # fmt: skip
    assert names(plan_of(tmp_path, f"{KERNELS}[[exclude]]\narchitecture = 'mlp'\nkernel_size = 4")) == [
        "baseline", "kernel_size=5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "cell"),
    [
        ({"architecture": "mlp"}, "architecture=mlp"),
        ({"architecture": "mlp", "kernel_size": 5}, "architecture=mlp"),
        ({"kernel_size": 5}, "kernel_size=5"),
        ({}, "baseline"),
        ({"kernel_size": 5, "latent_dim": 3}, None),
        ({"architecture": "mlp", "resolution": 31}, None),
        ({"resolution": 31}, None),
        ({"own.alpha": 1}, None),
    ],
)
def test_cells_are_found_by_levels_as_people_name_them(
    tmp_path: Path, levels: dict[str, object], cell: str | None
) -> None:
    plan = plan_of(tmp_path, KERNELS)
    assert [found.name for found in plan.cells_at(levels)] == ([cell] if cell else [])  # type: ignore[arg-type]


def test_a_default_that_nobody_wrote_excludes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n.py").write_text("def G(latent_dim): ...", encoding="utf-8")
    text = "[baseline]\ngenerator_hidden_dim = 64\n[[grid]]\nlevels.generator = ['cnn', 'n.py:G']\n[[exclude]]\n"
    for level, expected in [(16, ["baseline", "generator=n.py:G"]), (64, [])]:
        plan = plan_of(tmp_path, f"{text}generator_hidden_dim = {level}\n[[cell]]\nlatent_dim = 7\nhidden_dim = 8")
        assert names(plan)[: len(expected)] == expected
        assert len(plan.cells) == len(expected) + 1


def test_a_limit_of_all_images_is_all_of_them(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "[[grid]]\nlevels.limit = ['all', 1797, 1796]")
    assert names(plan) == ["baseline", "limit=1796"]
    assert plan.merged == 2
    assert plan.folded == ("limit is the number of all images in 1 cell and is written all there",)
    assert [cell.name for cell in plan.cells_at({"limit": 1797})] == ["baseline"]
    keys = [run.key for run in plan.runs]
    plan = plan_of(tmp_path, "[baseline]\nlimit = 1797\n[[grid]]\nlevels.limit = ['all', 1796]")
    assert ([run.key for run in plan.runs], names(plan), plan.folded) == (keys, ["baseline", "limit=1796"], ())
    assert plan.experiment.baseline.limit == "all"
    assert names(plan_of(tmp_path, "[[cell]]\nlimit = 1797\n[[cell]]\nlimit = 5\n[[exclude]]\nlimit = 1797")) == [
        "baseline", "limit=5",
    ]  # fmt: skip


def test_a_limit_of_images_of_ones_own_is_all_of_them_where_their_number_is_said(tmp_path: Path) -> None:
    text = "[data]\nsource = 'folder'\n{}\n[[cell]]\nlimit = 500"
    assert names(plan_of(tmp_path, text.format("images = 500"))) == ["baseline"]
    assert names(plan_of(tmp_path, text.format(""))) == ["baseline", "limit=500"]
