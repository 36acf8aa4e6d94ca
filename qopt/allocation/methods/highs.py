"""`highs-mip`: the integer program as arrays for HiGHS; pairs by products with their marginals.

    minimise   sum cost x + sum D y
    sum_c x[u, c] = 1;   sum use x (+ sum D y) <= limit
    sum_e y[p, f, e] = x[g, f],   sum_f y[p, f, e] = x[h, e];   x binary

The same model, to be read, is `qopt.formulations.allocation.joint`. Here costs are divided by what a greedy plan costs
and rows by their limits. Where pairs interact, the relaxation's multipliers come along as a witness.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array

from qopt.allocation.items import Items, items
from qopt.allocation.methods.greedy import greedy
from qopt.allocation.problem import Allocation
from qopt.allocation.units import Units, units
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import Clock, OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.exclusion import Round, solve_and_exclude
from qopt.core.solvers.highs import SolverError, solve_milp

HANDED_RATE = 400_000
"""Entries of the model that are built and handed to HiGHS in a second."""

SCALE = 1e4
"""Scaled cost of a greedy plan above the least of all groups: its last digits stay above absolute tolerances."""


class Program:
    """Columns x[u, c] of what is on the menus and then y[p, f, e]; rows growing with the points that are left out."""

    def __init__(self, table: Units, clock: Clock) -> None:
        self.table, self.problem = table, table.own.problem
        self.unit, self.item = np.nonzero(table.allowed)
        self.place = {key: j for j, key in enumerate(zip(self.unit.tolist(), self.item.tolist(), strict=True))}
        self.pools = table.own.pools
        self.count = len(self.unit)
        self.entries: list[tuple[int, int, float]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        members = np.split(np.arange(self.count), np.flatnonzero(np.diff(self.unit)) + 1)
        for columns in clock.watching(members):  # of one unit each
            self.row([(int(j), 1.0) for j in columns], 1.0, 1.0)
        self.pair_cost: list[float] = []
        self.marginals: list[tuple[dict[int, int], dict[int, int]]] = []
        for pair in clock.watching(table.pairs):
            self._pair(pair.first, pair.second, pair.damage)
        self.budgets = len(self.lower)
        self.scales: list[float] = []
        for r, use in clock.watching(enumerate(table.use)):
            terms = [(j, float(use[u, c])) for (u, c), j in self.place.items() if use[u, c]]
            if r == table.damage_row:
                terms += [(self.count + y, d) for y, d in enumerate(self.pair_cost) if d]
            scale = abs(float(table.limit[r])) or max((abs(a) for _, a in terms), default=1.0) or 1.0
            self.scales.append(scale)
            self.row([(j, a / scale) for j, a in terms], -math.inf, float(table.limit[r]) / scale)

    def row(self, terms: list[tuple[int, float]], lower: float, upper: float) -> None:
        """Add a row."""
        self.entries += [(len(self.lower), column, value) for column, value in terms]
        self.lower.append(lower)
        self.upper.append(upper)

    def _pair(self, first: int, second: int, damage: FloatArray) -> None:
        """Products y by format, and rows of their marginals, which are kept by side and format."""
        pools = self.pools
        columns: dict[tuple[int, int], int] = {}
        for f, e in self.formats_of(first, second):
            columns[f, e] = self.count + len(self.pair_cost)
            self.pair_cost.append(float(damage[f * pools, e * pools]))
        rows: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for side, u in enumerate((first, second)):
            for f in sorted({key[side] for key in columns}):
                products = [(j, 1.0) for key, j in columns.items() if key[side] == f]
                rows[side][f] = len(self.lower)
                self.row([*products, *((self.place[u, f * pools + q], -1.0) for q in range(pools))], 0.0, 0.0)
        self.marginals.append(rows)

    def costs(self) -> FloatArray:
        """Cost of every column, that of x less the least of its unit, and their sum."""
        least = self.table.cost.min(axis=1)
        x = self.table.cost[self.unit, self.item] - least[self.unit]
        pairs = self.pair_cost if self.table.damage_row is None else [0.0] * len(self.pair_cost)
        return np.concatenate((x, np.array(pairs)))

    @property
    def offset(self) -> float:
        """What `costs` leave out."""
        return self.table.constant + float(self.table.cost.min(axis=1).sum())

    def matrix(self) -> csr_array:
        """All rows."""
        row, column, value = (np.array(part) for part in zip(*self.entries, strict=True))
        shape = (len(self.lower), self.count + len(self.pair_cost))
        return coo_array((value.astype(float), (row.astype(int), column.astype(int))), shape=shape).tocsr()

    def taken(self, x: FloatArray) -> IntArray:
        """(u,) the item of each unit in a point."""
        found = np.zeros(len(self.table.cost), dtype=np.int64)
        best = np.full(len(found), -1.0)
        for u, c, value in zip(self.unit.tolist(), self.item.tolist(), x[: self.count].tolist(), strict=True):
            if value > best[u]:
                found[u], best[u] = c, value
        return found

    def point(self, choice: IntArray) -> FloatArray:
        """The columns of a choice of items, one for each group."""
        item_of = {u: int(choice[unit[0]]) for u, unit in enumerate(self.table.own.units)}
        chosen = np.array([item_of[u] == c for u, c in zip(self.unit.tolist(), self.item.tolist(), strict=True)])
        pairs = [
            float((item_of[pair.first] // self.pools, item_of[pair.second] // self.pools) == formats)
            for pair in self.table.pairs
            for formats in self.formats_of(pair.first, pair.second)
        ]
        return np.concatenate((chosen.astype(float), np.array(pairs)))

    def formats_of(self, first: int, second: int) -> list[tuple[int, int]]:
        """Formats on the menus of a pair of units, in the order of the products' columns."""
        allowed = (self.table.allowed[first], self.table.allowed[second])
        menus = [sorted({c // self.pools for c in np.flatnonzero(on).tolist()}) for on in allowed]
        return [(f, e) for f in menus[0] for e in menus[1]]

    def exclude(self, taken: tuple[int, ...]) -> None:
        """Leave out one point."""
        self.row([(self.place[u, c], 1.0) for u, c in enumerate(taken)], -math.inf, len(taken) - 1.0)


def solve(problem: Allocation, options: Options) -> Outcome:
    """The best plan by HiGHS's word. Takes time_limit, threads, seed, start and verbose."""
    clock, own = options.clock(), items(problem)
    table = units(own)
    if not clock.affords(table.allowed.sum() * (2 + len(table.use)), HANDED_RATE):
        raise OutOfTime("there is no time to build the model and to hand it over")
    program = Program(table, clock)
    cost = program.costs()
    unit = _unit(table, program, cost, clock)
    integer: BoolArray = np.arange(len(cost)) < program.count

    def attempt() -> Round[tuple[int, ...]]:
        said = solve_milp(
            cost / unit,
            program.matrix(),
            np.array(program.lower),
            np.array(program.upper),
            np.ones(len(cost)),
            integer,
            time_limit=clock.left,
            threads=options.threads,
            seed=options.seed,
            start=None if options.start is None else program.point(own.choice(options.start)),
            log=options.verbose,
            told=(unit, program.offset),
        )
        point = None if said.x is None else tuple(program.taken(said.x).tolist())
        bound = None if said.bound is None else program.offset + unit * said.bound
        return Round(said.status, point, bound, said.nodes)

    def broken(point: tuple[int, ...]) -> str | None:
        what = own.broken(table.choice(np.array(point)))
        return what and f"the budget of {what}"

    try:
        found = solve_and_exclude(attempt, broken, program.exclude, clock=clock)
    except SolverError as error:
        return Outcome("failed", message=str(error))
    details = {"nodes": found.nodes, "rounds": found.rounds}
    if found.point is None:
        return Outcome(found.status, bound=found.bound, message=found.message, details=details)
    choice = table.choice(np.array(found.point))
    value = own.objective(choice)
    bound = None if found.bound is None else min(found.bound, value)
    witness = multipliers(own, table, program, cost, unit, clock) if problem.interactions and not clock.over else None
    return Outcome(found.status, own.plan(choice), bound, witness, found.message, details)


def _unit(table: Units, program: Program, cost: FloatArray, clock: Clock) -> float:
    """What costs are divided by."""
    choice = greedy(table, clock)
    above = 0.0 if choice is None else abs(table.own.objective(choice) - program.offset)
    return (above or float(np.abs(cost).max(initial=0.0))) / SCALE or 1.0


def multipliers(
    own: Items, table: Units, program: Program, cost: FloatArray, unit: float, clock: Clock
) -> dict[str, object] | None:
    """The relaxation's multipliers as a witness (`qopt.allocation.certificate.pairs`); None where there are none."""
    if table.damage_row is not None:
        return None
    matrix, upper = program.matrix(), np.array(program.upper)
    equal = np.arange(len(upper)) < program.budgets
    rows = slice(program.budgets, program.budgets + len(table.use))
    some = len(table.use) > 0
    limited: Any = matrix[rows] if some else None  # sparse, which the library's types leave out
    linked: Any = matrix[: program.budgets]
    found = linprog(
        cost / unit,
        A_ub=limited,
        b_ub=upper[rows] if some else None,
        A_eq=linked,
        b_eq=upper[equal],
        bounds=(0, None),
        method="highs",
        options={"time_limit": math.inf if clock.left is None else clock.left},
    )
    if found.x is None or found.status != 0:
        return None
    prices = {}
    if len(table.use):
        marginals = (-found.ineqlin.marginals * unit / np.array(program.scales)).tolist()
        prices = {b.name: max(m, 0.0) for b, m in zip(own.budgets, marginals, strict=True) if m > 0}
    dual = found.eqlin.marginals * unit
    return {
        "format": "qopt/allocation-witness",
        "version": 1,
        "kind": "pairs",
        "multipliers": {"rows": prices, "pairs": _sides(own, program, dual)},
    }


def _sides(own: Items, program: Program, dual: FloatArray) -> list[list[list[float]]]:
    """Multipliers of the marginals of every interaction, by format; those inside a unit need none."""
    k = len(own.problem.formats)
    unit_of = {g: u for u, unit in enumerate(own.units) for g in unit}
    found: list[list[list[float]]] = []
    rows_of = iter(program.marginals)
    for pair in own.problem.interactions:
        sides = [[0.0] * k, [0.0] * k]
        first, second = (unit_of[own.problem.place[name]] for name in pair.groups)
        if first != second:
            for side, rows in zip(sides, next(rows_of), strict=True):
                for f, row in rows.items():
                    side[f] = float(dual[row])
        found.append(sides)
    return found
