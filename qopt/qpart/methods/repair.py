"""From a solver's point to a plan that passes the exact test, for real-valued bits.

Solvers keep limits up to a tolerance. A point that breaks the noise limit by that much is raised by the smallest
uniform shift that mends it; with a memory limit, which a shift would break in turn, it is moved towards the plan
of least noise that the memory holds, as little as is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.limits import within
from qopt.qpart.subproblem import Subproblem

MARGIN = 1e-12
"""Repaired points keep limits without the exact test's slack, so that another rounding of the terms keeps them too."""


def noise_of(subproblem: Subproblem, width: FloatArray, model: str) -> FloatArray:
    """(n,) noise terms c_i g(b_i) of real-valued widths, law or grid."""
    assert subproblem.coefficient is not None
    if model == "grid":
        return subproblem.coefficient * np.expm1(width * math.log(2.0)) ** -2.0
    terms: FloatArray = subproblem.coefficient * np.exp2(-2.0 * width)
    return terms


def holds(subproblem: Subproblem, width: FloatArray, model: str, slack: float = 0.0) -> bool:
    """Whether widths pass the exact test of noise and memory, both limits multiplied by 1 + slack."""
    factor = 1.0 + slack
    if math.isfinite(subproblem.limit) and not within(noise_of(subproblem, width, model), subproblem.limit * factor):
        return False
    return not math.isfinite(subproblem.memory) or within(subproblem.memory_of(width), subproblem.memory * factor)


def _smallest(good: Callable[[float], bool], most: float) -> float:
    """Smallest number in [0, most] that is good, up to rounding; `good` is monotone and `most` is good."""
    bad, best = 0.0, most
    for _ in range(80):
        # Halve the exponent while the interval spans decades: the shift is usually tiny.
        middle = math.sqrt(best * max(bad, 1e-18)) if best > 4.0 * max(bad, 1e-18) else 0.5 * (bad + best)
        if not bad < middle < best:
            break
        bad, best = (bad, middle) if good(middle) else (middle, best)
        if best - bad <= 1e-15:
            break
    return best


def least_noise(subproblem: Subproblem, model: str) -> FloatArray:
    """(n,) widths of least noise that the memory holds (all hi without a limit); lo if nothing fits.

    Weights spend memory where it saves most noise: c_i (-g'(b_i)) = kappa z_i, clipped, kappa by bisection.
    """
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    assert subproblem.coefficient is not None
    c, z = subproblem.coefficient, subproblem.stored
    top = np.where(c > 0, hi, lo)

    def fits(width: FloatArray) -> bool:
        return within(subproblem.memory_of(width), subproblem.memory * (1.0 - 2.0 * MARGIN))

    if not math.isfinite(subproblem.memory) or fits(top):
        return top
    top = np.where((c == 0) & (z > 0), lo, top)
    bound = (c > 0) & (z > 0)
    if not bound.any():
        return top
    with np.errstate(divide="ignore"):
        ratio = np.where(bound, 0.5 * (np.log2(c) - np.log2(np.where(z > 0, z, 1.0))), 0.0)

    def at(level: float) -> FloatArray:
        """Widths where the marginal noise per bit of memory is 4^-level, up to a constant."""
        target = ratio + level
        if model == "law":
            width = target
        else:  # 4^-b / (1 - 2^-b)^3 = 4^-target, by bisection: the left side falls
            low, high = np.full(len(c), lo), np.full(len(c), hi)
            for _ in range(60):
                middle = 0.5 * (low + high)
                steep = 2.0 * middle + 3.0 * np.log2(-np.expm1(-middle * math.log(2.0))) < 2.0 * target
                low, high = np.where(steep, middle, low), np.where(steep, high, middle)
            width = 0.5 * (low + high)
        return np.where(bound, np.clip(width, lo, hi), top)

    spans = ratio[bound]
    low, high = lo - float(spans.max()) - 40.0, hi - float(spans.min()) + 40.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if fits(at(middle)) else (low, middle)
    return at(low)


def repair(subproblem: Subproblem, width: FloatArray, model: str) -> FloatArray | None:
    """Widths near the given ones that pass the exact test, or None if none were found.

    Without a memory limit: every width raised by the same, smallest amount (and clipped at hi).
    """
    lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
    width = np.clip(width, lo, hi)
    if holds(subproblem, width, model, -0.5 * MARGIN):
        return width
    assert subproblem.coefficient is not None
    safe = least_noise(subproblem, model)
    if not holds(subproblem, safe, model):
        return None
    free = subproblem.coefficient > 0

    def shifted(step: float) -> FloatArray:
        return np.where(free, np.minimum(width + step, hi), width)

    def mixed(step: float) -> FloatArray:
        return width + step * (safe - width)

    for move, most in ((shifted, hi - lo), (mixed, 1.0)):
        # Aim a little inside; a limit that only the outermost point meets is met without the margin.
        for slack in (-MARGIN, 0.0):

            def good(step: float, move: Callable[[float], FloatArray] = move, slack: float = slack) -> bool:
                return holds(subproblem, move(step), model, slack)

            if good(most):
                return move(_smallest(good, most))
    return safe
