"""`beam`: group by group, the best partial plans, as many as a beam holds. A heuristic, for comparison.

The dynamic programming over groups that solves knapsacks, but its list of non-dominated (use, cost) is cut to the
beam's width, evenly along the use, much as AutoRound's scheme search does it; what cannot be completed within the
budgets leaves. With several budgets the use is the sum of shares.
"""

from __future__ import annotations

import numpy as np

from qopt.allocation.items import items, why_infeasible
from qopt.allocation.problem import Allocation
from qopt.allocation.units import Units, units
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome

WIDTH = 1000
"""Partial plans kept: chosen, so that a model of some hundred groups takes a second."""


def solve(problem: Allocation, options: Options) -> Outcome:
    """The beam's plan; no claim."""
    clock = options.clock()
    own = items(problem)
    choice = beam(units(own), clock)
    if choice is None:
        if clock.over:
            return Outcome("time-limit")
        return Outcome("failed", message=f"the beam lost every plan within the budgets; {why_infeasible(own)}")
    return Outcome("heuristic", own.plan(choice))


def beam(own: Units, clock: Clock) -> IntArray | None:
    """(n,) an item of each group; None if no plan is left in the end."""
    count = len(own.cost)
    least = np.where(own.allowed, own.use, np.inf).min(axis=2)
    rest = np.concatenate((np.cumsum(least[:, ::-1], axis=1)[:, ::-1], np.zeros((len(own.use), 1))), axis=1)
    room = 1e-12 * np.abs(own.limit)
    scale = own.scale
    cost, used, taken = np.zeros(1), np.zeros((1, len(own.use))), np.zeros((1, count), dtype=np.int64)
    row = own.damage_row
    for u in range(count):
        if clock.over:
            return None
        columns = np.flatnonzero(own.allowed[u])
        parent, item = (x.ravel() for x in np.meshgrid(np.arange(len(cost)), columns, indexing="ij"))
        cost, used = cost[parent] + own.cost[u, item], used[parent] + own.use[:, u, item].T
        for pair in own.pairs:
            if max(pair.first, pair.second) == u:
                other = taken[parent, min(pair.first, pair.second)]
                damage = pair.damage[item, other] if pair.first == u else pair.damage[other, item]
                if row is None:
                    cost = cost + damage
                else:
                    used[:, row] += damage
        # Pairs of either sign may yet bring a limited damage back: that row is asked at the end only.
        asked = [r for r in range(used.shape[1]) if r != row or not own.pairs]
        fits = np.all((used + rest[:, u + 1] <= own.limit + room)[:, asked], axis=1)
        kept = np.flatnonzero(fits)[_cut(cost[fits], (used[fits] / scale).sum(axis=1))]
        taken = taken[parent[kept]]
        taken[:, u] = item[kept]
        cost, used = cost[kept], used[kept]
    for at in np.argsort(cost, kind="stable").tolist():
        choice = own.choice(taken[at])
        if own.own.broken(choice) is None:
            return choice
    return None


def _cut(cost: FloatArray, used: FloatArray) -> IntArray:
    """Partial plans that none beats in both, as many as the beam holds."""
    order = np.lexsort((cost, used))
    best = np.minimum.accumulate(cost[order]) if len(order) else cost
    keep = np.ones(len(order), dtype=bool)
    keep[1:] = cost[order][1:] < best[:-1]
    order = order[keep]
    if len(order) > WIDTH:
        # Of each share of the use, the plan that lies lowest below the line from the lightest to the heaviest.
        load, value = used[order], cost[order]
        slope = (value[0] - value[-1]) / (load[-1] - load[0])
        part = np.minimum(((load - load[0]) / (load[-1] - load[0]) * WIDTH).astype(np.int64), WIDTH - 1)
        ranked = np.lexsort((value + slope * load, part))
        first = np.ones(len(order), dtype=bool)
        first[1:] = part[ranked][1:] != part[ranked][:-1]
        order = order[np.sort(ranked[first])]
    return order
