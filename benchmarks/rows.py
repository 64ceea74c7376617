"""One line of the table that `make bench` prints: ours beside a peer's, measured in one run, in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """name: stable identifier, as `inception.features`; what: for people.

    ratio: how many times better ours is than the peer's, the median over rounds; noise: relative spread of that ratio
    over the rounds; target_of: what `target` is held against; note: what a reader must know, as why it is unmeasured.
    """

    name: str
    what: str
    ours: float
    ours_unit: str
    peer: float | None
    peer_what: str
    ratio: float | None
    noise: float
    target: float | None
    target_of: Literal["ratio", "ours"]
    note: str = ""
