"""Do a run's losses swing periodically, beyond the noise that they have anyhow?

Looked at is G's loss minus D's over the last three quarters of training (the beginning is a transient), as means over
at most MOST_POINTS equal intervals, without its straight line. Its periodogram is compared with the spectrum of a
first-order autoregressive process, x_t = a x_{t-1} + noise, since losses have a memory of their own, whose slow
wandering is no oscillation (red noise: Torrence & Compo 1998, doi:10.1175/1520-0477(1998)079<0061:APGTWA>2.0.CO;2,
section 4). a is Whittle's estimate (the largest of sum -log S_a - I / S_a over frequencies; 1953,
doi:10.1007/BF02590998). The statistic is the largest ratio of periodogram to spectrum, from LEAST_CYCLES periods in
the part up to periods of four intervals. Its chance is that of a larger one in DRAWS simulated processes that are
treated alike, with a raised by the bias of its estimate, (2 + 4 a) / n for a series without its straight line (as
Marriott & Pope 1954, doi:10.1093/biomet/41.3-4.390, have it for one without its mean). The losses oscillate where
that chance is at most CHANCE and the swing makes up at least SHARE of the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.signal import lfilter

from harness.analysis.curves import Array, RunCurves, evenly_spaced

FROM = 0.25
"""Share of training that is left out at its beginning."""
LEAST_POINTS = 30
MOST_POINTS = 256
LEAST_CYCLES = 3
CHANCE = 0.01
SHARE = 0.3
DRAWS = 999
_BESIDE = 2
"""Frequencies on each side that belong to a swing: periods drift a little."""
_MEMORIES = np.array([0.0, *np.linspace(0.1, 0.9, 17), 0.93, 0.96, 0.98, 0.995])
"""The values of a that are tried."""


@dataclass(frozen=True)
class Swing:
    """The strongest swing of a run. period: in steps; share: of the variance, in [0, 1]; chance: of as strong a peak in
    noise with the same autocorrelation, in multiples of 1 / (DRAWS + 1)."""

    period: float
    share: float
    chance: float

    @property
    def is_oscillation(self) -> bool:
        return self.chance <= CHANCE and self.share >= SHARE


def strongest_swing(curves: RunCurves, terms: int) -> Swing | None:
    """Of one run's losses, D's divided by `terms`; None with too few records or where some lack their losses."""
    generator, discriminator = (curves.values.get(name) for name in ("loss/generator", "loss/discriminator"))
    if generator is None or discriminator is None:
        return None
    signal, length = evenly_spaced(curves, generator - discriminator / terms, FROM * curves.end)
    if len(signal) < LEAST_POINTS:
        return None
    together = -(-len(signal) // MOST_POINTS)
    whole = signal[len(signal) % together :].reshape(-1, together).mean(axis=1)
    return swing_of(whole, length * together)


def swing_of(signal: Array, length: float) -> Swing | None:
    """The strongest swing of `signal` [n], LEAST_POINTS <= n, whose values are `length` steps apart; None where it is a
    straight line."""
    n = len(signal)
    if np.ptp(signal) <= 1e-12 * max(1.0, float(np.abs(signal).max())):
        return None
    powers = _periodograms(signal[None])
    ratios, memories = _over_spectrum(powers, n)
    peak = int(np.argmax(ratios[0]))
    simulated = _simulated_peaks(n, float(memories[0]))
    beyond = len(simulated) - int(np.searchsorted(simulated, ratios[0, peak] - 1e-9))
    frequency = peak + LEAST_CYCLES - 1
    beside = powers[0, max(0, frequency - _BESIDE) : frequency + _BESIDE + 1]
    share = float(beside.sum() / powers[0].sum())
    return Swing(n * length / (frequency + 1), share, (1 + beyond) / (1 + DRAWS))


def _periodograms(signals: Array) -> Array:
    """[k, m] of [k, n] without their straight lines, from one cycle on and without the Nyquist frequency."""
    n = signals.shape[1]
    times = np.arange(n) - (n - 1) / 2
    flat = signals - signals.mean(axis=1, keepdims=True)
    flat = flat - np.outer(flat @ times, times) / (times @ times)
    return np.asarray(np.abs(np.fft.rfft(flat, axis=1))[:, 1 : (n + 1) // 2] ** 2, dtype=np.float64)


def _over_spectrum(powers: Array, n: int) -> tuple[Array, Array]:
    """Of each periodogram [k, m]: its ratio to the fitted spectrum at the frequencies looked at, and the fitted a."""
    angles = 2 * np.pi * np.arange(1, powers.shape[1] + 1) / n
    spectra = 1 / (1 - 2 * np.outer(_MEMORIES, np.cos(angles)) + _MEMORIES[:, None] ** 2)
    levels = powers @ (1 / spectra).T / powers.shape[1]
    misfits = np.log(levels) + np.log(spectra).mean(axis=1)
    fitted = np.argmin(misfits, axis=1)
    level = levels[np.arange(len(powers)), fitted]
    looked_at = slice(LEAST_CYCLES - 1, max(LEAST_CYCLES, n // 4))
    return powers[:, looked_at] / (level[:, None] * spectra[fitted, looked_at]), _MEMORIES[fitted]


@cache
def _simulated_peaks(n: int, memory: float) -> Array:
    """The statistic of DRAWS processes [DRAWS], ascending; the same at each call."""
    raised = min(memory + (2 + 4 * memory) / n, 0.999)
    noise = np.random.default_rng(n).standard_normal((DRAWS, 3 * n))
    start = noise[:, :1] / np.sqrt(1 - raised**2)
    processes = lfilter([1.0], [1.0, -raised], np.concatenate([start, noise], axis=1), axis=1)[:, -n:]
    ratios, _ = _over_spectrum(_periodograms(processes), n)
    return np.sort(ratios.max(axis=1))
