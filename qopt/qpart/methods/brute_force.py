"""`brute-force`: every cut, every combination of whole widths. For small instances and as a yardstick."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems

MAX_PLANS = 20_000_000
"""Plans at all cuts together that brute force is willing to look at."""

CHUNK = 1 << 18


def too_large(problem: QPart) -> str | None:
    """Why a problem has too many plans, or None."""
    table = subproblems(problem)
    plans = 0.0
    for cut in problem.admissible_cuts:
        plans += math.prod(_menu_sizes(table.at(int(cut)))[:300])
        if plans > MAX_PLANS:
            return f"more than {MAX_PLANS} plans to enumerate"
    return None


def _menu_sizes(subproblem: Subproblem) -> list[float]:
    """(n,) how many widths each item may have."""
    sizes: list[float] = subproblem.on_menu.sum(axis=1).astype(float).tolist()
    return sizes


def solve(problem: QPart, options: Options) -> Outcome:
    """The best of all plans by Eq. 17; ties go to the smallest cut, then to the first in lexicographic order."""
    clock = options.clock()
    table = subproblems(problem)
    best, best_value, looked_at = None, math.inf, 0
    for cut in problem.admissible_cuts:
        subproblem = table.at(int(cut))
        n = subproblem.noise.shape[0]
        menus = [np.flatnonzero(mask) for mask in subproblem.on_menu]
        plans = math.prod(len(menu) for menu in menus)
        for first in range(0, plans, CHUNK):
            if clock.over:
                return Outcome("time-limit", best, details={"plans": looked_at})
            index = np.arange(first, min(first + CHUNK, plans))
            choice = np.empty((len(index), n), dtype=np.int64)
            for i in range(n - 1, -1, -1):
                index, digit = np.divmod(index, len(menus[i]))
                choice[:, i] = menus[i][digit]
            rows = np.arange(n)
            value = subproblem.base + subproblem.cost[rows, choice].sum(axis=1)
            looked_at += len(choice)
            # The exact test is slow: only for plans that would be better and are about within the limits.
            about = np.ones(len(choice), dtype=bool)
            for row in subproblem.rows:
                about &= row.fixed + row.use[rows, choice].sum(axis=1) <= row.limit * (1 + 1e-9)
            candidates = np.flatnonzero(about & (value < best_value))
            for j in candidates[np.argsort(value[candidates], kind="stable")]:
                if subproblem.keeps(choice[j]):
                    best, best_value = (
                        subproblem.plan(subproblem.bits[choice[j]], "whole", problem.name),
                        float(value[j]),
                    )
                    break
    return _outcome(best, best_value, looked_at)


def _outcome(best: QPartPlan | None, value: float, looked_at: int) -> Outcome:
    if best is None:
        return Outcome("infeasible", details={"plans": looked_at})
    return Outcome("optimal", best, value, details={"plans": looked_at})
