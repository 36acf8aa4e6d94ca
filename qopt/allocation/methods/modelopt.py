"""`modelopt`: the rule of NVIDIA's ModelOpt (`auto_quantize`), to compare with. A heuristic.

Scores are made to fall with size, each at most that of the format below it, and the integer program

    minimise  sum score x   subject to   sum bytes x <= budget,   sum_f x[g, f] = 1

goes to a solver as it is: scores and bytes in their own units, and the solver's default gap and tolerances. If it
fails, a least use of 0.99 and then of 0.90 of the budget is asked for. The solver here is HiGHS, there CBC.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from qopt.allocation.items import items
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.allocation.units import Units, units
from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome

PRESOLVED_RATE = 30_000
"""Columns that HiGHS presolves in a second, which it does whatever its time limit."""

LEAST_USE = (0.0, 0.99, 0.90)
"""Shares of the budget that are to be used at least, one attempt each."""


def refuses(problem: Allocation) -> str | None:
    """Why the rule does not apply, or None."""
    if problem.minimise != DAMAGE or problem.interactions or problem.pools is not None:
        return "it takes least damage within one budget, without pools and pairs"
    budgets = sum(resource.budget is not None for resource in problem.resources.values())
    return None if budgets == 1 else f"it takes one budget, not {budgets}"


def solve(problem: Allocation, options: Options) -> Outcome:
    """The plan of the rule; no claim."""
    clock, own = options.clock(), items(problem)
    table = units(own)
    rows, columns = np.nonzero(table.allowed)
    use, score = table.use[0][rows, columns], falling(table, clock)[rows, columns]
    ones = csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(len(table.cost), len(rows)))
    limit = float(table.limit[0])
    if not clock.affords(len(rows), PRESOLVED_RATE):
        return Outcome("time-limit")
    for share in LEAST_USE:
        budget = LinearConstraint(use[None, :], share * limit if share else -np.inf, limit)
        found = milp(
            score,
            integrality=np.ones(len(rows), dtype=np.int64),
            bounds=Bounds(0, 1),
            constraints=[LinearConstraint(ones, 1, 1), budget],
            options={} if clock.left is None else {"time_limit": clock.left},
        )
        if found.x is not None:
            taken = np.zeros(len(table.cost), dtype=np.int64)
            for j in np.flatnonzero(found.x > 0.5).tolist():
                taken[rows[j]] = columns[j]
            return Outcome("heuristic", own.plan(table.choice(taken)))
        if clock.over:
            return Outcome("time-limit")
    return Outcome("failed", message="the solver finds no plan with any share of the budget")


def falling(table: Units, clock: Clock) -> FloatArray:
    """(u, K) scores, each at most that of the next smaller format."""
    scores = table.cost.copy()
    for u, use in clock.watching(enumerate(table.use[0])):
        order = [c for c in np.argsort(use, kind="stable").tolist() if table.allowed[u, c]]
        for below, above in itertools.pairwise(order):
            scores[u, above] = min(table.cost[u, above], table.cost[u, below])
    return scores
