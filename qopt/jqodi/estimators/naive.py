"""Rules that anything learned must beat: the last value, the mean change, and what other curves did.

Steps are resampled as logarithms of factors, update and training of an epoch together, so that losses stay positive.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.estimator import Estimator, resampled


class LastValue(Estimator):
    """The loss stays where it is; the interval is that of a random walk with the steps that were seen.

    Of gamma: that of the nearest width.
    """

    name = "last"
    least_seen = 3

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        del history
        return resampled(curve, epochs, draws, rng, drift=False)

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        return rng.choice(_ratios(_nearest(curve, history)), draws)


class MeanChange(Estimator):
    """The mean relative change of the epochs seen goes on, with their steps resampled.

    Of gamma: the mean over the other widths, with their spread.
    """

    name = "mean"
    least_seen = 3

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        del history
        return resampled(curve, epochs, draws, rng, drift=True)

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        del curve
        return rng.choice(_ratios(history), draws)


class OtherCurves(Estimator):
    """The loss changes by the factors that finished curves changed by from the same epoch on.

    Curves of the same width come first if there are at least as many as `CROWD`, otherwise all count. Works from no
    epoch on: gamma and the first epoch are then relative to L_a.
    """

    name = "others"
    least_seen = 0
    needs_history = True

    CROWD = 5
    """Curves of the same width that are enough for themselves."""

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        long = [other for other in history if other.epochs >= epochs and other.loss > 0]
        if not long:
            longest = max(other.epochs for other in history)
            raise InputError("epochs", str(epochs), f"at most {longest}, the length of the longest finished curve")
        same = [other for other in long if other.bits == curve.bits]
        chosen = same if len(same) >= self.CROWD else long
        seen = curve.epochs
        start = curve.trained[-1] if seen else curve.loss
        factors = np.array(
            [[*other.quantized[seen:epochs], *other.trained[seen:epochs]] for other in chosen]
        ) / np.maximum(1e-12, [[other.trained[seen - 1] if seen else other.loss] for other in chosen])
        rows = start * factors[rng.integers(len(chosen), size=draws)]
        return rows[:, : epochs - seen], rows[:, epochs - seen :]

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        return rng.choice(_ratios(_nearest(curve, history)), draws)


def _ratios(curves: list[Curve]) -> FloatArray:
    """gamma over L_a of some curves."""
    return np.array([curve.gamma / curve.loss for curve in curves])


def _nearest(curve: Curve, history: list[Curve]) -> list[Curve]:
    """The curves of the nearest width, all that are as near."""
    least = min(abs(other.bits - curve.bits) for other in history)
    return [other for other in history if abs(other.bits - curve.bits) == least]
