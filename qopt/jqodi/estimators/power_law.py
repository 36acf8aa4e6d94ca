"""Losses as power laws of the epoch, c + a k^-b with a, b, c >= 0, and what a bootstrap says of them.

Trained losses have a law; quantized ones follow from them by updates like those that were seen. Errors are relative.
Least squares in a and c is closed for each b of a grid; a draw takes b by its likelihood, resamples the residuals,
refits a and c, and adds noise to what it forecasts.
Residuals of few epochs are widened, and never count as smaller than `FLOOR`: three points lie on many curves.

With finished curves at hand the draws are calibrated: their deviations from the median, as logarithms, are multiplied
by what 80 % intervals would have needed to hold on those curves at the same epoch.

Power laws of learning: Hestness et al., "Deep learning scaling is predictable, empirically" (2017), as the JQODI paper.
"""

from __future__ import annotations

import functools

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.estimator import LARGEST, LEAST, Estimator, calibrated, log_changes, resampled, widened

EXPONENTS = np.geomspace(0.05, 4.0, 60)
"""Grid of b: slower is flat, faster is over after an epoch."""

FLOOR = 0.02
"""Least relative standard deviation of a residual."""

CALIBRATION_DRAWS = 200


class PowerLaw(Estimator):
    """A power law of the trained losses, with bootstrap draws, calibrated by finished curves if there are any.

    Of gamma: a power law of the number of levels, A (2^bits)^-p, over the other widths.
    """

    name = "power-law"
    least_seen = 3

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        trained = _trained(curve, epochs, draws, rng)
        if curve.trained[-1] >= curve.trained[0]:  # no falling law: in half of the draws it goes on as it did
            trained[: draws // 2] = resampled(curve, epochs, draws // 2, rng, drift=True)[1]
        trained = widened(trained, _factor(tuple(history), curve.model, curve.epochs, epochs))
        updates = log_changes(curve)[:, 0]
        count = len(updates)
        spread = (updates - updates.mean()) * np.sqrt(count / (count - 1))
        drawn = spread[rng.integers(count, size=trained.shape)]
        drawn += updates.mean() + spread[rng.integers(count, size=(draws, count))].mean(axis=1)[:, None]
        before = np.hstack([np.full((draws, 1), curve.trained[-1]), trained[:, :-1]])
        return before * np.exp(np.clip(drawn, -LARGEST, LARGEST)), trained

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        powers = np.linspace(0.25, 3.0, 12)
        bits = np.array([other.bits for other in history], dtype=float)
        ratios = np.array([other.gamma / other.loss for other in history])
        levels = 2.0 ** -np.outer(powers, bits)
        near = np.flatnonzero(np.abs(bits - curve.bits) <= max(2.0, float(np.abs(bits - curve.bits).min())))
        found = np.empty(draws)
        for d, rows in enumerate(rng.integers(len(history), size=(draws, len(history)))):
            x, y = levels[:, rows], ratios[rows]
            slopes = (x @ y) / np.maximum((x * x).sum(axis=1), 1e-300)
            best = int(((y - slopes[:, None] * x) ** 2).sum(axis=1).argmin())
            other = int(rng.choice(near))  # errors of a law are as large as at widths nearby
            error = ratios[other] - slopes[best] * levels[best, other]
            found[d] = slopes[best] * 2.0 ** (-powers[best] * curve.bits) + error * rng.choice((-1.0, 1.0))
        return found


@functools.lru_cache(maxsize=64)
def _factor(history: tuple[Curve, ...], model: str, seen: int, epochs: int) -> float:
    """What finished curves say of the intervals; `model` says whether the history knows it."""

    def losses(curve: Curve, rest: list[Curve]) -> FloatArray:
        del rest
        return _trained(curve, epochs, CALIBRATION_DRAWS, np.random.default_rng(0))

    empty = (0.0,) * seen
    return calibrated(losses, Curve(model, 1, 0.0, empty, empty, empty), list(history))


def _trained(curve: Curve, epochs: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """(draws, epochs not seen) trained losses."""
    at = np.arange(1, epochs + 1, dtype=float)
    return _law(at[: curve.epochs], np.array(curve.trained), at[curve.epochs :], draws, rng)


def _law(k: FloatArray, losses: FloatArray, later: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """(draws, later epochs) losses of laws that went through `losses` (n,) at epochs k (n,), residuals included."""
    losses = np.maximum(losses, LEAST)
    n = len(k)
    powers = k[None] ** -EXPONENTS[:, None]  # (b, n)
    weights = 1.0 / losses**2
    a, c = _fitted(powers[:, None], losses[None, None], weights)
    fits = np.maximum(a * powers[:, None] + c, LEAST)[:, 0]
    residuals = np.log(losses / fits)  # (b, n)
    squares = (residuals**2).sum(axis=1)
    sigma = max(FLOOR, float(np.sqrt(squares.min() / max(n - 3, 1))))
    likelihood = np.exp(-(squares - squares.min()) / (2.0 * sigma**2))
    chosen = rng.choice(len(EXPONENTS), size=draws, p=likelihood / likelihood.sum())
    own = residuals[chosen]  # (draws, n)
    scale = sigma / np.maximum(np.sqrt((own**2).mean(axis=1)), 1e-12)  # the residuals' own shape, at their true size
    small = np.sqrt((own**2).mean(axis=1)) < 0.1 * sigma  # a fit through all points has no shape left: normal then
    drawn = np.take_along_axis(own, rng.integers(n, size=(draws, n)), axis=1) * scale[:, None]
    drawn[small] = rng.normal(0.0, sigma, (int(small.sum()), n))
    again = fits[chosen] * np.exp(np.clip(drawn, -3.0, 3.0))
    a, c = _fitted(powers[chosen][:, None], again[:, None], 1.0 / again[:, None] ** 2)
    path = a * later[None, None] ** -EXPONENTS[chosen][:, None, None] + c
    noise = rng.normal(0.0, sigma, (draws, len(later)))
    return np.asarray(np.maximum(path[:, 0], LEAST) * np.exp(np.clip(noise, -3.0, 3.0)))


def _fitted(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """a, c >= 0 of least weighted squares of y - a x - c, over the last axis, kept as length 1."""
    total = weights.sum(axis=-1, keepdims=True)
    mx, my = ((weights * v).sum(axis=-1, keepdims=True) / total for v in (x, y))
    sxx = (weights * (x - mx) ** 2).sum(axis=-1, keepdims=True)
    sxy = (weights * (x - mx) * (y - my)).sum(axis=-1, keepdims=True)
    a = np.maximum(sxy / np.maximum(sxx, 1e-300), 0.0)
    c = my - a * mx
    through = (weights * x * y).sum(axis=-1, keepdims=True) / (weights * x * x).sum(axis=-1, keepdims=True)
    return np.where(c < 0, through, a), np.maximum(c, 0.0)
