"""`greedy`: formats by damage per unit saved, as most tools choose them. A heuristic, for comparison.

From the least damage on, and while a budget is broken, the group and format that cost least for each share of what is
too much; then, while something fits, the ones that gain most for each share of a budget.
"""

from __future__ import annotations

import numpy as np

from qopt.allocation.items import items, why_infeasible
from qopt.allocation.problem import Allocation
from qopt.allocation.units import Units, units
from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome


def solve(problem: Allocation, options: Options) -> Outcome:
    """The greedy plan; no claim."""
    own = items(problem)
    found = greedy(units(own), options.clock())
    if found is None:
        return Outcome("failed", message=f"greedy ends above a budget; {why_infeasible(own)}")
    return Outcome("heuristic", own.plan(found))


def greedy(own: Units, clock: Clock) -> IntArray | None:
    """(n,) an item of each group; None where the walk ends above a budget, or the clock stops it."""
    scale = np.where(own.limit > 0, own.limit, 1.0)
    taken = np.argmin(own.cost, axis=1)
    for _ in range(own.cost.size):  # each move saves something, and none is taken back
        _, used = own.totals(taken)
        excess = np.maximum(used - own.limit, 0.0)
        if not excess.any() or clock.over:
            break
        move = _cheapest_saving(own, taken, excess, scale)
        if move is None:
            return None
        taken[move[0]] = move[1]
    for _ in range(own.cost.size):
        move = None if clock.over else _best_gain(own, taken, scale)
        if move is None:
            break
        taken[move[0]] = move[1]
    choice = own.choice(taken)
    return choice if own.own.broken(choice) is None else None


def _cheapest_saving(own: Units, taken: IntArray, excess: np.ndarray, scale: np.ndarray) -> tuple[int, int] | None:  # type: ignore[type-arg]
    """The move of least cost for each share of what is too much."""
    cost, use = own.marginal(taken)
    at = np.arange(len(taken))
    saved = use[:, at, taken][:, :, None] - use
    # More in a row that is full counts against it, so that no two moves undo each other.
    share = (np.minimum(saved, excess[:, None, None]) / scale[:, None, None])[excess > 0].sum(axis=0)
    share = np.where(own.allowed, share, 0.0)
    dearer = np.maximum(cost - cost[at, taken][:, None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(share > 1e-15, dearer / share, np.inf)
    if not np.isfinite(ratio).any():
        return None
    best = int(np.argmin(ratio))
    return best // cost.shape[1], best % cost.shape[1]


def _best_gain(own: Units, taken: IntArray, scale: np.ndarray) -> tuple[int, int] | None:  # type: ignore[type-arg]
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
