"""Levels as people type them, behind `--only` and as keys of `[labels]`."""

from __future__ import annotations

import pytest

from harness.design.factors import Hyperparameters, levels_of
from harness.design.level_text import canonical_text, read_levels
from harness.errors import HarnessError

BASELINE = levels_of(Hyperparameters(own={"alpha": 0.5, "count": 1, "on": True, "mode": "a"}))


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("lr=2e-4", {"lr": 2e-4}),
        ("latent_dim=8, betas=0.5,0.9,lr=1", {"latent_dim": 8, "betas": (0.5, 0.9), "lr": 1.0}),
        ("betas=[0.5, 0.9]", {"betas": (0.5, 0.9)}),
        ("real_label=0.9,1.0", {"real_label": (0.9, 1.0)}),
        ("real_label=0.9", {"real_label": 0.9}),
        ("kernel_size=5", {"kernel_size": 5}),
        ("lr_decay_from=none", {"lr_decay_from": "none"}),
        ("normalization=./norms.py:PowerNorm,loss=l.py:M", {"normalization": "norms.py:PowerNorm", "loss": "l.py:M"}),
        ("own.alpha=1, own.on=true,own.mode=b", {"own.alpha": 1, "own.on": True, "own.mode": "b"}),
    ],
)
def test_levels_are_read(text: str, levels: dict[str, object]) -> None:
    assert read_levels(text, where="--only") == levels


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("latent_dim", "'latent_dim' is no level"),
        ("latentdim=8", "'latentdim' is no factor"),
        ("own=8", "'own' is no factor"),
        ("own.=8", "'own.' is no factor"),
        ("lr=1,lr=2", "lr is named twice"),
        (
            "generator=resnet",
            "'resnet' is no level of generator; allowed: cnn | mlp | mlp_conv | upsample_cnn or FILE.py",
        ),
        (
            "normalization=spectral",
            "'spectral' is no level of normalization; allowed: batch | none | instance or FILE.py",
        ),
        ("own.hidden_dim=8", "'8' is no level of own.hidden_dim; allowed: a number, a text, true or false"),
        ("real_label=0.9,1.0,1.0", "is no level of real_label; allowed: 0 to 1 or 2 numbers, each 0 to 1"),
    ],
)
def test_what_is_no_level_is_told(text: str, told: str) -> None:
    with pytest.raises(HarnessError) as caught:
        read_levels(text, where="--only")
    assert str(caught.value).startswith(f"--only: {told}") or told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("lr=2e-4,latent_dim=8", "latent_dim=8,lr=0.0002"),
        ("own.mode=b, own.alpha=1, batch_size=8", "batch_size=8,own.alpha=1.0,own.mode=b"),
        ("own.count=2.0", "own.count=2"),
        ("own.on=1", None),
        ("own.gamma=1", None),
        ("baseline", None),
        ("normalization=norms.py:P", "normalization=norms.py:P"),
    ],
)
def test_levels_have_the_spelling_of_cells(text: str, spelled: str | None) -> None:
    assert canonical_text(text, BASELINE) == spelled
