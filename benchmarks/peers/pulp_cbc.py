"""PuLP with the CBC that comes with it: what most Python users write, and what modelopt ships."""

from __future__ import annotations

from typing import Any

import numpy as np
import pulp
from answer import Answer
from scaling import rows_of, to_one

Array = np.ndarray[Any, Any]


def version() -> str:
    """Which PuLP this is; CBC must be there and run."""
    if not pulp.PULP_CBC_CMD(msg=False).available():
        raise RuntimeError("PuLP finds no CBC")
    return f"PuLP {pulp.__version__}"


def mckp(cost: Array, weight: Array, limit: Array, *, gap: float, seconds: float, threads: int) -> Answer:
    """A binary variable an item; one limit or several. 'Optimal' is what `LpStatus` says, as a user reads it."""
    n, k = cost.shape
    c, w, room = to_one(cost, *rows_of(weight, limit))
    costs = c.tolist()
    problem = pulp.LpProblem("mckp", pulp.LpMinimize)
    x = [[pulp.LpVariable(f"x_{i}_{j}", cat="Binary") for j in range(k)] for i in range(n)]
    problem += pulp.LpAffineExpression((x[i][j], costs[i][j]) for i in range(n) for j in range(k))
    for row in x:
        problem += pulp.lpSum(row) == 1
    for weights, most in zip(w.tolist(), room.tolist(), strict=True):
        problem += pulp.LpAffineExpression((x[i][j], weights[i][j]) for i in range(n) for j in range(k)) <= most
    problem.solve(pulp.PULP_CBC_CMD(msg=False, timeLimit=seconds, threads=threads, gapRel=gap))
    said = pulp.LpStatus[problem.status]
    timed_out = problem.sol_status == pulp.LpSolutionIntegerFeasible or said == "Not Solved"
    has_point = problem.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    choice = [max(range(k), key=lambda j: row[j].value() or 0.0) for row in x] if has_point else None
    return Answer(said, said == "Optimal", choice, timed_out)


rows = mckp
