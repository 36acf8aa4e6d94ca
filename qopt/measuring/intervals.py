"""How sure a measured figure is: intervals from resampling the examples (the bootstrap of Efron, 1979).

All figures of one measurement are resampled together: a draw takes examples with replacement, the same ones for every
figure, so that what is computed from several of them (a ratio, a median, the first scale that costs an accuracy level)
has its own interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError

DRAWS = 1000
"""Resamples of a measurement."""

CONFIDENCE = 0.95

_BLOCK = 100
"""Draws at a time: bounds the memory to 100 numbers for each example."""


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its interval; ends may be infinite.

    Attributes
    ----------
    value : the figure.
    low, high : ends of its interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: FloatArray, confidence: float = CONFIDENCE) -> Estimate:
        """The central percentile interval of `drawn`, (draws,) resampled values, never without the value itself.

        Parameters
        ----------
        confidence : probability that the interval is to have.
        """
        low, high = quantiles(drawn, confidence)
        return cls(value, min(value, float(low)), max(value, float(high)))

    def points(self) -> str:
        """An accuracy loss in points, for people."""
        return f"{100 * self.value:.2f} points [{100 * self.low:.2f}, {100 * self.high:.2f}]"


def quantiles(drawn: FloatArray, confidence: float = CONFIDENCE) -> FloatArray:
    """(2, ...) ends of the central interval over axis 0; order statistics, so infinite values do no harm.

    Parameters
    ----------
    drawn : (draws, ...) resampled values.
    confidence : probability between the ends.
    """
    tail = (1.0 - confidence) / 2.0
    ends: FloatArray = np.quantile(drawn, [tail, 1.0 - tail], axis=0, method="inverted_cdf")
    return ends


class Resamples:
    """Draws of n examples with replacement, the same for every figure that is asked about.

    Parameters
    ----------
    n : examples.
    seed, draws : of the draws.
    """

    def __init__(self, n: int, *, seed: int, draws: int = DRAWS) -> None:
        if n < 1:
            raise InputError("examples", "none", "at least one")
        rng = np.random.default_rng(seed)
        self._times = np.empty((draws, n), dtype=np.uint8 if n < 2**16 else np.uint16)
        for first in range(0, draws, _BLOCK):
            rows = min(_BLOCK, draws - first)
            taken = rng.integers(0, n, size=(rows, n))
            taken += n * np.arange(rows)[:, None]
            self._times[first : first + rows] = np.bincount(taken.ravel(), minlength=rows * n).reshape(rows, n)

    def means(self, columns: FloatArray) -> FloatArray:
        """(draws, m) means of each draw over columns (n, m), a figure of each example in each column."""
        draws, n = self._times.shape
        means = np.empty((draws, columns.shape[1]))
        used = np.flatnonzero(columns.any(axis=1))
        some = 2 * len(used) < n  # of what a plan loses, nearly all is zero
        for first in range(0, draws, _BLOCK):
            times = self._times[first : first + _BLOCK]
            means[first : first + _BLOCK] = (
                times[:, used].astype(np.float64) @ columns[used] if some else times.astype(np.float64) @ columns
            ) / n
        return means
