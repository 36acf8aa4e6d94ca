"""A bound for strongly correlated data: what costs and weights together can add up to.

Where cost + mu weight, with mu a whole number of units, lies on a coarser grid than the costs do (profits that are a
weight and a constant are the classical case), its sum has a lower bound that may be rounded up to that grid, and
as the weights keep the limit W

    cost(x)  >=  least sum of cost + mu weight on its grid  -  mu W .

(A Chvátal-Gomory cut of the two rows.) Linear relaxations cannot see it, however far they branch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.kernels.grid import steps
from qopt.kernels.knapsack.relaxation import frontier, relax

LARGEST = 2**62
"""Sums of whole numbers stay below this: 64-bit integers hold them, with a digit to spare."""

BOUND_ROUNDING = 1e-12
"""Relative: by which the relaxation's bound is lowered, ten times what its sums round by."""

GRID_ROUNDING = 1e-6
"""Share of a grid's step by which a bound may pass a point of the grid and still count as being on it."""


@dataclass(frozen=True)
class Rounded:
    """A bound on the shifted costs, and the multipliers `mu` and of the limit that give it.

    Attributes
    ----------
    bound : on the shifted costs.
    mu : what weights are priced with before sums are rounded up.
    multiplier : of the limit.
    """

    bound: float
    mu: float
    multiplier: float


def rounded(cost: FloatArray, weight: FloatArray, capacity: float, lam: float, grain: float) -> Rounded | None:
    """The best such bound with mu next to the relaxation's multiplier; None where no grid is coarser than the costs'.

    Parameters
    ----------
    cost, weight : (n, k) as given; both on a grid, otherwise there is no bound.
    capacity : on the sum of weights less the least of each class, on their grid.
    lam : multiplier of the linear relaxation.
    grain : of the costs.
    """
    costs, weights = steps(cost), steps(weight)
    if costs is None or weights is None or not 0.0 < lam < math.inf:
        return None
    (mc, qc), (mw, qw) = costs, weights
    price = math.ldexp(lam, qw - qc)
    if price * float(np.abs(mw).max(initial=0)) + float(np.abs(mc).max(initial=0)) >= LARGEST / max(len(mc), 1):
        return None
    found = []
    for p in {math.floor(price), math.ceil(price)} - {0}:
        whole = mc + p * mw
        step = int(np.gcd.reduce((whole - whole[:, :1]).ravel()))
        if step == 0 or math.ldexp(step, qc) <= grain:
            continue
        least = whole.min(axis=1)
        above = np.ldexp((whole - least[:, None]).astype(np.float64), qc)
        light = np.ldexp((mw - mw.min(axis=1, keepdims=True)).astype(np.float64), qw)
        relaxation = relax(above, light, frontier(above, light)[1], capacity)
        base = int((whole[:, 0] - least).sum())
        # Rounding of sums must not pass a point of the grid.
        units = math.ldexp(relaxation.bound, -qc) * (1 - BOUND_ROUNDING)
        top = base + math.ceil((units - base) / step - GRID_ROUNDING) * step
        mu = math.ldexp(p, qc - qw)
        limit = Fraction(capacity) + int(mw.min(axis=1).sum()) * Fraction(2) ** qw
        shifted = (int(least.sum()) + top - int(mc.min(axis=1).sum())) * Fraction(2) ** qc
        found.append(Rounded(float(shifted - Fraction(mu) * limit), mu, relaxation.multiplier))
    return max(found, key=lambda r: r.bound, default=None)
