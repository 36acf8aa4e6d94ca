"""Closed form of a separable convex problem: spend a noise budget where bits are dearest.

    minimise    sum_i price_i b_i
    subject to  sum_i c_i 4^{-b_i} <= limit,   lo <= b_i <= hi

Stationarity makes every tensor that is strictly between its bounds spend noise in proportion to the
price of its bits: c_i 4^{-b_i} = t price_i, one water level t for all. With bounds the spending is
clip(t price_i, c_i 4^{-hi}, c_i 4^{-lo}), a piecewise-linear, non-decreasing function of t, so t is
found exactly by sorting breakpoints: O(n log n), no iteration to a tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.limits import sum_within

LN4 = math.log(4.0)


@dataclass(frozen=True, repr=False)
class Allocation(Brief):
    """Optimal widths of a separable problem.

    Attributes
    ----------
    bits : (n,) optimal real-valued widths.
    level : water level t, noise per unit of price; infinite where the limit does not bind.
    multiplier : of the noise row, 1 / (t ln 4); 0 where the limit does not bind.
    objective : sum price_i b_i.
    """

    bits: FloatArray
    level: float
    multiplier: float
    objective: float


def allocate(price: FloatArray, c: FloatArray, limit: float, lo: float, hi: float) -> Allocation | None:
    """Solve the separable problem in closed form; None if it is infeasible.

    Parameters
    ----------
    price : (n,) objective per bit, >= 0.
    c : (n,) noise at width 0, >= 0.
    limit : noise budget, >= 0, may be infinite.
    lo, hi : bounds on every width.

    Returns
    -------
    `Allocation`: (n,) widths and the multiplier; None if it is infeasible.

    Notes
    -----
    A tensor of price 0 takes hi, one without noise takes lo. On a flat piece of the spending function
    (every tensor at a bound, limit met exactly) any t of the piece serves; its upper end is returned.
    """
    least, most = c * 4.0**-hi, c * 4.0**-lo
    if not sum_within(least, limit):
        return None
    if most.sum() <= limit:
        bits = np.full(len(c), float(lo))
        return Allocation(bits, math.inf, 0.0, float(price @ bits))
    free = (price > 0) & (c > 0)
    p, a, z = price[free], least[free], most[free]
    # What the others spend is settled: price 0 spends its least, c = 0 spends nothing.
    budget = limit - float(least[~free].sum())
    # With the others at hi the limit may bind no more.
    level = math.inf if z.sum() <= budget else _level(p, a, z, budget)
    bits = np.where(c > 0, float(hi), float(lo))
    if math.isinf(level):
        bits[free] = lo
        return Allocation(bits, level, 0.0, float(price @ bits))
    # b = 1/2 log2(c / (t price)), from the logarithms, which do not underflow.
    bits[free] = np.clip(0.5 * (np.log2(c[free]) - np.log2(p) - math.log2(level)), lo, hi)
    return Allocation(bits, level, 1.0 / (level * LN4), float(price @ bits))


def _level(price: FloatArray, least: FloatArray, most: FloatArray, budget: float) -> float:
    """Root t of sum clip(t price, least, most) = budget.

    The bracketing piece is found by bisection over the sorted breakpoints, each step a fresh sum:
    running sums over the breakpoints would cancel when prices differ by many decades.
    """
    breakpoints = np.sort(np.concatenate((least / price, most / price)))
    below, above = -1, len(breakpoints) - 1  # spending at `above` >= budget > spending at `below`
    while above - below > 1:
        middle = (below + above) // 2
        if np.clip(breakpoints[middle] * price, least, most).sum() >= budget:
            above = middle
        else:
            below = middle
    upper = float(breakpoints[above])
    lower = float(breakpoints[below]) if below >= 0 else 0.0
    inside = (least / price <= lower) & (most / price >= upper)
    slope = float(price[inside].sum())
    if slope == 0.0:
        return upper
    settled = np.where(most / price <= lower, most, least)[~inside]
    # Above 0 even where numbers of the smallest size round to it.
    return max(min(max((budget - float(settled.sum())) / slope, lower), upper), 5e-324)
