"""`brute-force`: every choice of the knapsack of single requests. For small fleets, and as a yardstick."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.fleet.problem import Fleet
from qopt.fleet.units import MOST_UNITS, units

MAX_PLANS = 300_000
"""Plans that brute force is willing to look at."""

AT_ONCE = 20_000
"""Plans whose sums are made together."""


def too_large(problem: Fleet) -> str | None:
    """Why a problem has too many plans, or None."""
    message = f"more than {MAX_PLANS} plans to enumerate"
    if problem.count > min(MOST_UNITS, MAX_PLANS.bit_length() * 8):
        return message
    return message if math.prod(units(problem).open.sum(axis=1).tolist()) > MAX_PLANS else None


def solve(problem: Fleet, options: Options) -> Outcome:
    """The best of all plans; of equals the first."""
    clock, own = options.clock(), units(problem)
    menus = [np.flatnonzero(row) for row in own.open]
    count = math.prod(map(len, menus))
    best, value = np.zeros(len(menus), dtype=np.int64), own.objective(np.zeros(len(menus), dtype=np.int64))
    for begin in range(0, count, AT_ONCE):
        if clock.over:
            return Outcome("time-limit", own.plan(problem, best), details={"plans": begin})
        choice = _numbered(np.arange(begin, min(begin + AT_ONCE, count)), menus)
        at = np.arange(len(menus))
        cost = own.cost[at, choice].sum(axis=1)
        load = own.use[:, at, choice].sum(axis=2)
        fits = (load <= own.limit[:, None]).all(axis=0)
        cost[~fits] = np.iinfo(np.int64).max
        k = int(np.argmin(cost))
        if int(cost[k]) < value:
            best, value = choice[k], int(cost[k])
    return Outcome("optimal", own.plan(problem, best), float(value), details={"plans": count})


def _numbered(numbers: IntArray, menus: list[IntArray]) -> IntArray:
    """(P, n) columns of plans by their number: the last request changes fastest."""
    found = np.empty((len(numbers), len(menus)), dtype=np.int64)
    for u in range(len(menus) - 1, -1, -1):
        numbers, digit = np.divmod(numbers, len(menus[u]))
        found[:, u] = menus[u][digit]
    return found
