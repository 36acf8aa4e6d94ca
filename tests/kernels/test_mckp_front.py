"""The Pareto front against enumeration, exact arithmetic and the lower convex hull found another way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact import allowed, within
from scipy.optimize import linprog
from sweeps import few, swept

from qopt.core.errors import InputError
from qopt.kernels.knapsack import front as front_module
from qopt.kernels.knapsack.front import Front, front
from qopt.kernels.knapsack.front_sums import rounded_sums

FAMILIES = ("ties", "law", "correlated", "negative", "decades", "halves")


def instance(rng: np.random.Generator, family: str, n: int, k: int) -> tuple[Any, Any]:
    if family == "ties":
        return rng.integers(0, 4, (n, k)).astype(float), rng.integers(0, 4, (n, k)).astype(float)
    if family == "law":
        bits = np.arange(1, k + 1)
        return 10.0 ** rng.uniform(-1, 1, (n, 1)) * bits, 10.0 ** rng.uniform(-1, 1, (n, 1)) * 4.0**-bits
    if family == "correlated":
        weight = rng.integers(1, 30, (n, k)).astype(float)
        return 30.0 - weight + rng.integers(-3, 4, (n, k)), weight
    if family == "negative":
        return rng.normal(0, 5, (n, k)), rng.normal(0, 5, (n, k))
    if family == "halves":
        return rng.integers(-9, 9, (n, k)) / 2 + 0.1, rng.integers(-9, 9, (n, k)) * 0.75
    return 10.0 ** rng.uniform(-4, 4, (n, k)), 10.0 ** rng.uniform(-4, 4, (n, k))


def sums(cost: Any, weight: Any, ties: Any = ()) -> list[tuple[Fraction, Fraction]]:
    """(weight, cost) of every choice that keeps the ties, exactly."""
    n, k = cost.shape
    c = [[Fraction(x) for x in row] for row in cost.tolist()]
    w = [[Fraction(x) for x in row] for row in weight.tolist()]
    return [
        (
            sum((w[i][j] for i, j in enumerate(choice)), Fraction(0)),
            sum((c[i][j] for i, j in enumerate(choice)), Fraction(0)),
        )
        for choice in itertools.product(range(k), repeat=n)
        if all(len({choice[i] for i in group}) == 1 for group in ties)
    ]


def undominated(points: list[tuple[Fraction, Fraction]], limit: float) -> list[tuple[Fraction, Fraction]]:
    found: list[tuple[Fraction, Fraction]] = []
    for w, c in sorted(points):
        if within([w], limit) and (not found or c < found[-1][1]):
            found.append((w, c))
    return found


def check_points(found: Front, cost: Any, weight: Any) -> None:
    """Every point is what its choice adds up to; weights rise and costs fall."""
    rows = np.arange(len(cost))
    for p, choice in enumerate(found.choices(np.arange(len(found)))):
        assert choice.tolist() == found.choice(p).tolist()
        assert found.weight[p] == math.fsum(weight[rows, choice])
        assert found.cost[p] == math.fsum(cost[rows, choice])
    assert np.all(np.diff(found.weight) > 0)
    assert np.all(np.diff(found.cost) < 0)


def check_staircase(found: Front, points: list[tuple[Fraction, Fraction]], cost: Any, weight: Any) -> None:
    """Both staircases are the same, up to the rounding of sums."""
    slack = [Fraction(1e-13) * Fraction(float(np.abs(table).max(axis=1).sum())) for table in (weight, cost)]
    mine = [(Fraction(w), Fraction(c)) for w, c in zip(found.weight.tolist(), found.cost.tolist(), strict=True)]
    for one, other in ((mine, points), (points, mine)):
        for w, c in one:
            assert any(v <= w + slack[0] and d <= c + slack[1] for v, d in other), (w, c)


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_enumeration(family: str) -> None:
    empty = 0
    for seed in range(few(125)):
        rng = np.random.default_rng([FAMILIES.index(family), seed])
        n, k = int(rng.integers(1, 6)), int(rng.integers(1, 5))
        cost, weight = instance(rng, family, n, k)
        low, high = float(weight.min(axis=1).sum()), float(weight.max(axis=1).sum())
        limit = float(rng.choice([low - 0.1 * abs(low) - 0.1, low, low + 0.4 * (high - low), high, math.inf]))
        found = front(cost, weight, limit)
        assert found.complete
        assert found.gap == 0.0
        truth = undominated(sums(cost, weight), limit)
        check_points(found, cost, weight)
        if family in ("ties", "correlated"):  # whole numbers: no rounding at all
            assert list(zip(found.weight.tolist(), found.cost.tolist(), strict=True)) == truth
        else:
            check_staircase(found, truth, cost, weight)
        empty += not truth
    assert 0 < empty < few(60)


@pytest.mark.parametrize(("n", "k"), swept([(6, 5), (8, 3), (12, 2)], lambda size: size != (12, 2)))
def test_more_classes(n: int, k: int) -> None:
    for seed, family in enumerate(("ties", "correlated", "negative")):
        cost, weight = instance(np.random.default_rng(seed), family, n, k)
        found = front(cost, weight)
        check_points(found, cost, weight)
        check_staircase(found, undominated(sums(cost, weight), math.inf), cost, weight)


def test_the_cheapest_within_a_limit() -> None:
    for seed in range(few(30)):
        rng = np.random.default_rng(seed)
        cost, weight = instance(rng, FAMILIES[seed % len(FAMILIES)], 4, 4)
        everything, found = sums(cost, weight), front(cost, weight)
        size_w, size_c = (float(np.abs(table).max(axis=1).sum()) for table in (weight, cost))
        for limit in rng.uniform(-1.1, 1.1, 20) * size_w:
            best = min((c for w, c in everything if within([w], limit)), default=None)
            point, bound = found.at(limit), found.lower_bound(limit)
            assert (point is None) == (best is None)
            assert (bound is None) == (best is None)
            if point is not None and bound is not None and best is not None:
                assert point.proved
                assert point.cost == pytest.approx(float(best), rel=1e-12, abs=1e-13 * size_c)
                assert bound == point.cost
                assert (point.weight, point.cost) == (found.weight[point.index], found.cost[point.index])


def test_a_limit_met_with_equality_holds() -> None:
    cost, weight = np.array([[5.0, 0.0], [5.0, 0.0]]), np.array([[0.0, 0.1], [0.0, 0.2]])
    for found in (front(cost, weight), front(cost, weight, 0.3)):
        point = found.at(0.3)
        assert point is not None
        assert point.cost == 0.0
        less = found.at(0.3 * (1 - 1e-11))
        assert less is not None
        assert less.cost == 5.0
    share = 180.0 / 7
    found = front(np.tile([1.0, 0.0], (7, 1)), np.tile([0.0, share], (7, 1)), 180.0)
    assert found.cost.tolist() == [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


def test_a_sum_that_rounds_to_the_limit_from_above_breaks_it() -> None:
    most = allowed(1.0)
    assert most + 1e-17 == most
    found = front([[0.0, 2.0], [0.0, 1.0]], [[most, most], [1e-17, 0.0]], 1.0)
    assert (found.weight.tolist(), found.cost.tolist()) == ([most], [1.0])


def test_beyond_the_limit_nothing_is_claimed() -> None:
    cost, weight = instance(np.random.default_rng(2), "correlated", 6, 4)
    whole = front(cost, weight)
    limit = float(whole.weight[len(whole) // 2])
    part = front(cost, weight, limit)
    assert part.weight.tolist() == whole.weight[whole.weight <= limit].tolist()
    far = float(whole.weight[-1])
    inside, outside, truth = part.at(limit), part.at(far), whole.at(far)
    assert inside is not None
    assert outside is not None
    assert truth is not None
    assert inside.proved
    assert not outside.proved
    assert truth.proved
    bound = part.lower_bound(far)
    assert bound is not None
    assert bound <= truth.cost


@pytest.mark.parametrize("limit", [1.0, math.inf])
def test_a_point_beyond_the_limit_that_hides_another_one_proves_nothing(limit: float) -> None:
    """most + 1e-17 rounds to most, and is cheaper; but within 1.0 only most itself is."""
    most = allowed(1.0)
    cost, weight = np.array([[5.0, 0.0], [2.0, 0.0]]), np.array([[0.0, most], [0.0, 1e-17]])
    best = min(c for w, c in sums(cost, weight) if w <= Fraction(most))
    assert best == 2
    found = front(cost, weight, limit)
    point, bound = found.at(1.0), found.lower_bound(1.0)
    assert point is not None
    assert bound is not None
    assert bound <= best
    assert not (point.proved and point.cost > best)
    assert found.complete == math.isinf(limit)


class Ticking:
    """A clock that is a second further each time that someone looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1.0
        return self.now


def test_time_may_end_at_any_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the lists, or when their points are added up: supported points remain, and all is well."""
    cost, weight = instance(np.random.default_rng(1), "negative", 5, 4)
    whole, complete = front(cost, weight), []
    monkeypatch.setattr(front_module, "AT_ONCE", 5)
    for seconds in range(1, 60):
        monkeypatch.setattr(front_module, "time", Ticking())
        part = front(cost, weight, time_limit=float(seconds))
        check_points(part, cost, weight)
        complete.append(part.complete)
        if part.complete:
            np.testing.assert_array_equal(part.weight, whole.weight)
        else:
            assert set(part.weight.tolist()) <= set(whole.weight.tolist())
    assert complete == sorted(complete)
    # Two looks for each of the five classes, and one for each point.
    assert complete.index(True) >= 10 + len(whole)


def test_points_are_added_up_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def noted(values: Any) -> Any:
        sizes.append(values.size)
        return rounded_sums(values)

    monkeypatch.setattr(front_module, "rounded_sums", noted)
    monkeypatch.setattr(front_module, "AT_ONCE", 60)
    cost, weight = instance(np.random.default_rng(1), "negative", 5, 4)
    assert len(front(cost, weight)) > 12
    assert max(sizes) <= 60


@pytest.mark.parametrize("options", [{"max_labels": 10}, {"time_limit": 0.0}])
@pytest.mark.parametrize("family", FAMILIES)
def test_supported_points_where_lists_grow_too_long(family: str, options: dict[str, Any]) -> None:
    """Points, bounds and gap of an incomplete front hold against the complete one."""
    for seed in range(8):
        cost, weight = instance(np.random.default_rng([9, seed]), family, 12, 6)
        high = float(weight.max(axis=1).sum())
        limit = math.inf if seed % 2 else float(weight.min(axis=1).sum() * 0.6 + 0.4 * high)
        whole, part = front(cost, weight, limit), front(cost, weight, limit, **options)
        assert whole.complete
        assert not part.complete
        assert 0 < len(part) <= len(whole)
        check_points(part, cost, weight)
        tolerance = 1e-12 * float(np.abs(cost).max(axis=1).sum())
        probes = np.linspace(float(whole.weight[0]), min(limit, float(whole.weight[-1])), 60)
        for weight_left in [*probes.tolist(), *whole.weight[:200].tolist()]:
            exact, mine, bound = whole.at(weight_left), part.at(weight_left), part.lower_bound(weight_left)
            assert exact is not None
            assert bound is not None
            assert bound <= exact.cost + 1e-14 * tolerance
            if mine is None:
                continue
            assert mine.cost >= exact.cost - tolerance
            assert mine.cost == 0 or mine.cost - bound <= part.gap * abs(mine.cost) + tolerance
            assert not mine.proved or mine.cost <= exact.cost + tolerance
        lightest, cheapest = part.at(float(whole.weight[0])), part.at(math.inf)
        assert lightest is not None
        assert lightest.cost == pytest.approx(float(whole.cost[0]), abs=tolerance)
        if math.isinf(limit):
            assert cheapest is not None
            assert cheapest.proved


def test_the_lower_curve_is_the_linear_relaxation() -> None:
    cost, weight = instance(np.random.default_rng(4), "correlated", 10, 5)
    found = front(cost, weight, max_labels=1)
    for limit in np.linspace(float(found.weight[0]), float(found.weight[-1]), 25):
        program: Any = linprog(
            cost.ravel(),
            A_ub=weight.reshape(1, -1),
            b_ub=[limit],
            A_eq=np.kron(np.eye(10), np.ones(5)),
            b_eq=np.ones(10),
        )
        assert found.lower_bound(float(limit)) == pytest.approx(program.fun, rel=1e-7)


def test_ties() -> None:
    ties = [[0, 3], [4, 2]]
    for seed in range(few(20)):
        rng = np.random.default_rng(seed)
        cost, weight = instance(rng, FAMILIES[seed % len(FAMILIES)], 5, 3)
        found = front(cost, weight, ties=ties)
        check_points(found, cost, weight)
        check_staircase(found, undominated(sums(cost, weight, ties), math.inf), cost, weight)
        part = front(cost, weight, ties=ties, max_labels=2)
        assert not part.complete
        check_points(part, cost, weight)
        for choice in [*found.choices(range(len(found))), *part.choices(range(len(part)))]:
            assert choice[0] == choice[3]
            assert choice[2] == choice[4]


@pytest.mark.parametrize(("up", "across"), [(40, -40), (-40, 3), (0, 40)])
def test_units_do_not_matter(up: int, across: int) -> None:
    for family in FAMILIES:
        cost, weight = instance(np.random.default_rng(6), family, 8, 4)
        first, second = front(cost, weight), front(np.ldexp(cost, up), np.ldexp(weight, across))
        np.testing.assert_array_equal(np.ldexp(first.cost, up), second.cost)
        np.testing.assert_array_equal(np.ldexp(first.weight, across), second.weight)


def test_edges() -> None:
    empty = front(np.zeros((0, 2)), np.zeros((0, 2)))
    assert (empty.weight.tolist(), empty.cost.tolist(), empty.complete) == ([0.0], [0.0], True)
    assert empty.choice(0).shape == (0,)
    assert len(front(np.zeros((0, 2)), np.zeros((0, 2)), -1.0)) == 0
    nothing = front([[1.0, 2.0]], [[3.0, 4.0]], 2.0)
    assert (len(nothing), nothing.complete, nothing.at(2.0), nothing.lower_bound(2.0)) == (0, True, None, None)
    assert nothing.choices([]).shape == (0, 1)
    same = front(np.ones((3, 4)), np.ones((3, 4)))
    assert (same.weight.tolist(), same.cost.tolist()) == ([3.0], [3.0])
    wide = front(np.arange(300.0, 0, -1)[None], np.arange(300.0)[None])  # more columns than a byte holds
    assert len(wide) == 300
    assert wide.choice(299).tolist() == [299]


def test_sums_are_rounded_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(few(60)):
        values = rng.normal(size=(50, int(rng.integers(0, 30)))) * 10.0 ** rng.uniform(-12, 12)
        values *= 10.0 ** rng.uniform(-8, 8, values.shape)
        if values.shape[1] > 3:
            values[:, 1] = -values[:, 0]
            values[:, 3] = values[:, 2] * 2.0**-53  # a half of the last digit
        assert rounded_sums(values).tolist() == [math.fsum(row) for row in values.tolist()]


@pytest.mark.parametrize(
    ("cost", "weight", "limit", "ties", "field"),
    [
        ([[1.0, 2.0]], [[1.0]], 1.0, None, "weight"),
        ([1.0], [1.0], 1.0, None, "cost"),
        (np.zeros((2, 0)), np.zeros((2, 0)), 1.0, None, "weight"),
        ([[math.nan]], [[1.0]], 1.0, None, "cost[0, 0]"),
        ([[1.0]], [[math.inf]], 1.0, None, "weight[0, 0]"),
        ([[1.0]], [[1.0]], math.nan, None, "limit"),
        ([[1.0]], [[1.0]], -math.inf, None, "limit"),
        ([[1.0]], [[1.0]], "1", None, "limit"),
        ([[1.0]], [[1.0]], True, None, "limit"),
        ([["a"]], [[1.0]], 1.0, None, "cost"),
        ([[1.0], [math.nan]], [[1.0]] * 2, 1.0, [[0, 1]], "cost[1, 0]"),
        ([[1.0]] * 2, [[1.0]] * 2, 1.0, np.array([[0, 1]]), "ties"),
        ([[1.0]], [[1.0]], 1.0, [[0, 1]], "ties[0][1]"),
    ],
)
def test_bad_arrays_are_named(cost: Any, weight: Any, limit: Any, ties: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        front(cost, weight, limit, ties=ties)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: front([[1.0]], [[1.0]], max_labels="1"), "max_labels"),  # type: ignore[arg-type]
        (lambda: front([[1.0]], [[1.0]], max_labels=-1), "max_labels"),
        (lambda: front([[1.0]], [[1.0]], time_limit=math.nan), "time_limit"),
        (lambda: front([[1.0]], [[1.0]], time_limit=-1.0), "time_limit"),
        (lambda: front([[1.0]], [[1.0]]).choice(99), "points"),
        (lambda: front([[1.0]], [[1.0]]).choice(-1), "points"),
        (lambda: front([[1.0]], [[1.0]]).choice(0.5), "points"),  # type: ignore[arg-type]
        (lambda: front([[1.0]], [[1.0]]).choices([0, [1]]), "points"),
        (lambda: front([[1.0]], [[1.0]]).at("1"), "limit"),  # type: ignore[arg-type]
        (lambda: front([[1.0]], [[1.0]]).at(math.nan), "limit"),
        (lambda: front([[1.0]], [[1.0]]).lower_bound(True), "weight"),
        (lambda: front([[1.0]], [[1.0]]).lower_bound(-math.inf), "weight"),
    ],
)
def test_bad_options_are_named(call: Callable[[], object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
    assert "\n" not in str(caught.value)
