"""Small fleets as a multiple-choice knapsack: a class for every single request, column 0 its refusal.

What misses a deadline, or what a class has not, is a second refusal, which nothing prefers. Capacities that all
requests together cannot fill are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.fleet.arrays import shards, tables
from qopt.fleet.passes import airtimes, late
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet

MOST_UNITS = 5_000
"""Requests of a small fleet."""

MOST_NUMBERS = 50_000_000
"""Uses of all options of all requests that are written down: 400 MB."""

LARGEST = 4 * 10**11
"""Capacities below it are kept to the last unit by limits that have a relative slack of 1e-12."""


@dataclass(frozen=True, repr=False)
class Units(Brief):
    """Every request by itself.

    Attributes
    ----------
    row : (n,) the problem's row that each is of.
    cost : (n, k) with k the options of the largest class, and one.
    use : (R, n, k) of the capacities that can bind.
    limit : (R,).
    names : of these capacities.
    open : (n, k) which columns are options that meet the deadline, and the refusal.
    """

    row: IntArray
    cost: IntArray
    use: IntArray
    limit: IntArray
    names: tuple[str, ...]
    open: BoolArray

    @property
    def kernel_limit(self) -> FloatArray:
        """(R,) half a unit above each limit, so that the slack of limits changes nothing."""
        return np.asarray((self.limit + 0.5) * (1.0 - 1e-12), dtype=np.float64)

    def broken(self, choice: IntArray) -> str | None:
        """The first capacity that a choice breaks, or None."""
        load = self.use[:, np.arange(len(choice)), choice].sum(axis=1)
        over = np.flatnonzero(load > self.limit)
        return self.names[int(over[0])] if len(over) else None

    def objective(self, choice: IntArray) -> int:
        """What a choice costs."""
        return int(self.cost[np.arange(len(choice)), choice].sum())

    def plan(self, problem: Fleet, choice: IntArray) -> FleetPlan:
        """The plan of a column for each request."""
        taken = np.where(self.open[np.arange(len(choice)), choice], choice, 0)
        option = np.zeros(len(problem.requests), dtype=np.int64)
        splits: list[tuple[int, int, int]] = []
        for row in range(len(option)):
            columns, counts = np.unique(taken[self.row == row], return_counts=True)
            if len(columns):
                main = int(np.argmax(counts))
                option[row] = columns[main]
                pairs = zip(columns.tolist(), counts.tolist(), strict=True)
                splits += [(row, c, n) for i, (c, n) in enumerate(pairs) if i != main]
        return FleetPlan(problem=problem.name, option=option, splits=tuple(splits))

    def choice(self, problem: Fleet, plan: FleetPlan) -> IntArray:
        """(n,) columns of a plan that fits the problem."""
        found: IntArray = plan.option[self.row].copy()
        begin = np.searchsorted(self.row, np.arange(len(problem.requests)))
        for row, option, count in plan.splits:
            found[begin[row] : begin[row] + count] = option
            begin[row] += count
        return found


def units(problem: Fleet) -> Units:
    """A small fleet, request by request."""
    shared, most = tables(problem), max(len(options.name) for options in problem.classes.values())
    n, capacities = problem.count, len(shared.resources)
    counts = np.ones(len(problem.requests), dtype=np.int64)
    if problem.requests.count is not None:
        counts = problem.requests.count
    rows = len(counts)
    cost = np.zeros((rows, most + 1), dtype=np.int64)
    use = np.zeros((capacities + 1, rows, most + 1), dtype=np.int64)
    opened = np.zeros((rows, most + 1), dtype=bool)
    for shard in shards(problem):
        for group in shard:
            menu, airtime = shared.menus[group.key], airtimes(group)
            whole = airtime.astype(np.int64)
            missed = late(group, menu, airtime)
            fits = np.ones((len(group), len(menu)), dtype=bool) if missed is None else ~missed
            columns = np.arange(1, len(menu) + 1)
            cost[group.row] = group.penalty[:, None]
            opened[group.row, 0] = True
            opened[group.row[:, None], columns] = fits
            cost[group.row[:, None], columns] = np.where(fits, whole @ menu.cost.T, group.penalty[:, None])
            amounts = np.einsum("na,osa->nos", whole, menu.use) * fits[:, :, None]
            np.add.at(use, (menu.slot[None], group.row[:, None, None], columns[None, :, None]), amounts)
    row = np.repeat(np.arange(rows), counts)
    heaviest = (use[:-1].max(axis=2) * counts).sum(axis=1)
    binding = np.flatnonzero(heaviest > shared.capacity)
    assert len(row) == n
    return Units(
        row,
        cost[row],
        use[binding][:, row],
        shared.capacity[binding],
        tuple(shared.resources[k].name for k in binding.tolist()),
        opened[row],
    )


def too_many(problem: Fleet) -> str | None:
    """Why a fleet is not small, or None."""
    if problem.count > MOST_UNITS:
        return f"more than {MOST_UNITS} requests"
    most = max(len(options.name) for options in problem.classes.values()) + 1
    numbers = problem.count * most * (len(tables(problem).resources) + 1)
    if numbers > MOST_NUMBERS:
        return f"{numbers} uses of capacities, more than {MOST_NUMBERS}"
    large = max((r.capacity for r in tables(problem).resources), default=0)
    return None if large < LARGEST or not _binds(problem) else f"a capacity above {LARGEST:.0e} units: coarser ones"


def _binds(problem: Fleet) -> bool:
    return bool((units(problem).limit >= LARGEST).any())
