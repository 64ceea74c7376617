"""How often Python looks for objects that nothing reaches any more, while figures are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = (50_000, 20, 20)
"""`gc.set_threshold`: a figure of twelve panels is some 100,000 objects, so that those drawn are still found."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Inside the block, Python looks seldom: looks take a quarter of the time in which figures are made."""
    usual = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
