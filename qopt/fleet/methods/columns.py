"""`column-generation`: the linear program over plans of whole groups, which passes price; then the same rounding.

    minimise   sum_gi cost_gi w_gi        w_gi the share of plan i of group g
    sum_i w_gi = 1 for each g;   sum_gi load_gi w_gi <= C_k for each k;   w >= 0

HiGHS solves it. Its dual prices the requests: a pass finds for each group the plan of least reduced cost, which
joins if that is below the group's own dual. It is the bundle's dual, without a level to keep it near: more passes,
the same end. The first plans of all groups refuse everybody.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csc_array

from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.fleet.arrays import Key, shards, tables
from qopt.fleet.engine import Engine
from qopt.fleet.grid import Grid
from qopt.fleet.methods.bundle import value_of
from qopt.fleet.methods.dual import climb, plan
from qopt.fleet.methods.lagrangian import outcome
from qopt.fleet.problem import Fleet

ROUNDS = 500
"""Passes, at most."""

CLOSE = 1e-6
"""Share of the master's value by which the bound may be below it when it ends."""


def solve(problem: Fleet, options: Options) -> Outcome:
    """Prices from the master, and a plan near them. Takes time_limit and threads."""
    clock, jobs = options.clock(), options.threads or 1
    with Engine(tables(problem), shards(problem), "threads" if jobs > 1 else "numpy", jobs=jobs) as engine:
        grid = engine.grid()
        lam, passes = _priced(engine, grid, clock)
        climbed = climb(engine, clock=clock, start=lam, known=grid, close=10 * CLOSE)
        planned = plan(engine, climbed, len(problem.requests), clock)
    found = outcome(problem, climbed, planned, clock)
    return Outcome(
        found.status, found.plan, found.bound, found.witness, found.message, {**found.details, "columns": passes}
    )


def _priced(engine: Engine, grid: Grid, clock: Clock) -> tuple[IntArray, int]:
    """The multipliers of the best bound that the master comes to, and the passes it took."""
    shared, capacity = engine.tables, engine.tables.capacity
    zero = np.zeros(len(capacity), dtype=np.int64)
    sums = engine.evaluate(zero, grid.shift)
    place = {key: g for g, key in enumerate(sums)}
    refusing: dict[Key, int] = dict.fromkeys(sums, 0)
    for part in engine.map(_penalties):
        for key, penalty in part.items():
            refusing[key] += penalty
    costs = [float(refusing[key]) for key in place]
    loads = [zero] * len(place)
    groups = list(range(len(place)))
    best, value = zero, value_of(sums, shared, zero, grid, capacity)[0]
    scale = np.maximum(capacity, 1).astype(float)
    seen: set[tuple[int, bytes]] = set()
    for passes in range(1, ROUNDS):
        new = False
        for key, part in sums.items():
            menu = shared.menus[key]
            cost, load = part.cost(menu), part.load(menu, len(capacity))
            name = (place[key], np.append(load, cost).tobytes())
            if name not in seen:
                seen.add(name)
                costs.append(float(cost))
                loads.append(load)
                groups.append(place[key])
                new = True
        if not new or clock.over or not len(capacity):
            return best, passes
        money = max(costs) / 1e3 or 1.0
        at: Any = csc_array(
            (np.ones(len(groups)), (np.array(groups), np.arange(len(groups)))), shape=(len(place), len(groups))
        )
        use: Any = csc_array((np.array(loads) / scale).T)
        found = linprog(
            np.array(costs) / money,
            A_ub=use,
            b_ub=capacity / scale,
            A_eq=at,
            b_eq=np.ones(len(place)),
            bounds=(0, None),
            method="highs",
            options={"time_limit": math.inf if clock.left is None else clock.left},
        )
        if found.x is None or found.status != 0:
            return best, passes
        lam = grid.rounded(np.maximum(-found.ineqlin.marginals, 0.0) * money / scale)
        sums = engine.evaluate(lam, grid.shift)
        reached = value_of(sums, shared, lam, grid, capacity)[0]
        if reached > value:
            best, value = lam, reached
        if Fraction(float(found.fun or 0.0) * money) - value <= Fraction(CLOSE) * abs(value):
            return best, passes
    return best, ROUNDS


def _penalties(shard: object, _: object) -> dict[Key, int]:
    """What refusing everybody costs, by group."""
    found: dict[Key, int] = {}
    for group in shard:  # type: ignore[attr-defined]
        found[group.key] = found.get(group.key, 0) + int((group.penalty * group.counts).sum())
    return found
