"""The core: a linear program over the requests near ties, all others as the multipliers have them.

A vertex of it leaves at most K requests between options (one basic variable for each capacity). Its dual multipliers
are the best of the whole problem where no request outside changes its mind, and near them else; a pass tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.fleet.arrays import Group, Tables
from qopt.fleet.grid import Grid
from qopt.fleet.near import lengths_of
from qopt.fleet.passes import airtimes

OVERLOAD = 1e3
"""What a unit above a capacity costs in the core's program, in its scale: more than any request may save."""


@dataclass(frozen=True, repr=False)
class Items(Brief):
    """Columns of some requests, one after another.

    Attributes
    ----------
    row : (R,) rows of the requests in the problem.
    count : (R,) how many requests each stands for.
    of : (m,) which of these each item is of.
    column : (m,) column that it stands for, 0 for refusal.
    cost : (m,) what it costs.
    use : (m, K) what it uses.
    length : (m,) its reduced cost at the multipliers, less the least of its request's.
    """

    row: IntArray
    count: IntArray
    of: IntArray
    column: IntArray
    cost: IntArray
    use: IntArray
    length: FloatArray

    @property
    def first(self) -> IntArray:
        """(R,) the item of each request that the multipliers take: of equals the first."""
        order = np.lexsort((self.column, self.length, self.of))
        _, at = np.unique(self.of[order], return_index=True)
        found: IntArray = order[at]
        return found


def items(groups: list[Group], tables: Tables, lam: IntArray, grid: Grid, margin: float) -> Items:
    """Columns within a margin of the best of their requests (times 2^shift; infinite for all that meet deadlines)."""
    parts: list[tuple[IntArray, ...]] = []
    lengths, capacities, start = [], len(tables.resources), 0
    for group in groups:
        menu = tables.menus[group.key]
        length = lengths_of(group, menu, lam, grid.shift)
        length -= length.min(axis=1, keepdims=True)
        at, column = np.nonzero((length <= margin) & np.isfinite(length))
        airtime = airtimes(group).astype(np.int64)[at]
        option = np.maximum(column - 1, 0)
        cost = np.where(column > 0, (menu.cost[option] * airtime).sum(axis=1), group.penalty[at])
        used = (menu.use[option] * airtime[:, None, :]).sum(axis=2) * (column > 0)[:, None]
        use = np.zeros((len(at), capacities + 1), dtype=np.int64)
        np.add.at(use, (np.arange(len(at))[:, None], menu.slot[option]), used)
        parts.append((group.row, group.counts, at + start, column, cost, use[:, :-1]))
        lengths.append(length[at, column] / 2.0**grid.shift)
        start += len(group)
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Items(empty, empty, empty, empty, empty, np.zeros((0, capacities), dtype=np.int64), np.zeros(0))
    row, count, of, column, cost, use = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Items(row, count, of, column, cost, use, np.concatenate(lengths))


@dataclass(frozen=True, repr=False)
class Core(Brief):
    """What the core's program says.

    Attributes
    ----------
    x : (m,) how many of its requests take each item; whole but for a few.
    multipliers : (K,) of the capacities.
    above : (K,) how far the loads lie above the capacities: 0 unless the core is too small.
    """

    x: FloatArray
    multipliers: FloatArray
    above: FloatArray


def solve_core(own: Items, left: IntArray, lam: FloatArray, clock: Clock) -> Core | None:
    """Solve the core's linear program.

    Parameters
    ----------
    own : its items.
    left : (K,) capacities less what all others use; may be negative.
    lam : (K,) multipliers of which the lengths are.
    clock : of the call.

    Returns
    -------
    None where HiGHS does not solve it.
    """
    m, capacities = own.use.shape
    scale = np.maximum(own.use.max(axis=0, initial=0), 1).astype(float)
    money = max(float(np.abs(own.length).max(initial=0.0)), float((lam * scale).max(initial=0.0)), 1.0) / 100.0
    at, k = np.nonzero(own.use)
    slack, above = m + np.arange(capacities), m + capacities + np.arange(capacities)
    rows = np.concatenate((own.of, len(own.row) + k, len(own.row) + np.tile(np.arange(capacities), 2)))
    columns = np.concatenate((np.arange(m), at, slack, above))
    values = np.concatenate((np.ones(m), (own.use / scale)[at, k], np.ones(capacities), -np.ones(capacities)))
    matrix: Any = coo_array((values, (rows, columns)), shape=(len(own.row) + capacities, m + 2 * capacities)).tocsr()
    cost = np.concatenate((own.length, lam * scale, np.full(capacities, OVERLOAD * 100.0 * money))) / money
    found = linprog(
        cost,
        A_eq=matrix,
        b_eq=np.concatenate((own.count, left / scale)),
        bounds=(0, None),
        method="highs-ds",
        options={"time_limit": math.inf if clock.left is None else max(clock.left, 0.01)},
    )
    if found.x is None or found.status != 0:
        return None
    dual = lam - np.asarray(found.eqlin.marginals)[len(own.row) :] * money / scale
    return Core(found.x[:m], np.maximum(dual, 0.0), found.x[m + capacities :] * scale)
