"""Generators of linear layers and stride-1 convolutions."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.networks.layers import generator_hidden_layers, output_layer


def mlp_conv_generator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """z [N, latent_dim] -> images [N, channels, R, R] in the output's range: two linear layers and a convolution.

    The first gives 4H features, the second H maps of the image's size. Any resolution.
    """
    hidden = generator_hidden_layers(hp, own_code)
    width, side = hp.generator_hidden_dim, hp.resolution
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["hidden1"] = hidden.features(nn.Linear(hp.latent_dim, 4 * width), 4 * width)
    layers["hidden2"] = hidden.unflattened(nn.Linear(4 * width, width * side**2), width, side)
    layers["image"] = nn.Conv2d(width, channels, 3, padding=1)
    layers[hp.generator_output] = output_layer(hp.generator_output)
    return nn.Sequential(layers)


def upsample_cnn_generator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Sequential:
    """z [N, latent_dim] -> images [N, channels, R, R] in the output's range, by repeating pixels and convolving.

    Widths 2H, 2H, H at maps of R/4, R/2, R. Resolutions: multiples of 4 from 8 on. Upsampling and a convolution in
    place of a strided transposed one leave no checkerboard (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).
    """
    hidden = generator_hidden_layers(hp, own_code)
    width, base = hp.generator_hidden_dim, hp.resolution // 4
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers[f"map{base}"] = hidden.unflattened(nn.Linear(hp.latent_dim, 2 * width * base**2), 2 * width, base)
    incoming = 2 * width
    for side, outgoing in ((2 * base, 2 * width), (4 * base, width)):
        convolution = nn.Conv2d(incoming, outgoing, 3, padding=1)
        layers[f"map{side}"] = hidden.maps_of(("upsample", nn.Upsample(scale_factor=2)), convolution, outgoing)
        incoming = outgoing
    layers["image"] = nn.Conv2d(incoming, channels, 3, padding=1)
    layers[hp.generator_output] = output_layer(hp.generator_output)
    return nn.Sequential(layers)
