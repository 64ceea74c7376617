"""Weights for pytorch-fid's network where its own are not at hand: for benchmarks, and for tests of equality."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision


def write_random_weights(file: Path) -> None:
    """A state dict of pytorch-fid's network, drawn at random, with statistics of batch norm that matter.

    The time of a network does not depend on its weights; what a FID by it means, nobody can say.
    """
    generator = torch.Generator().manual_seed(0)
    # pytorch-fid's patched blocks compute otherwise than torchvision's, with the same tensors.
    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = 0.5 + torch.rand(tensor.shape, generator=generator)
        elif tensor.ndim > 1:
            state[name] = (2 / tensor[0].numel()) ** 0.5 * torch.randn(tensor.shape, generator=generator)
        else:
            state[name] = 0.1 * torch.randn(tensor.shape, generator=generator)
    torch.save(state, file)
