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
from qopt.kernels.knapsack.scaled import SLACK_TERMS
from qopt.kernels.knapsack.ties import Merged
from qopt.kernels.tolerances import EPSILON

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
    floor = c.min(axis=1, initial=math.inf)
    above = c - floor[:, None]
    top = float(above.max(initial=0.0)) or 1.0
    choice, beyond = _choice(above / top, tied.table(weight), weight, allowed, tied)
    # Every number was rounded a few times, and so was every addition.
    share = EPSILON * (len(c) + SLACK_TERMS)
    base = math.fsum(floor.tolist())
    bound = base + max(beyond * top * (1.0 - share), 0.0)
    bound -= share * abs(bound) + float(tied.error(cost))
    objective = None
    if choice is not None:
        objective = math.fsum(cost[np.arange(len(cost)), choice].tolist())
        if objective >= upper:
            choice = objective = None
    if objective is not None:
        bound = min(bound, objective)
    return Result("limit", choice, objective, bound, None, {"late": True})


def _choice(
    above: FloatArray, w: FloatArray, given: FloatArray, allowed: FloatArray, tied: Merged
) -> tuple[IntArray | None, float]:
    """(n,) columns within all limits by the exact test, None where none are found; what all cost at least.

    Parameters
    ----------
    above : (m, k) costs of merged classes above their least, at most 1.
    w : (R, m, k) their weights.
    """
    classes = np.arange(given.shape[1])
    limited = [r for r, most in enumerate(allowed.tolist()) if math.isfinite(most)]

    def surely(choice: IntArray) -> bool:
        """Whether all limits are kept beyond doubt."""
        for r in limited:
            terms = given[r, classes, choice]
            if terms.sum() > allowed[r] - SURELY * (abs(allowed[r]) + np.abs(terms).sum()):
                return False
        return True

    def lowered(least: FloatArray, paid: float) -> float:
        """A Lagrangian bound, less what its sums may be off."""
        total = float(least.sum())
        return total - paid - EPSILON * (len(least) + SLACK_TERMS) * (total + paid)

    def keeps(choice: IntArray) -> bool:
        """The exact test."""
        return all(math.fsum([*given[r, classes, choice].tolist(), -float(allowed[r])]) <= 0 for r in limited)

    load = np.zeros_like(above)
    for r in limited:
        least = w[r].min(axis=1)
        left = max(float(allowed[r]) - math.fsum(least.tolist()), 0.0)
        excess = w[r] - least[:, None]
        load += excess / max(left, math.ldexp(float(excess.max(initial=0.0)), -30) or 1.0)
    cheapest = tied.expand(np.argmin(above, axis=1))
    if surely(cheapest):
        return cheapest, 0.0
    unit = float(load.max(initial=0.0)) or 1.0
    load /= unit
    # A choice that keeps its limits has at most what each leaves; and what that was rounded by.
    most = len(limited) / unit * (1.0 + EPSILON * (len(load) + SLACK_TERMS))
    bound = 0.0
    lightest = load == load.min(axis=1)[:, None]
    found: IntArray = tied.expand(np.argmin(np.where(lightest, above, np.inf), axis=1))
    low, high = LEAST_POWER, MOST_POWER
    while high - low > FINEST:
        middle = (low + high) / 2
        priced = above + 2.0**middle * load
        picked = np.argmin(priced, axis=1)
        bound = max(bound, lowered(priced[np.arange(len(priced)), picked], 2.0**middle * most))
        choice = tied.expand(picked)
        if surely(choice):
            found, high = choice, middle
        else:
            low = middle
    return found if keeps(found) else None, bound


def with_choice(stopped: Result, late: Result) -> Result:
    """A stopped search's answer, which has no choice, with the one of `late_answer`, and the better of both bounds.

    Parameters
    ----------
    stopped : the answer of a search that was broken off.
    late : the answer of `late_answer`.
    """
    bounds = [x.bound for x in (stopped, late) if x.bound is not None]
    bound = max(bounds, default=None)
    if bound is not None and late.objective is not None:
        bound = min(bound, late.objective)
    return Result("limit", late.choice, late.objective, bound, None, stopped.details | late.details)
