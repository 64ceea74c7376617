"""Levels that each are allowed but cannot train together, with the reason.

Only what matters in a cell is looked at: a factor that an own part replaces cannot be wrong there. The networks' own
checks (`plan --check`) go on from here with the sizes of each layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.design.own_parts import is_own

if TYPE_CHECKING:
    from harness.design.factors import Hyperparameters

CNN_RESOLUTIONS = (8, 16, 28, 32, 56, 64, 112, 128)
"""Side lengths in pixels that the strided pair can do: a map of 4x4 or 7x7 pixels, doubled one to five times."""

LABEL_LOSSES = frozenset({"bce", "least_squares", "sigmoid_logits"})
"""Losses that compare with labels."""

FEATURES = frozenset({"mlp", "mlp_conv", "cnn2_mlp"})
"""Networks that normalise features, not (only) maps."""


def refusal(hp: Hyperparameters) -> str | None:
    """Why these levels cannot train together, and what to change; None where nothing speaks against it."""
    return (
        _resolution(hp.generator, "generator", hp.resolution)
        or _resolution(hp.discriminator, "discriminator", hp.resolution)
        or _instance(hp, "generator")
        or _instance(hp, "discriminator")
        or _gradient_penalty(hp)
        or _label_range(hp, "real_label")
        or _label_range(hp, "fake_label")
    )


def has_normalization(hp: Hyperparameters, network: str) -> bool:
    """Whether `network` (generator, discriminator) has layers that `NETWORK_normalization` chooses.

    A network of one's own has none, and neither has the strided discriminator at 8 pixels, where one convolution next
    to the image is all there is before the logit.
    """
    level = str(getattr(hp, network))
    if is_own(level):
        return False
    if network == "discriminator" and hp.discriminator_normalization == "spectral":
        return True  # convolutions and linear layers, which every network has
    return not (network == "discriminator" and level == "cnn" and hp.resolution == 8)


def _resolution(level: str, network: str, resolution: int) -> str | None:
    match level:
        case "cnn" if resolution not in CNN_RESOLUTIONS:
            allowed = ", ".join(map(str, CNN_RESOLUTIONS))
        case "upsample_cnn" if resolution < 8 or resolution % 4:
            allowed = "multiples of 4 from 8 on"
        case "cnn2" | "cnn2_mlp" if resolution < 8:
            allowed = "8 and more"
        case "cnn4" if resolution < 16:
            allowed = "16 and more"
        case _:
            return None
    return f"{network} {level} cannot do resolution {resolution}; allowed with {level}: {allowed}"


def _instance(hp: Hyperparameters, network: str) -> str | None:
    level, factor = getattr(hp, network), f"{network}_normalization"
    if getattr(hp, factor) != "instance" or not has_normalization(hp, network):
        return None
    if level in FEATURES:
        return (
            f"{factor} instance is for maps, and {network} {level} normalises features, one number each; "
            f"allowed with {level}: {'batch, none or spectral' if network == 'discriminator' else 'batch or none'}"
        )
    if level == "cnn4" and hp.resolution < 32:
        return (
            f"{factor} instance needs maps of more than one pixel, and the last of {network} cnn4 at resolution "
            f"{hp.resolution} is 1x1; allowed from resolution 32 on, or batch, none or spectral"
        )
    return None


def _gradient_penalty(hp: Hyperparameters) -> str | None:
    """Gulrajani et al. 2017 (arXiv:1704.00028), section 4."""
    if hp.loss != "wasserstein_gp" or hp.discriminator_normalization != "batch":
        return None
    if not has_normalization(hp, "discriminator"):
        return None
    return (
        "loss wasserstein_gp cannot train with batch normalization in the discriminator: its penalty is on the "
        "gradient of each image alone, and batch normalization makes each depend on the others (Gulrajani 2017, "
        "section 4); allowed: discriminator_normalization none, instance or spectral"
    )


def _label_range(hp: Hyperparameters, name: str) -> str | None:
    label = getattr(hp, name)
    if hp.loss not in LABEL_LOSSES or not isinstance(label, tuple) or label[0] < label[1]:
        return None
    low, high = label
    if low == high:
        return f"{name} [{low}, {high}] is no range; allowed: [LOW, HIGH] with LOW below HIGH, or {low} alone"
    return f"{name} [{low}, {high}] goes down; allowed: [{high}, {low}]"
