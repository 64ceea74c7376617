"""The fully connected pair: three hidden layers whose widths go down 4H, 2H, H in both networks."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.design.factors import Hyperparameters
from harness.gan.networks.layers import block, normalize_features

WIDTHS = (4, 2, 1)
"""Widths of the hidden layers in units of hidden_dim, from the input on."""


def mlp_generator(hp: Hyperparameters, channels: int) -> nn.Sequential:
    """z [N, latent_dim] -> images [N, channels, resolution, resolution] in [-1, 1]."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    incoming = hp.latent_dim
    for number, multiple in enumerate(WIDTHS, start=1):
        outgoing = multiple * hp.generator_hidden_dim
        normalization = normalize_features(hp.normalization, outgoing)
        layers[f"hidden{number}"] = block(nn.Linear(incoming, outgoing), normalization, hp.generator_activation)
        incoming = outgoing
    layers["image"] = nn.Linear(incoming, channels * hp.resolution**2)
    layers["tanh"] = nn.Tanh()
    layers["maps"] = nn.Unflatten(1, (channels, hp.resolution, hp.resolution))
    return nn.Sequential(layers)


def mlp_discriminator(hp: Hyperparameters, channels: int) -> nn.Sequential:
    """Images [N, channels, resolution, resolution] -> logits [N]; no normalization next to the image."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(pixels=nn.Flatten())
    incoming = channels * hp.resolution**2
    for number, multiple in enumerate(WIDTHS, start=1):
        outgoing = multiple * hp.discriminator_hidden_dim
        normalization = nn.Identity() if number == 1 else normalize_features(hp.normalization, outgoing)
        layers[f"hidden{number}"] = block(nn.Linear(incoming, outgoing), normalization, hp.discriminator_activation)
        incoming = outgoing
    layers["logit"] = nn.Linear(incoming, 1)
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)
