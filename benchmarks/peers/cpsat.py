"""CP-SAT (OR-Tools), which takes integers only: real data are rounded to a fine grid first, weights upwards."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from answer import Answer
from ortools.sat.python import cp_model
from scaling import rows_of, to_integers

Array = np.ndarray[Any, Any]


def version() -> str:
    """Which OR-Tools this is."""
    return f"ortools {metadata.version('ortools')}"


def mckp(cost: Array, weight: Array, limit: Array, *, gap: float, seconds: float, threads: int) -> Answer:
    """A Boolean an item, exactly one of them a class, as many workers as threads; one limit or several."""
    n, k = cost.shape
    c, w, room = to_integers(cost, *rows_of(weight, limit))
    model = cp_model.CpModel()
    x = [[model.new_bool_var("") for _ in range(k)] for _ in range(n)]
    for row in x:
        model.add_exactly_one(row)
    items = [v for row in x for v in row]
    for amounts, most in zip(w, room.tolist(), strict=True):
        model.add(cp_model.LinearExpr.weighted_sum(items, amounts.ravel().tolist()) <= most)
    model.minimize(cp_model.LinearExpr.weighted_sum(items, c.ravel().tolist()))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = threads
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.relative_gap_limit = gap
    status = solver.solve(model)
    said = solver.status_name(status)
    choice = None
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        choice = [next((j for j in range(k) if solver.boolean_value(row[j])), 0) for row in x]
    return Answer(said, said == "OPTIMAL", choice, said in ("FEASIBLE", "UNKNOWN"))


rows = mckp
