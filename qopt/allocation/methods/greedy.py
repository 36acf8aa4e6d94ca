"""`greedy`: formats by damage per unit saved, as most tools choose them. A heuristic, for comparison.

Of the multiple-choice knapsack of `qopt.allocation.items`: from the least damage on, and while a budget is broken, the
group and format that cost least for each share of what is too much; then, while something fits, the ones that gain most
for each share of a budget.
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


def solve(problem: Allocation, options: Options) -> Outcome:
    """The greedy plan; no claim."""
    clock, own = options.clock(), items(problem)
    found = greedy(units(own), clock)
    if clock.over:
        return Outcome("time-limit", None if found is None else own.plan(found))
    if found is None:
        return Outcome("failed", message=f"greedy ends above a budget; {why_infeasible(own)}")
    return Outcome("heuristic", own.plan(found))


def greedy(own: Units, clock: Clock) -> IntArray | None:
    """(n,) an item of each group; None where the walk ends above a budget, or the clock stops it."""
    scale = own.scale
    taken = np.argmin(own.cost, axis=1)
    if not _down(own, taken, scale, clock):
        return None
    for _ in range(own.cost.size):
        move = None if clock.over else _best_gain(own, taken, scale)
        if move is None:
            break
        taken[move[0]] = move[1]
    choice = own.choice(taken)
    return choice if own.own.broken(choice) is None else None


def _down(own: Units, taken: IntArray, scale: FloatArray, clock: Clock) -> bool:
    """Move to smaller items, the cheapest for each share saved, until the budgets are kept; whether they are.

    A move changes the ratios of its own unit only, unless units are paired or another set of budgets is broken.
    """
    everything = np.arange(len(taken))
    ratio, item = np.full(len(taken), np.inf), np.zeros(len(taken), dtype=np.int64)
    stale, known = everything, np.zeros(len(own.limit), dtype=bool)
    _, used = own.totals(taken)
    for _ in range(2 * own.cost.size):  # with several budgets moves might undo each other
        broken = used > own.limit
        if not broken.any():
            return True
        if clock.over:
            return False
        if own.pairs or (broken != known).any():
            stale, known = everything, broken
        cost, use = own.marginal(taken)
        now = taken[stale]
        saved = use[:, stale, now][:, :, None] - use[:, stale]
        share = np.where(own.allowed[stale], (saved / scale[:, None, None])[broken].sum(axis=0), 0.0)
        dearer = np.maximum(cost[stale] - cost[stale, now][:, None], 0.0)
        ratios = np.full(share.shape, np.inf)
        np.divide(dearer, share, out=ratios, where=share > 1e-15)
        item[stale] = np.argmin(ratios, axis=1)
        ratio[stale] = ratios.min(axis=1)
        unit = int(np.argmin(ratio))
        if not np.isfinite(ratio[unit]):
            return False
        if own.pairs:
            taken[unit] = item[unit]
            _, used = own.totals(taken)
        else:
            used = used + own.use[:, unit, item[unit]] - own.use[:, unit, taken[unit]]
            taken[unit] = item[unit]
        stale = np.array([unit])
    return False


def _best_gain(own: Units, taken: IntArray, scale: FloatArray) -> tuple[int, int] | None:
    """The move of most gain for each share of the budgets, among those that keep all."""
    cost, use = own.marginal(taken)
    at = np.arange(len(taken))
    _, used = own.totals(taken)
    more = use - use[:, at, taken][:, :, None]
    fits = own.allowed & np.all(used[:, None, None] + more <= own.limit[:, None, None], axis=0)
    gain = np.where(fits, cost[at, taken][:, None] - cost, 0.0)
    least = 1e-12 * max(float(np.abs(cost[at, taken]).sum()), 1e-300)
    share = np.maximum((more / scale[:, None, None]).sum(axis=0), 1e-12) if len(more) else np.ones(cost.shape)
    ratio = np.where(gain > least, gain / share, -np.inf)
    best = int(np.argmax(ratio))
    return (best // cost.shape[1], best % cost.shape[1]) if ratio.flat[best] > 0 else None
