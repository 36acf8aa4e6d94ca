"""Proves one budget's optimum by enumerating what may still be better, in floats with room for every rounding.

For a multiplier lam >= 0 a choice that keeps the limit costs at least

    D(lam) + sum_i r_i(c_i),    D(lam) = sum_i min_c (cost + lam weight)[i, c] - lam limit,

where r_i(c) >= 0 is the reduced cost of a column. A column with D + r_i(c) above the ceiling is in no choice below it.
Sums of the columns left are built class by class; one is dropped when another is no worse in cost and weight, or when
at some multiplier no completion can stay below the ceiling. Comparisons leave room for the rounding of all sums, so
what is dropped is no better than the ceiling by more than that room; weights that are whole are exact.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief

EPSILON = 2.0**-52
LABELS = 4_000_000
"""Sums that one enumeration may make: a few seconds."""

LARGEST, LEAST = 1e290, 1e-280
"""Sizes of sums, and of a ceiling other than 0, between which roundings are relative to them."""

SPREAD = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.35, 2.0, 4.0)
"""Multipliers that prune, as shares of the best one: what a sum has left is not what the whole has."""

ROUNDS = 200
"""Crossings of two lines that the search for the best multiplier looks at; a dozen is usual."""


@dataclass(frozen=True, repr=False)
class Closing(Brief):
    """What an enumeration showed.

    Attributes
    ----------
    bound : every choice within the limit costs at least so much; infinite: there is none.
    complete : whether the enumeration came to its end; otherwise the bound is the multiplier's.
    labels : sums made.
    """

    bound: float
    complete: bool
    labels: int


@dataclass(frozen=True, repr=False)
class Dual(Brief):
    """The best multiplier of one row and the bound it gives.

    Attributes
    ----------
    multiplier : lam >= 0, cost per unit of weight.
    bound : D(lam), what every choice within the limit costs at least; infinite where nothing keeps the limit.
    """

    multiplier: float
    bound: float


def best_multiplier(cost: FloatArray, weight: FloatArray, allowed: float) -> Dual:
    """The maximum of D, where the lines of the choices on either side of the limit cross.

    Parameters
    ----------
    cost, weight : (n, K).
    allowed : what weights may add up to, slack included.
    """
    rows = np.arange(len(cost))

    def at(lam: float) -> tuple[float, float]:
        chosen = np.argmin(cost + lam * weight, axis=1)
        return float(cost[rows, chosen].sum()), float(weight[rows, chosen].sum())

    least = float(weight.min(axis=1).sum())
    room = (len(cost) + 8) * EPSILON * float(np.abs(weight).max(axis=1).sum())
    if least > allowed + room:
        return Dual(0.0, math.inf)
    free = at(0.0)
    lam = 0.0
    if free[1] > allowed:
        high = np.where(weight <= weight.min(axis=1)[:, None], cost, np.inf).min(axis=1)
        heavy, light = free, (float(high.sum()), least)
        for _ in range(ROUNDS):
            lam = max((light[0] - heavy[0]) / (heavy[1] - light[1]), 0.0)
            found = at(lam)
            if found[1] > allowed:
                better = found[1] < heavy[1]
                heavy = found
            else:
                better = found[1] > light[1]
                light = found
            if not better or light[1] == heavy[1]:
                break
    return Dual(lam, lagrangian(cost, weight, allowed, lam))


def lagrangian(cost: FloatArray, weight: FloatArray, allowed: float, lam: float) -> float:
    """D(lam), lowered by what its sums may be off.

    Parameters
    ----------
    cost, weight : (n, K).
    allowed : what weights may add up to, slack included.
    lam : the multiplier, at least 0.
    """
    least = (cost + lam * weight).min(axis=1)
    paid = lam * allowed if lam else 0.0
    size = float(np.abs(least).sum()) + abs(paid)
    return math.fsum([*least.tolist(), -paid]) - 4 * EPSILON * (len(cost) + 8) * size


def enumerate_below(
    cost: FloatArray,
    weight: FloatArray,
    allowed: float,
    ceiling: float,
    dual: Dual,
    *,
    exact: bool,
    labels: int = LABELS,
    deadline: float | None = None,
) -> Closing:
    """Bound what every choice costs, up to a ceiling.

    Parameters
    ----------
    cost, weight : (n, K).
    allowed : what weights may add up to, slack included.
    ceiling : choices that cost as much are of no interest; finite.
    dual : the best multiplier.
    exact : whether sums of weights are exact.
    labels, deadline : sums that may be made, and `time.perf_counter` at which to stop.
    """
    n = len(cost)
    unit = (4 * n + 64) * EPSILON
    if not exact:
        allowed += unit * (abs(allowed) + float(np.abs(weight).max(axis=1).sum()))
    multipliers = sorted({share * dual.multiplier for share in SPREAD})
    prices = [cost + lam * weight if lam else cost for lam in multipliers]
    paid = [lam * allowed if lam else 0.0 for lam in multipliers]
    sizes = [float(np.abs(price).max(axis=1).sum()) + abs(pay) for price, pay in zip(prices, paid, strict=True)]
    if not all(size < LARGEST for size in sizes) or 0.0 < abs(ceiling) < LEAST:
        return Closing(dual.bound, False, 0)  # roundings are no longer relative
    usable = np.ones(cost.shape, dtype=bool)
    for price, pay in zip(prices, paid, strict=True):
        least = price.min(axis=1)
        total = float(least.sum())
        room = unit * (abs(ceiling) + abs(pay) + 2.0 * float(np.abs(least).sum()))
        usable &= price - least[:, None] + (total - pay - ceiling - room) <= unit * np.abs(price)
    light = weight.min(axis=1)
    usable &= weight - light[:, None] + float(light.sum()) <= allowed
    if not usable.any(axis=1).all():
        return Closing(ceiling, True, 0)
    lams = np.array(multipliers)
    tops, least = np.empty(len(lams)), np.empty((len(lams), n))
    for m, (price, pay) in enumerate(zip(prices, paid, strict=True)):
        least[m] = np.where(usable, price, math.inf).min(axis=1)
        size = float(np.abs(np.where(usable, price, 0.0)).max(axis=1).sum())
        tops[m] = ceiling + pay + unit * (abs(ceiling) + abs(pay) + 2.0 * size)
    # What is decided anyway is summed at once, then few columns first.
    counts = usable.sum(axis=1)
    decided, column = np.flatnonzero(counts == 1), np.argmax(usable, axis=1)
    order = np.flatnonzero(counts > 1)
    order = order[np.argsort(counts[order], kind="stable")]
    sum_c = np.array([float(cost[decided, column[decided]].sum())])
    sum_w = np.array([float(weight[decided, column[decided]].sum())])
    rests = np.cumsum(least[:, order][:, ::-1], axis=1)[:, ::-1]
    rests = np.concatenate((rests[:, 1:], np.zeros((len(lams), min(1, len(order))))), axis=1)
    after = np.cumsum(np.where(usable, weight, math.inf).min(axis=1)[order][::-1])[::-1]
    lightest = np.append(after[1:], 0.0)
    made = 0
    for step, i in enumerate(order.tolist()):
        columns = np.flatnonzero(usable[i])
        made += len(sum_c) * len(columns)
        if made > labels or (deadline is not None and time.perf_counter() >= deadline):
            return Closing(dual.bound, False, made)
        sum_c = (cost[i, columns][:, None] + sum_c).ravel()
        sum_w = (weight[i, columns][:, None] + sum_w).ravel()
        keep = sum_w <= allowed - lightest[step]
        keep &= np.all(sum_c + lams[:, None] * sum_w <= (tops - rests[:, step])[:, None], axis=0)
        sum_c, sum_w = _undominated(sum_c[keep], sum_w[keep])
        if not len(sum_c):
            return Closing(ceiling, True, made)
    if sum_w[0] > allowed or sum_c.min() > tops[0]:
        return Closing(ceiling, True, made)
    room = unit * float(np.abs(np.where(usable, cost, 0.0)).max(axis=1).sum())
    return Closing(min(ceiling, float(sum_c.min()) - room), True, made)


def _undominated(cost: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sums that none of the others equals or beats in cost and weight."""
    order: IntArray = np.lexsort((cost, weight))
    cost, weight = cost[order], weight[order]
    keep = np.ones(len(cost), dtype=bool)
    keep[1:] = cost[1:] < np.minimum.accumulate(cost)[:-1]
    return cost[keep], weight[keep]
