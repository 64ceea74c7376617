"""A loss of one's own: hinge with a margin that may vary."""

import torch
from torch import Tensor


class Margin:
    """Real logits are pushed above `margin`, fake ones below -margin; margin = 1 is the hinge loss.

    Logits are [N], one for each image; every loss is one number.
    """

    probabilities = False  # sigmoid(logit) is no probability here, so no prob/* curves are drawn

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return torch.relu(self.margin - real_logits).mean() + torch.relu(self.margin + fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()
