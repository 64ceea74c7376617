"""What tests of evaluation share: digits, the extractor that knows them, and a protocol of both."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.sources import load
from harness.design.experiment import DataSettings, EvaluationSettings, Experiment
from harness.design.factors import Hyperparameters
from harness.evaluation.extractors import Extractor, load_extractor, weights_sha256
from harness.evaluation.protocol import Protocol, protocol_of

SETTINGS = EvaluationSettings(extractor="digits", samples=300)


def shuffled_digits() -> NDArray[np.uint8]:
    """scikit-learn's digits at 16x16, shuffled: uint8 [1797, 1, 16, 16]."""
    images = load(DataSettings(source="digits"), 16).images
    return images[np.random.default_rng(0).permutation(len(images))]


def digits_extractor() -> Extractor:
    return load_extractor(SETTINGS, torch.device("cpu"))


def digits_protocol() -> Protocol:
    return protocol_of(
        SETTINGS,
        Experiment(name="e", baseline=Hyperparameters(resolution=16)),
        data_sha256="ab" * 32,
        extractor_sha256=weights_sha256(SETTINGS),
        batch_size=64,
    )
