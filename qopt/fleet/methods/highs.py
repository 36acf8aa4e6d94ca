"""`highs-mip`: a small fleet's integer program as arrays for HiGHS, gap 0.

    minimise  sum cost x    one x of each request;  sum use x <= C for each capacity;  x binary

The same model, to be read, is `qopt.formulations.fleet.joint`. Costs are divided by their spread, rows by their limits.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array, vstack

from qopt.core.arrays import AnyArray
from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.exclusion import Round, solve_and_exclude
from qopt.core.solvers.highs import SolverError, solve_milp
from qopt.fleet.problem import Fleet
from qopt.fleet.units import Units, units

HANDED_RATE = 400_000
"""Entries of the model that are built and handed to HiGHS in a second."""


def program(own: Units) -> tuple[AnyArray, AnyArray, csr_array, AnyArray]:
    """Request and column of each variable, the rows, and their limits; those of choices come first."""
    at, column = np.nonzero(own.open)
    n, m = len(own.row), len(at)
    scale = np.maximum(own.limit, 1).astype(float)
    k, j = np.nonzero(own.use[:, at, column])
    values = np.concatenate((np.ones(m), own.use[:, at, column][k, j] / scale[k]))
    rows, columns = np.concatenate((at, n + k)), np.concatenate((np.arange(m), j))
    matrix = csr_array(coo_array((values, (rows, columns)), shape=(n + len(own.limit), m)))
    return at, column, matrix, own.limit / scale


def solve(problem: Fleet, options: Options) -> Outcome:
    """The best plan by HiGHS's word. Takes time_limit, threads, seed, start and verbose."""
    clock, own = options.clock(), units(problem)
    if not clock.affords(own.open.sum() * 4, HANDED_RATE):
        raise OutOfTime("there is no time to build the model and to hand it over")
    at, column, matrix, limits = program(own)
    n = len(own.row)
    least = own.cost.min(axis=1)
    cost = (own.cost - least[:, None])[at, column].astype(float)
    unit, offset = max(float(np.median(cost[cost > 0])) if cost.any() else 1.0, 1.0), float(least.sum())
    excluded: list[AnyArray] = []
    place = {key: i for i, key in enumerate(zip(at.tolist(), column.tolist(), strict=True))}

    def attempt() -> Round[tuple[int, ...]]:
        rows = matrix
        if excluded:
            rows = csr_array(vstack([matrix, csr_array(np.stack(excluded))]))
        said = solve_milp(
            cost / unit,
            rows,
            np.concatenate((np.ones(n), np.full(len(limits) + len(excluded), -np.inf))),
            np.concatenate((np.ones(n), limits, np.full(len(excluded), n - 1.0))),
            np.ones(len(at)),
            np.ones(len(at), dtype=bool),
            time_limit=clock.left,
            threads=options.threads,
            seed=options.seed,
            start=None if options.start is None else _point(own.choice(problem, options.start)),
            log=options.verbose,
            told=(unit, offset),
        )
        point = None
        if said.x is not None:
            taken = np.flatnonzero(said.x > 0.5)
            point = tuple(column[taken[np.argsort(at[taken])]].tolist())
        return Round(said.status, point, None if said.bound is None else offset + unit * said.bound, said.nodes)

    def _point(choice: AnyArray) -> AnyArray:
        found = np.zeros(len(at))
        found[[place[key] for key in enumerate(choice.tolist())]] = 1.0
        return found

    def exclude(point: tuple[int, ...]) -> None:
        excluded.append(_point(np.array(point)))

    try:
        found = solve_and_exclude(attempt, lambda p: own.broken(np.array(p)), exclude, clock=clock)
    except SolverError as error:
        return Outcome("failed", message=str(error))
    details = {"nodes": found.nodes, "rounds": found.rounds}
    if found.point is None:
        return Outcome(found.status, bound=found.bound, message=found.message, details=details)
    choice = np.array(found.point)
    bound = None if found.bound is None else min(found.bound, float(own.objective(choice)))
    return Outcome(found.status, own.plan(problem, choice), bound, message=found.message, details=details)
