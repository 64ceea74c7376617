"""Parts of one's own for the tests of preflight, and both ends of a check of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.preflight import NetworksCheck, PreflightError, check_networks

HEAD = """
import numpy
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

"""


def check(folder: Path, text: str, channels: int = 1, **levels: Any) -> NetworksCheck:
    """Checks networks of width 4 at 16x16 with what `text` defines."""
    (folder / "parts.py").write_text(HEAD + text, encoding="utf-8")
    small = {"resolution": 16, "latent_dim": 5, "generator_hidden_dim": 4, "discriminator_hidden_dim": 4}
    return check_networks(Hyperparameters(**small | levels), channels, OwnCode({"parts.py": folder / "parts.py"}))


def refused(folder: Path, text: str, channels: int = 1, **levels: Any) -> str:
    with pytest.raises(PreflightError) as caught:
        check(folder, text, channels, **levels)
    return str(caught.value)


DISCRIMINATOR = """
class Judge(nn.Module):
    def __init__(self, channels, resolution):
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(%s, 4, %s))
        self.norm = nn.BatchNorm2d(4)
        self.last = nn.Linear(4 * %s**2, 1)
        self.end = %s

    def forward(self, images):
        return self.end(self.last(self.norm(self.first(images)).flatten(1)))
"""
FITS = ("channels", "4, stride=4", "4")
