"""What an estimator answers: draws of how the losses go on, from which every estimate and interval is read.

An answer of draws serves all questions with one meaning: gamma, gamma^run and gamma^update are differences within a
draw (Eqs. 11-12), K is its first epoch whose loss meets L_max, and the expected and the robust value are quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arguments import real
from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown

EXPECTED = 0.5
"""Quantile of the expected estimate: the median, which single wild draws do not move."""


@dataclass(frozen=True, repr=False)
class Forecast(Brief):
    """Losses of a model at one width, by epoch, in many draws that are equally likely.

    Attributes
    ----------
    loss : L_a.
    quantized, trained : (draws, epochs) losses after quantizing and after training; epochs that were seen are the same
        in every draw.
    seen : how many epochs were.
    estimator : name of what made it.
    """

    loss: float
    quantized: FloatArray
    trained: FloatArray
    seen: int
    estimator: str

    def __post_init__(self) -> None:
        shapes = self.quantized.shape, self.trained.shape
        if len(set(shapes)) != 1 or len(shapes[0]) != 2 or 0 in shapes[0]:
            raise InputError("forecast", f"losses of shapes {shapes[0]} and {shapes[1]}", "(draws, epochs) for both")
        if not (np.isfinite(self.quantized).all() and np.isfinite(self.trained).all()):
            raise InputError("forecast", "losses that are not finite", "finite losses")

    @property
    def epochs(self) -> int:
        """How many epochs it reaches."""
        return int(self.trained.shape[1])

    @property
    def gamma(self) -> FloatArray:
        """(draws,) loss change by quantizing for the first time."""
        return np.asarray(self.quantized[:, 0] - self.loss)

    @property
    def run(self) -> FloatArray:
        """(draws, epochs) gamma^run."""
        return np.asarray(self.trained - self.quantized)

    @property
    def update(self) -> FloatArray:
        """(draws, epochs) gamma^update; 0 in the first epoch."""
        return np.asarray(self.quantized - np.hstack([self.quantized[:, :1], self.trained[:, :-1]]))

    def losses(self, quantile: float = EXPECTED) -> FloatArray:
        """(epochs,) quantile of the loss L(k) after each epoch.

        Parameters
        ----------
        quantile : from 0 to 1; 0.5 is expected, 0.9 is exceeded by one draw in ten.
        """
        return np.quantile(self.trained, _quantile(quantile), axis=0, method="inverted_cdf")

    def interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """(epochs,) lower and upper ends of the central interval of L(k).

        Parameters
        ----------
        level : share of the draws within, from 0 to 1.
        """
        tail = (1.0 - _quantile(level)) / 2.0
        low, high = np.quantile(self.trained, [tail, 1.0 - tail], axis=0)
        return low, high

    def first_epochs(self, limit: float) -> FloatArray:
        """(draws,) K of each draw: the fewest epochs whose loss is at most `limit`; infinite where none is.

        Parameters
        ----------
        limit : L_max.
        """
        within = self.trained <= real("limit", limit, 0.0, 1e300)
        return np.where(within.any(axis=1), within.argmax(axis=1) + 1.0, np.inf)

    def epochs_to(self, limit: float, quantile: float = EXPECTED) -> int | None:
        """K^exp, or K^rob at a higher quantile; None where that share of the draws does not reach the loss.

        Parameters
        ----------
        limit : L_max.
        quantile : share of the draws that need at most as many epochs.
        """
        found = float(np.quantile(self.first_epochs(limit), _quantile(quantile), method="inverted_cdf"))
        return int(found) if np.isfinite(found) else None

    def estimates(self, quantile: float) -> dict[str, Any]:
        """gamma, gamma^update and gamma^run, expected and robust: what ``widths[].loss`` of a JQODI problem takes.

        Summed up (Eq. 12), the expected changes give the median of the loss after each epoch, the robust ones its
        `quantile`. The changes of the quantized model are the quantiles' own; what training does, makes up the rest.

        Parameters
        ----------
        quantile : of the robust estimate, from 0.5 to below 1.
        """
        values = {"expected": EXPECTED, "robust": robust_quantile(quantile)}
        found: dict[str, Any] = {"quantization": {}, "update": {}, "run": {}}
        for name, at in values.items():
            quantized, trained = (
                np.quantile(losses, at, axis=0, method="inverted_cdf") for losses in (self.quantized, self.trained)
            )
            found["quantization"][name] = float(quantized[0] - self.loss)
            before = np.concatenate([quantized[:1], trained[:-1]])
            found["update"][name] = (quantized - before).tolist()
            found["run"][name] = (trained - quantized).tolist()
        return found


def _quantile(quantile: float) -> float:
    return real("quantile", quantile, 0.0, 1.0)


def robust_quantile(quantile: object) -> float:
    """A quantile that a robust estimate may have.

    Parameters
    ----------
    quantile : from 0.5, the expected estimate, to below 1.

    Raises
    ------
    InputError
        Any other value.
    """
    if isinstance(quantile, bool) or not isinstance(quantile, int | float) or not EXPECTED <= quantile < 1:
        raise InputError("quantile", shown(quantile), "a number from 0.5, the expected estimate, to below 1")
    return float(quantile)
