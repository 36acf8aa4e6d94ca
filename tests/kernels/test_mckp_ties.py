"""Tied classes: the merged knapsack against enumeration over the classes as given."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact import total
from knapsack_rows import FAMILIES, entries, instance, keeps, rationals, size
from sweeps import few

from qopt.core.errors import InputError
from qopt.kernels import exchange
from qopt.kernels.checker import check as check_witness
from qopt.kernels.knapsack import rows as mckp_rows
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.ties import merge


def tied_brute(cost: Any, weight: Any, limit: Any, ties: Any) -> Fraction | None:
    """Optimum over all choices that keep the ties."""
    c, w, best = rationals(cost), rationals(weight), None
    for choice in itertools.product(range(c.shape[1]), repeat=len(c)):
        if all(len({choice[i] for i in group}) == 1 for group in ties) and keeps(w, limit, choice):
            value = total(entries(c, choice))
            best = value if best is None else min(best, value)
    return best


def check_tied(cost: Any, weight: Any, limit: Any, ties: Any) -> Result:
    """Solve, and compare with enumeration and the checker."""
    best, result = tied_brute(cost, weight, limit, ties), mckp_rows.solve(cost, weight, limit, ties=ties)
    assert (result.choice is None) == (best is None)
    if result.choice is not None and best is not None:
        assert all(len(set(result.choice[group].tolist())) == 1 for group in ties)
        assert keeps(rationals(weight), limit, result.choice)
        assert result.objective == math.fsum(cost[i][j] for i, j in enumerate(result.choice))
        value = total(entries(rationals(cost), result.choice))
        assert value - best <= Fraction(1e-12) * size(np.asarray(cost))
        assert result.status != "optimal" or value - best <= Fraction(1e-9) * abs(value)
    if result.status in ("optimal", "infeasible"):
        instance = exchange.mckp_instance(cost, weight, limit, ties)
        verdict = check_witness(instance, exchange.mckp_witness(result))
        assert verdict.accepted, verdict.reason
    return result


def test_tied_classes_agree_with_enumeration() -> None:
    ties = [[4, 1], [2], [3, 5]]
    assert merge(ties, 6).owner.tolist() == [0, 1, 2, 3, 1, 3]
    proved = 0
    for seed in range(few(60)):
        rng = np.random.default_rng(seed)
        proved += check_tied(*instance(rng, FAMILIES[seed % len(FAMILIES)], 2, 6, 3), ties).tree is not None
    assert proved > few(50)


def test_tied_classes_meet_limits_by_their_own_terms() -> None:
    """A merged weight is rounded: what it drops decides here."""
    most = 1 + 1e-12
    free = np.zeros((2, 2))
    cost, weight = np.array([[0.0, 1.0]] * 2), np.array([[[most, 0.0], [1e-17, 0.0]], free])
    result = check_tied(cost, weight, [1.0, 5.0], [[0, 1]])
    assert (result.status, result.objective) == ("optimal", 2.0)
    weight[0, 1, 0] = 0.0
    assert check_tied(cost, weight, [1.0, 5.0], [[0, 1]]).objective == 0.0
    column = [[0.1, 5.0], [0.7, 5.0], [-0.7999999999999999, 5.0]]
    for limit, status in ((0.0, "infeasible"), (1e-16, "optimal")):
        result = check_tied(np.zeros((3, 2)), np.array([column, np.zeros((3, 2))]), [limit, 5.0], [[0, 1]])
        assert result.status == status


@pytest.mark.parametrize("digits", [1, 2, 17])
def test_ties_at_exact_limits(digits: int) -> None:
    """Limits that are the very sum of some choice, or the float below it."""
    for seed in range(few(40)):
        rng = np.random.default_rng([digits, seed])
        weight = rng.uniform(-1, 1, (2, 5, 3)).round(digits)
        cost = rng.uniform(-1, 1, (5, 3)).round(digits)
        column = rng.integers(0, 3, 3)
        choice = column[[0, 1, 0, 2, 1]]
        sums = np.array([math.fsum(row[np.arange(5), choice]) for row in weight])
        limit = sums / (1 + 1e-12 * np.sign(sums))
        limit = np.where(rng.random(2) < 0.5, limit, np.nextafter(limit, -math.inf))
        check_tied(cost, weight, limit, [[0, 2], [1, 4]])


def test_the_error_of_merged_tables_is_bounded() -> None:
    ties = [[0, 3, 1], [2, 4]]
    for seed in range(few(60)):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(2, 6, 3)) * 10.0 ** rng.uniform(-8, 8, (2, 6, 3))
        merged = merge(ties, 6)
        error, table = merged.error(values), merged.table(values)
        assert error.shape == (2,)
        for r in range(2):
            off = [
                abs(
                    total(entries(rationals(table[r]), choice))
                    - total(entries(rationals(values[r]), merged.expand(np.array(choice))))
                )
                for choice in itertools.product(range(3), repeat=len(merged.heads))
            ]
            assert 0 < max(off) <= Fraction(float(error[r]))
        assert merged.error(values[0]) == error[0]
        assert merged.error(rng.integers(-9, 9, (2, 6, 3)).astype(float)).tolist() == [0.0, 0.0]
        assert merge(None, 6).error(values).tolist() == [0.0, 0.0]


def test_merged_tables_are_sums_rounded_once() -> None:
    values = np.array([[0.1, 1e16], [0.2, 1.0], [0.3, -1e16], [7.0, 8.0]])
    merged = merge([[2, 0, 1]], 4)
    np.testing.assert_array_equal(
        merged.table(values), [[math.fsum([0.1, 0.2, 0.3]), math.fsum([1e16, 1.0, -1e16])], [7.0, 8.0]]
    )
    assert merged.expand(np.array([1, 0])).tolist() == [1, 1, 1, 0]
    assert merge(None, 2).table(values[:2]).tolist() == values[:2].tolist()


@pytest.mark.parametrize(
    ("ties", "field"),
    [
        ([[0, 3]], "ties[0][1]"),
        ([[0, 1], [1, 2]], "ties[1][0]"),
        ([[1, 1]], "ties[0][1]"),
        ([[0, -1]], "ties[0][1]"),
        ([[0, True]], "ties[0][1]"),
        ([[0, 1.0]], "ties[0][1]"),
        ([[]], "ties[0]"),
        (["01"], "ties[0]"),
        ("01", "ties"),
        (np.array([[0, 1]]), "ties"),
        ([np.array([0, 1])], "ties[0]"),
    ],
)
def test_bad_ties_are_named(ties: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        merge(ties, 3)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)
