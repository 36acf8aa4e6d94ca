"""`brute-force`: every choice of the knapsack (`qopt.allocation.items`). For small instances and as a yardstick."""

from __future__ import annotations

import math

import numpy as np

from qopt.allocation.items import items
from qopt.allocation.problem import Allocation
from qopt.allocation.units import units
from qopt.core.arrays import IntArray
from qopt.core.method import Options
from qopt.core.solution import Outcome

MAX_PLANS = 300_000
"""Plans that brute force is willing to look at."""

AT_ONCE = 20_000
"""Plans whose sums are made together."""

NEAR = 1e-9
"""Share of the costs' size within which rounded sums do not tell two plans apart: the exact ones then do."""


def too_large(problem: Allocation) -> str | None:
    """Why a problem has too many plans, or None."""
    plans = math.prod(len(menu) for menu in items(problem).menus)
    return f"more than {MAX_PLANS} plans to enumerate" if plans > MAX_PLANS else None


def solve(problem: Allocation, options: Options) -> Outcome:
    """The best of all plans; of equals the first in the order of the formats."""
    clock = options.clock()
    own = items(problem)
    table, menus = units(own), own.menus
    count = math.prod(len(menu) for menu in menus)
    best: IntArray | None = None
    value, size = math.inf, float(np.abs(np.where(table.allowed, table.cost, 0.0)).max(axis=1).sum())
    for begin in range(0, count, AT_ONCE):
        if clock.over:
            return Outcome("time-limit", None if best is None else own.plan(best), details={"plans": begin})
        taken = _numbered(np.arange(begin, min(begin + AT_ONCE, count)), menus)
        at = np.arange(taken.shape[1])
        costs, uses = table.cost[at, taken].sum(axis=1), table.use[:, at, taken].sum(axis=2)
        damage = np.zeros(len(taken))
        for pair in table.pairs:
            damage += pair.damage[taken[:, pair.first], taken[:, pair.second]]
        if table.damage_row is None:
            costs = costs + damage
        else:
            uses[table.damage_row] += damage
        near = NEAR * (np.abs(table.limit) + np.abs(uses).max(axis=1, initial=0.0))
        fits = np.flatnonzero(np.all(uses <= (table.limit + near)[:, None], axis=0))
        for k in fits[np.argsort(costs[fits], kind="stable")].tolist():
            if costs[k] + table.constant > value + NEAR * size:
                break
            choice = table.choice(taken[k])
            found = own.objective(choice)
            if found < value and own.broken(choice) is None:
                best, value = choice, found
    if best is None:
        return Outcome("infeasible", details={"plans": count})
    return Outcome("optimal", own.plan(best), value, details={"plans": count})


def _numbered(numbers: IntArray, menus: list[IntArray]) -> IntArray:
    """(P, u) items of plans by their number: the last unit changes fastest."""
    found = np.empty((len(numbers), len(menus)), dtype=np.int64)
    for u in range(len(menus) - 1, -1, -1):
        numbers, digit = np.divmod(numbers, len(menus[u]))
        found[:, u] = menus[u][digit]
    return found
