"""Closes the gap that Lagrange leaves at one cut, by enumerating what may still be better.

With multipliers lam, mu and dual value D, a choice that keeps both limits costs at least D + sum_i r_i(c_i), where
r_i(c) >= 0 is the reduced cost of a column. A column with r_i(c) above ceiling - D is in no choice below the
ceiling. Sums of the columns that are left are built item by item; a sum is dropped when one that is no worse in
cost, noise and memory is there, or when no completion can stay under the ceiling and the limits.

Floats are compared with room for every rounding, so that what is dropped is no better by more than that room; the
choices that remain in the end are checked exactly.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.display import Brief
from qopt.qpart.certificate.bounds import EPS, best_bound, exceeds_memory, least_memory
from qopt.qpart.certificate.cuts import Cut

LABELS = 10_000_000
"""Sums that the enumerations of one certificate may make."""


@dataclass(frozen=True, repr=False)
class Closing(Brief):
    """What an enumeration proved of one cut.

    Attributes
    ----------
    bound : no feasible choice costs less (base excluded); infinite: there is none. None: not finished.
    choice : (n,) columns of the best feasible choice below the ceiling, if there is one.
    labels : sums made.
    """

    bound: float | None
    choice: IntArray | None
    labels: int


@dataclass(frozen=True)
class _Sums:
    """Partial choices: cost, noise, memory, and how each was made."""

    cost: FloatArray
    noise: FloatArray
    memory: FloatArray
    parent: IntArray
    column: IntArray

    def take(self, which: IntArray | BoolArray) -> _Sums:
        return _Sums(self.cost[which], self.noise[which], self.memory[which], self.parent[which], self.column[which])


def _undominated(sums: _Sums, with_memory: bool) -> _Sums:
    """Sums that no other one equals or beats in every coordinate."""
    if not with_memory:
        order = np.lexsort((sums.cost, sums.noise))
        cost = sums.cost[order]
        before = np.concatenate(([math.inf], np.minimum.accumulate(cost)[:-1]))
        return sums.take(order[cost < before])
    order = np.lexsort((sums.memory, sums.cost, sums.noise))
    # Sums come by rising noise; a staircase of (cost, memory) says whether an earlier one is no worse in both.
    costs: list[float] = []
    memories: list[float] = []
    kept: list[int] = []
    for index, cost, memory in zip(order.tolist(), sums.cost[order].tolist(), sums.memory[order].tolist(), strict=True):
        at = bisect.bisect_right(costs, cost)
        if at and memories[at - 1] <= memory:
            continue
        kept.append(index)
        end = at = bisect.bisect_left(costs, cost)
        while end < len(costs) and memories[end] >= memory:
            end += 1
        costs[at:end], memories[at:end] = [cost], [memory]
    return sums.take(np.array(kept, dtype=np.int64))


def _multipliers(lam: float, mu: float) -> list[tuple[float, float]]:
    """Multipliers whose bounds prune: those of the dual, and some around them for what is left of the limits."""
    pairs = [(lam * f, mu * f) for f in (0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.5, 5.0)]
    return [*pairs, (lam, 0.0), (0.0, mu)] if mu else pairs


def enumerate_below(
    cut: Cut, ceiling: float, lam: float, mu: float, labels: int = LABELS, clock: Clock = ENDLESS
) -> Closing:
    """Find the cheapest feasible choice below a ceiling, or prove that there is none.

    Parameters
    ----------
    cut : the choice at a cut, whole bits.
    ceiling : cost (base excluded) above which choices are of no interest; finite.
    lam, mu : multipliers of a good Lagrangian bound.
    labels : sums that may be made; beyond them nothing is proved.
    clock : raises `OutOfTime` where it is over.
    """
    assert cut.noise is not None
    n = cut.price.size
    with_memory = exceeds_memory(cut, float(np.sum(cut.stored)) * cut.hi)
    if not with_memory:
        mu = 0.0
    finite = np.isfinite(cut.noise)
    noise = np.where(finite, cut.noise, 0.0)
    room = (4 * n + 64) * EPS
    multipliers = _multipliers(lam, mu)
    prices = [np.where(finite, cut.cost + x * noise + y * cut.storage, math.inf) for x, y in multipliers]
    paid = [(x * cut.limit if x else 0.0) + (y * cut.memory if y else 0.0) for x, y in multipliers]
    # A bound must pass the ceiling by more than the rounding of its sums.
    tops = [ceiling + pay + room * (abs(ceiling) + 2 * pay) for pay in paid]

    usable = finite.copy()
    for price, top in zip(prices, tops, strict=True):
        least = price.min(axis=1)
        usable &= price - least[:, None] + math.fsum(least) <= top
    if not usable.any(axis=1).all():
        return Closing(ceiling, None, 0)
    # Few columns first: what is decided anyway is summed before anything branches.
    order = np.argsort(usable.sum(axis=1), kind="stable")
    suffixes = []
    for price in prices:
        least = np.where(usable, price, math.inf).min(axis=1)[order]
        suffixes.append(np.append(np.cumsum(least[::-1])[::-1], 0.0))
    rest_noise = np.append(np.cumsum(np.where(usable, noise, math.inf).min(axis=1)[order][::-1])[::-1], 0.0)
    rest_memory = np.append(np.cumsum(np.where(usable, cut.storage, math.inf).min(axis=1)[order][::-1])[::-1], 0.0)

    zero, none = np.zeros(1), np.zeros(1, dtype=np.int64)
    sums = _Sums(zero, zero, zero, none, none)
    history: list[tuple[IntArray, IntArray]] = []
    made = 0
    for step, i in enumerate(order.tolist()):
        clock.check()
        columns = np.flatnonzero(usable[i])
        made += sums.cost.size * columns.size
        if made > labels:
            return Closing(None, None, made)
        size = sums.cost.size
        sums = _Sums(
            np.add.outer(cut.cost[i, columns], sums.cost).ravel(),
            np.add.outer(noise[i, columns], sums.noise).ravel(),
            np.add.outer(cut.storage[i, columns], sums.memory).ravel(),
            np.tile(np.arange(size), columns.size),
            np.repeat(columns, size),
        )
        keep = sums.noise + rest_noise[step + 1] <= cut.limit * (1 + room)
        if with_memory:
            keep &= sums.memory + rest_memory[step + 1] <= cut.memory * (1 + room)
        for (x, y), suffix, top in zip(multipliers, suffixes, tops, strict=True):
            keep &= sums.cost + x * sums.noise + y * sums.memory + suffix[step + 1] <= top
        sums = _undominated(sums.take(keep), with_memory) if keep.any() else sums.take(keep)
        history.append((sums.parent, sums.column))
        if not sums.cost.size:
            return Closing(ceiling, None, made)
    return _best_of(cut, sums, history, order, ceiling, room, made)


def _best_of(
    cut: Cut,
    sums: _Sums,
    history: list[tuple[IntArray, IntArray]],
    order: IntArray,
    ceiling: float,
    room: float,
    made: int,
) -> Closing:
    """The cheapest complete choice that passes the exact test."""
    assert cut.noise is not None
    rows = np.arange(cut.price.size)
    for label in np.argsort(sums.cost, kind="stable").tolist():
        choice, at = np.zeros(rows.size, dtype=np.int64), label
        for i, (parent, column) in zip(reversed(order.tolist()), reversed(history), strict=True):
            choice[i], at = column[at], parent[at]
        if not keeps_limits(cut, choice):
            # Feasible but for rounding: it may hide a choice that costs the same and is feasible.
            return Closing(float(sums.cost[label]) * (1 - room), None, made)
        value = float(math.fsum(cut.cost[rows, choice].tolist()))
        bound = min(value, float(sums.cost[label])) * (1 - room)
        return Closing(min(ceiling, bound), choice, made)
    return Closing(ceiling, None, made)


def keeps_limits(cut: Cut, choice: IntArray) -> bool:
    """Whether a choice of columns passes the exact test of both rows."""
    assert cut.noise is not None
    rows = np.arange(cut.price.size)
    noise, memory = cut.noise[rows, choice], cut.storage[rows, choice]
    if not np.all(np.isfinite(noise)):
        return False
    if math.isfinite(cut.limit) and math.fsum([*noise.tolist(), -cut.limit]) > 0:
        return False
    return not math.isfinite(cut.memory) or math.fsum([*memory.tolist(), -cut.memory]) <= 0


def exact_cost(cut: Cut, choice: IntArray) -> Fraction:
    """Base and cost of a choice, without rounding."""
    rows = np.arange(cut.price.size)
    return sum(map(Fraction, cut.cost[rows, choice].tolist()), Fraction(cut.base))


def holds_a_plan(cut: Cut, labels: int = LABELS, clock: Clock = ENDLESS) -> tuple[bool | None, int]:
    """Whether a cut whose rows are each satisfiable holds a whole-bit plan (None: not decided), and the sums made."""
    if not math.isfinite(cut.memory):
        return True, 0  # the least noise was tested before
    smallest = least_memory(cut)
    bound = best_bound(smallest, clock=clock)
    if exceeds_memory(cut, bound.value):
        return False, 0
    # Somewhat above the limit, so that rounding cannot hide a choice that just keeps it.
    ceiling = cut.memory * (1 + 1e-9) - math.fsum(cut.overhead)
    found = enumerate_below(smallest, ceiling, bound.lam, 0.0, labels, clock)
    if found.choice is not None and keeps_limits(cut, found.choice):
        return True, found.labels
    return False if found.bound is not None and exceeds_memory(cut, found.bound) else None, found.labels
