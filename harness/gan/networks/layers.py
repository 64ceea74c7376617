"""The layers that both families share, each chosen by a factor's level."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.design.factors import Activation, Normalization

LEAKY_SLOPE = 0.2


def block(convolution_or_linear: nn.Module, normalization: nn.Module, activation: Activation) -> nn.Sequential:
    """One hidden layer. The parts' names are part of every checkpoint."""
    parts: list[tuple[str, nn.Module]] = [
        ("weighted", convolution_or_linear),
        ("normalization", normalization),
        ("activation", activation_layer(activation)),
    ]
    return nn.Sequential(OrderedDict(parts))


def activation_layer(activation: Activation) -> nn.Module:
    match activation:
        case "leaky_relu":
            return nn.LeakyReLU(LEAKY_SLOPE)
        case "relu":
            return nn.ReLU()


def normalize_maps(normalization: Normalization, width: int) -> nn.Module:
    """Normalization of maps [N, width, m, m]; the identity for "none"."""
    match normalization:
        case "batch":
            return nn.BatchNorm2d(width)
        case "none":
            return nn.Identity()


def normalize_features(normalization: Normalization, width: int) -> nn.Module:
    """Normalization of features [N, width]; the identity for "none"."""
    match normalization:
        case "batch":
            return nn.BatchNorm1d(width)
        case "none":
            return nn.Identity()
