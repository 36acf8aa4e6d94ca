"""`uniform`: one format for all groups, the best that fits. A heuristic, and what every other plan is measured against.

Of the multiple-choice knapsack of `qopt.allocation.items` a column of that format for each class; with pools, groups in
order lie in the first pool that has room.
"""

from __future__ import annotations

import numpy as np

from qopt.allocation.items import Items, items
from qopt.allocation.problem import Allocation
from qopt.core.arrays import IntArray
from qopt.core.method import Options
from qopt.core.solution import Outcome


def solve(problem: Allocation, options: Options) -> Outcome:
    """The best format that all groups have and that keeps every budget; no claim. Takes time_limit."""
    clock, own = options.clock(), items(problem)
    best: IntArray | None = None
    for f in range(len(problem.formats)):
        if clock.over:
            return Outcome("time-limit", None if best is None else own.plan(best))
        choice = _everywhere(own, f) if own.allowed[:, f * own.pools].all() else None
        if choice is None or own.broken(choice) is not None:
            continue
        if best is None or own.objective(choice) < own.objective(best):
            best = choice
    if best is None:
        return Outcome("failed", message="no format that all groups have keeps the budgets")
    return Outcome("heuristic", own.plan(best))


def _everywhere(own: Items, f: int) -> IntArray:
    """(n,) items of one format, each unit in the first pool that still has room; in the last where none has."""
    choice = np.full(len(own.allowed), f * own.pools, dtype=np.int64)
    rows = {budget.name: budget for budget in own.budgets}
    names = own.problem.pool_names
    left = {p: rows[f"pool {name}"].allowed for p, name in enumerate(names) if f"pool {name}" in rows}
    for p in left:
        left[p] -= float(rows[f"pool {names[p]}"].use[len(own.allowed) :, 0].sum())
    for unit in own.units:
        for p in range(own.pools):
            held = 0.0
            if p in left:
                held = float(rows[f"pool {names[p]}"].use[list(unit), f * own.pools + p].sum())
            if held <= left.get(p, np.inf) or p == own.pools - 1:
                if p in left:
                    left[p] -= held
                choice[list(unit)] = f * own.pools + p
                break
    return choice
