"""Epsilon-fronts: every true point has one that stands for it, whatever the numbers; bounds hold; anytime."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from sweeps import swept

from qopt.core.errors import InputError
from qopt.kernels.knapsack import segments
from qopt.kernels.knapsack.epsilon import EpsilonFront, epsilon_front
from qopt.kernels.knapsack.prices import row_prices


def drawn(seed: int) -> tuple[Any, Any, float, list[list[int]] | None]:
    """A small knapsack: smooth or rough, one heavy class in some, negative costs in some, limits and ties in some."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    weight = np.sort(rng.uniform(0, 1, (n, k)), axis=1) * 10.0 ** rng.uniform(-2, 2, (n, 1))
    if seed % 3 == 0:
        weight = np.ceil(weight * 10)
    cost = np.sort(rng.uniform(0, 1, (n, k)), axis=1)[:, ::-1] * 10.0 ** rng.uniform(-1, 1, (n, 1))
    if seed % 4 == 0:
        cost = rng.uniform(0, 1, (n, k))
    if seed % 5 == 0:
        weight[0] *= 50
    if seed % 7 == 0:
        cost = cost - 0.3
    limit = math.inf if seed % 2 else float(weight.min(axis=1).sum() + rng.uniform(0, 1) * np.ptp(weight, axis=1).sum())
    return cost, weight, limit, [[0, n - 1]] if seed % 6 == 0 and n > 1 else None


def choices(cost: Any, weight: Any, limit: float, ties: list[list[int]] | None) -> list[tuple[float, float]]:
    """Weight and cost of every choice within the limit."""
    found = []
    for c in itertools.product(range(cost.shape[1]), repeat=len(cost)):
        if ties and any(c[a] != c[group[0]] for group in ties for a in group):
            continue
        w = math.fsum(weight[i, j] for i, j in enumerate(c))
        if w <= limit * (1 + 1e-12):
            found.append((w, math.fsum(cost[i, j] for i, j in enumerate(c))))
    return found


def check(front: EpsilonFront, cost: Any, weight: Any, every: list[tuple[float, float]]) -> None:
    """The definition, and that bounds and choices are what they say."""
    for w, c in every:
        at = int(np.searchsorted(front.weight, w * (1 + 1e-12) + 1e-300, side="right")) - 1
        assert at >= 0
        assert front.bound[at] <= c + 1e-9
        if front.proved:
            assert front.cost[at] <= (1 + front.eps) * c + front.eps0 + 1e-9
    for i in range(len(front)):
        columns = front.choice(i)
        rows = np.arange(len(columns))
        assert math.fsum(weight[rows, columns]) == front.weight[i]
        assert math.fsum(cost[rows, columns]) == front.cost[i]
    assert np.all(np.diff(front.weight) > 0)
    assert np.all(np.diff(front.cost) < 0)


@pytest.mark.parametrize("chunk", swept(range(10), lambda chunk: chunk > 0))
def test_every_choice_has_a_point_that_stands_for_it(chunk: int) -> None:
    open_ = 0  # a search that gives up says so, and what it has is still checked
    for seed in range(chunk * 60, chunk * 60 + (60 if chunk else 20)):
        cost, weight, limit, ties = drawn(seed)
        every = choices(cost, weight, limit, ties)
        eps, eps0 = ((0.0, 0.0), (0.01, 0.0), (0.1, 0.05), (0.001, 0.001))[seed % 4]
        front = epsilon_front(cost, weight, limit, eps=eps, eps0=eps0, ties=ties)
        assert front.proved or eps > 0, seed
        open_ += not front.proved
        assert bool(len(front)) == bool(every)
        check(front, cost, weight, every)
    assert open_ <= 3


def test_cases_take_over_where_sums_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_LABELS", 6)
    for seed in range(1, 12, 2):
        cost, weight, limit, ties = drawn(seed)
        front = epsilon_front(cost, weight, limit, eps=0.001, eps0=0.001, ties=ties)
        assert front.proved or seed % 7 == 0
        check(front, cost, weight, choices(cost, weight, limit, ties))


def test_what_is_left_when_the_time_is_over_is_true() -> None:
    rng = np.random.default_rng(0)
    cost, weight = (
        np.sort(rng.uniform(0, 1, (8, 4)), axis=1)[:, ::-1].copy(),
        np.sort(rng.uniform(0, 1, (8, 4)), axis=1),
    )
    front = epsilon_front(cost, weight, eps=1e-6, time_limit=0.0)
    assert not front.proved
    assert front.gap > 0
    check(front, cost, weight, choices(cost, weight, math.inf, None))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"eps": -1.0}, "eps: found -1.0; allowed: a finite number >= 0"),
        ({"eps": 0.1, "eps0": math.inf}, "eps0: found inf; allowed: a finite number >= 0"),
        ({"eps": "x"}, "eps: found 'x'"),
        ({"eps": 0.1, "limit": math.nan}, "limit: found nan"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as error:
        epsilon_front([[1.0, 0.0]], [[0.0, 1.0]], **options)
    assert str(error.value).startswith(line)


def test_multipliers_are_slopes_of_a_bound_on_every_choice() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        n, k, rows = int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4))
        cost, weight = (
            rng.uniform(-1, 1, (n, k)),
            rng.uniform(0, 1, (rows, n, k)) * 10.0 ** rng.uniform(-3, 3, (rows, 1, 1)),
        )
        limit = weight.min(axis=2).sum(axis=1) + rng.uniform(0.2, 1, rows) * np.ptp(weight, axis=2).sum(axis=1)
        prices = row_prices(cost, weight, limit.tolist())
        assert prices is not None
        assert np.all(prices >= 0)
        bound = (cost + np.tensordot(prices, weight, 1)).min(axis=1).sum() - prices @ limit
        for c in itertools.product(range(k), repeat=n):
            used = weight[:, np.arange(n), c].sum(axis=1)
            assert cost[np.arange(n), c].sum() >= bound - prices @ (used - limit) - 1e-9
