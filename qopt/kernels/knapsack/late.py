"""What can be said of a knapsack when the time is over before a search began: a cheap choice and a valid bound.

All rows are added up, each as a share of what its limit leaves, and priced by one multiplier, which is bisected over
powers of two: for the least one whose cheapest choice keeps all limits. A few passes over the tables, whatever they
hold.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.ties import Merged

LEAST_POWER, MOST_POWER, FINEST = -64.0, 64.0, 0.1
"""Powers of two between which the multiplier is sought, and how closely, for costs and loads of at most about 1: beyond
them one of the two no longer counts. Eleven passes."""

SURELY = 1e-9
"""Share of a sum by which it stays below a limit beyond doubt, so that no sum has to be exact."""


def late_answer(cost: FloatArray, weight: FloatArray, allowed: FloatArray, tied: Merged, upper: float) -> Result:
    """A choice that keeps all limits, if this finds one below the upper value, and what every choice costs at least.

    Parameters
    ----------
    cost : (n, k) as given.
    weight : (R, n, k) as given.
    allowed : (R,) limits with their slack, infinite for none.
    tied : which classes take the same column.
    upper : only choices of lower cost count.
    """
    c = tied.table(cost)
    bound = math.nextafter(math.fsum(c.min(axis=1, initial=math.inf).tolist()) - float(tied.error(cost)), -math.inf)
    choice = _choice(c, tied.table(weight), weight, allowed, tied)
    objective = None
    if choice is not None:
        objective = math.fsum(cost[np.arange(len(cost)), choice].tolist())
        if objective >= upper:
            choice = objective = None
    if objective is not None:
        bound = min(bound, objective)
    return Result("limit", choice, objective, bound, None, {"late": True})


def _choice(c: FloatArray, w: FloatArray, given: FloatArray, allowed: FloatArray, tied: Merged) -> IntArray | None:
    """(n,) columns within all limits by the exact test, None where none are found."""
    classes = np.arange(given.shape[1])
    limited = [r for r, most in enumerate(allowed.tolist()) if math.isfinite(most)]

    def surely(choice: IntArray) -> bool:
        """Whether all limits are kept beyond doubt."""
        for r in limited:
            terms = given[r, classes, choice]
            if terms.sum() > allowed[r] - SURELY * (abs(allowed[r]) + np.abs(terms).sum()):
                return False
        return True

    def keeps(choice: IntArray) -> bool:
        """The exact test."""
        return all(math.fsum([*given[r, classes, choice].tolist(), -float(allowed[r])]) <= 0 for r in limited)

    above = c - c.min(axis=1, initial=math.inf)[:, None]
    above = above / (float(above.max(initial=0.0)) or 1.0)
    load = np.zeros_like(above)
    for r in limited:
        least = w[r].min(axis=1)
        left = max(float(allowed[r]) - math.fsum(least.tolist()), 0.0)
        excess = w[r] - least[:, None]
        load += excess / max(left, math.ldexp(float(excess.max(initial=0.0)), -30) or 1.0)
    cheapest = tied.expand(np.argmin(above, axis=1))
    if surely(cheapest):
        return cheapest
    load /= float(load.max(initial=0.0)) or 1.0
    lightest = load == load.min(axis=1)[:, None]
    found: IntArray = tied.expand(np.argmin(np.where(lightest, above, np.inf), axis=1))
    low, high = LEAST_POWER, MOST_POWER
    while high - low > FINEST:
        middle = (low + high) / 2
        choice = tied.expand(np.argmin(above + 2.0**middle * load, axis=1))
        if surely(choice):
            found, high = choice, middle
        else:
            low = middle
    return found if keeps(found) else None


def with_choice(stopped: Result, late: Result) -> Result:
    """A stopped search's answer, which has no choice, with the one of `late_answer`, and the better of both bounds."""
    bounds = [x.bound for x in (stopped, late) if x.bound is not None]
    bound = max(bounds, default=None)
    if bound is not None and late.objective is not None:
        bound = min(bound, late.objective)
    return Result("limit", late.choice, late.objective, bound, None, stopped.details | late.details)
