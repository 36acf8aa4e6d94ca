"""The one feasibility test in its forms: one answer to the last bit, on both sides of a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qopt.core.limits import SLACK, limit_below, limit_with_slack, limits_with_slack, sum_within, within
from qopt.kernels.waterfill import allocate

LIMITS = [0.0, -0.0, 0.3, -0.3, 1.0, 7.0 / 3.0, 180.0, -180.0, 1e-300, 1e300, -1e300, 5e-324, math.inf]


def about(number: float) -> list[float]:
    """A float, and its neighbours on both sides."""
    return [math.nextafter(number, -math.inf), number, math.nextafter(number, math.inf)]


def test_all_limits_at_once_are_the_limits_one_by_one() -> None:
    rng = np.random.default_rng(1)
    limits = np.array([*LIMITS, *rng.standard_normal(1000), *10.0 ** rng.uniform(-300, 300, 1000)])
    assert limits_with_slack(limits).tolist() == [limit_with_slack(x) for x in limits.tolist()]


@pytest.mark.parametrize("limit", [x for x in LIMITS if math.isfinite(x)])
def test_one_number_keeps_a_limit_if_it_is_at_most_the_relaxed_one(limit: float) -> None:
    allowed = float(limits_with_slack(np.array([limit]))[0])
    for number in about(allowed):
        assert within([number], limit) == (number <= allowed) == sum_within(np.array([number]), limit)


@pytest.mark.parametrize("limit", [1e-9, 1.0, 180.0])
def test_a_limit_below_an_amount_is_broken_by_it(limit: float) -> None:
    assert not within([limit], limit_below(limit))
    assert limit_below(limit) > limit * (1.0 - 3.0 * SLACK)


@given(st.lists(st.floats(-1e9, 1e9), max_size=40), st.integers(-3, 3))
def test_sums_of_arrays_agree_at_the_limit(terms: list[float], steps: int) -> None:
    """Limits a few floats from the one that the exact sum just keeps, where rounded sums cannot tell."""
    limit = math.fsum(terms) / (1.0 + SLACK)
    for _ in range(abs(steps)):
        limit = math.nextafter(limit, math.copysign(math.inf, steps))
    assert sum_within(np.array(terms), limit) == within(terms, limit)


@pytest.mark.parametrize("terms", [[], [0.0], [1e308, 1e308], [1e308, 1e308, -1e308], [5e-324] * 3, [0.1] * 1000])
@pytest.mark.parametrize("limit", LIMITS)
def test_sums_of_arrays_agree_at_the_edges(terms: list[float], limit: float) -> None:
    with np.errstate(over="ignore"):
        assert sum_within(np.array(terms), limit) == within(terms, limit)


def test_water_filling_asks_the_exact_test() -> None:
    """Noise that only a rounded sum puts on the other side of the limit."""
    rng, refused = np.random.default_rng(0), 0
    for _ in range(300):
        c = 10.0 ** rng.uniform(-3, 3, 40)
        least = c * 4.0**-4.0
        limit = math.fsum(least) / (1.0 + SLACK)
        for bound in about(limit):
            found = allocate(np.ones(40), c, bound, 1.0, 4.0)
            assert (found is not None) == within(least.tolist(), bound)
            refused += (float(least.sum()) > bound * (1.0 + SLACK)) != (found is None)
    assert refused > 0, "rounded sums tell them apart as well: nothing was tested"
