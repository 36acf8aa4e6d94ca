"""Rules that anything learned must beat: the last value, the mean change, and what other curves did.

Steps are resampled as logarithms of factors, update and training of an epoch together, so that losses stay positive.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.estimator import LEAST, Estimator, calibrated, resampled, widened

CROWD = 5
"""Curves that are enough for a spread of their own."""


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

    Curves of the same width come first if there are at least as many as `CROWD`, otherwise all count. Intervals are
    calibrated as those of the power law. Works from no epoch on: gamma and the first epoch are then relative to L_a.
    """

    name = "others"
    least_seen = 0
    needs_history = True

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        long = sum(other.epochs >= epochs for other in history)
        if long < CROWD:
            found = f"{long} curve{'' if long == 1 else 's'} of {epochs} epochs or more"
            raise InputError("history", found, f"at least {CROWD}, as far as estimator {self.name} is to forecast")
        rows = _continued(curve, epochs, history)
        factor = _factor(tuple(history), curve.model, curve.bits, curve.epochs, epochs)
        drawn = widened(rows[rng.integers(len(rows), size=draws)], factor)
        return drawn[:, : epochs - curve.epochs], drawn[:, epochs - curve.epochs :]

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        return rng.choice(_ratios(_nearest(curve, history)), draws)


def _continued(curve: Curve, epochs: int, history: Sequence[Curve]) -> FloatArray:
    """(curves, 2 later epochs) quantized and trained losses if a curve went on as each of those finished did."""
    long = [other for other in history if other.epochs >= epochs and other.loss > 0]
    same = [other for other in long if other.bits == curve.bits]
    chosen, seen = (same if len(same) >= CROWD else long), curve.epochs
    start = curve.trained[-1] if seen else curve.loss
    rows = [
        np.array([*other.quantized[seen:epochs], *other.trained[seen:epochs]])
        / max(LEAST, other.trained[seen - 1] if seen else other.loss)
        for other in chosen
    ]
    return start * np.array(rows).reshape(len(chosen), 2 * (epochs - seen))


@functools.lru_cache(maxsize=256)
def _factor(history: tuple[Curve, ...], model: str, bits: int, seen: int, epochs: int) -> float:
    """What finished curves say of the intervals of a model and width that the history knows or does not."""

    def losses(curve: Curve, rest: list[Curve]) -> FloatArray:
        return _continued(curve, epochs, rest)[:, epochs - seen :]

    empty = (0.0,) * seen
    return calibrated(losses, Curve(model, bits, 0.0, empty, empty, empty), list(history))


def _ratios(curves: list[Curve]) -> FloatArray:
    """gamma over L_a of some curves."""
    return np.array([curve.gamma / curve.loss for curve in curves])


def _nearest(curve: Curve, history: list[Curve]) -> list[Curve]:
    """Curves of the nearest widths: as few widths as have `CROWD` different gammas."""
    found: list[Curve] = []
    for distance in sorted({abs(other.bits - curve.bits) for other in history}):
        found += [other for other in history if abs(other.bits - curve.bits) == distance]
        if len({other.gamma / other.loss for other in found}) >= CROWD:
            break
    return found
