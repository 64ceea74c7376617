"""The strided convolutional pair with kernel 4, after DCGAN (Radford et al. 2016, arXiv:1511.06434).

Map sizes double from 4 to the resolution in the generator and halve back in the discriminator; the width at
map size m is hidden_dim * (resolution / 2) / m, so that hidden_dim is the width next to the image.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.design.factors import Hyperparameters
from harness.gan.networks.layers import block, normalize_maps

KERNEL = 4
SMALLEST_MAP = 4


def cnn_generator(hp: Hyperparameters, channels: int) -> nn.Sequential:
    """z [N, latent_dim] -> images [N, channels, resolution, resolution] in [-1, 1]."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(latent=nn.Unflatten(1, (hp.latent_dim, 1, 1)))
    incoming = hp.latent_dim
    for size in _map_sizes(hp.resolution):
        outgoing = _width(hp.generator_hidden_dim, hp.resolution, size)
        stride, padding = (1, 0) if size == SMALLEST_MAP else (2, 1)
        convolution = nn.ConvTranspose2d(incoming, outgoing, KERNEL, stride, padding)
        normalization = normalize_maps(hp.normalization, outgoing)
        layers[f"map{size}"] = block(convolution, normalization, hp.generator_activation)
        incoming = outgoing
    layers["image"] = nn.ConvTranspose2d(incoming, channels, KERNEL, stride=2, padding=1, bias=False)
    layers["tanh"] = nn.Tanh()
    return nn.Sequential(layers)


def cnn_discriminator(hp: Hyperparameters, channels: int) -> nn.Sequential:
    """Images [N, channels, resolution, resolution] -> logits [N]; no normalization next to the image."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    incoming = channels
    for size in reversed(_map_sizes(hp.resolution)):
        outgoing = _width(hp.discriminator_hidden_dim, hp.resolution, size)
        convolution = nn.Conv2d(incoming, outgoing, KERNEL, stride=2, padding=1)
        first = size == hp.resolution // 2
        normalization = nn.Identity() if first else normalize_maps(hp.normalization, outgoing)
        layers[f"map{size}"] = block(convolution, normalization, hp.discriminator_activation)
        incoming = outgoing
    layers["logit"] = nn.Conv2d(incoming, 1, KERNEL)
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)


def _map_sizes(resolution: int) -> list[int]:
    """Sides of the hidden maps, ascending: 4, 8 ... resolution / 2."""
    sizes = [SMALLEST_MAP]
    while sizes[-1] * 4 <= resolution:
        sizes.append(sizes[-1] * 2)
    return sizes


def _width(hidden_dim: int, resolution: int, map_size: int) -> int:
    return hidden_dim * (resolution // 2) // map_size
