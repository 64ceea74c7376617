"""pytorch-fid itself, as the peer that numbers and times are held against. Nothing here is ours but the handing over.

It reads files, runs its own network in its own batches, and takes its own distance:
https://github.com/mseitzer/pytorch-fid.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.evaluation.inception import weights_for_pytorch_fid

BATCH_SIZE = 50
"""pytorch-fid's default."""

DIMS = 2048
"""Of its last pooling, pytorch-fid's default."""


@dataclass(frozen=True, eq=False)
class PeerStatistics:
    """mu [d] and sigma [d, d] as pytorch-fid computes and stores them."""

    mu: NDArray[np.float64]
    sigma: NDArray[np.float64]


class PytorchFid:
    """pytorch-fid's network with the weights in `content` (checked by the caller), on `device`.

    workers: processes that read images; `python -m pytorch_fid` takes as many as there are cores, at most 8.
    """

    def __init__(self, content: bytes, device: torch.device, workers: int | None = None) -> None:
        from pytorch_fid.inception import InceptionV3

        self.device = device
        self.workers = own_default_workers() if workers is None else workers
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        with weights_for_pytorch_fid(state), torch.random.fork_rng(devices=[]):
            self._network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[DIMS]]).to(device).eval()

    def activations(self, files: Sequence[Path]) -> NDArray[np.float64]:
        """[n, 2048] of the images in `files`, by its `get_activations`."""
        from pytorch_fid import fid_score

        with redirect_stdout(sys.stderr):  # it prints warnings; stdout holds results
            found: NDArray[np.float64] = fid_score.get_activations(
                list(files), self._network, BATCH_SIZE, DIMS, self.device, self.workers
            )
        return found

    def statistics(self, files: Sequence[Path]) -> PeerStatistics:
        """As its `calculate_activation_statistics`."""
        return statistics_of(self.activations(files))


def statistics_of(activations: NDArray[np.float64]) -> PeerStatistics:
    """Of activations [n, d], as pytorch-fid takes them."""
    return PeerStatistics(np.mean(activations, axis=0), np.cov(activations, rowvar=False))


def peer_distance(a: PeerStatistics, b: PeerStatistics) -> float:
    """pytorch-fid's `calculate_frechet_distance`, as it is."""
    from pytorch_fid import fid_score

    with _sqrtm_as_it_was(fid_score), warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.filterwarnings("ignore", "The `disp` argument", DeprecationWarning)
        warnings.filterwarnings("ignore", "Matrix is (singular|ill-conditioned)", RuntimeWarning)  # few images
        return float(fid_score.calculate_frechet_distance(a.mu, a.sigma, b.mu, b.sigma))


def own_default_workers() -> int:
    """Processes that `python -m pytorch_fid` reads images with."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


@contextmanager
def _sqrtm_as_it_was(fid_score: Any) -> Iterator[None]:
    """SciPy 1.18 took away an argument that pytorch-fid 0.3.0 passes; an error estimate that nobody uses."""
    original = fid_score.linalg
    if "disp" in signature(original.sqrtm).parameters:
        yield
        return

    def sqrtm(matrix: NDArray[Any], disp: bool = True) -> Any:
        root = original.sqrtm(matrix)
        return root if disp else (root, None)

    fid_score.linalg = SimpleNamespace(sqrtm=sqrtm)
    try:
        yield
    finally:
        fid_score.linalg = original
