"""Discriminators of strided convolutions with linear layers behind them; no normalization next to the image."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.networks.layers import HiddenLayers, discriminator_hidden_layers


def cnn2_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """Images [N, channels, R, R] -> logits [N]: two convolutions of widths H, 2H and a linear layer. R from 8 on."""
    hidden = discriminator_hidden_layers(hp, own_code)
    layers, features = _convolutions(hp, channels, hidden, kernel=3, depth=2)
    layers["logit"] = hidden.weighted(nn.Linear(features, 1))
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)


def cnn2_mlp_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """Likewise, with a hidden linear layer of 16H features between convolutions and logit."""
    hidden = discriminator_hidden_layers(hp, own_code)
    layers, features = _convolutions(hp, channels, hidden, kernel=3, depth=2)
    width = 16 * hp.discriminator_hidden_dim
    layers["hidden"] = hidden.features(nn.Linear(features, width), width)
    layers["logit"] = hidden.weighted(nn.Linear(width, 1))
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)


def cnn4_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """Images [N, channels, R, R] -> logits [N]: four convolutions, H to 8H wide, a linear layer. R from 16 on."""
    hidden = discriminator_hidden_layers(hp, own_code)
    layers, features = _convolutions(hp, channels, hidden, kernel=4, depth=4)
    layers["logit"] = hidden.weighted(nn.Linear(features, 1))
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)


def _convolutions(
    hp: Hyperparameters, channels: int, hidden: HiddenLayers, *, kernel: int, depth: int
) -> tuple[OrderedDict[str, nn.Module], int]:
    """Convolutions with stride 2 and padding 1, then a flat layer; and how many features that has."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    incoming, side = channels, hp.resolution
    for number in range(depth):
        outgoing = hp.discriminator_hidden_dim * 2**number
        side = (side + 2 - kernel) // 2 + 1
        convolution = nn.Conv2d(incoming, outgoing, kernel, stride=2, padding=1)
        layers[f"map{side}"] = hidden.maps(convolution, outgoing, normalized=number > 0)
        incoming = outgoing
    layers["features"] = nn.Flatten()
    return layers, incoming * side**2
