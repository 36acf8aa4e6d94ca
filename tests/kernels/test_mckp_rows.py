"""Knapsacks with several rows, and tied classes, against enumeration, exact arithmetic and another solver."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact import total
from knapsack_rows import FAMILIES, brute, entries, instance, keeps, rationals, size, tree_bound
from scipy.optimize import Bounds, LinearConstraint, milp
from sweeps import few

from qopt.core.errors import InputError
from qopt.kernels.knapsack import rows as mckp_rows
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.rows_core import shifted
from qopt.kernels.knapsack.rows_incumbent import Incumbent
from qopt.kernels.knapsack.ties import merge


def check(cost: Any, weight: Any, limit: Any, **options: Any) -> Result:
    """Solve, and compare with enumeration; check choice, bound and tree."""
    best = brute(cost, weight, limit)
    result = mckp_rows.solve(cost, weight, limit, **options)
    if best is None:
        assert result.status == "infeasible"
        assert (result.choice, result.objective, result.bound) == (None, None, None)
        assert result.tree is not None
        assert tree_bound(cost, weight, limit, result.tree) is None
        return result
    cancelled = abs(best) * 10**6 < size(cost)  # beyond what floats can prove to 1e-9 of the objective
    assert result.status == "optimal" or (cancelled and result.status == "optimal-by-solver")
    assert result.choice is not None
    assert result.objective is not None
    assert keeps(rationals(weight), limit, result.choice)
    assert result.objective == math.fsum(cost[i, j] for i, j in enumerate(result.choice))
    assert result.bound == result.objective
    tolerance = Fraction(1e-12) * size(cost)
    assert total(entries(rationals(cost), result.choice)) - best <= tolerance
    if result.status == "optimal":
        assert result.tree is not None
        bound = tree_bound(cost, weight, limit, result.tree)
        assert bound is None or bound >= Fraction(result.objective) - Fraction(1e-9) * abs(Fraction(result.objective))
    return result


def small(family: str, number: int) -> Iterator[tuple[Any, Any, Any]]:
    for seed in range(number):
        rng = np.random.default_rng([FAMILIES.index(family), seed])
        rows, n, k = int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(1, 5))
        yield instance(rng, family, rows, n, k)


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_enumeration(family: str) -> None:
    statuses = [check(*data).status for data in small(family, 90)]
    assert statuses.count("optimal") > 30
    assert statuses.count("infeasible") > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_searches_of_many_classes_have_right_trees(family: str) -> None:
    """Too many choices to enumerate: HiGHS finds the optimum, the tree is checked in rationals."""
    for seed in range(4):
        rng = np.random.default_rng([7, seed])
        rows, n, k = seed % 3 + 1, 16, 5
        cost, weight, _ = instance(rng, family, rows, n, k)
        if family == "decades":  # beyond the tolerances of the other solver
            cost, weight = 10.0 ** rng.uniform(-1, 1, (n, k)), 10.0 ** rng.uniform(-1, 1, (rows, n, k))
        low, high = weight.min(axis=2).sum(axis=1), weight.max(axis=2).sum(axis=1)
        limit = low + 0.45 * (high - low)
        result = mckp_rows.solve(cost, weight, limit)
        assert result.status == "optimal"
        assert result.tree is not None
        assert result.choice is not None
        assert result.objective is not None
        assert keeps(rationals(weight), limit, result.choice)
        bound = tree_bound(cost, weight, limit, result.tree)
        assert bound is not None
        assert bound >= Fraction(result.objective) - Fraction(1e-12) * size(cost)
        other = other_optimum(cost, weight, limit)
        assert result.objective == pytest.approx(other, rel=1e-6, abs=1e-6 * float(size(cost)))


def other_optimum(cost: Any, weight: Any, limit: Any) -> float:
    n, k = cost.shape
    scale = np.abs(weight).max(axis=(1, 2))
    found = milp(
        cost.ravel(),
        integrality=np.ones(n * k),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint((weight / scale[:, None, None]).reshape(len(weight), -1), -np.inf, limit / scale),
            LinearConstraint(np.kron(np.eye(n), np.ones(k)), 1, 1),
        ],
        options={"mip_rel_gap": 0.0},
    )
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize("power", [-40, -12, 25, 40])
def test_units_do_not_matter(power: int) -> None:
    """Powers of two change no digit, so the very same choice must come back."""
    for family in FAMILIES:
        cost, weight, limit = instance(np.random.default_rng(5), family, 3, 8, 5)
        across = np.array([power, -power, 7])
        first = mckp_rows.solve(cost, weight, limit)
        second = mckp_rows.solve(
            np.ldexp(cost, power), np.ldexp(weight, across[:, None, None]), np.ldexp(limit, across)
        )
        assert first.status == second.status
        assert (first.choice is None) == (second.choice is None)
        if first.choice is not None and second.choice is not None:
            assert first.choice.tolist() == second.choice.tolist()
        assert len(first.tree or []) == len(second.tree or [])


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_extreme_scales(factor: float) -> None:
    for family in FAMILIES:
        cost, weight, limit = instance(np.random.default_rng(3), family, 3, 4, 4)
        scale = np.array([factor, 1.0, 1 / factor])
        check(cost * factor, weight * scale[:, None, None], limit * scale)
        check(cost / factor, weight * scale[:, None, None], limit * scale)


def test_limits_met_with_equality_hold() -> None:
    """0.1 + 0.2 > 0.3 in floating point, and is still within 0.3."""
    cost = np.array([[5.0, 0.0], [5.0, 0.0]])
    weight = np.array([[[0.0, 0.1], [0.0, 0.2]], [[0.0, 0.7], [0.0, 0.1]]])
    assert check(cost, weight, [0.3, 0.8]).objective == 0.0
    assert check(cost, weight, [0.3, 0.8 * (1 - 1e-11)]).objective == 5.0
    share = 180.0 / 7
    cost, weight = np.tile([1.0, 0.0], (7, 1)), np.tile([0.0, share], (2, 7, 1))
    assert check(cost, weight, [180.0, 180.0]).objective == 0.0
    assert check(cost, weight, [180.0, 180.0 * (1 - 1e-11)]).objective == 1.0


@pytest.mark.parametrize("family", FAMILIES)
def test_only_choices_below_the_upper_value_count(family: str) -> None:
    for cost, weight, limit in small(family, few(25)):
        best = brute(cost, weight, limit)
        if best is None:
            assert mckp_rows.solve(cost, weight, limit, upper=1e30).status == "infeasible"
            continue
        spread = float(size(cost)) or 1.0
        above = mckp_rows.solve(cost, weight, limit, upper=float(best) + 1e-6 * spread)
        assert above.status == "optimal"
        assert above.objective == pytest.approx(float(best), rel=1e-12, abs=1e-12 * spread)
        below = mckp_rows.solve(cost, weight, limit, upper=float(best) - 1e-6 * spread)
        assert (below.status, below.choice) == ("cutoff", None)
        assert below.bound == float(best) - 1e-6 * spread
        assert below.tree is not None
        bound = tree_bound(cost, weight, limit, below.tree)
        assert bound is None or bound >= Fraction(below.bound) - Fraction(1e-12) * size(cost)


def hard(seed: int, n: int = 30) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    bits = np.arange(1, 11)
    c = 10.0 ** rng.uniform(-1, 1, (3, n))
    return 10.0 ** rng.uniform(3, 5, (n, 1)) * bits, c[:, :, None] * 4.0**-bits, c.sum(axis=1) * 4.0**-6


@pytest.mark.parametrize("seed", range(3))
def test_trees_are_as_sharp_as_certificates_ask(seed: int) -> None:
    """Many choices nearly as good as the best: every leaf's bound is within 1e-12 of it."""
    cost, weight, limit = hard(seed, 18)
    result = mckp_rows.solve(cost, weight, limit)
    assert result.status == "optimal"
    assert result.objective is not None
    bound = tree_bound(cost, weight, limit, result.tree)
    assert bound is not None
    assert bound >= Fraction(result.objective) * (1 - Fraction(1e-12))


@pytest.fixture(scope="module")
def optima() -> list[float]:
    """Optima of the first hard instances, by HiGHS."""
    return [other_optimum(*hard(seed)) for seed in range(5)]


STOPS = [{"time_limit": 0.0}, {"max_labels": 1}, {"max_labels": 500}, {"gap": 0.02}, {"gap": 0.02, "max_labels": 500}]


@pytest.mark.parametrize("options", STOPS)
def test_a_search_that_is_stopped_tells_the_truth(options: dict[str, Any], optima: list[float]) -> None:
    stopped = 0
    for seed, optimum in enumerate(optima):
        cost, weight, limit = hard(seed)
        result = mckp_rows.solve(cost, weight, limit, **options)
        assert result.bound is not None
        assert result.bound <= optimum * (1 + 1e-9)
        if result.choice is not None:
            assert result.objective is not None
            assert keeps(rationals(weight), limit, result.choice)
            assert result.objective >= optimum * (1 - 1e-9)
        if options == {"gap": 0.02}:
            assert result.status in ("optimal", "within-gap")
            assert result.gap is not None
            assert result.objective is not None
            assert result.gap <= options["gap"] * result.objective * (1 + 1e-12)
            if result.tree is not None:
                bound = tree_bound(cost, weight, limit, result.tree)
                assert bound is not None
                assert bound >= Fraction(result.bound) - Fraction(1e-12) * size(cost)
        stopped += result.status in ("limit", "within-gap")
        if result.status == "limit":
            assert result.tree is None
            assert result.bound > 0.9 * optimum
    assert stopped >= 3


@pytest.mark.parametrize("gap", [0.01, 0.1, 0.5])
def test_a_gap_is_to_a_choice_and_not_to_the_upper_value(gap: float, optima: list[float]) -> None:
    """Where the optimum is just below the upper value, a gap is no reason to say that nothing is."""
    for seed, optimum in enumerate(optima):
        cost, weight, limit = hard(seed)
        result = mckp_rows.solve(cost, weight, limit, gap=gap, upper=optimum * (1 + gap / 2))
        assert result.status in ("optimal", "within-gap")
        assert result.objective is not None
        assert result.bound is not None
        assert keeps(rationals(weight), limit, result.choice)
        assert optimum * (1 - 1e-9) <= result.objective < optimum * (1 + gap / 2)
        assert result.bound <= optimum * (1 + 1e-9)
        assert result.objective - result.bound <= gap * result.objective * (1 + 1e-12)
        below = mckp_rows.solve(cost, weight, limit, gap=gap, upper=optimum * (1 - 1e-6))
        assert (below.status, below.choice) == ("cutoff", None)


def test_costs_that_cancel_are_called_optimal_only_if_they_are() -> None:
    """Costs up to a million that add up to as little as 1e-8: below what sums round by, whole numbers tell."""
    statuses = []
    for seed in range(few(60)):
        rng = np.random.default_rng(seed)
        # The rows make classes 0 and 1 take the same column, and 2 and 3; their costs cancel.
        large = rng.uniform(-1, 1, (2, 3)) * 10.0 ** rng.integers(1, 7)
        tiny = rng.uniform(0, 10.0 ** -rng.integers(0, 9), (2, 3))
        cost = np.array([large[0], tiny[0] - large[0], large[1], tiny[1] - large[1]])
        difference = np.outer([1.0, -1.0, 10.0, -10.0], np.arange(3))
        weight, limit = np.array([difference, -difference]), np.zeros(2)
        best, result = brute(cost, weight, limit), mckp_rows.solve(cost, weight, limit)
        assert best is not None
        assert result.choice is not None
        value = total(entries(rationals(cost), result.choice))
        assert value - best <= Fraction(1e-12) * size(cost)
        if result.status == "optimal":
            assert value - best <= Fraction(1e-9) * abs(value)
        statuses.append(result.status)
    assert {"optimal"} == set(statuses)


def test_exchanges_stop_at_a_deadline() -> None:
    cost, weight, limit = hard(0)
    data = shifted(cost, weight, limit * 256, True, merge(None, len(cost)))
    everything, none = np.ones(cost.shape, dtype=bool), np.zeros(len(limit))
    for deadline, found in ((None, True), (0.0, False)):
        best = Incumbent(data, data.ceiling, 0.0, deadline)
        best.repair(np.zeros(len(cost), dtype=np.int64), everything, none)
        assert (best.choice is not None) == found
    assert best.value > data.ceiling
    lightest = data.weight[0].argmin(axis=1)
    assert best.offer(lightest)
    assert best.choice is not None
    assert best.choice.tolist() == lightest.tolist()


def test_a_tree_that_grows_too_large_is_given_up() -> None:
    cost, weight, limit = hard(1)
    whole, bare = mckp_rows.solve(cost, weight, limit), mckp_rows.solve(cost, weight, limit, branch_nodes=5)
    assert (whole.status, bare.status) == ("optimal", "optimal-by-solver")
    assert bare.tree is None
    assert bare.objective == pytest.approx(whole.objective, rel=1e-12)


def test_edges() -> None:
    none = np.zeros((0, 3, 2))
    assert check(np.array([[3.0, 1.0]] * 3), none, np.zeros(0)).objective == 3.0
    result = check(np.array([[3.0, 1.0]]), np.array([[[0.0, 9.0]]] * 2), np.array([math.inf, math.inf]))
    assert result.objective == 1.0
    assert check(np.array([[2.0]]), np.array([[[1.0]]] * 2), np.array([1.0, 0.5])).status == "infeasible"
    assert check(np.zeros((3, 2)), np.array([[[0.0, 1.0]] * 3] * 2), np.array([1.0, 0.0])).objective == 0.0
    assert check(np.zeros((2, 2)), np.array([[[0, 1.0]] * 2, [[1.0, 0]] * 2]), np.array([0.0, 1.0])).tree
    empty = mckp_rows.solve(np.zeros((0, 0)), np.zeros((2, 0, 0)), [0.0, 1.0])
    assert (empty.status, empty.objective) == ("optimal", 0.0)
    assert empty.choice is not None
    assert empty.choice.shape == (0,)
    assert mckp_rows.solve(np.zeros((0, 0)), np.zeros((2, 0, 0)), [0.0, -1.0]).status == "infeasible"


def test_inputs_stay_as_they_are() -> None:
    cost, weight, limit = hard(0, 8)
    before = cost.copy(), weight.copy(), limit.copy()
    mckp_rows.solve(cost, weight, limit)
    for now, then in zip((cost, weight, limit), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("cost", "weight", "limit", "options", "field"),
    [
        ([[1.0, 2.0]], [[[1.0]]], [1.0], {}, "weight"),
        ([[1.0]], [[1.0]], [1.0], {}, "weight"),
        (np.zeros((2, 0)), np.zeros((1, 2, 0)), [1.0], {}, "weight"),
        ([[math.nan]], [[[1.0]]], [1.0], {}, "cost[0, 0]"),
        ([[1.0], [2.0]], [[[1.0], [math.inf]]], [1.0], {}, "weight[0, 1, 0]"),
        ([[1.0]], [[[1.0]]], [math.nan], {}, "limit[0]"),
        ([[1.0]], [[[1.0]]] * 2, [1.0, -math.inf], {}, "limit[1]"),
        ([[1.0]], [[[1.0]]], [1.0, 2.0], {}, "limit"),
        ([[1.0]], [[[1.0]]], "much", {}, "limit"),
        ([[1.0]], [[[1.0]]], [1.0], {"upper": math.nan}, "upper"),
        ([[1.0]], [[[1.0]]], [1.0], {"upper": -math.inf}, "upper"),
        ([[1.0]], [[[1.0]]], [1.0], {"gap": -1.0}, "gap"),
        ([[1.0]], [[[1.0]]], [1.0], {"gap": "0"}, "gap"),
        ([[1.0]], [[[1.0]]], [1.0], {"time_limit": -1}, "time_limit"),
        ([[1.0]], [[[1.0]]], [1.0], {"time_limit": math.nan}, "time_limit"),
        ([[1.0]], [[[1.0]]], [1.0], {"branch_nodes": -1}, "branch_nodes"),
        ([[1.0]], [[[1.0]]], [1.0], {"max_labels": 1.5}, "max_labels"),
        ([["a"]], [[[1.0]]], [1.0], {}, "cost"),
        ([[1.0], [1.0, 2.0]], [[[1.0]]], [1.0], {}, "cost"),
        ([[2e300]], [[[1.0]]], [1.0], {}, "cost[0, 0]"),
        ([[1.0], [2.0]], [[[1.0], [math.nan]]], [1.0], {"ties": [[0, 1]]}, "weight[0, 1, 0]"),
        ([[1.0], [2.0]], [[[1.0], [1.0]]], [1.0], {"ties": np.array([[0, 1]])}, "ties"),
        ([[9e299]] * 2, [[[1.0]] * 2], [9.0], {"ties": [[0, 1]]}, "ties"),
    ],
)
def test_bad_arrays_are_named(cost: Any, weight: Any, limit: Any, options: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        mckp_rows.solve(cost, weight, limit, **options)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)
