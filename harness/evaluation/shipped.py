"""The extractors that ship with their weights: where these lie, and how they were made. Free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.store.atomic import read_json

DIGITS_WEIGHTS = Path(__file__).parent / "weights" / "digits.safetensors"
MNIST_WEIGHTS = DIGITS_WEIGHTS.with_name("mnist.safetensors")
"""Of `classifier.DIGITS` and `classifier.MNIST`."""

SHIPPED = {"digits": DIGITS_WEIGHTS, "mnist": MNIST_WEIGHTS}
"""By the extractor's name."""


def shipped_note(extractor: str) -> dict[str, Any]:
    """The .json beside the weights: hash, recipe, accuracy and split. StoreError where it cannot be read."""
    return dict(read_json(SHIPPED[extractor].with_suffix(".json")))
