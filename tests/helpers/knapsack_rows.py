"""Knapsacks of several rows: drawn at random, enumerated, and their trees verified in rationals."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
from exact import allowed, total, within

FAMILIES = ("ties", "law", "correlated", "negative", "decades", "halves")


def rationals(array: Any) -> Any:
    """Floats as they are."""
    return np.vectorize(Fraction, otypes=[object])(np.asarray(array, dtype=float))


def entries(table: Any, choice: Any) -> list[Any]:
    """What a choice takes from a table."""
    return [table[i][j] for i, j in enumerate(choice)]


def keeps(weight: Any, limit: Any, choice: Any) -> bool:
    """The exact test of every row, in rationals."""
    return all(within(entries(rows, choice), most) for rows, most in zip(weight, limit, strict=True))


def brute(cost: Any, weight: Any, limit: Any) -> Fraction | None:
    """Optimum over all choices."""
    c, w = rationals(cost), rationals(weight)
    choices = itertools.product(range(c.shape[1]), repeat=c.shape[0])
    return min((total(entries(c, choice)) for choice in choices if keeps(w, limit, choice)), default=None)


def instance(rng: np.random.Generator, family: str, rows: int, n: int, k: int) -> tuple[Any, Any, Any]:
    shape = (rows, n, k)
    if family == "ties":  # few integers: many optima
        cost, weight = rng.integers(0, 4, (n, k)).astype(float), rng.integers(0, 4, shape).astype(float)
    elif family == "law":
        bits = np.arange(1, k + 1)
        cost = 10.0 ** rng.uniform(-1, 1, (n, 1)) * bits
        weight = 10.0 ** rng.uniform(-1, 1, (rows, n, 1)) * 4.0**-bits
    elif family == "correlated":
        weight = rng.integers(1, 30, shape).astype(float)
        cost = 30.0 - weight.mean(axis=0).round() + rng.integers(-3, 4, (n, k))
    elif family == "negative":
        cost, weight = rng.normal(0, 5, (n, k)), rng.normal(0, 5, shape)
    elif family == "halves":
        cost, weight = rng.integers(-9, 9, (n, k)) / 2 + 0.1, rng.integers(-9, 9, shape) * 0.75
    else:  # decades
        cost, weight = 10.0 ** rng.uniform(-9, 9, (n, k)), 10.0 ** rng.uniform(-9, 9, shape)
    low, high = weight.min(axis=2).sum(axis=1), weight.max(axis=2).sum(axis=1)
    limit = low + rng.choice([0.0, 0.2, 0.4, 0.5, 0.7, 1.0], rows) * (high - low)
    if rng.random() < 0.1:
        limit[rng.integers(rows)] = math.inf
    if rng.random() < 0.05:
        limit[0] = low[0] - 0.1 * (high[0] - low[0]) - 0.1
    return cost, weight, limit


def grid(table: Any) -> tuple[Fraction, Fraction]:
    """(base, step): complete choices add up to base + k step, k whole."""
    base = total(row[0] for row in table)
    differences = [x - row[0] for row in table for x in row if x != row[0]]
    if not differences:
        return base, Fraction(1)
    below = math.lcm(*(x.denominator for x in differences))
    return base, Fraction(math.gcd(*(int(x * below) for x in differences)), below)


def tree_bound(cost: Any, weight: Any, limit: Any, tree: Any) -> Fraction | None:
    """Least bound of a tree's leaves, checked in rationals; None where all leaves show that nothing is feasible."""
    c, w = rationals(cost), rationals(weight)
    n, k = c.shape
    base, step = grid(c)
    room: list[Fraction | None] = []
    for rows, most in zip(w, limit, strict=True):
        if math.isinf(most):
            room.append(None)
            continue
        base_w, step_w = grid(rows)
        room.append(base_w + (Fraction(allowed(most)) - base_w) // step_w * step_w)
    found: list[Fraction] = []
    pending = [[frozenset(range(k))] * n]
    for node in tree:
        classes = pending.pop()
        if node[0] == "split":
            _, i, columns = node
            chosen = frozenset(columns)
            assert len(chosen) == len(columns)
            assert chosen
            assert chosen < classes[i]
            for part in (classes[i] - chosen, chosen):
                pending.append([*classes[:i], part, *classes[i + 1 :]])
            continue
        assert node[0] == "leaf"
        a, multipliers = node[1], [Fraction(x) for x in node[2:]]
        assert a in (0, 1)
        assert len(multipliers) == len(w)
        assert all(x >= 0 for x in multipliers)
        value = total(
            min(a * c[i][j] + total(x * w[r][i][j] for r, x in enumerate(multipliers)) for j in classes[i])
            for i in range(n)
        )
        for x, most in zip(multipliers, room, strict=True):
            assert x == 0 or most is not None
            value -= x * most if most is not None else 0
        if a == 0:
            assert value > 0
        else:
            found.append(base + math.ceil((value - base) / step) * step)
    assert not pending
    return min(found, default=None)


def size(cost: Any) -> Fraction:
    """Scale of a choice's cost, by which sums round."""
    return Fraction(float((cost.max(axis=1) - cost.min(axis=1)).sum()))
