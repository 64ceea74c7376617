"""What every metric asks of feature vectors: one row per image, enough of them, no NaN or infinity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError

Features = NDArray[Any]
"""float32 or float64 [n, d], a row per image; metrics compute in float64 whatever it is."""

Beat = Callable[[], None]
"""Called between any two blocks of long work, which shows that it goes on; what it raises ends the work."""

_ROWS_AT_ONCE = 4096


def require_features(features: Features, *, least: int, what: str) -> None:
    """Refuses what a metric is not defined for. what: what needs them, as a person reads it ("FID").

    Raises ValueError where they are not [n, d], HarnessError where there are fewer than `least` or one is not finite.
    """
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(f"features are [n, d] with d >= 1, not {list(features.shape)}")
    require_count(len(features), least=least, what=what)
    blocks = (features[start : start + _ROWS_AT_ONCE] for start in range(0, len(features), _ROWS_AT_ONCE))
    if not all(np.isfinite(block).all() for block in blocks):
        raise not_finite(features)


def no_beat() -> None:
    """The `Beat` of work that nobody watches."""


def not_finite(features: Features, first: int = 0) -> HarnessError:
    """What to raise for a block of feature vectors of which one is not finite; first: the number of its first image."""
    finite = np.isfinite(features).all(axis=1)
    return HarnessError(
        f"{np.count_nonzero(~finite)} of {len(features)} feature vectors hold NaN or infinity, "
        f"the first at image {first + int(np.argmin(finite))}",
        remedy="Images are uint8 and so finite: the extractor's weights are damaged or not meant for it.",
    )


def require_count(count: int, *, least: int, what: str) -> None:
    """HarnessError where a metric is not defined for so few images."""
    if count < least:
        raise HarnessError(
            f"{what} needs at least {least} images on either side, and was given {count}",
            remedy="Use more images (`samples`, `reference`), or leave this metric out.",
        )


def require_same_dims(generated: Features, real: Features) -> None:
    """ValueError where the two sides do not come from the same extractor."""
    if generated.shape[1] != real.shape[1]:
        raise ValueError(f"features of {generated.shape[1]} dims against real ones of {real.shape[1]} dims")
