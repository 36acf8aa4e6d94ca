"""A plan within moments, for calls under a time limit: the first operations on one tier, the others on one above.

Operations are listed in an order in which they can run, so any split of the list sends data up the line only. What all
splits between two tiers cost are running sums; one half may be empty. Where pins or groups forbid them all, labels
are raised, tensor by tensor, until they keep pins, groups and the order of data. Only plans in the exact test count.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.placement.costs import breakdown, labelling, paid
from qopt.placement.limits import keeps_rows
from qopt.placement.methods.candidates import Candidate, weight_size
from qopt.placement.plan import PlacementPlan, plan_of
from qopt.placement.problem import Placement
from qopt.placement.rows import limits
from qopt.placement.terms import terms

MOST = 4
"""Splits between two tiers that meet the exact test: the cheapest by running sums."""

SHARES = (0.25, 0.5, 0.75)
"""Of the weights, on the lower of two tiers, where labels are raised from a split."""

ROUNDS = 20
"""Times that groups may raise labels: each is one more pass over all tensors."""


def objective(problem: Placement, plan: PlacementPlan) -> float:
    """What a plan costs."""
    return breakdown(problem, plan).objective


def first_plan(problem: Placement, clock: Clock) -> PlacementPlan | None:
    """A plan that keeps all limits; None if this rule finds none.

    The first is looked for whatever the clock says, the operators of small weights before the others.
    """
    best: tuple[float, Candidate, list[int]] | None = None
    for operator in sorted(problem.eligible, key=lambda o: weight_size(problem, o)):
        if best is not None and clock.over:
            break
        own = terms(problem, operator)
        costs = labelling(problem, own)
        candidate = Candidate(own, costs, limits(problem, own, costs))
        found = False
        for rule in (_splits, _raised):
            if rule is _raised and found:
                break
            for labels in rule(problem, candidate):
                if best is not None and clock.over:
                    break
                value = math.fsum(paid(costs, labels))
                if math.isinf(value) or not keeps_rows(costs, candidate.rows, labels):
                    continue
                found = True
                if best is None or value < best[0]:
                    best = (value, candidate, labels)
    return None if best is None else plan_of(problem, best[1].own, best[2][1:])


def _splits(problem: Placement, candidate: Candidate) -> Iterator[list[int]]:
    """Labels of the cheapest splits of the list, of each pair of tiers; one half may be empty."""
    n, tiers = len(candidate.own.names), len(problem.tiers)
    for low, high in itertools.combinations(range(problem.birth, tiers), 2):
        values = _values(problem, candidate, low, high)
        for p in np.argsort(values, kind="stable")[:MOST].tolist():
            if math.isfinite(values[p]):
                yield [problem.birth, *([low] * p), *([high] * (n - p))]
    if problem.birth == tiers - 1:
        yield [problem.birth] * (n + 1)


def _values(problem: Placement, candidate: Candidate, low: int, high: int) -> FloatArray:
    """(n + 1,) what it costs that 0..n operations run on the lower tier; infinite where that breaks something."""
    own, costs = candidate.own, candidate.costs
    n = len(own.names)
    values = _sums(costs.unary[1:, low]) + _sums(costs.unary[1:, high], back=True)
    first, last = costs.reads.producer, np.maximum.reduceat(costs.reads.reader, costs.reads.start)
    over = costs.weight[:, low:high].sum(axis=1)
    # A tensor crosses from the lower tier where its producer is among the first p, and its last reader is not.
    there = first < last
    steps, blocked = np.zeros(n + 2), np.zeros(n + 2)
    for column, sums in ((np.where(np.isfinite(over), over, 0.0), steps), (np.isinf(over).astype(float), blocked)):
        np.add.at(sums, first[there], column[there])
        np.subtract.at(sums, last[there], column[there])
    values += np.cumsum(steps)[: n + 1] + np.where(np.cumsum(blocked)[: n + 1] > 0.5, np.inf, 0.0)
    values += costs.weight[costs.reads.producer == 0, problem.birth : low].sum()
    for group in own.together:
        values[min(group) : max(group)] = np.inf
    for row in candidate.rows:
        if row.name != "latency":
            uses = _sums(row.unary[1:, low]) + _sums(row.unary[1:, high], back=True)
            values[uses > row.limit * (1.0 + 1e-9)] = np.inf
    return values


def _sums(column: FloatArray, back: bool = False) -> FloatArray:
    """(n + 1,) sums of the first 0..n entries, or of those after them."""
    if back:
        return np.concatenate((np.cumsum(column[::-1])[::-1], [0.0]))
    return np.concatenate(([0.0], np.cumsum(column)))


def _raised(problem: Placement, candidate: Candidate) -> Iterator[list[int]]:
    """Labels near one tier for everything, as pins, groups and the order of data have it; and near halves."""
    tiers, n = len(problem.tiers), len(candidate.own.names)
    highest = _settled(candidate, [tiers - 1] * (n + 1), back=True)
    if highest is None:
        return
    wanted = [[tier] * (n + 1) for tier in range(tiers - 1, problem.birth - 1, -1)]
    total = np.cumsum(candidate.own.memory)
    for low, high in itertools.combinations(range(problem.birth, tiers), 2):
        for share in SHARES:
            p = int(np.searchsorted(total, share * float(total[-1])))
            wanted.append([low] * (p + 1) + [high] * (n - p))
    for labels in wanted:
        found = _settled(candidate, [problem.birth, *map(min, labels[1:], highest[1:])])
        if found is not None:
            yield found


def _settled(candidate: Candidate, labels: list[int], back: bool = False) -> list[int] | None:
    """The least labels at or above given ones that keep pins, groups and the order of data; back: the greatest below.

    None where there are none, or it takes too many rounds: groups, cycles of orders, may need some.
    """
    costs, at = candidate.costs, list(labels)
    allowed = [np.flatnonzero(row).tolist() for row in np.isfinite(costs.unary)]
    tensors = sorted(zip(costs.producer, costs.readers, strict=True), key=lambda tensor: tensor[0], reverse=back)
    for _ in range(ROUNDS):
        before = list(at)
        at = [_fitting(tiers, label, back) for tiers, label in zip(allowed, at, strict=True)]
        for u, readers in tensors:
            if back:
                at[u] = _fitting(allowed[u], min(at[u], *(at[r] for r in readers)), back)
            else:
                for r in readers:
                    if at[r] < at[u]:
                        at[r] = _fitting(allowed[r], at[u], back)
        if min(at) < 0:
            return None
        if at == before:
            return at
    return None


def _fitting(allowed: list[int], tier: int, back: bool) -> int:
    """The nearest allowed tier at or above one, back: at or below; -1 if there is none."""
    tiers = (k for k in reversed(allowed) if k <= tier) if back else (k for k in allowed if k >= tier >= 0)
    return next(tiers, -1)
