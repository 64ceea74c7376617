"""Random streams: every use of randomness has a name; its seed is a pure function of the run's seed and that name."""

from __future__ import annotations

import hashlib


def stream_seed(seed: int, *name: str | int) -> int:
    """A seed in [0, 2**63) for the stream `name` of a run with `seed`, the same on every machine.

    `stream_seed(0, "data order", 3)` orders epoch 3; the step or epoch is part of the name, so nothing has to be
    stored to go on in the middle.
    """
    text = "\x1f".join(str(part) for part in (seed, *name))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
