"""Which of several networks for the same features is the quickest here: each is checked first, then timed in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from harness.evaluation.features import Beat

ROUNDS = 3

MARGIN = 0.05
"""How much quicker a candidate must be than those before it: less is luck, and not worth other last bits."""

HOPELESS = 0.75
"""A candidate below this share of the best one's rate in the first round is timed no further."""

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Candidate:
    """build: its network, which sees `batch_size` inputs at a time; raises one of `UNBUILDABLE` where it cannot be."""

    name: str
    batch_size: int
    build: Callable[[], Network]


@dataclass(frozen=True)
class Probed:
    """images_per_s: of the candidates that agree, in their order; refused: why the others cannot be used."""

    images_per_s: dict[str, float]
    refused: dict[str, str]

    @property
    def best(self) -> str | None:
        """The first candidate that no other one beats by more than `MARGIN`; None where no one agrees."""
        most = max(self.images_per_s.values(), default=0.0)
        return next((name for name, rate in self.images_per_s.items() if rate * (1 + MARGIN) >= most), None)


UNBUILDABLE = (RuntimeError, AttributeError, ImportError, OSError)
"""What torch raises where a way is not there: an operation, a compiler, memory."""


def why_not(network: Callable[[], Tensor], expected: Tensor, tolerance: float) -> str | None:
    """Why a network cannot be used, None where its features are the expected ones.

    tolerance: of the largest difference, as a share of the expected features' mean size.
    """
    try:
        features = network()
        difference = float((features - expected).abs().max() / expected.abs().mean())
    except UNBUILDABLE as error:
        return " ".join(f"{type(error).__name__} {error}".split())[:200]
    return None if difference <= tolerance else f"its features are {difference:.1g} off"


def probe(
    candidates: Sequence[Candidate],
    inputs: Tensor,
    expected: Tensor,
    tolerance: float,
    *,
    clock: Callable[[], float],
    beat: Beat,
) -> Probed:
    """Rates of the candidates that agree with `expected`, the features of `inputs`; the best of a few rounds counts.

    inputs: at least as many as the largest batch; clock: seconds, read when all work is done; beat: called between
    measurements. Other work on the machine only ever makes a round slower, so the best one is the nearest to the truth.
    """
    networks: dict[str, Network] = {}
    refused: dict[str, str] = {}
    for candidate in candidates:
        beat()
        batch = inputs[: candidate.batch_size]

        def features(candidate: Candidate = candidate, batch: Tensor = batch) -> Tensor:
            networks[candidate.name] = candidate.build()
            return networks[candidate.name](batch)

        reason = why_not(features, expected[: candidate.batch_size], tolerance)
        if reason is not None:
            refused[candidate.name] = reason
            networks.pop(candidate.name, None)
    agreeing = [candidate for candidate in candidates if candidate.name in networks]
    rates: dict[str, float] = {candidate.name: 0.0 for candidate in agreeing}
    for _ in range(ROUNDS):
        most = max(rates.values(), default=0.0)
        for candidate in agreeing:
            if rates[candidate.name] < HOPELESS * most:
                continue
            beat()
            batch = inputs[: candidate.batch_size]
            began = clock()
            networks[candidate.name](batch)
            rates[candidate.name] = max(rates[candidate.name], candidate.batch_size / max(clock() - began, 1e-9))
    return Probed(rates, refused)
