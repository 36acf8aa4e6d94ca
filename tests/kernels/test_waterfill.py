"""The closed form against dual functions and bisection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from exact import SEEDS, scattered, within
from hypothesis import given
from sweeps import examples

from qopt.kernels.waterfill import LN4, Allocation, allocate


def dual_function(price: Any, c: Any, limit: float, lo: float, hi: float, multiplier: float) -> float:
    """min over b of the Lagrangian, tensor by tensor: a lower bound on every feasible objective."""
    total = [-multiplier * limit] if multiplier else []
    for p, noise in zip(price, c, strict=True):
        slope = multiplier * noise * LN4
        if p == 0:
            b = hi if slope > 0 else lo
        elif slope == 0:
            b = lo
        else:
            b = min(max(0.5 * (math.log2(slope) - math.log2(p)), lo), hi)
        total += [p * b, multiplier * noise * 4.0**-b]
    return math.fsum(total)


def bisected(price: Any, c: Any, limit: float, lo: float, hi: float) -> float | None:
    """Optimal objective by bisection on the logarithm of the multiplier."""

    def widths(log_lam: float) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            free = 0.5 * (log_lam + np.log2(c) + math.log2(LN4) - np.log2(price))
        return np.where(c > 0, np.where(price > 0, np.clip(free, lo, hi), hi), lo)

    if math.fsum(c * 4.0**-hi) > limit * (1 + 1e-12):
        return None
    if math.fsum(c * 4.0**-lo) <= limit:
        return math.fsum(price * lo)
    low, high = -2000.0, 2000.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if math.fsum(c * 4.0 ** -widths(middle)) <= limit else (middle, high)
    return math.fsum(price * widths(high))


def check_optimal(price: Any, c: Any, limit: float, lo: float, hi: float, found: Allocation) -> None:
    """Feasible in the exact test, KKT residuals within 1e-9, no gap to the dual function."""
    b, lam = found.bits, found.multiplier
    assert np.all(b >= lo)
    assert np.all(b <= hi)
    spent = c * 4.0**-b
    assert within(spent, limit)
    assert found.objective == pytest.approx(math.fsum(price * b), rel=1e-12)
    assert lam >= 0
    pull = lam * LN4 * spent  # what a bit more would save, priced by the multiplier
    slack = 1e-9 * np.maximum(price, pull)
    assert np.all(
        (np.abs(pull - price) <= slack) | ((b == lo) & (pull <= price + slack)) | ((b == hi) & (pull >= price - slack))
    )
    if lam:
        assert math.fsum(spent) == pytest.approx(limit, rel=1e-9)
    dual = dual_function(price, c, limit, lo, hi, lam)
    size = math.fsum(price * np.maximum(b, 1.0))
    blur = 1e-14 * lam * limit if lam else 0.0  # what a limit that is known to so many digits leaves open
    assert abs(found.objective - dual) <= 1e-9 * size + blur + 1e-300


@given(SEEDS)
@examples(400)
def test_closed_form_satisfies_the_optimality_conditions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    decades = float(rng.choice([0.0, 1.0, 9.0]))
    scale_p, scale_c = scattered(rng, 2, 9)
    price, c = scattered(rng, n, decades) * scale_p, scattered(rng, n, decades) * scale_c
    price[rng.random(n) < rng.choice([0, 0, 0.3])] = 0.0
    c[rng.random(n) < rng.choice([0, 0, 0.3])] = 0.0
    lo, hi = sorted(rng.choice([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0], 2, replace=False).tolist())
    least, most = math.fsum(c * 4.0**-hi), math.fsum(c * 4.0**-lo)
    limit = least + float(rng.choice([0.0, 1e-9, 0.01, 0.5, 0.99, 1.0, 2.0])) * (most - least)
    found = allocate(price, c, limit, lo, hi)
    assert found is not None
    check_optimal(price, c, limit, lo, hi, found)
    # A limit is known to so many digits; between them the objective may vary a lot.
    cheaper, dearer = (bisected(price, c, limit * (1 + d), lo, hi) for d in (1e-13, -1e-13))
    assert cheaper is not None
    assert found.objective >= cheaper * (1 - 1e-9)
    assert dearer is None or found.objective <= dearer * (1 + 1e-9)
    if least > 0:
        assert allocate(price, c, least * (1 - 1e-9), lo, hi) is None


@pytest.mark.parametrize(
    ("price", "c", "limit", "expected"),
    [
        ([1.0, 2.0], [1.0, 1.0], math.inf, [1, 1]),  # no limit
        ([1.0, 2.0], [0.0, 0.0], 0.0, [1, 1]),  # nothing makes noise
        ([1.0, 2.0], [1.0, 1.0], 0.5, [1, 1]),  # everything at lo, exactly
        ([1.0, 2.0], [1.0, 1.0], 2 * 4.0**-4, [4, 4]),  # everything at hi, exactly
        ([0.0, 2.0], [1.0, 1.0], 4.0**-4 + 4.0**-2, [4, 2]),  # what costs nothing takes hi
        ([0.0], [1.0], 0.1, [4]),
        ([0.0, 0.0], [1.0, 3.0], 0.1, [4, 4]),
        ([0.0, 1.0], [1.0, 0.0], 0.1, [4, 1]),
        ([1.0], [1.0], 4.0**-2.5, [2.5]),
        ([1.0, 1.0], [4.0, 1.0], 0.125, [3, 2]),  # equal shares
        ([], [], 1.0, []),
        ([], [], 0.0, []),
    ],
)
def test_closed_form_at_the_edges(price: list[float], c: list[float], limit: float, expected: list[float]) -> None:
    p, k = np.array(price, dtype=float), np.array(c, dtype=float)
    found = allocate(p, k, limit, 1.0, 4.0)
    assert found is not None
    assert found.bits.tolist() == pytest.approx(expected, abs=1e-12)
    if sum(price) > 0:
        check_optimal(p, k, limit, 1.0, 4.0, found)


def test_closed_form_on_a_flat_piece() -> None:
    """Between the two tensors' ranges no level changes the spending: any of the piece will do."""
    price, c = np.array([1.0, 1.0]), np.array([1.0, 1e-8])
    limit = 4.0**-4 + 1e-8 * 4.0**-1
    found = allocate(price, c, limit, 1.0, 4.0)
    assert found is not None
    assert found.bits.tolist() == [4.0, 1.0]
    check_optimal(price, c, limit, 1.0, 4.0, found)


@pytest.mark.parametrize("limit", [0.0, 4.0**-4 * (1 - 1e-9)])
def test_closed_form_says_infeasible(limit: float) -> None:
    assert allocate(np.array([1.0]), np.array([1.0]), limit, 1.0, 4.0) is None


def test_closed_form_of_many_layers() -> None:
    rng = np.random.default_rng(7)
    n = 100_000
    price, c = scattered(rng, n, 3), scattered(rng, n, 3)
    limit = math.fsum(c) * 4.0**-6
    found = allocate(price, c, limit, 1.0, 16.0)
    assert found is not None
    check_optimal(price, c, limit, 1.0, 16.0, found)
