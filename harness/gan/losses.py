"""The losses of the original GAN (Goodfellow et al. 2014, arXiv:1406.2661) on logits.

With D(x) = sigmoid(logit), -log D = BCE(logit, 1) and -log(1 - D) = BCE(logit, 0); computed from the logit,
neither overflows where the sigmoid saturates.
"""

from __future__ import annotations

from torch import Tensor, ones_like, zeros_like
from torch.nn.functional import binary_cross_entropy_with_logits


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))), equation (1): both terms added, not halved. Logits [N] -> scalar."""
    real = binary_cross_entropy_with_logits(real_logits, ones_like(real_logits))
    fake = binary_cross_entropy_with_logits(fake_logits, zeros_like(fake_logits))
    return real + fake


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-E log D(G(z)), the non-saturating loss of section 3. Logits [N] -> scalar."""
    return binary_cross_entropy_with_logits(fake_logits, ones_like(fake_logits))
