"""The knapsack of one row against enumeration, another solver, exact arithmetic."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from exact import SEEDS, allowed, scattered, within
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linprog, milp
from scipy.sparse import block_diag, csr_array, vstack
from sweeps import examples

from qopt.core.errors import InputError
from qopt.kernels import exchange, mckp
from qopt.kernels.checker import check
from qopt.kernels.waterfill import allocate


def brute(
    cost: Any, weight: Any, limit: float, upper: float = math.inf
) -> tuple[Fraction | None, set[tuple[int, ...]]]:
    """Least exact cost below an upper value and all choices that attain it, by enumeration."""
    best: Fraction | None = None
    winners: set[tuple[int, ...]] = set()
    for choice in itertools.product(range(cost.shape[1]), repeat=len(cost)):
        if not within([weight[i, j] for i, j in enumerate(choice)], limit):
            continue
        value = sum((Fraction(float(cost[i, j])) for i, j in enumerate(choice)), Fraction(0))
        if value >= upper:
            continue
        if best is None or value < best:
            best, winners = value, {choice}
        elif value == best:
            winners.add(choice)
    return best, winners


def floor_rows(rows: Any) -> tuple[list[list[Fraction]], Fraction]:
    """Rows less their least entry, exactly, and the sum of what was taken off."""
    exact = [[Fraction(float(x)) for x in row] for row in rows]
    least = [min(row) for row in exact]
    return [[x - m for x in row] for row, m in zip(exact, least, strict=True)], sum(least, Fraction(0))


def grid(rows: list[list[Fraction]]) -> Fraction:
    """Largest number of which all are multiples (0 if all are 0)."""
    below = math.lcm(*(x.denominator for row in rows for x in row))
    return Fraction(math.gcd(*(int(x * below) for row in rows for x in row)), below)


def tree_bound(cost: Any, weight: Any, limit: float, tree: Any, target: Fraction) -> None:
    """Leaves partition the choices and each has a valid bound: in rationals, and without the checker's code.

    Bounds are rounded up to the grid of the costs, and the limit down to that of the weights.
    """
    c, c_off = floor_rows(cost)
    w, w_off = floor_rows(weight)
    step, unit = grid(c), grid(w)
    room = None if math.isinf(limit) else Fraction(allowed(limit)) - w_off
    if room is not None and unit:
        room = math.floor(room / unit) * unit
    n, k = cost.shape
    whole = [frozenset(range(k))] * n

    def walk(at: int, classes: list[frozenset[int]]) -> int:
        node = tree[at]
        if node[0] == "split":
            _, i, columns = node
            chosen = frozenset(columns)
            assert chosen < classes[i]
            assert chosen
            first, second = list(classes), list(classes)
            first[i], second[i] = chosen, classes[i] - chosen
            return walk(walk(at + 1, first), second)
        if node[0] in ("sums", "rounded"):
            return at + 1  # left to the checker
        _, a, lam = node
        assert lam >= 0
        multiplier = Fraction(lam)
        value = sum((min(a * c[i][j] + multiplier * w[i][j] for j in classes[i]) for i in range(n)), Fraction(0))
        assert multiplier == 0 or room is not None
        if room is not None:
            value -= multiplier * room
        if a and step:
            value = math.ceil(value / step) * step
        assert value + c_off >= target if a else value > 0
        return at + 1

    assert walk(0, whole) == len(tree)


def checked(cost: Any, weight: Any, limit: float, result: mckp.Result) -> None:
    """Hand a result to the checker of the standard library."""
    verdict = check(exchange.mckp_instance(cost, weight, limit), exchange.mckp_witness(result))
    assert verdict.accepted, verdict.reason
    assert (verdict.objective is None) == (result.status == "infeasible")


def tolerance(cost: Any) -> Fraction:
    """What a tree may miss the optimum by: the rounding of sums, far below the package's 1e-9."""
    spread = float((cost.max(axis=1) - cost.min(axis=1)).sum())
    return Fraction(1e-12) * Fraction(spread)


def close(a: float, b: Fraction, cost: Any) -> bool:
    size = Fraction(float(np.abs(cost).max(axis=1).sum()))
    return abs(Fraction(a) - b) <= Fraction(1e-12) * size


def by_milp(cost: Any, weight: Any, limit: float) -> float:
    """The optimum by HiGHS, which the rows' scale of 1 suits."""
    n, k = cost.shape
    classes = LinearConstraint(block_diag([np.ones((1, k))] * n), 1, 1)
    row = LinearConstraint(csr_array(weight.reshape(1, -1) / limit), -np.inf, 1)
    found = milp(
        cost.ravel() / np.abs(cost).max(),
        constraints=[classes, row],
        integrality=np.ones(n * k),
        bounds=(0, 1),
        options={"mip_rel_gap": 0},
    )
    return math.fsum(cost.ravel()[found.x > 0.5])


def check_against_brute(cost: Any, weight: Any, limit: float, **options: Any) -> mckp.Result:
    best, winners = brute(cost, weight, limit)
    result = mckp.solve(cost, weight, limit, **options)
    if best is None:
        assert result.status == "infeasible"
        assert result.choice is None
        assert result.objective is None
        assert result.bound is None
        if result.tree is not None:
            checked(cost, weight, limit, result)
        return result
    assert result.status == "optimal", result
    checked(cost, weight, limit, result)
    assert result.choice is not None
    assert result.objective is not None
    chosen = [float(weight[i, j]) for i, j in enumerate(result.choice)]
    assert within(chosen, limit)
    assert close(result.objective, best, cost)
    assert result.bound == result.objective
    value = sum((Fraction(float(cost[i, j])) for i, j in enumerate(result.choice)), Fraction(0))
    assert value - best <= tolerance(cost)
    if len(winners) == 1 and value == best:
        assert tuple(result.choice.tolist()) in winners
    lp = mckp.lp_bound(cost, weight, limit)
    assert lp is not None
    assert lp <= float(best) + 1e-9 * float(np.abs(cost).max(axis=1).sum())
    assert result.tree is not None
    tree_bound(cost, weight, limit, result.tree, best - max(tolerance(cost), abs(best) / 10**9))
    return result


def random_knapsack(rng: np.random.Generator, family: str, n: int, k: int) -> tuple[Any, Any, float]:
    if family == "ties":  # few integers: many optima
        cost, weight = rng.integers(0, 4, (n, k)).astype(float), rng.integers(0, 4, (n, k)).astype(float)
    elif family == "law":
        b = np.arange(1, k + 1)
        cost = scattered(rng, n, 1)[:, None] * b
        weight = scattered(rng, n, 1)[:, None] * 4.0**-b
    elif family == "correlated":
        weight = rng.integers(1, 30, (n, k)).astype(float)
        cost = 30.0 - weight + rng.integers(-3, 4, (n, k))
    elif family == "strong":  # a profit is a weight and a constant for each column
        weight = np.cumsum(np.sort(rng.integers(1, 12, (n, k)), axis=1), axis=1).astype(float)
        cost = -(weight * rng.integers(1, 4) + float(rng.integers(2, 9)) * np.arange(1, k + 1))
    elif family == "negative":
        cost, weight = rng.normal(0, 5, (n, k)), rng.normal(0, 5, (n, k))
    elif family == "cancelling":  # the objective is far below the costs
        cost, weight = rng.random((n, k)) * 1e-8, rng.random((n, k))
        cost[0] += 1e6 * np.arange(k)
        cost[-1] -= 1e6
    else:  # decades
        cost, weight = 10.0 ** rng.uniform(-9, 9, (n, k)), 10.0 ** rng.uniform(-9, 9, (n, k))
    low, high = float(weight.min(axis=1).sum()), float(weight.max(axis=1).sum())
    where = float(rng.choice([-0.1, 0.0, 0.05, 0.3, 0.7, 1.0, 1.5]))
    limit = low + where * (high - low) if family != "ties" else float(rng.integers(0, 3 * n))
    return cost, weight, limit


FAMILIES = ("ties", "law", "correlated", "strong", "negative", "decades")


# --- knapsack ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=SEEDS)
@examples(100)
def test_knapsack_agrees_with_enumeration(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, weight, limit = random_knapsack(rng, family, int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    check_against_brute(cost, weight, limit)
    check_against_brute(cost, weight, limit, branch_nodes=0)  # partial sums alone


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_partial_sums_and_branching_agree(nodes: int) -> None:
    rng = np.random.default_rng(nodes)
    for family in FAMILIES:
        for _ in range(4):
            cost, weight, limit = random_knapsack(rng, family, 12, 6)
            whole, partial = mckp.solve(cost, weight, limit), mckp.solve(cost, weight, limit, branch_nodes=nodes)
            assert whole.status == partial.status
            if whole.objective is not None:
                assert partial.objective is not None
                assert close(partial.objective, Fraction(whole.objective), cost)
                if whole.tree is not None:
                    tree_bound(
                        cost,
                        weight,
                        limit,
                        whole.tree,
                        Fraction(whole.objective) * (1 - Fraction(1, 10**9))
                        if whole.objective > 0
                        else Fraction(whole.objective) * (1 + Fraction(1, 10**9)),
                    )


@given(seed=SEEDS, up=st.integers(-40, 40), across=st.integers(-40, 40))
@examples(100)
def test_knapsack_does_not_depend_on_units(seed: int, up: int, across: int) -> None:
    """Powers of two change no digit, so the very same choice must come back."""
    rng = np.random.default_rng(seed)
    family = FAMILIES[int(rng.integers(len(FAMILIES)))]
    cost, weight, limit = random_knapsack(rng, family, 6, 4)
    first = mckp.solve(cost, weight, limit)
    second = mckp.solve(np.ldexp(cost, up), np.ldexp(weight, across), math.ldexp(limit, across))
    assert first.status == second.status
    if first.objective is not None:
        assert second.objective is not None
        assert close(math.ldexp(second.objective, -up), Fraction(first.objective), cost)


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_knapsack_at_extreme_scales(factor: float) -> None:
    rng = np.random.default_rng(3)
    for family in FAMILIES:
        cost, weight, limit = random_knapsack(rng, family, 4, 4)
        check_against_brute(cost * factor, weight / factor, limit / factor)
        check_against_brute(cost * factor, weight * factor, limit * factor)


@pytest.mark.parametrize("options", [{}, {"branch_nodes": 0}])
def test_a_limit_met_with_equality_holds(options: dict[str, int]) -> None:
    """0.1 + 0.2 > 0.3 in floating point, and is still within 0.3."""
    cost, weight = np.array([[5.0, 0.0], [5.0, 0.0]]), np.array([[0.0, 0.1], [0.0, 0.2]])
    result = check_against_brute(cost, weight, 0.3, **options)
    assert result.objective == 0.0
    for parts in (3, 7, 11, 49):
        share = 180.0 / parts
        cost, weight = np.tile([1.0, 0.0], (parts, 1)), np.tile([0.0, share], (parts, 1))
        assert mckp.solve(cost, weight, 180.0, **options).objective == 0.0
        assert mckp.solve(cost, weight, 180.0 * (1 - 1e-11), **options).objective == 1.0


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=SEEDS)
@example(seed=1237)  # negative: in shifted sums the optimum is below the upper value, which is the optimum itself
@examples(40)
def test_only_choices_below_the_upper_value_count(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, weight, limit = random_knapsack(rng, family, 4, 3)
    best, _ = brute(cost, weight, limit)
    if best is None:
        assert mckp.solve(cost, weight, limit, upper=1e30).status in ("infeasible", "cutoff")
        return
    value = mckp.solve(cost, weight, limit).objective
    assert value is not None
    size = float(np.abs(cost).max(axis=1).sum()) or 1.0
    above = mckp.solve(cost, weight, limit, upper=value + 1e-6 * size)
    assert above.status == "optimal"
    assert above.objective == pytest.approx(value, rel=1e-12, abs=1e-12 * size)
    for upper in (value, value - 1e-6 * size):
        below = mckp.solve(cost, weight, limit, upper=upper)
        assert below.choice is None or (below.objective is not None and below.objective < upper)
        assert below.status == "cutoff" or below.choice is not None
        if below.tree is not None:
            tree_bound(cost, weight, limit, below.tree, Fraction(upper) - tolerance(cost) - Fraction(1e-12 * size))


@given(seed=SEEDS)
@examples(200)
def test_costs_that_cancel_are_not_called_optimal_on_trust(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, weight, limit = random_knapsack(rng, "cancelling", int(rng.integers(2, 6)), 3)
    best, _ = brute(cost, weight, limit)
    result = mckp.solve(cost, weight, limit)
    assert (result.choice is None) == (best is None)
    if result.status == "optimal":
        assert best is not None
        value = sum((Fraction(float(cost[i, j])) for i, j in enumerate(result.choice)), Fraction(0))
        assert value - best <= abs(value) / 10**9
        checked(cost, weight, limit, result)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=SEEDS, gap=st.sampled_from([0.01, 0.1, 0.5]))
@examples(40)
def test_a_gap_and_an_upper_value_together(family: str, seed: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    cost, weight, limit = random_knapsack(rng, family, 4, 3)
    best, _ = brute(cost, weight, limit)
    if best is None:
        return
    size = float(np.abs(cost).max(axis=1).sum()) or 1.0
    upper = float(best) + float(rng.choice([1e-6, 0.01, 0.3])) * size
    result = mckp.solve(cost, weight, limit, upper=upper, gap=gap)
    assert result.status in ("optimal", "within-gap"), result
    assert result.objective is not None
    assert result.objective < upper
    assert result.objective - float(best) <= gap * abs(result.objective) + 1e-9 * size


def test_a_cutoff_is_proved_by_a_tree() -> None:
    rng = np.random.default_rng(11)
    cost, weight, limit = random_knapsack(rng, "law", 20, 8)
    limit = float(weight.min(axis=1).sum() * 30)
    value = mckp.solve(cost, weight, limit).objective
    assert value is not None
    tree = mckp.prove(cost, weight, limit, value * (1 - 1e-9), 5_000)
    assert tree is not None
    tree_bound(cost, weight, limit, tree, Fraction(value) * (1 - Fraction(2, 10**9)))
    assert mckp.prove(cost, weight, limit, value * (1 + 1e-6), 5_000) is None  # not true, so no proof


@pytest.mark.parametrize(
    "options", [{"time_limit": 0.0}, {"branch_nodes": 2, "max_labels": 1}, {"branch_nodes": 0, "max_labels": 50}]
)
@pytest.mark.parametrize("family", ["law", "correlated"])
def test_a_search_that_is_stopped_tells_the_truth(family: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    for _ in range(5):
        cost, weight, _ = random_knapsack(rng, family, 25, 6)
        limit = float(weight.min(axis=1).sum() + 0.2 * (weight.max(axis=1) - weight.min(axis=1)).sum())
        optimum = by_milp(cost, weight, limit)
        result = mckp.solve(cost, weight, limit, **options)
        assert result.status in ("limit", "optimal")
        assert result.bound is not None
        assert result.bound <= optimum * (1 + 1e-9)
        if result.choice is not None:
            assert within([weight[i, j] for i, j in enumerate(result.choice)], limit)
            assert result.objective == pytest.approx(math.fsum(cost[i, j] for i, j in enumerate(result.choice)))
            assert result.objective is not None
            assert result.objective >= optimum * (1 - 1e-9)
        if result.status == "optimal":
            assert result.objective == pytest.approx(optimum, rel=1e-9)
        else:
            assert result.tree is None


def test_stopping_early_happens() -> None:
    """The test above would be empty if no search were ever stopped."""
    rng = np.random.default_rng(5)
    cost, weight, _ = random_knapsack(rng, "correlated", 60, 8)
    limit = float(weight.min(axis=1).sum() + 0.237 * (weight.max(axis=1) - weight.min(axis=1)).sum())
    stopped = mckp.solve(cost, weight, limit, branch_nodes=1, max_labels=1)
    assert stopped.status == "limit"
    assert stopped.gap is not None
    assert stopped.gap >= 0
    assert mckp.solve(cost, weight, limit, time_limit=0.0).status == "limit"


@pytest.mark.parametrize("nodes", [0, 4000])
def test_edges_of_the_knapsack(nodes: int) -> None:
    def solve(cost: Any, weight: Any, limit: float) -> mckp.Result:
        return check_against_brute(np.array(cost, float), np.array(weight, float), limit, branch_nodes=nodes)

    assert solve([[3.0]], [[2.0]], 2.0).objective == 3.0
    assert solve([[3.0]], [[2.0]], 1.9).status == "infeasible"
    assert solve([[3.0, 1.0]], [[2.0, 9.0]], math.inf).objective == 1.0
    assert solve([[3.0, 1.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]], 0.0).objective == 3.0
    assert solve([[1.0, 1.0]] * 4, [[1.0, 1.0]] * 4, 4.0).objective == 4.0  # all the same
    assert solve([[-1.0, -2.0]], [[-5.0, -4.0]], -5.0).objective == -1.0
    assert solve([[0.0, 0.0]] * 3, [[0.0, 1.0]] * 3, 1.0).objective == 0.0
    assert solve([[1.0, 0.0]] * 3, [[0.0, 0.0]] * 3, 0.0).objective == 0.0
    empty = mckp.solve(np.zeros((0, 0)), np.zeros((0, 0)), 0.0, branch_nodes=nodes)
    assert (empty.status, empty.objective) == ("optimal", 0.0)
    assert mckp.solve(np.zeros((0, 3)), np.zeros((0, 3)), -1.0, branch_nodes=nodes).status == "infeasible"


@pytest.mark.parametrize(
    ("cost", "weight", "limit", "field"),
    [
        ([[1.0, 2.0]], [[1.0]], 1.0, "weight"),
        ([1.0], [1.0], 1.0, "cost"),
        ([[1.0], [1.0, 2.0]], [[1.0], [1.0]], 1.0, "cost"),
        ([[1.0]], [["a"]], 1.0, "weight"),
        ([[1e301]], [[1.0]], 1.0, "cost[0, 0]"),
        ([[1.0]], [[1.0]], 1e301, "limit"),
        ([[1.0]], [[1.0]], True, "limit"),
        (np.zeros((2, 0)), np.zeros((2, 0)), 1.0, "weight"),
        ([[math.nan]], [[1.0]], 1.0, "cost[0, 0]"),
        ([[1.0], [math.inf]], [[1.0], [1.0]], 1.0, "cost[1, 0]"),
        ([[1.0]], [[-math.inf]], 1.0, "weight[0, 0]"),
        ([[1.0]], [[1.0]], math.nan, "limit"),
        ([[1.0]], [[1.0]], -math.inf, "limit"),
        ([[1.0]], [[1.0]], "1", "limit"),
        ([[1.0]], [[1.0]], None, "limit"),
    ],
)
def test_bad_arrays_are_named(cost: Any, weight: Any, limit: Any, field: str) -> None:
    for function in (mckp.solve, mckp.lp_bound):
        with pytest.raises(InputError) as caught:
            function(cost, weight, limit)
        assert caught.value.field == field
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
@example(seed=0)
@given(seed=SEEDS)
@examples(40)
def test_relaxation_is_that_of_a_linear_program(family: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if family == "decades":  # beyond the tolerances of the other solver: fewer decades
        cost, weight = 10.0 ** rng.uniform(-1, 1, (6, 5)), 10.0 ** rng.uniform(-1, 1, (6, 5))
        limit = float(weight.min(axis=1).sum() * rng.uniform(0.9, 3))
    else:
        cost, weight, limit = random_knapsack(rng, family, 6, 5)
    n, k = cost.shape
    scale = float(np.abs(weight).max(axis=1).sum()) or 1.0
    found = mckp.lp_bound(cost, weight, limit)
    program: Any = linprog(  # type: ignore[call-overload]
        cost.ravel(),
        A_ub=csr_array(weight.ravel()[None, :] / scale),
        b_ub=[limit / scale],
        A_eq=vstack([block_diag([np.ones((1, k))] * n)]),
        b_eq=np.ones(n),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    low = float(weight.min(axis=1).sum())
    if found is None:
        assert low > limit - 1e-12 * scale
        assert program.status == 2 or low - limit < 1e-8 * scale
    else:
        assert program.status == 0 or abs(low - limit) < 1e-8 * scale
        if program.status == 0:
            assert found == pytest.approx(program.fun, rel=1e-7, abs=1e-7 * float(np.abs(cost).max()))


def test_inputs_of_kernels_stay_as_they_are() -> None:
    rng = np.random.default_rng(1)
    cost, weight, limit = random_knapsack(rng, "law", 8, 5)
    before = cost.copy(), weight.copy()
    mckp.solve(cost, weight, limit)
    mckp.solve(cost, weight, limit, branch_nodes=0)
    mckp.lp_bound(cost, weight, limit)
    allocate(cost[:, 0], weight[:, 0], limit, 1.0, 8.0)
    np.testing.assert_array_equal(cost, before[0])
    np.testing.assert_array_equal(weight, before[1])
