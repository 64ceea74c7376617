"""pytorch-fid's Inception network, rebuilt so that the same numbers come sooner.

Its own modules are loaded and keep their wiring, so its patched pooling is there by construction. What changes is exact
in real arithmetic: batch norm is folded into the convolutions (in float64, then rounded), three equal channels go in as
one, 2x - 1 is taken before the resizing, and what is behind the first convolution runs the way that suits the machine
(`trunks`, `quickest`).
"""

from __future__ import annotations

import io
import pickle
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from harness.design.evaluation_settings import Precision
from harness.errors import WeightsError
from harness.evaluation.features import Beat, no_beat
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.evaluation.quickest import Job, settle
from harness.evaluation.trunks import Convolution, folded, swap
from harness.store.atomic import sha256_of

FEATURES = 2048
OUTPUTS = 1008
"""Of the last layer; ImageNet's thousand classes in an order of their own, and eight that mean nothing."""

INPUT_SIZE = 299

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Inception:
    """network: uint8 [batch_size, 1 or 3, H, W] on its device -> features [batch_size, 2048].

    class_weights: float64 [1008, 2048] of the last layer, None where the file lacks it.
    """

    network: Callable[[Tensor], Tensor]
    class_weights: NDArray[np.float64] | None
    batch_size: int


class InceptionNetwork(nn.Module):
    """uint8 images [N, 1 or 3, H, W] of any size -> features [N, 2048], float32 for bfloat16."""

    def __init__(self, blocks: nn.ModuleList, dtype: torch.dtype) -> None:
        from torchvision.models.inception import BasicConv2d

        super().__init__()
        first, *others = [module for block in blocks for module in block.children()]
        self.color = Convolution(first, dtype)
        self.gray = Convolution(first, dtype)
        summed = folded(first)[0].sum(dim=1, keepdim=True)
        self.gray.weight = nn.Parameter(summed.to(dtype, memory_format=torch.channels_last), requires_grad=False)
        *kept, _average = others
        self.trunk: nn.Module = nn.Sequential(*kept)
        swap(self.trunk, lambda block: Convolution(block, dtype) if isinstance(block, BasicConv2d) else None)
        self._dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        exact = torch.promote_types(self._dtype, torch.float32)
        pixels = images.to(exact) * (2 / 255) - 1  # resizing is linear and its weights sum to 1: the same as after it
        resized = functional.interpolate(pixels, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False)
        stem = self.gray if images.shape[1] == 1 else self.color
        maps = stem(resized.to(self._dtype, memory_format=torch.channels_last))
        return self.pooled(maps.contiguous(memory_format=torch.channels_last))

    def pooled(self, maps: Tensor) -> Tensor:
        """Maps of the first convolution [N, 32, 149, 149] -> features [N, 2048]."""
        return self.pool(self.trunk(maps))

    def pool(self, deep: Tensor) -> Tensor:
        """What the trunk gives [N, 2048, h, w] -> features [N, 2048]."""
        return deep.mean(dim=(2, 3), dtype=torch.promote_types(self._dtype, torch.float32))


def load_inception(
    content: bytes, device: torch.device, precision: Precision, images: int, *, where: str, beat: Beat = no_beat
) -> Inception:
    """The network of pytorch-fid's weights file on `device`; images: how many wait in all.

    beat: called between pieces of the preparation. Raises WeightsError, which names `where`, for a file that holds
    something else. No code in it is run.
    """
    network, class_weights = plain_inception(content, device, precision, where=where)
    network.trunk, batch_size = settle(network.trunk, network.pool, Job(device, DTYPES[precision], images, beat))
    return Inception(network, class_weights, batch_size)


def plain_inception(
    content: bytes, device: torch.device, precision: Precision, *, where: str
) -> tuple[InceptionNetwork, NDArray[np.float64] | None]:
    """The network before any way of running its trunk is chosen, and the weights of the last layer; raises as above."""
    blocks, class_weights = _pytorch_fids(content, where)
    return InceptionNetwork(blocks, DTYPES[precision]).to(device).eval(), class_weights


def _pytorch_fids(content: bytes, where: str) -> tuple[nn.ModuleList, NDArray[np.float64] | None]:
    """The blocks of pytorch-fid's network up to its features, and the weights of the last layer behind them."""
    from pytorch_fid.inception import InceptionV3

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's surprise at a damaged file
            state = dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
        last = state.get("fc.weight")
        absent = {"fc.weight": torch.zeros(OUTPUTS, FEATURES), "fc.bias": torch.zeros(OUTPUTS)}
        with weights_for_pytorch_fid({**absent, **state}), torch.random.fork_rng(devices=[]):
            network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[FEATURES]])
    except (
        AssertionError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        TypeError,
        ValueError,
        OverflowError,
        AttributeError,
        LookupError,
        struct.error,
    ) as error:  # whose texts speak of torch's own parts, not of the file
        raise WeightsError(
            "not weights of pytorch-fid's Inception network: cut off, or another file "
            f"(SHA-256 {sha256_of(content)}; pytorch-fid's is {INCEPTION_SHA256})",
            where=where,
            remedy="Use the file that pytorch-fid downloads.",
        ) from error
    return network.eval().blocks, None if last is None else last.double().numpy()


@contextmanager
def weights_for_pytorch_fid(state: dict[str, Tensor]) -> Iterator[None]:
    """pytorch-fid loads its weights by an address only; inside the block it is handed `state` instead."""
    from pytorch_fid import inception

    original = inception.load_state_dict_from_url

    def supplied(*_args: Any, **_options: Any) -> dict[str, Tensor]:
        return state

    inception.load_state_dict_from_url = supplied
    try:
        yield
    finally:
        inception.load_state_dict_from_url = original
