"""Multiple-choice knapsack, exactly.

    minimise sum_i cost[i, c_i]  subject to  sum_i weight[i, c_i] <= limit,  one item c_i per class

Dominance, the linear relaxation by hull and greedy, reduced-cost fixing, then non-dominated partial
sums ("Pareto lists") over the classes that are left, those closest to the break first (the order of
Pisinger's minimal algorithm). A partial sum is dropped when the linear relaxation of all remaining
classes, which is one interpolation in a table, shows that it cannot beat the incumbent; every partial
sum is also completed greedily, which is where good incumbents come from.

The kernel knows nothing of networks. A proof for others is `qopt.kernels.mckp_witness`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from qopt.arrays import FloatArray, IntArray
from qopt.errors import InputError, shown
from qopt.kernels.mckp_relax import hull_steps, relax, undominated
from qopt.kernels.pareto import Incumbent, search

SLACK = 1e-12
"""Relative slack of the limit: the exact test is fsum(weights) <= limit (1 + 1e-12)."""

ROUNDING = 1e-14
"""Partial sums within this share of the limit's scale are kept and rechecked exactly."""


@dataclass(frozen=True)
class Result:
    """Answer of `solve`.

    Attributes
    ----------
    status : ``optimal``, ``infeasible``, ``cutoff`` (no plan below the given upper value), ``limit`` (stopped early).
    choice : (n,) item of each class, None if there is none.
    objective : sum of the chosen costs, None if there is none.
    bound : lower bound on the optimum, None if infeasible.
    multiplier : of the limit in the linear relaxation.
    details : classes and items left after fixing, largest list.
    """

    status: Literal["optimal", "infeasible", "cutoff", "limit"]
    choice: IntArray | None
    objective: float | None
    bound: float | None
    multiplier: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """objective - bound, None where either is missing."""
        return None if self.objective is None or self.bound is None else self.objective - self.bound


def _checked(cost: Any, weight: Any, limit: float) -> tuple[FloatArray, FloatArray]:
    cost, weight = np.asarray(cost, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    if cost.ndim != 2 or cost.shape != weight.shape or (cost.size == 0 and len(cost)):
        raise InputError("weight", f"shapes {cost.shape} and {weight.shape}", "two arrays of one shape (n, k), k >= 1")
    for name, array in (("cost", cost), ("weight", weight)):
        bad = np.argwhere(~np.isfinite(array))
        if bad.size:
            i, j = bad[0]
            raise InputError(f"{name}[{i}, {j}]", f"{array[i, j]}", "finite numbers")
    if not isinstance(limit, int | float | np.number) or math.isnan(limit) or limit == -math.inf:
        raise InputError("limit", shown(limit), "a number")
    return cost, weight


def solve(
    cost: Any,
    weight: Any,
    limit: float,
    *,
    upper: float = math.inf,
    time_limit: float | None = None,
    max_labels: int = 20_000_000,
) -> Result:
    """Solve a multiple-choice knapsack to proved optimality.

    Parameters
    ----------
    cost, weight : (n, k), a class a row, finite, of any sign and scale.
    limit : on the sum of weights, with relative slack 1e-12; infinite for none.
    upper : only plans of lower cost than this are of interest.
    time_limit : seconds; when it is over, the best plan and a valid bound are returned.
    max_labels : the same for the number of partial sums kept in all.
    """
    cost, weight = _checked(cost, weight, limit)
    n = len(cost)
    rows = np.arange(n)
    if n == 0:
        if limit < 0:
            return Result("infeasible", None, None, None)
        return Result("optimal", rows, 0.0, 0.0) if upper > 0 else Result("cutoff", None, None, 0.0)
    present = undominated(cost, weight)
    # Shifted to the least cost and weight of each class, so that rounding is relative to what is chosen.
    floor_c = cost.min(axis=1)
    floor_w = weight.min(axis=1)
    c, w = cost - floor_c[:, None], weight - floor_w[:, None]
    offset = math.fsum(floor_c)
    allowed = limit * (1.0 + SLACK)
    capacity = math.fsum([allowed, *(-floor_w)]) if math.isfinite(limit) else math.inf
    margin = ROUNDING * (abs(limit) + float(np.abs(floor_w).sum())) if math.isfinite(limit) else 0.0
    if capacity < 0:
        return Result("infeasible", None, None, None)
    cheapest = np.argmin(np.where(present, cost, np.inf), axis=1)
    if w[rows, cheapest].sum() <= capacity - margin:
        return _finish(cost, weight, allowed, cheapest, offset, upper, 0.0, {"core": 0})

    steps = hull_steps(c, w, present)
    relaxed = relax(c, w, steps, capacity + margin)
    lam = relaxed.multiplier
    incumbent = Incumbent(c, w, capacity, margin, weight, allowed, upper - offset)
    incumbent.offer(relaxed.choice)
    incumbent.improve()
    reduced = c + lam * w
    least = reduced.min(axis=1)
    lower = float(least.sum()) - lam * (capacity + margin)
    if math.isfinite(incumbent.value):
        tolerance = 1e-13 * max(abs(incumbent.value), abs(lower))
        present &= reduced - least[:, None] < incumbent.value - lower + tolerance
    state = search(c, w, present, lam, incumbent, time_limit, max_labels)
    details = {"core": state.core, "labels": state.labels, "lp_bound": offset + relaxed.bound}
    if not state.complete:
        bound = offset + max(state.bound, lower)
        if incumbent.choice is None:
            return Result("limit", None, None, bound, lam, details)
        objective = math.fsum(cost[rows, incumbent.choice])
        return Result("limit", incumbent.choice, objective, min(bound, objective), lam, details)
    if incumbent.choice is None:
        if math.isinf(upper):
            return Result("infeasible", None, None, None, lam, details)
        return Result("cutoff", None, None, upper, lam, details)
    return _finish(cost, weight, allowed, incumbent.choice, offset, upper, lam, details)


def _finish(
    cost: FloatArray,
    weight: FloatArray,
    allowed: float,
    choice: IntArray,
    offset: float,
    upper: float,
    multiplier: float,
    details: dict[str, Any],
) -> Result:
    """An optimal choice as a `Result`, its sums taken exactly."""
    rows = np.arange(len(cost))
    objective = math.fsum(cost[rows, choice])
    if objective >= upper:
        return Result("cutoff", None, None, upper, multiplier, details)
    assert math.fsum([*weight[rows, choice], -allowed]) <= 0 or math.isinf(allowed)
    return Result("optimal", choice, objective, objective, multiplier, details)


def lp_bound(cost: Any, weight: Any, limit: float) -> float | None:
    """Optimum of the linear relaxation; None if even the lightest items break the limit."""
    cost, weight = _checked(cost, weight, limit)
    present = undominated(cost, weight)
    if math.isinf(limit):
        return float(cost.min(axis=1).sum())
    capacity = limit * (1.0 + SLACK)
    if weight.min(axis=1).sum() > capacity:
        return None
    return relax(cost, weight, hull_steps(cost, weight, present), capacity).bound
