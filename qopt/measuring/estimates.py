"""From what was measured of each example to one tensor's figures, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.measuring.intervals import Estimate, Resamples, quantiles
from qopt.measuring.noise import Reference, fit_law, law_columns
from qopt.measuring.robustness import SCALES_PER_OCTAVE, Trials, costs


@dataclass(frozen=True, repr=False)
class TensorSensitivity(Brief):
    """What was measured of one tensor.

    Attributes
    ----------
    noise, noise_low, noise_high : (k,) N_i(b) at each width, and its interval.
    lost : (k,) mean score lost with only this tensor quantized.
    s : coefficient of the law N = s 4^-b.
    law_error : largest ``|log2(N(b) / (s 4^-b))|`` over the widths of the fit.
    rho : robustness at each level; infinite where the level is never lost, an end of its interval likewise.
    scale : at each level, the amplitude of the noise there as a multiple of the tensor's (or channel's) range.
    """

    noise: FloatArray
    noise_low: FloatArray
    noise_high: FloatArray
    lost: FloatArray
    s: Estimate
    law_error: float
    rho: tuple[Estimate, ...]
    scale: tuple[float, ...]

    def __str__(self) -> str:
        rho = ", ".join(f"{x.value:.3g}" for x in self.rho)
        s = f"s {self.s.value:.4g} [{self.s.low:.4g}, {self.s.high:.4g}]"
        return f"{s}, law within 2^{self.law_error:.2f}, rho {rho}"


def estimated(
    bits: Sequence[int],
    levels: Sequence[float],
    base: Reference,
    noise: FloatArray,
    scores: FloatArray,
    trials: Trials,
    resamples: Resamples,
    natural: FloatArray,
) -> TensorSensitivity:
    """One tensor's figures and their intervals.

    Parameters
    ----------
    bits, levels : (k,) widths and accuracy levels.
    base : the unquantized network on the n examples.
    noise, scores : (k, n) squared change and score of each example at each width.
    trials : of noise on this tensor.
    resamples : of the examples.
    natural : (draws,) mean margin of each draw.
    """
    steps = trials.steps
    tried = [trials.noise[k] for k in steps]
    lost = [base.score - trials.score[k] for k in steps]
    every = resamples.means(np.stack([*noise, *tried, *lost], axis=1))
    drawn, noise_drawn, lost_drawn = np.split(every, [len(bits), len(bits) + len(steps)], axis=1)
    low, high = quantiles(drawn)
    mean = noise.mean(axis=1)
    law = fit_law(bits, mean)
    columns = law_columns(bits)
    s_drawn = np.median(drawn[:, columns] * np.exp2(2.0 * np.array(bits)[columns]), axis=1)

    rho, scale = [], []
    for level in levels:
        k = trials.reached(base.score, level)
        value = math.inf if k is None else float(trials.noise[k].mean()) / float(base.margin.mean())
        rho.append(Estimate.of(value, rho_of_draws(steps, noise_drawn, lost_drawn, natural, level)))
        scale.append(math.inf if k is None else 2.0 ** (k / SCALES_PER_OCTAVE))
    return TensorSensitivity(
        mean,
        np.minimum(low, mean),
        np.maximum(high, mean),
        np.mean(base.score - scores, axis=1),
        Estimate.of(law.s, s_drawn),
        law.error,
        tuple(rho),
        tuple(scale),
    )


def rho_of_draws(
    steps: Sequence[int], noise: FloatArray, lost: FloatArray, natural: FloatArray, level: float
) -> FloatArray:
    """(draws,) rho of resampled examples: each draw looks for its own first scale that costs the level.

    Between the scales that were tried, the loss is interpolated in the logarithm of the scale, the noise in both
    logarithms. Infinite where no scale tried costs the level; never below the noise of the smallest one tried.

    Parameters
    ----------
    steps : (m,) ascending, steps of the scales tried.
    noise, lost : (draws, m) means over the draw.
    natural : (draws,).
    """
    every = np.arange(steps[0], steps[-1] + 1)
    weights = np.stack([np.interp(every, steps, unit) for unit in np.eye(len(steps))])
    reached = costs(lost @ weights, level)
    first = np.argmax(reached, axis=1)
    with np.errstate(divide="ignore"):
        logarithm = np.maximum(np.log2(noise), -1000.0)
    at_first = np.exp2(np.sum(logarithm * weights[:, first].T, axis=1))
    found: FloatArray = np.where(reached.any(axis=1), at_first / natural, np.inf)
    return found
