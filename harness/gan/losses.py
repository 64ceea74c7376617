"""What the two networks minimise, on the discriminator's raw outputs (logits).

Each loss is one small class. The discriminator's has a term of real and one of generated images, added or halved
(`reduction`). With D(x) = sigmoid(logit), -log D = BCE(logit, 1) and -log(1 - D) = BCE(logit, 0); computed from the
logit, neither overflows where the sigmoid saturates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, full_like
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError
from harness.gan.labels import Targets
from harness.gan.randomness import global_stream

Reduction = Literal["sum", "mean"]
PARTS_OF_A_LOSS = ("discriminator", "generator")
"""The methods that a loss of one's own has."""


class Loss(Protocol):
    """Scalars to be minimised, from logits [N].

    probabilities: whether sigmoid(logit) is the probability that an image is real; threshold: the output above which
    the discriminator takes an image for real, None where there is none.
    """

    @property
    def probabilities(self) -> bool: ...

    @property
    def threshold(self) -> float | None: ...

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, targets: Targets) -> Tensor: ...

    def generator(self, fake_logits: Tensor) -> Tensor: ...


def adversarial_loss(hp: Hyperparameters, own_code: OwnCode) -> Loss:
    """The loss that a cell names. OwnPartError where one of the user's own cannot be made or lacks a method."""
    match hp.loss:
        case "bce":
            return CrossEntropy(hp.discriminator_loss_reduction, hp.generator_target)
        case "sigmoid_logits":
            return SigmoidLogits(hp.discriminator_loss_reduction, hp.generator_target)
        case "least_squares":
            return LeastSquares(hp.discriminator_loss_reduction, hp.generator_target)
        case "hinge":
            return Hinge(hp.discriminator_loss_reduction)
        case "wasserstein_gp":
            return Wasserstein()
        case reference:
            return OwnLoss(_own_part(reference, hp, own_code))


@dataclass(frozen=True)
class CrossEntropy:
    """The original GAN's (Goodfellow et al. 2014, arXiv:1406.2661), with targets in place of 1 and 0."""

    reduction: Reduction = "sum"
    generator_target: float = 1.0
    probabilities = True
    threshold = 0.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, targets: Targets) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))), equation (1), where the targets are 1 and 0."""
        real = binary_cross_entropy_with_logits(real_logits, targets.real)
        fake = binary_cross_entropy_with_logits(fake_logits, targets.fake)
        return _reduced(real, fake, self.reduction)

    def generator(self, fake_logits: Tensor) -> Tensor:
        """-E log D(G(z)), the non-saturating loss of section 3, where the target is 1."""
        return binary_cross_entropy_with_logits(fake_logits, full_like(fake_logits, self.generator_target))


@dataclass(frozen=True)
class SigmoidLogits(CrossEntropy):
    """A mistake that is often made: the generator's loss takes the sigmoid of a probability.

    The discriminator's is the cross entropy; the generator's is computed "from logits" that already went through a
    sigmoid, so that it lies in [0.31, 0.69] for a target of 1 and its gradient vanishes with the sigmoid's.
    """

    def generator(self, fake_logits: Tensor) -> Tensor:
        """BCE of sigmoid(sigmoid(logit)) against the target."""
        return super().generator(fake_logits.sigmoid())


@dataclass(frozen=True)
class LeastSquares:
    """Least squares on the raw outputs (Mao et al. 2017, arXiv:1611.04076), equation (2): b, a, c are the targets."""

    reduction: Reduction = "sum"
    generator_target: float = 1.0
    probabilities = False
    threshold = 0.5

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, targets: Targets) -> Tensor:
        """1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2."""
        real = (real_logits - targets.real).square().mean() / 2
        fake = (fake_logits - targets.fake).square().mean() / 2
        return _reduced(real, fake, self.reduction)

    def generator(self, fake_logits: Tensor) -> Tensor:
        """1/2 E (D(G(z)) - c)^2."""
        return (fake_logits - self.generator_target).square().mean() / 2


@dataclass(frozen=True)
class Hinge:
    """The hinge loss (Lim & Ye 2017, arXiv:1705.02894)."""

    reduction: Reduction = "sum"
    probabilities = False
    threshold = 0.0

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, targets: Targets) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))); has no use for targets."""
        return _reduced(relu(1 - real_logits).mean(), relu(1 + fake_logits).mean(), self.reduction)

    def generator(self, fake_logits: Tensor) -> Tensor:
        """-E D(G(z))."""
        return -fake_logits.mean()


@dataclass(frozen=True)
class Wasserstein:
    """The critic's loss (Gulrajani et al. 2017, arXiv:1704.00028), without `gradient_penalty`, which needs images."""

    probabilities = False
    threshold = None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, targets: Targets) -> Tensor:
        """E D(G(z)) - E D(x), the first two terms of equation (3); has no use for targets."""
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        """-E D(G(z))."""
        return -fake_logits.mean()


@dataclass(frozen=True)
class OwnLoss:
    """One of the user's own: `discriminator(real_logits, fake_logits)`, `generator(fake_logits)`, both scalars."""

    part: Any

    @property
    def probabilities(self) -> bool:
        return bool(getattr(self.part, "probabilities", False))

    @property
    def threshold(self) -> float | None:
        return 0.0 if self.probabilities else None

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, targets: Targets) -> Tensor:
        """The part's; targets are not handed on."""
        loss: Tensor = self.part.discriminator(real_logits, fake_logits)
        return loss

    def generator(self, fake_logits: Tensor) -> Tensor:
        loss: Tensor = self.part.generator(fake_logits)
        return loss


def gradient_penalty(discriminator: torch.nn.Module, real: Tensor, fake: Tensor, mixing: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 at x = e real + (1 - e) fake (Gulrajani et al. 2017, equation (3), without its weight).

    real, fake: [N, C, R, R]; mixing: e in [0, 1], [N]. The norm is over each image's pixels. Differentiable in D's
    parameters.
    """
    share = mixing.view(-1, 1, 1, 1)
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    steepness: Tensor = slope.flatten(1).norm(dim=1)
    return (steepness - 1).square().mean()


def _reduced(real: Tensor, fake: Tensor, reduction: Reduction) -> Tensor:
    match reduction:
        case "sum":
            return real + fake
        case "mean":
            return (real + fake) / 2


def _own_part(reference: str, hp: Hyperparameters, own_code: OwnCode) -> Any:
    with global_stream(torch.device("cpu"), 0, "initialization", "loss"):  # what it draws is the same in all runs
        part = own_code.call(reference, **dict(hp.own))
    for name in PARTS_OF_A_LOSS:
        if not callable(getattr(part, name, None)):
            raise OwnPartError(
                f"a loss has the methods discriminator(real_logits, fake_logits) and generator(fake_logits); "
                f"this one has no {name}",
                where=reference,
            )
    return part
