"""The approximation scheme for shortest paths under one limit: its guarantee in rationals, against enumeration."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from constrained_paths import brute, every_path
from exact import allowed, total, within
from sweeps import few, swept

from qopt.core.errors import InputError
from qopt.kernels import rcsp
from qopt.kernels.checker import check
from qopt.kernels.exchange import rcsp_instance, rcsp_witness
from qopt.kernels.paths import approximate as scheme
from qopt.kernels.rcsp import Digraph, Layered

EPS = (1.0, 0.1, 0.01, 1e-4)


def check_guarantee(graph: Layered | Digraph, limit: float, eps: float) -> rcsp.Result:
    """Path, sums and guarantee, in rationals; the witness where there is one."""
    best = brute(graph, limit)
    result = rcsp.approximate(graph, limit, eps)
    if best is None:
        assert result.status == "infeasible"
        assert result.path is None
        assert result.objective is None
        assert result.bound is None
    else:
        assert result.status == "within-gap"
        assert result.path is not None
        assert result.bound is not None
        assert result.used is not None
        steps = result.path if isinstance(graph, Layered) else result.arcs
        assert steps is not None
        costs, used = graph.terms(steps)
        assert result.objective == math.fsum(costs)
        assert result.used[0] == math.fsum(used[0])
        assert within(used[0], limit)
        assert best <= total(costs) <= (1 + Fraction(eps)) * best
        assert Fraction(result.bound) <= best
    if result.tree is not None and (best is None or result.objective):
        verdict = check(rcsp_instance(graph, limit), rcsp_witness(result), gap=eps)
        assert verdict.accepted, verdict.reason
    return result


def layered(cost: Any, resource: Any, *arcs: Any) -> Layered:
    return Layered(np.array(cost), np.array(resource), *map(np.array, arcs))


def digraph(vertices: int, tail: Any, head: Any, cost: Any, resource: Any, target: int) -> Digraph:
    return Digraph(vertices, np.array(tail), np.array(head), np.array(cost), np.array(resource), 0, target)


def numbers(rng: np.random.Generator, kind: int, *shape: int) -> Any:
    """Whole, tenths (whose sums round), uniform, or over many powers of ten."""
    if kind == 0:
        return rng.integers(0, 9, shape).astype(float)
    if kind == 1:
        return rng.integers(0, 9, shape) / 10
    if kind == 2:
        return rng.uniform(0, 1, shape)
    return 10.0 ** rng.uniform(-7, 7, shape)


def a_layered(rng: np.random.Generator) -> Layered:
    layers, states = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    of_cost, of_resource = rng.integers(4, size=2)
    cost = numbers(rng, of_cost, layers, states)
    cost[rng.random(cost.shape) < 0.1] = math.inf
    shape = (states, states) if rng.random() < 0.7 else (layers - 1, states, states)
    arc_cost = numbers(rng, of_cost, *shape) if rng.random() < 0.6 else None
    arc_resource = numbers(rng, of_resource, *shape) if rng.random() < 0.6 else None
    if arc_cost is not None:
        arc_cost[rng.random(arc_cost.shape) < 0.1] = math.inf
    return Layered(cost, numbers(rng, of_resource, layers, states), arc_cost, arc_resource)


def a_digraph(rng: np.random.Generator) -> Digraph:
    """Vertices in any order, parallel arcs, a loop, arcs that are absent."""
    n, m = int(rng.integers(2, 8)), int(rng.integers(2, 22))
    ends = np.sort(np.stack([rng.integers(0, n, m), rng.integers(0, n, m)]), axis=0)
    name = rng.permutation(n)
    cost = numbers(rng, int(rng.integers(4)), m)
    cost[rng.random(m) < 0.1] = math.inf
    return Digraph(
        n, name[ends[0]], name[ends[1]], cost, numbers(rng, int(rng.integers(4)), m), int(name[0]), int(name[-1])
    )


def a_limit(rng: np.random.Generator, graph: Layered | Digraph) -> float:
    """Near what some path uses, often exactly."""
    used = [total(used) for _, (used,) in itertools.islice(every_path(graph), 200)]
    if not used or rng.random() < 0.05:
        return float(rng.choice([0.0, 1.0, math.inf]))
    return float(used[int(rng.integers(len(used)))]) * float(rng.choice([1.0, 1.0, 0.8, 1.3]))


@pytest.mark.parametrize("seed", swept(range(10), lambda seed: seed > 2))
def test_the_guarantee_holds_on_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for i in range(few(50)):
        graph = a_layered(rng) if i % 2 else a_digraph(rng)
        limit = a_limit(rng, graph)
        for eps in EPS:
            check_guarantee(graph, limit, eps)


def no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither multipliers nor the first search help: thresholds, interval tests and rounds do all the work."""

    def blind(run: Any) -> None:
        run.weights, run.leaf, run.infeasible = np.array([1.0] + [0.0] * len(run.bounds.rows)), ["leaf", 1, 0.0], False

    monkeypatch.setattr(scheme._Run, "_dual", blind)
    monkeypatch.setattr(scheme, "guided", lambda *_, **__: None)


def test_dynamic_programming_alone_keeps_the_guarantee(monkeypatch: pytest.MonkeyPatch) -> None:
    no_help(monkeypatch)
    rng = np.random.default_rng(77)
    rounds = []
    for i in range(few(150)):
        graph = a_layered(rng) if i % 2 else a_digraph(rng)
        limit = a_limit(rng, graph)
        for eps in (0.5, 0.02):
            rounds.append(check_guarantee(graph, limit, eps).details.get("rounds", 0))
    assert np.count_nonzero(rounds) > few(50)


def test_bounds_far_apart_meet_in_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quickest path costs 1e250, the optimum 3e-250: thresholds are needed, and rounds do not count powers."""
    no_help(monkeypatch)
    cost = np.array([[1e250, 1e-250, 1e-251], [2e250, 2e-250, 1e-251]])
    resource = np.array([[0.0, 1.0, 9.0], [0.0, 1.0, 9.0]])
    result = check_guarantee(Layered(cost, resource), 2.0, 0.01)
    assert result.objective == pytest.approx(3e-250, rel=1e-15)
    assert result.details["rounds"] < 12


def test_against_the_exact_kernel_on_larger_graphs() -> None:
    rng = np.random.default_rng(3)
    searched = 0
    for _ in range(few(12)):
        cost = rng.uniform(1, 10, (25, 8))
        resource = np.abs(11 - cost + rng.normal(0, 1, cost.shape))
        switch = rng.uniform(0.5, 3, (8, 8)) * (1 - np.eye(8))
        graph = Layered(cost, resource, switch, switch / 2)
        limit = float(resource.mean(axis=1).sum()) * rng.uniform(0.7, 1.1)
        exact = rcsp.solve(graph, limit)
        assert exact.status == "optimal"
        assert exact.objective is not None
        for eps in (0.05, 0.002, 1e-5):
            result = rcsp.approximate(graph, limit, eps)
            assert result.status == "within-gap"
            assert result.objective is not None
            assert result.bound is not None
            assert exact.objective <= result.objective <= (1 + eps) * exact.objective
            assert result.bound <= exact.objective * (1 + 1e-12)
            searched += result.details["rounds"]
    assert searched


def test_no_path_is_lost_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many paths within one rounding of the limit: what floats cannot tell is told in whole numbers."""
    called = []
    original = scheme._Run._search_whole

    def counted(run: Any) -> None:
        called.append(run)
        original(run)

    monkeypatch.setattr(scheme._Run, "_search_whole", counted)
    rng = np.random.default_rng(8)
    for _ in range(few(60)):
        layers, states = int(rng.integers(3, 6)), 3
        resource = rng.integers(1, 10, (layers, states)) / 10 + rng.integers(-4, 5, (layers, states)) * 2.0**-54
        cost = rng.uniform(1, 10, (layers, states))
        graph = Layered(cost, resource)
        used = [total(row) for _, (row,) in every_path(graph)]
        limit = float(used[int(rng.integers(len(used)))]) / (1 + 1e-12)
        check_guarantee(graph, limit, 1e-3)
    assert called


def test_a_path_within_the_slack_counts() -> None:
    graph = Layered(np.array([[1.0, 5.0], [1.0, 5.0]]), np.array([[0.1, 0.0], [0.2, 0.0]]))
    assert rcsp.approximate(graph, 0.3, 1e-6).objective == 2.0  # 0.1 + 0.2 > 0.3
    assert allowed(0.3) > 0.1 + 0.2


def test_costs_of_zero_have_no_relative_error() -> None:
    graph = Layered(np.array([[0.0, 3.0], [0.0, 3.0]]), np.array([[5.0, 1.0], [5.0, 1.0]]))
    free = check_guarantee(graph, 10.0, 0.5)
    assert (free.objective, free.bound) == (0.0, 0.0)
    assert check_guarantee(graph, 9.0, 0.5).objective == 3.0


def test_what_needs_no_search() -> None:
    graph = digraph(2, [0], [1], [2.0], [1.0], 0)
    empty = rcsp.approximate(graph, 0.0, 0.1)
    assert (empty.status, empty.objective, empty.bound) == ("within-gap", 0.0, 0.0)
    assert rcsp.approximate(graph, -1.0, 0.1).status == "infeasible"
    apart = digraph(3, [0], [1], [2.0], [1.0], 2)
    assert rcsp.approximate(apart, 5.0, 0.1).status == "infeasible"
    assert rcsp.approximate(layered([[1.0, 2.0]], [[3.0, 4.0]]), math.inf, 0.1).objective == 1.0


def test_limits_of_time_and_memory_leave_valid_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    cost = rng.uniform(1, 10, (40, 6))
    graph = Layered(cost, 11 - cost + rng.uniform(0, 1e-3, cost.shape))
    limit = 230.0
    best = rcsp.solve(graph, limit).objective
    assert best is not None
    late = rcsp.approximate(graph, limit, 1e-9, time_limit=0.0)
    assert late.status == "limit"
    assert late.bound is not None
    assert late.bound <= best
    monkeypatch.setattr("qopt.kernels.paths.scaled.MAX_LABELS", 50)
    full = rcsp.approximate(graph, limit, 1e-9)
    assert full.status == "limit"
    assert "labels" in full.details["stopped"]
    assert full.bound is not None
    assert full.objective is not None
    assert full.bound <= best <= full.objective


def check_same_answer(layers: int, limit: float) -> None:
    cost = np.random.default_rng(11).uniform(1, 10, (layers, 5))
    graph = Layered(cost, 11 - cost)
    one, two = (rcsp.approximate(graph, limit, 1e-7) for _ in range(2))
    assert one.details["rounds"] > 0
    assert (one.objective, one.bound) == (two.objective, two.bound)
    assert one.path is not None
    assert two.path is not None
    assert np.array_equal(one.path, two.path)


@pytest.mark.sweep
def test_same_input_same_answer() -> None:
    """A search that is stopped by the number of its labels."""
    check_same_answer(15, 80.0)


def test_same_small_input_same_answer() -> None:
    """A search that ends."""
    check_same_answer(8, 42.6)


SMALL = layered([[1.0, 2.0]], [[2.0, 1.0]])
LOOP = digraph(3, [0, 1, 1], [1, 0, 2], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], 2)


@pytest.mark.parametrize(
    ("graph", "limit", "eps", "options", "field"),
    [
        (layered([[1.0, -2.0]], [[2.0, 1.0]]), 1.0, 0.1, {}, "node_cost[0, 1]"),
        (layered([[1.0], [1.0]], [[2.0], [1.0]], [[-1.0]]), 1.0, 0.1, {}, "arc_cost[0, 0]"),
        (digraph(2, [0], [1], [-1.0], [1.0], 1), 1.0, 0.1, {}, "cost[0]"),
        (LOOP, 1.0, 0.1, {}, "graph"),
        (layered([[1.0]], [[[1.0]], [[2.0]]]), 1.0, 0.1, {}, "graph"),
        ("a graph", 1.0, 0.1, {}, "graph"),
        (SMALL, [1.0, 2.0], 0.1, {}, "limit"),
        (SMALL, math.nan, 0.1, {}, "limit"),
        (SMALL, 1.0, 0.0, {}, "eps"),
        (SMALL, 1.0, -0.1, {}, "eps"),
        (SMALL, 1.0, math.inf, {}, "eps"),
        (SMALL, 1.0, "small", {}, "eps"),
        (SMALL, 1.0, 0.1, {"time_limit": -1.0}, "time_limit"),
    ],
)
def test_bad_input_is_named(graph: Any, limit: Any, eps: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as error:
        rcsp.approximate(graph, limit, eps, **options)
    assert error.value.field == field
