"""`highs-mip`: the joint one-hot model over cut and bits, as arrays for HiGHS.

    minimise sum_p base_p y_p + sum_{p,i,b} pi_i b x_{p,i,b}
    sum_p y_p = 1;  sum_b x_{p,i,b} = y_p;  sum_{i,b} noise_{i,b} x_{p,i,b} <= Delta_p y_p;  other limits likewise

The same model, to be read, is `qopt.formulations.qpart.joint`. Here rows are divided by their limits,
costs by what a known plan costs, and items that break a limit or that plan's cost alone are left out.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.method import Options
from qopt.core.plan import Plan
from qopt.core.solution import Outcome
from qopt.core.solvers.exclusion import Round, solve_and_exclude
from qopt.core.solvers.highs import SolverError, solve_milp
from qopt.qpart.costs import breakdown
from qopt.qpart.methods.pyomo_mip import chosen_columns
from qopt.qpart.methods.simple import solve_uniform
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.screening import cut_bounds, dominated
from qopt.qpart.subproblem import Subproblem, subproblems

SCALE = 1e4
"""Scaled cost of the known plan: its last digits stay above HiGHS's absolute tolerances."""


UNIFORM = 0.1
"""Share of the time for the plan of one width that bounds costs from above; without a limit it takes what it takes."""

NOT_BUILT = "the model was not built in time"


@dataclass(frozen=True)
class _Block:
    """Columns of one cut: y at `first`, then x of every admitted (tensor, width)."""

    subproblem: Subproblem
    first: int
    tensor: IntArray
    width: IntArray

    @property
    def columns(self) -> IntArray:
        return self.first + 1 + np.arange(len(self.tensor))


class _Point(NamedTuple):
    """A plan: its cut's block by place, the columns of its x that are 1, and the width of every item."""

    block: int
    columns: tuple[int, ...]
    bits: tuple[int, ...]


def solve(problem: QPart, options: Options) -> Outcome:
    """Solve the joint model with gap 0; a point that breaks a limit within tolerance is cut off and the rest solved."""
    clock = options.clock()
    table = subproblems(problem)
    bounds = cut_bounds(table)
    known = solve_uniform(problem, replace(options, running=clock.part(UNIFORM))).plan
    known, begun = _better(problem, known, options.start)
    ceiling = breakdown(problem, known).objective if known else math.inf
    floor = min(float(bounds[p]) for p in problem.admissible_cuts)
    scale = ((ceiling - floor) if known and ceiling > floor else abs(floor)) / SCALE or 1.0
    blocks: list[_Block] = []
    column = 0
    for p in problem.admissible_cuts:
        if clock.over:
            return Outcome("time-limit", known, message=f"{NOT_BUILT}: columns of the cuts before {p} are")
        if dominated(float(bounds[p]), ceiling):
            continue
        block = _block(table.at(int(p)), column, ceiling)
        if block:
            blocks.append(block)
            column += 1 + len(block.tensor)
    if not blocks:
        return Outcome("infeasible", message="every cut breaks a limit even at its best widths")
    cost = np.zeros(column)
    rows: list[tuple[IntArray, FloatArray]] = []
    sense: list[tuple[float, float]] = []
    rows.append((np.array([b.first for b in blocks]), np.ones(len(blocks))))
    sense.append((1.0, 1.0))
    for b in blocks:
        if clock.over:
            return Outcome("time-limit", known, message=f"{NOT_BUILT}: its columns are, not all of its rows")
        s = b.subproblem
        cost[b.first] = (s.base - floor) / scale
        cost[b.columns] = s.cost[b.tensor, b.width] / scale
        ends = np.searchsorted(b.tensor, np.arange(len(s.tensors) + 1))  # tensors ascend
        for start, end in itertools.pairwise(ends.tolist()):
            mine = b.columns[start:end]
            rows.append((np.append(mine, b.first), np.append(np.ones(len(mine)), -1.0)))
            sense.append((0.0, 0.0))
        for row in s.rows:
            terms, limit = row.use[b.tensor, b.width], row.limit
            if math.isfinite(limit) and row.fixed + terms.sum() > limit:
                if row.fixed:
                    scaled, room = row.scaled(terms)
                else:
                    scaled = terms / limit if limit > 0 else np.where(terms > 0, 1.0, 0.0)
                    room = 1.0 if limit > 0 else 0.0
                rows.append((np.append(b.columns, b.first), np.append(scaled, -room)))
                sense.append((-math.inf, 0.0))
    handed: dict[str, int] = {}  # size of the last round's model

    def attempt() -> Round[_Point]:
        handed.clear()
        if clock.over:
            return Round("time-limit")
        try:
            result = solve_milp(
                cost,
                _matrix(rows, column),
                np.array([low for low, _ in sense]),
                np.array([high for _, high in sense]),
                np.ones(column),
                np.ones(column, dtype=bool),
                time_limit=clock.left,
                threads=options.threads,
                seed=options.seed,
                start=_start(blocks, known, column) if begun else None,
                log=options.verbose,
                told=(scale, floor),
            )
        except SolverError as error:
            return Round("failed", message=str(error))
        handed.update(columns=column, rows=len(rows))
        bound = None if result.bound is None else floor + scale * result.bound
        message = "" if result.status == "infeasible" else f"HiGHS: {result.message}"
        point = None if result.x is None else _point(blocks, result.x)
        return Round(result.status, point, bound, result.nodes, message)

    def broken(point: _Point) -> str | None:
        subproblem = blocks[point.block].subproblem
        return None if subproblem.keeps(subproblem.columns_of(_widths(point))) else "a limit"

    def exclude(point: _Point) -> None:
        rows.append((np.array(point.columns, dtype=np.int64), np.ones(len(point.columns))))
        sense.append((-math.inf, len(point.columns) - 1.0))

    found = solve_and_exclude(attempt, broken, exclude, clock=clock)
    details = {"nodes": found.nodes or 0, "rounds": found.rounds, **handed}
    if found.status == "infeasible":
        return Outcome("infeasible", details=details)
    plan = known
    if found.point is not None:
        plan = blocks[found.point.block].subproblem.plan(_widths(found.point), "whole", problem.name)
    return Outcome(found.status, plan, found.bound, message=found.message, details=details)


def _better(problem: QPart, known: QPartPlan | None, start: Plan | None) -> tuple[QPartPlan | None, bool]:
    """The better of the plan of one width and of the start, and whether that is the start."""
    if not isinstance(start, QPartPlan):
        return known, False
    if known is not None and breakdown(problem, known).objective < breakdown(problem, start).objective:
        return known, False
    return start, True


def _start(blocks: list[_Block], plan: QPartPlan | None, columns: int) -> FloatArray | None:
    """The columns of a plan; None where the program leaves one of them out."""
    block = next((b for b in blocks if plan is not None and b.subproblem.cut == plan.cut), None)
    if block is None or plan is None:
        return None
    x, chosen = np.zeros(columns), chosen_columns(block.subproblem, plan)
    taken = block.width == chosen[block.tensor]
    x[block.first], x[block.columns[taken]] = 1.0, 1.0
    return x if int(taken.sum()) == len(chosen) else None


def _widths(point: _Point) -> IntArray:
    return np.array(point.bits, dtype=np.int64)


def _point(blocks: list[_Block], x: FloatArray) -> _Point:
    """The plan of HiGHS's point: the largest y, and the x of its block that are nearer to 1."""
    at = max(range(len(blocks)), key=lambda k: float(x[blocks[k].first]))
    block = blocks[at]
    chosen: BoolArray = x[block.columns] > 0.5
    bits = np.zeros(len(block.subproblem.tensors), dtype=np.int64)
    bits[block.tensor[chosen]] = block.subproblem.bits[block.width[chosen]]
    return _Point(at, tuple(block.columns[chosen].tolist()), tuple(bits.tolist()))


def _block(subproblem: Subproblem, first: int, ceiling: float) -> _Block | None:
    """Columns of a cut without the items that alone break a limit or the ceiling; None if a tensor has none left."""
    slack = 1.0 + 1e-9
    admitted = subproblem.on_menu.copy()
    for row in subproblem.rows:
        admitted &= row.use <= row.limit * slack
        if row.fixed > row.limit * slack:
            return None
    admitted &= subproblem.cost <= (ceiling - subproblem.base) + abs(ceiling) * 1e-9
    if len(subproblem.tensors) and not admitted.any(axis=1).all():
        return None
    tensor, width = np.nonzero(admitted)
    return _Block(subproblem, first, tensor, width)


def _matrix(rows: list[tuple[IntArray, FloatArray]], columns: int) -> csr_array:
    lengths = [len(index) for index, _ in rows]
    start = np.concatenate(([0], np.cumsum(lengths)))
    index = np.concatenate([index for index, _ in rows])
    value = np.concatenate([value for _, value in rows])
    return csr_array((value, index, start), shape=(len(rows), columns))
