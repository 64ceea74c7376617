"""The fully connected pair: three hidden layers whose widths go down 4H, 2H, H in both networks. Any resolution."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.networks.layers import discriminator_hidden_layers, generator_hidden_layers, output_layer

WIDTHS = (4, 2, 1)
"""Widths of the hidden layers in units of hidden_dim, from the input on."""


def mlp_generator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """z [N, latent_dim] -> images [N, channels, resolution, resolution] in the output's range."""
    hidden = generator_hidden_layers(hp, own_code)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    incoming = hp.latent_dim
    for number, multiple in enumerate(WIDTHS, start=1):
        outgoing = multiple * hp.generator_hidden_dim
        layers[f"hidden{number}"] = hidden.features(nn.Linear(incoming, outgoing), outgoing)
        incoming = outgoing
    layers["image"] = nn.Linear(incoming, channels * hp.resolution**2)
    layers[hp.generator_output] = output_layer(hp.generator_output)
    layers["maps"] = nn.Unflatten(1, (channels, hp.resolution, hp.resolution))
    return nn.Sequential(layers)


def mlp_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """Images [N, channels, resolution, resolution] -> logits [N]; no normalization next to the image."""
    hidden = discriminator_hidden_layers(hp, own_code)
    layers: OrderedDict[str, nn.Module] = OrderedDict(pixels=nn.Flatten())
    incoming = channels * hp.resolution**2
    for number, multiple in enumerate(WIDTHS, start=1):
        outgoing = multiple * hp.discriminator_hidden_dim
        layers[f"hidden{number}"] = hidden.features(nn.Linear(incoming, outgoing), outgoing, normalized=number > 1)
        incoming = outgoing
    layers["logit"] = hidden.weighted(nn.Linear(incoming, 1))
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)
