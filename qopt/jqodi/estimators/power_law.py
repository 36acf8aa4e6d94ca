"""Losses as power laws of the epoch, c + a k^-b with a, b, c >= 0, and what a bootstrap says of them.

Quantized and trained losses have a law each. Errors are relative. Least squares in a and c is closed for each b of a
grid; a draw takes b by its likelihood, resamples the residuals, refits a and c, and adds noise to what it forecasts.
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
from qopt.jqodi.estimators.estimator import LARGEST, LEAST, Estimator, resampled

EXPONENTS = np.geomspace(0.05, 4.0, 60)
"""Grid of b: slower is flat, faster is over after an epoch."""

FLOOR = 0.02
"""Least relative standard deviation of a residual."""

CALIBRATED = 0.8
"""Level of the intervals that finished curves calibrate."""

CALIBRATION_DRAWS = 200

MOST = 60
"""Finished curves that calibrate: more would take longer and say the same."""


class PowerLaw(Estimator):
    """A power law for each of the two losses, with bootstrap draws, calibrated by finished curves if there are any.

    Of gamma: a power law of the number of levels, A (2^bits)^-p, over the other widths.
    """

    name = "power-law"
    least_seen = 3

    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        later = _draws(curve, epochs, draws, rng)
        if (
            curve.trained[-1] >= curve.trained[0]
        ):  # it follows no falling law: in half of the draws it goes on as it did
            for losses, walk in zip(later, resampled(curve, epochs, draws // 2, rng, drift=True), strict=True):
                losses[: draws // 2] = walk
        factor = _needed(tuple(history), curve.epochs, epochs)
        return tuple(_widened(losses, factor) for losses in later)  # type: ignore[return-value]

    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        bits = np.array([other.bits for other in history], dtype=float)
        ratios = np.array([other.gamma / other.loss for other in history])
        # sinh^-1 is a logarithm that takes both signs; the law is fitted where gammas are, not where they vanish
        levels = 2.0 ** -np.outer(np.linspace(0.25, 3.0, 12), bits)
        chosen = rng.integers(len(history), size=(draws, len(history)))
        found = np.empty(draws)
        for d, rows in enumerate(chosen):
            x, y = levels[:, rows], ratios[rows]
            slope = (x @ y) / np.maximum((x * x).sum(axis=1), 1e-300)
            errors = ((y - slope[:, None] * x) ** 2).sum(axis=1)
            best = int(errors.argmin())
            law = slope[best] * 2.0 ** (-np.linspace(0.25, 3.0, 12)[best] * curve.bits)
            other = int(rng.integers(len(history)))
            residual = ratios[other] - slope[best] * levels[best, other]
            scale = levels[best].mean()  # residuals shrink with the law: a gamma of 8 bits has no error of 1 bit
            found[d] = law + residual * min(1.0, 2.0 ** (-np.linspace(0.25, 3.0, 12)[best] * curve.bits) / scale)
        return found


def _draws(curve: Curve, epochs: int, draws: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """(draws, epochs not seen) quantized and trained losses."""
    seen = curve.epochs
    at = np.arange(1, epochs + 1, dtype=float)
    # the first quantized loss is not that of an updated model, and follows no law with the others
    first = _law(at[1:seen], np.array(curve.quantized[1:]), at[seen:], draws, rng)
    return first, _law(at[:seen], np.array(curve.trained), at[seen:], draws, rng)


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


@functools.lru_cache(maxsize=64)
def _needed(history: tuple[Curve, ...], seen: int, epochs: int) -> float:
    """By how much deviations must be multiplied, at least 1, for 80 % intervals to hold on finished curves.

    Errors beyond the seen epochs count, each against the half of the interval on its side. 1 without curves.
    """
    long = [curve for curve in history if curve.epochs > seen]
    if len(long) > MOST:
        long = [long[i] for i in np.linspace(0, len(long) - 1, MOST).round().astype(int)]
    if not long:
        return 1.0
    tail = (1.0 - CALIBRATED) / 2.0
    worst = []
    for curve in long:
        reach = min(curve.epochs, epochs)
        _, trained = _draws(curve.first(seen), reach, CALIBRATION_DRAWS, np.random.default_rng(0))
        low, middle, high = np.log(np.quantile(trained, [tail, 0.5, 1.0 - tail], axis=0))
        errors = np.log(np.maximum(curve.trained[seen:reach], LEAST)) - middle
        half = np.where(errors > 0, high - middle, middle - low)
        worst.append(np.abs(errors) / np.maximum(half, 1e-9))
    pooled = np.concatenate(worst)
    return max(1.0, float(np.quantile(pooled, CALIBRATED)))


def _widened(losses: FloatArray, factor: float) -> FloatArray:
    """Deviations from the median of each epoch, as logarithms, times a factor."""
    logs = np.log(losses)
    middle = np.median(logs, axis=0)
    return np.asarray(np.exp(np.minimum(middle + factor * (logs - middle), LARGEST)))
