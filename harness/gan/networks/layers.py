"""The hidden layers that all families share: a weighted layer, then normalization, activation and dropout."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from harness.data.own_code import OwnCode
from harness.design.factors import Activation, Hyperparameters, Output
from harness.design.own_parts import is_own
from harness.gan.networks.own import own_normalization

LEAKY_SLOPE = 0.2


@dataclass(frozen=True)
class HiddenLayers:
    """What the levels say of one network's hidden layers, whatever their sizes.

    own: one's own factors by name, handed to an own normalization.
    """

    normalization: str
    activation: Activation
    dropout: float
    own: dict[str, int | float | str | bool]
    own_code: OwnCode

    def maps(self, weighted: nn.Module, width: int, *, normalized: bool = True) -> nn.Sequential:
        """One hidden layer of maps [N, width, m, m]; dropout is of whole maps."""
        normalization = self._of_maps(width) if normalized else nn.Identity()
        return self._block([("weighted", self.weighted(weighted))], normalization, nn.Dropout2d(self.dropout))

    def maps_of(self, before: tuple[str, nn.Module], weighted: nn.Module, width: int) -> nn.Sequential:
        """Likewise, after a named layer without weights."""
        parts = [before, ("weighted", self.weighted(weighted))]
        return self._block(parts, self._of_maps(width), nn.Dropout2d(self.dropout))

    def unflattened(self, weighted: nn.Linear, width: int, side: int) -> nn.Sequential:
        """One linear layer whose width * side^2 features become maps [N, width, side, side]."""
        parts = [("weighted", self.weighted(weighted)), ("maps", nn.Unflatten(1, (width, side, side)))]
        return self._block(parts, self._of_maps(width), nn.Dropout2d(self.dropout))

    def features(self, weighted: nn.Linear, width: int, *, normalized: bool = True) -> nn.Sequential:
        """One hidden layer of features [N, width]."""
        normalization = self._of_features(width) if normalized else nn.Identity()
        return self._block([("weighted", self.weighted(weighted))], normalization, nn.Dropout(self.dropout))

    def weighted(self, layer: nn.Module) -> nn.Module:
        """The layer, its weight divided by its spectral norm where the levels say so (Miyato et al. 2018)."""
        return spectral_norm(layer) if self.normalization == "spectral" else layer

    def _block(
        self, weighted: list[tuple[str, nn.Module]], normalization: nn.Module, dropout: nn.Module
    ) -> nn.Sequential:
        """The parts' names are part of every checkpoint."""
        activation = activation_layer(self.activation, inplace=not is_own(self.normalization))
        parts = [*weighted, ("normalization", normalization), ("activation", activation)]
        if self.dropout:
            parts.append(("dropout", dropout))
        return nn.Sequential(OrderedDict(parts))

    def _of_maps(self, width: int) -> nn.Module:
        match self.normalization:
            case "batch":
                return nn.BatchNorm2d(width)
            case "instance":
                return nn.InstanceNorm2d(width, affine=True)
            case "none" | "spectral":
                return nn.Identity()
            case reference:
                return own_normalization(reference, width, self.own, self.own_code)

    def _of_features(self, width: int) -> nn.Module:
        match self.normalization:
            case "batch":
                return nn.BatchNorm1d(width)
            case "instance":
                raise ValueError("instance normalization is of maps; this layer has features")
            case "none" | "spectral":
                return nn.Identity()
            case reference:
                return own_normalization(reference, width, self.own, self.own_code)


def generator_hidden_layers(hp: Hyperparameters, own_code: OwnCode) -> HiddenLayers:
    return HiddenLayers(
        hp.generator_normalization, hp.generator_activation, hp.generator_dropout, dict(hp.own), own_code
    )


def discriminator_hidden_layers(hp: Hyperparameters, own_code: OwnCode) -> HiddenLayers:
    return HiddenLayers(
        hp.discriminator_normalization, hp.discriminator_activation, hp.discriminator_dropout, dict(hp.own), own_code
    )


def activation_layer(activation: Activation, *, inplace: bool = False) -> nn.Module:
    """inplace: what comes in is overwritten: the same bits, less memory to go through.

    Nothing else may need it; a normalization of one's own may, for its gradient.
    """
    match activation:
        case "leaky_relu":
            return nn.LeakyReLU(LEAKY_SLOPE, inplace=inplace)
        case "relu":
            return nn.ReLU(inplace=inplace)


def output_layer(output: Output) -> nn.Module:
    """What brings images into the range of `generator_output`: [-1, 1] or [0, 1]."""
    match output:
        case "tanh":
            return nn.Tanh()
        case "sigmoid":
            return nn.Sigmoid()
