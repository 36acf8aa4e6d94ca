"""What every estimator can do, and what it may be asked: one interface for power laws, networks and naive rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.forecast import Forecast

DRAWS = 1000
"""Draws of a forecast: a quantile of 0.95 then has 50 beyond it."""

LEAST = 1e-12
"""Losses below this count as this in logarithms: a loss of 0 is a classifier without error, and has no ratio."""

LARGEST = 230.0
"""Logarithm of the largest loss that is forecast, some 1e100: beyond it all losses are hopeless alike."""

FULL = 32
"""Bits of full precision: nothing is quantized, and gamma is 0."""

CALIBRATED = 0.8
"""Level of the intervals that finished curves calibrate."""

CALIBRATING = 60
"""Finished curves that calibrate: more would take longer and say the same."""

MAX_HORIZON = 10_000
"""Epochs that a forecast reaches at most."""


class Estimator(ABC):
    """Forecasts of losses from the epochs seen so far and from finished curves.

    Attributes
    ----------
    name : by which it is asked for.
    least_seen : epochs that it must have seen.
    needs_history : whether it must have finished curves.
    """

    name: ClassVar[str]
    least_seen: ClassVar[int] = 1
    needs_history: ClassVar[bool] = False

    def forecast(
        self, curve: Curve, epochs: int, history: Sequence[Curve] = (), *, draws: int = DRAWS, seed: int = 0
    ) -> Forecast:
        """How the losses of a curve go on.

        Parameters
        ----------
        curve : what was seen.
        epochs : up to which epoch, at least those seen.
        history : finished curves: other widths, models, data or runs.
        draws : how many.
        seed : of the draws; the same seed gives the same forecast.

        Raises
        ------
        InputError
            Fewer epochs were seen than the estimator needs, or no history where it needs one.
        """
        epochs = whole("epochs", epochs, max(1, curve.epochs), MAX_HORIZON)
        draws = whole("draws", draws, 2, 1_000_000)
        if curve.epochs < self.least_seen:
            found = f"{curve.epochs} epoch{'' if curve.epochs == 1 else 's'} of {curve.model} at {curve.bits} bits"
            raise InputError("curve", found, f"at least {self.least_seen}, which estimator {self.name} needs")
        known = self._history(history)
        rng = np.random.default_rng(whole("seed", seed, 0))
        quantized, trained = (np.empty((draws, epochs)) for _ in range(2))
        quantized[:, : curve.epochs], trained[:, : curve.epochs] = curve.quantized, curve.trained
        if epochs > curve.epochs:
            later = self._later(curve, epochs, known, draws, rng)
            quantized[:, curve.epochs :], trained[:, curve.epochs :] = later
        return Forecast(curve.loss, quantized, trained, curve.epochs, self.name)

    def gamma(self, curve: Curve, history: Sequence[Curve], *, draws: int = DRAWS, seed: int = 0) -> FloatArray:
        """(draws,) loss change by quantizing, of a model that was not yet quantized to this width.

        Parameters
        ----------
        curve : model, width and L_a; its epochs, if there are any, are not looked at.
        history : curves of other widths or models, each with at least one epoch.
        draws, seed : as for `forecast`.

        Raises
        ------
        InputError
            No history.
        """
        known = [other for other in history if other.epochs and other.loss > 0]
        if not known:
            raise InputError("history", "no curve with an epoch", "curves of other widths or models")
        if curve.bits == FULL:
            return np.zeros(whole("draws", draws, 2, 1_000_000))
        known = [other for other in known if other.bits != FULL] or known
        own = [other for other in known if (other.model, other.data) == (curve.model, curve.data)]
        rng = np.random.default_rng(whole("seed", seed, 0))
        ratios = self._gamma(curve, own or known, draws, rng)
        return np.maximum(ratios, -1.0) * curve.loss  # no loss falls below 0

    def _history(self, history: Sequence[Curve]) -> list[Curve]:
        known = [curve for curve in history if curve.epochs >= 2]
        if self.needs_history and not known:
            found = "no finished curve" if not history else "no curve of two epochs or more"
            raise InputError("history", found, f"finished curves, which estimator {self.name} needs")
        return known

    @abstractmethod
    def _later(
        self, curve: Curve, epochs: int, history: list[Curve], draws: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """(draws, epochs not seen) quantized and trained losses; at least one epoch is not seen."""

    @abstractmethod
    def _gamma(self, curve: Curve, history: list[Curve], draws: int, rng: np.random.Generator) -> FloatArray:
        """(draws,) gamma over L_a, from other curves of which there is at least one."""


def calibrated(losses: Callable[[Curve, list[Curve]], FloatArray], curve: Curve, history: list[Curve]) -> float:
    """By how much deviations must be multiplied, at least 1, for 80 % intervals to hold on finished curves.

    Each of them is forecast from its first epochs, as many as were seen of `curve`, and from history that knows as
    little of it as the history knows of `curve`: nothing of its model, or else of its width. Errors count against the
    half of the interval on their side, as logarithms. 1 without curves.

    Parameters
    ----------
    losses : gives (draws, later epochs) trained losses of a curve with a history.
    curve, history : for which the factor is wanted.
    """
    long = [other for other in history if other.epochs > curve.epochs]
    if len(long) > CALIBRATING:
        long = [long[i] for i in np.linspace(0, len(long) - 1, CALIBRATING).round().astype(int)]
    new = all(other.model != curve.model for other in history) and len({other.model for other in history}) > 1
    tail, ratios = (1.0 - CALIBRATED) / 2.0, []
    for one in long:
        rest = [o for o in history if (o.model != one.model if new else (o.bits, o.model) != (one.bits, one.model))]
        found = losses(one.first(curve.epochs), rest)
        if not len(found):
            continue
        reach = min(one.epochs - curve.epochs, found.shape[1])
        low, middle, high = np.log(np.maximum(np.quantile(found[:, :reach], [tail, 0.5, 1.0 - tail], axis=0), LEAST))
        errors = np.log(np.maximum(one.trained[curve.epochs :][:reach], LEAST)) - middle
        half = np.where(errors > 0, high - middle, middle - low)
        ratios.append(np.abs(errors) / np.maximum(half, 1e-3))
    return max(1.0, float(np.quantile(np.concatenate(ratios), CALIBRATED))) if ratios else 1.0


def widened(losses: FloatArray, factor: float) -> FloatArray:
    """Deviations from the median of each epoch, as logarithms, times a factor.

    Parameters
    ----------
    losses : (draws, epochs).
    factor : at least 1.
    """
    logs = np.log(np.maximum(losses, LEAST))
    middle = np.median(logs, axis=0)
    return np.asarray(np.exp(np.minimum(middle + factor * (logs - middle), LARGEST)))


def log_losses(curve: Curve) -> tuple[FloatArray, FloatArray]:
    """Logarithms of quantized and trained losses, (epochs,) each."""
    quantized, trained = (np.log(np.maximum(losses, LEAST)) for losses in (curve.quantized, curve.trained))
    return quantized, trained


def log_changes(curve: Curve) -> FloatArray:
    """(epochs - 1, 2) logarithms of the factors of the loss from epoch 2 on: by the update, and by training.

    Parameters
    ----------
    curve : of at least two epochs.
    """
    quantized, trained = log_losses(curve)
    return np.stack([quantized[1:] - trained[:-1], trained[1:] - quantized[1:]], axis=1)


def walked(start: FloatArray, changes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quantized and trained losses (draws, steps) from a log loss (draws,) and log changes (draws, steps, 2).

    Parameters
    ----------
    start : log loss after the last epoch seen.
    changes : by the update and by training.
    """
    trained = start[:, None] + changes.sum(axis=2).cumsum(axis=1)
    quantized = trained - changes[:, :, 1]
    return np.exp(np.minimum(quantized, LARGEST)), np.exp(np.minimum(trained, LARGEST))


def resampled(
    curve: Curve, epochs: int, draws: int, rng: np.random.Generator, *, drift: bool
) -> tuple[FloatArray, FloatArray]:
    """Losses of the epochs that were not seen, (draws, epochs) quantized and trained, by resampling the steps seen.

    Update and training of an epoch stay together, as logarithms of factors. With a drift the mean step goes on:
    deviations from it are widened, as those of few steps must be, and each draw has a mean of its own, since it is not
    known either. Without, each step goes as far as one that was seen, either way.

    Parameters
    ----------
    curve : of at least three epochs.
    epochs : up to which epoch.
    draws, rng : how many, and from what.
    drift : whether the mean step goes on.
    """
    changes = log_changes(curve)
    count, size = len(changes), (draws, epochs - curve.epochs)
    if drift:
        mean = changes.mean(axis=0)
        spread = (changes - mean) * np.sqrt(count / (count - 1))
        steps = spread[rng.integers(count, size=size)]
        steps += mean + spread[rng.integers(count, size=(draws, count))].mean(axis=1)[:, None]
    else:
        steps = changes[rng.integers(count, size=size)]
        falls = rng.integers(2, size=size) == 1
        steps[falls, 1] -= 2.0 * steps[falls].sum(axis=1)  # the loss changes by as much the other way
    return walked(np.full(draws, log_losses(curve)[1][-1]), steps)
