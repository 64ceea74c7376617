"""What cannot train together is refused with its reason, where it is named; what merely does not matter is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from design_files import first_line, plan_of

from harness.design.combinations import CNN_RESOLUTIONS, refusal
from harness.design.factors import Hyperparameters, as_fields


def reason(**levels: object) -> str:
    fields = as_fields(levels)
    return refusal(Hyperparameters.model_construct(**Hyperparameters().model_dump() | fields)) or ""


@pytest.mark.parametrize(
    ("network", "level", "able", "unable"),
    [
        ("generator", "cnn", [8, 16, 28, 32, 56, 64, 112, 128], [4, 12, 14, 24, 100, 224, 256]),
        ("discriminator", "cnn", [8, 16, 28, 32, 56, 64, 112, 128], [4, 12, 14, 24, 100, 224, 256]),
        ("generator", "mlp", [4, 5, 28, 512], []),
        ("generator", "mlp_conv", [4, 5, 28, 512], []),
        ("generator", "upsample_cnn", [8, 12, 28, 512], [4, 9, 30]),
        ("discriminator", "mlp", [4, 5, 28, 512], []),
        ("discriminator", "cnn2", [8, 9, 28, 512], [4, 7]),
        ("discriminator", "cnn2_mlp", [8, 9, 28, 512], [4, 7]),
        ("discriminator", "cnn4", [16, 17, 28, 512], [8, 15]),
    ],
)
def test_each_network_states_its_resolutions(network: str, level: str, able: list[int], unable: list[int]) -> None:
    networks: dict[str, object] = {"generator": "mlp", "discriminator": "mlp", network: level}
    for resolution in able:
        assert reason(**networks, resolution=resolution) == ""
    for resolution in unable:
        told = reason(**networks, resolution=resolution)
        assert told.startswith(f"{network} {level} cannot do resolution {resolution}; allowed with {level}: ")


def test_the_strided_pair_does_a_map_of_4_or_7_doubled() -> None:
    assert {base * 2**doublings for base in (4, 7) for doublings in range(1, 6)} - {14, 224} == set(CNN_RESOLUTIONS)


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({"normalization": "instance", "generator": "mlp"}, "generator_normalization instance is for maps"),
        ({"normalization": "instance", "generator": "mlp_conv"}, "allowed with mlp_conv: batch or none"),
        ({"normalization": "instance", "discriminator": "cnn2_mlp"}, "allowed with cnn2_mlp: batch, none or spectral"),
        ({"normalization": "instance", "discriminator": "cnn4"}, ""),
        ({"normalization": "instance", "discriminator": "cnn4", "resolution": 28}, "resolution 28 is 1x1"),
        ({"normalization": "instance"}, ""),
        ({"normalization": "instance", "discriminator": "cnn2"}, ""),
        ({"loss": "wasserstein_gp"}, "(Gulrajani 2017, section 4); allowed: discriminator_normalization none"),
        ({"loss": "wasserstein_gp", "discriminator": "mlp"}, "cannot train with batch normalization"),
        ({"loss": "wasserstein_gp", "discriminator_normalization": "none"}, ""),
        ({"loss": "wasserstein_gp", "discriminator_normalization": "spectral"}, ""),
        ({"loss": "wasserstein_gp", "discriminator_normalization": "n.py:Norm"}, ""),
        ({"real_label": (1.0, 0.9)}, "real_label [1.0, 0.9] goes down; allowed: [0.9, 1.0]"),
        ({"fake_label": (0.1, 0.1)},
         "fake_label [0.1, 0.1] is no range; allowed: [LOW, HIGH] with LOW below HIGH, or 0.1"),
        ({"real_label": (0.9, 1.0), "fake_label": (0.0, 0.1)}, ""),
        ({"real_label": 0.0, "fake_label": 1.0}, ""),
    ],
)  # fmt: skip
def test_what_cannot_train_together(levels: dict[str, object], told: str) -> None:
    assert told in reason(**levels)
    assert bool(told) is bool(reason(**levels))


@pytest.mark.parametrize(
    "levels",
    [
        {"generator": "n.py:G", "resolution": 20, "discriminator": "mlp"},
        {"generator": "n.py:G", "generator_normalization": "instance"},
        {"discriminator": "n.py:D", "loss": "wasserstein_gp"},
        {"resolution": 8, "loss": "wasserstein_gp"},
        {"loss": "hinge", "real_label": (1.0, 0.9)},
    ],
)
def test_what_does_not_matter_in_a_cell_cannot_be_wrong_there(levels: dict[str, object]) -> None:
    assert reason(**levels) == ""


@pytest.mark.parametrize(
    ("addition", "line", "key", "what"),
    [
        ("[baseline]\nloss = 'wasserstein_gp'", 2, "baseline", "loss wasserstein_gp cannot train with batch"),
        ("[[cell]]\nlatent_dim = 5\n[[cell]]\nloss = 'wasserstein_gp'", 4, "cell.1",
         "loss = wasserstein_gp: loss wass"),
        ("[[grid]]\nlevels.architecture = ['mlp']\nlevels.normalization = ['batch', 'instance']", 3, "grid.0.levels",
         "architecture = mlp, normalization = instance: generator_normalization instance is for maps"),
        ("[[grid]]\nlevels.real_label = [0.9, [1.0, 0.9]]", 3, "grid.0.levels.real_label",
         "real_label = 1.0,0.9: real_label [1.0, 0.9] goes down"),
        ("[baseline]\nnormalization = 'spectral'", 3, "baseline.normalization",
         "'spectral' is not allowed; allowed: 'batch', 'none', 'instance' or FILE.py:NAME of your own "
         "('spectral' is for discriminator_normalization alone)"),
        ("[[cell]]\ngenerator_normalization = 'spectral'", 3, "cell.0.generator_normalization",
         "('spectral' is for discriminator_normalization alone)"),
        ("[[grid]]\nlevels.architecture = ['mlp',\n'cnn4']", 4, "grid.0.levels.architecture.1",
         "'cnn4' is not allowed; allowed: 'cnn' or 'mlp' ('cnn4' is for discriminator alone)"),
    ],
)  # fmt: skip
def test_it_is_told_where_it_is_named(tmp_path: Path, addition: str, line: int, key: str, what: str) -> None:
    told = first_line(tmp_path, f'name = "e"\n{addition}')
    assert told.startswith(f"e.toml:{line}: {key}: ")
    assert what in told


def test_an_impossible_combination_may_be_excluded(tmp_path: Path) -> None:
    text = (
        "[[grid]]\nlevels.loss = ['bce', 'wasserstein_gp']\nlevels.normalization = ['batch', 'none']\n"
        "[[exclude]]\nloss = 'wasserstein_gp'\ndiscriminator_normalization = 'batch'"
    )
    names = [cell.name for cell in plan_of(tmp_path, text).cells]
    assert names == ["baseline", "normalization=none", "normalization=none,loss=wasserstein_gp"]
