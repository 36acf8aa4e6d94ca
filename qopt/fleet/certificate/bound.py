"""What multipliers prove, recomputed in whole numbers: no float, and no line shared with the methods' passes.

For any lam >= 0 no plan costs less than

    L(lam) = sum_r min_o (J[r, o] + sum_k lam_k u_k[r, o])  -  sum_k lam_k C_k

since what is added for a plan that keeps the capacities is <= 0. Costs are whole, so the bound may be rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from qopt.core.arguments import is_whole
from qopt.core.arrays import IntArray
from qopt.fleet.costs import capacities
from qopt.fleet.problem import Fleet, Options

ROWS = 100_000
"""Rows at a time."""

LOW = 31
"""Binary digits of the lower half of a length; sums of either half over all requests stay below 2^63."""

LARGEST = 2**62
"""Lengths stay below it."""

MOST_SHIFT = 60


class Refused(Exception):
    """What is wrong with a witness, in a line."""


def multipliers_bound(problem: Fleet, shift: object, given: object) -> Fraction:
    """The dual function at multipliers, exactly.

    Parameters
    ----------
    problem : the problem.
    shift : multipliers are whole numbers over 2^shift.
    given : whole numbers by the path of the capacity.

    Raises
    ------
    Refused
        They are no multipliers of this problem, or too large.
    """
    if not is_whole(shift) or not 0 <= shift <= MOST_SHIFT:
        raise Refused(f"its shift is not a whole number from 0 to {MOST_SHIFT}")
    if not isinstance(given, Mapping):
        raise Refused("its multipliers are not an object")
    limits = capacities(problem)
    lam: dict[str, int] = {}
    for field, value in given.items():
        if field not in limits:
            raise Refused(f"there is no capacity {str(field)[:80]}")
        if not is_whole(value) or not 0 <= value < LARGEST:
            raise Refused(f"the multiplier of {field} is not a whole number >= 0")
        lam[field] = int(value)
    total = 0
    cells = list(problem.cells)
    for begin in range(0, len(problem.requests), ROWS):
        rows = slice(begin, begin + ROWS)
        kind, cell = problem.requests.kind[rows], problem.requests.cell[rows]
        for k, options in enumerate(problem.classes.values()):
            of_kind = np.flatnonzero(kind == k)
            for q in np.unique(cell[of_kind]).tolist():
                mine = of_kind[cell[of_kind] == q] + begin
                total += _least(problem, options, cells[q], mine, lam, int(shift))
    return Fraction(total - sum(m * limits[field] for field, m in lam.items()), 1 << int(shift))


def _least(problem: Fleet, options: Options, cell: str, rows: IntArray, lam: Mapping[str, int], shift: int) -> int:
    """The sum of the least lengths of some requests of one class and cell, times 2^shift."""
    requests = problem.requests

    def column(name: str) -> IntArray:
        found = requests.column(name)
        return np.zeros(len(rows), dtype=np.int64) if found is None else found[rows]

    up, down, penalty = column("up"), column("down"), column("penalty")
    count = np.ones(len(rows), dtype=np.int64) if requests.count is None else requests.count[rows]
    _check(int(penalty.max()) << shift)
    least = penalty << shift
    table = {name: options.column(name).tolist() for name in ("cost", "cost_up", "cost_down", "work", "memory")}
    sent, received, time = (options.column(name).tolist() for name in ("up", "down", "time"))
    price_up, price_down = lam.get(f"cells.{cell}.up", 0), lam.get(f"cells.{cell}.down", 0)
    for o, server in enumerate(options.server):
        fixed = table["cost"][o] << shift
        if server is not None:
            fixed += lam.get(f"servers.{server}.work", 0) * table["work"][o]
            fixed += lam.get(f"servers.{server}.memory", 0) * table["memory"][o]
        each_up = (table["cost_up"][o] << shift) + price_up * sent[o]
        each_down = (table["cost_down"][o] << shift) + price_down * received[o]
        _check(max(each_up, each_down))
        _check(fixed + each_up * int(up.max()) + each_down * int(down.max()))
        length = fixed + each_up * up + each_down * down
        if requests.deadline is not None:
            on_time = time[o] + sent[o] * up + received[o] * down <= requests.deadline[rows]
            length = np.where(on_time, length, least)
        least = np.minimum(least, length)
    high = int(((least >> LOW) * count).sum())
    return (high << LOW) + int(((least & ((1 << LOW) - 1)) * count).sum())


def _check(size: int) -> None:
    if size >= LARGEST:
        raise Refused("its multipliers are too large")


def upward(bound: Fraction) -> int:
    """The least cost that a plan can have: costs are whole."""
    return math.ceil(bound)
