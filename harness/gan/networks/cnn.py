"""The strided convolutional pair, after DCGAN (Radford et al. 2016, arXiv:1511.06434), with kernel 4 or 5.

Map sizes double from the base map, 4x4 or 7x7, to the resolution in the generator and halve back in the
discriminator: resolutions 8, 16, 32, 64, 128 and 28, 56, 112. The width at map size m is
hidden_dim * (resolution / 2) / m, so that hidden_dim is the width next to the image.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters, KernelSize
from harness.gan.networks.layers import discriminator_hidden_layers, generator_hidden_layers, output_layer

BASE_MAPS = (4, 7)
"""Sides of the smallest map; its kernel has the same side and reaches all of it."""


def cnn_generator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """z [N, latent_dim] -> images [N, channels, resolution, resolution] in the output's range."""
    hidden = generator_hidden_layers(hp, own_code)
    kernel = hp.generator_kernel_size
    layers: OrderedDict[str, nn.Module] = OrderedDict(latent=nn.Unflatten(1, (hp.latent_dim, 1, 1)))
    incoming = hp.latent_dim
    base, *larger = _map_sizes(hp.resolution)
    for size in (base, *larger):
        outgoing = _width(hp.generator_hidden_dim, hp.resolution, size)
        first = size == base
        convolution = nn.ConvTranspose2d(incoming, outgoing, base) if first else _doubling(incoming, outgoing, kernel)
        layers[f"map{size}"] = hidden.maps(convolution, outgoing)
        incoming = outgoing
    layers["image"] = _doubling(incoming, channels, kernel, bias=False)
    layers[hp.generator_output] = output_layer(hp.generator_output)
    return nn.Sequential(layers)


def cnn_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """Images [N, channels, resolution, resolution] -> logits [N]; no normalization next to the image."""
    hidden = discriminator_hidden_layers(hp, own_code)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    incoming = channels
    base, *larger = _map_sizes(hp.resolution)
    for size in (*reversed(larger), base):
        outgoing = _width(hp.discriminator_hidden_dim, hp.resolution, size)
        convolution = _halving(incoming, outgoing, hp.discriminator_kernel_size)
        layers[f"map{size}"] = hidden.maps(convolution, outgoing, normalized=size != hp.resolution // 2)
        incoming = outgoing
    layers["logit"] = hidden.weighted(nn.Conv2d(incoming, 1, base))
    layers["flat"] = nn.Flatten(0)
    return nn.Sequential(layers)


def _doubling(incoming: int, outgoing: int, kernel: KernelSize, *, bias: bool = True) -> nn.ConvTranspose2d:
    """Maps [N, incoming, m, m] -> [N, outgoing, 2m, 2m]: (m - 1) * 2 - 2 * padding + kernel + output padding."""
    match kernel:
        case 4:
            return nn.ConvTranspose2d(incoming, outgoing, 4, stride=2, padding=1, bias=bias)
        case 5:
            return nn.ConvTranspose2d(incoming, outgoing, 5, stride=2, padding=2, output_padding=1, bias=bias)


def _halving(incoming: int, outgoing: int, kernel: KernelSize) -> nn.Conv2d:
    """Maps [N, incoming, m, m] -> [N, outgoing, m / 2, m / 2]: floor((m + 2 * padding - kernel) / 2) + 1."""
    return nn.Conv2d(incoming, outgoing, kernel, stride=2, padding=1 if kernel == 4 else 2)


def _map_sizes(resolution: int) -> list[int]:
    """Sides of the hidden maps, ascending: 4, 8 ... resolution / 2, or 7, 14 ... resolution / 2."""
    four, seven = BASE_MAPS
    sizes = [seven if resolution % seven == 0 else four]
    while sizes[-1] * 4 <= resolution:
        sizes.append(sizes[-1] * 2)
    return sizes


def _width(hidden_dim: int, resolution: int, map_size: int) -> int:
    return hidden_dim * (resolution // 2) // map_size
