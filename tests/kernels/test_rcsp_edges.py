"""Constrained paths at the edges: units, clocks, cutoffs, limits met to the last digit, costs that cancel."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from constrained_paths import (
    INFINITE,
    brute,
    check_against_brute,
    check_path,
    check_tree,
    flow_program,
    layered_paths,
    middling,
    random_digraph,
    random_layered,
    random_limit,
    size,
)
from exact import total, within
from sweeps import few

from qopt.kernels import exact, rcsp
from qopt.kernels.rcsp import Digraph, Layered


@pytest.mark.parametrize("cost_unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("row_unit", [1e-12, 1.0, 1e12])
def test_units_do_not_matter(cost_unit: float, row_unit: float) -> None:
    for seed in range(few(12)):
        rng = np.random.default_rng((6, seed))
        if seed % 2:
            layered = random_layered(rng, 4, 3, 2)
            limit = random_limit(rng, layered)
            graph: Layered | Digraph = Layered(
                layered.node_cost * cost_unit,
                layered.node_resource * row_unit,
                None if layered.arc_cost is None else layered.arc_cost * cost_unit,
                None if layered.arc_resource is None else layered.arc_resource * row_unit,
            )
        else:
            plain = random_digraph(rng, 6, 15, 2, bool(seed % 4))
            limit = random_limit(rng, plain)
            ends = (plain.vertices, plain.tail, plain.head)
            graph = Digraph(*ends, plain.cost * cost_unit, plain.resource * row_unit, plain.source, plain.target)
        check_against_brute(graph, limit * row_unit)


def test_rows_of_different_sizes() -> None:
    for seed in range(few(20)):
        rng = np.random.default_rng((7, seed))
        graph = random_layered(rng, 4, 3, 3)
        units = 10.0 ** rng.integers(-12, 13, 3)
        limit = random_limit(rng, graph)
        taken = graph.arc_resource
        scaled = Layered(
            graph.node_cost * 1e-9,
            graph.node_resource * units[:, None, None],
            None if graph.arc_cost is None else graph.arc_cost * 1e-9,
            None if taken is None else taken * units.reshape(3, *[1] * (taken.ndim - 1)),
        )
        check_against_brute(scaled, limit * units)


@pytest.mark.parametrize("options", [{"time_limit": 0.0}, {"max_labels": 0}, {"max_labels": 30}, {"gap": 0.05}])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_search_that_is_stopped_tells_the_truth(options: dict[str, Any], rows: int) -> None:
    stopped = 0
    for seed in range(6):
        graph, limit = middling(np.random.default_rng((8, seed)), rows, layers=12)
        optimum = flow_program(graph.digraph(), limit)
        result = rcsp.solve(graph, limit, **options)
        if optimum is None:
            assert result.status in ("infeasible", "limit")
            continue
        assert result.bound is not None
        assert result.bound <= optimum * (1 + 1e-6)
        if result.path is not None:
            check_path(graph, limit, result)
            assert result.objective is not None
            assert result.objective >= optimum * (1 - 1e-6)
            assert result.gap is not None
            assert result.gap >= 0
        if result.status in ("limit", "within-gap"):
            stopped += 1
            if result.tree is not None:
                check_tree(graph, limit, result.tree, Fraction(result.bound))
        else:
            assert result.objective == pytest.approx(optimum, rel=1e-6)
        if result.status == "within-gap":
            assert result.objective is not None
            assert result.gap is not None
            assert result.gap <= 0.05 * abs(result.objective)
        else:
            assert "gap" not in options or result.status in ("optimal", "optimal-by-solver")
    assert stopped > 0


def test_stopping_without_a_path() -> None:
    """Two limits that no path of the first multipliers keeps: there may be a bound and no path."""
    graph, limit = middling(np.random.default_rng(9), 3)
    result = rcsp.solve(graph, limit, time_limit=0.0)
    assert result.status == "limit"
    if result.path is None:
        assert result.objective is None
        assert result.arcs is None
        assert result.used is None


def test_only_paths_below_the_upper_value_count() -> None:
    for seed in range(few(60)):
        rng = np.random.default_rng((10, seed))
        cyclic = bool(seed % 2)
        graph: Layered | Digraph = random_layered(rng, 3, 3, 2) if seed % 3 else random_digraph(rng, 6, 16, 2, cyclic)
        limit = random_limit(rng, graph)
        best = brute(graph, limit)
        if best is None:
            assert rcsp.solve(graph, limit, upper=1e30).status in ("infeasible", "cutoff")
            continue
        for more, gap in ((1e-7, 0.0), (1e-3, 0.1), (30.0, 0.1)):
            above = rcsp.solve(graph, limit, upper=float(best) + more, gap=gap)
            assert above.status == "optimal" or (gap and above.status == "within-gap")
            assert above.objective == pytest.approx(float(best), rel=1.2 * gap + 1e-12, abs=1e-12 * size(graph))
        for upper in (float(best), float(best) - 0.3):
            below = rcsp.solve(graph, limit, upper=upper)
            if below.path is None:
                assert below.status == "cutoff"
                assert below.bound == upper
                if below.tree is not None:
                    check_tree(graph, limit, below.tree, Fraction(upper) - Fraction(1e-11 * size(graph)))
            else:  # sums that round differently
                assert below.objective is not None
                assert below.objective < upper


def test_a_cutoff_close_above_the_optimum() -> None:
    """Costs on a grid: what is below 5.0000005 is 5 or less."""
    graph = Layered(np.array([[9.0, 5.0, 2.0]]), np.array([[0.0, 2.0, 3.0]]))
    for upper in (5.0000005, math.nextafter(5.0, 6.0)):
        assert check_against_brute(graph, 2.0, upper=upper).objective == 5.0
    assert rcsp.solve(graph, 2.0, upper=5.0).status == "cutoff"


def test_a_limit_met_with_equality_holds() -> None:
    """0.1 + 0.2 > 0.3 in floating point, and is still within 0.3."""
    graph = Layered(np.array([[5.0, 0.0], [5.0, 0.0]]), np.array([[0.0, 0.1], [0.0, 0.2]]))
    assert rcsp.solve(graph, 0.3).objective == 0.0
    for parts in (3, 7, 11, 49):
        share = 180.0 / parts
        graph = Layered(np.tile([1.0, 0.0], (parts, 1)), np.tile([0.0, share], (parts, 1)))
        assert rcsp.solve(graph, 180.0).objective == 0.0
        assert rcsp.solve(graph, 180.0 * (1 - 1e-11)).objective == 1.0


def test_limits_within_rounding_of_a_path() -> None:
    """Sums round; what they cannot tell is told exactly."""
    for seed in range(few(150)):
        rng = np.random.default_rng((15, seed))
        graph = Layered(rng.uniform(0, 1, (4, 3)), rng.uniform(0, 1, (4, 3)), None, rng.uniform(0, 1, (3, 3)))
        every = [float(total(used[0])) for _, used in layered_paths(graph)]
        limit = float(rng.choice(every)) / (1 + 1e-12)
        for _ in range(int(rng.integers(0, 4))):
            limit = math.nextafter(limit, rng.choice([-1.0, 99.0]))
        best, result = brute(graph, limit), rcsp.solve(graph, limit)
        if best is None:
            assert result.status == "infeasible"
            continue
        assert result.status in ("optimal", "optimal-by-solver")
        check_path(graph, limit, result)
        assert result.objective == pytest.approx(float(best), rel=1e-12)
    graph = Layered(np.array([[1.0, 2.0]]), np.array([[0.3, 0.1]]))
    refused = rcsp.solve(graph, math.nextafter(0.3 / (1 + 1e-12), 0.0))
    assert refused.objective == refused.bound == 2.0


def test_large_graphs_within_rounding_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an exact search would be too long, nothing is claimed that rounding may have hidden."""
    monkeypatch.setattr("qopt.kernels.paths.exact.MAX_ARCS", 1)
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng((15, seed))
        graph = Layered(rng.uniform(0, 1, (4, 3)), rng.uniform(0, 1, (4, 3)))
        use = float(rng.choice([float(total(used[0])) for _, used in layered_paths(graph)]))
        limit = math.nextafter(use / (1 + 1e-12), 0.0)
        best, result = brute(graph, limit), rcsp.solve(graph, limit)
        if result.status == "limit":
            seen += 1
            assert best is None or (result.bound is not None and result.bound <= best)
        elif best is not None:
            assert result.objective == pytest.approx(float(best), rel=1e-12)
    assert seen > 0


def test_limits_that_a_path_just_meets_are_proved() -> None:
    """The slack of a limit costs more of a bound than rounding."""
    graph = Layered(np.array([[0.4, 0.1], [0.2, 0.3]]), np.array([[0.7, 0.6], [0.7, 0.0]]))
    check_against_brute(graph, 0.6)
    for seed in range(few(60)):
        rng = np.random.default_rng((18, seed))
        cost, used = rng.integers(0, 9, (2, int(rng.integers(2, 6)), 3)) * 0.1
        graph = Layered(cost, used)
        limit = math.fsum(used[np.arange(len(used)), rng.integers(0, 3, len(used))])
        if brute(graph, limit):  # else what cancels to 0 is no matter of this test
            check_against_brute(graph, limit)


@pytest.mark.parametrize("exact_arcs", [exact.MAX_ARCS, 1])
def test_costs_that_cancel(exact_arcs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective far below the costs, where sums in floats prove nothing."""
    monkeypatch.setattr("qopt.kernels.paths.exact.MAX_ARCS", exact_arcs)
    statuses = set()
    for seed in range(few(120)):
        rng = np.random.default_rng((19, seed))
        layers = int(rng.integers(3, 6))
        cost, resource = rng.uniform(0, 1e-8, (layers, 3)), rng.uniform(0, 1, (layers, 3))
        # The same in all states but for rounding, or truly different.
        cost[0] += 1e6 + (rng.uniform(0, 1e-8, 3) if seed % 2 else 0.0)
        cost[-1] -= 1e6
        switch = rng.uniform(0, 1e-8, (3, 3)) if seed % 3 else None
        graph = Layered(cost, resource, switch)
        limit = float(rng.uniform(0.3, 0.7)) * layers
        best, result = brute(graph, limit), rcsp.solve(graph, limit)
        if best is None:
            assert result.status == "infeasible"
            continue
        statuses.add(result.status)
        check_path(graph, limit, result)
        assert result.objective is not None
        assert result.bound is not None
        assert Fraction(result.bound) <= best + Fraction(1e-9) * abs(best)
        if result.status == "optimal":
            assert result.tree is not None
            check_tree(graph, limit, result.tree, Fraction(result.objective))
        if result.status == "optimal" or exact_arcs > 1:
            assert Fraction(result.objective) - best <= Fraction(1e-9) * abs(best)
    assert statuses <= ({"optimal"} if exact_arcs > 1 else {"optimal", "optimal-by-solver"})


@pytest.mark.sweep
def test_cycles_under_several_limits_end() -> None:
    """More labels at a vertex than are compared with each other, and a cycle of little or no cost through it."""
    rng = np.random.default_rng(20)
    used = rng.integers(1, 10**6, (2, 2, 300))
    cost = 3 * 10**6 - used.sum(axis=1)
    best = min(
        int(cost[0, i] + cost[1, k])
        for i in range(300)
        for k in np.flatnonzero(np.all(used[0, :, i, None] + used[1] <= 900_000, axis=0))
    )
    for around in (0.0, 1.0):
        graph = Digraph(
            4,
            np.repeat([0, 1, 1, 2], [300, 300, 1, 1]),
            np.repeat([1, 3, 2, 1], [300, 300, 1, 1]),
            np.concatenate((*cost, [around, around])),
            np.concatenate((*used, np.zeros((2, 2))), axis=1),
            0,
            3,
        )
        result = rcsp.solve(graph, [9e5, 9e5], max_labels=100_000)
        assert result.status in ("optimal", "optimal-by-solver")
        assert result.objective == best


def test_nothing_left_ends() -> None:
    """Each limit alone leaves other arcs; both leave none."""
    graph = Digraph(3, np.array([0]), np.array([1]), np.array([0.8]), np.array([[0.7], [0.1]]), 0, 0)
    assert check_against_brute(graph, [-1e-9, 0.0]).tree is not None
    apart = Digraph(2, np.zeros(2, int), np.ones(2, int), np.ones(2), np.array([[1.0, 3.0], [3.0, 1.0]]), 0, 1)
    assert check_against_brute(apart, [1.5, 1.5]).tree is not None
    for excess in (1e-6, 1e-9, 1e-11):
        close = Layered(np.array([[1.0, 2.0]] * 3), np.array([[[1 + excess, 1 + 2 * excess]] * 3, [[0.1, 0.2]] * 3]))
        check_against_brute(close, [3.0, 1.0])


def test_limits_below_zero_and_empty_paths_come_with_a_proof() -> None:
    line = Digraph(2, [0], [1], [1.0], [1.0], 0, 1)
    for limit in (-1.0, -5e-324):
        assert check_against_brute(line, limit).tree is not None
        assert rcsp.solve(line, limit, witness_nodes=0).tree is None
    here = Digraph(2, np.array([0, 1]), np.array([1, 0]), np.ones(2), np.ones((2, 2)), 0, 0)
    assert check_against_brute(here, [0.0, 1.0]).status == "optimal"
    assert check_against_brute(here, [1.0, -1e-11]).status == "infeasible"
    assert rcsp.solve(here, [0.0, 1.0], upper=-1.0).status == "cutoff"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [1e-323, 1e-320, 1e-308, 1e-300, 1e290])
@pytest.mark.parametrize("cost_unit", [1e-300, 1.0, 1e290])
def test_extreme_units(unit: float, cost_unit: float) -> None:
    """Whatever multipliers such numbers lead to, those written are finite and prove what they say."""
    for seed in range(few(12)):
        rng = np.random.default_rng((21, seed))
        rows = int(rng.integers(1, 3))
        cost: Any = rng.uniform(0, 1, (3, 3)) * cost_unit
        resource: Any = rng.integers(0, 9, (rows, 3, 3)) * 0.5
        resource[0] *= unit
        graph = Layered(cost, resource)
        limit = resource.sum(axis=1).max(axis=1) * rng.uniform(0.2, 0.8, rows)
        best, result = brute(graph, limit), rcsp.solve(graph, limit)
        if best is None:
            assert result.status == "infeasible"
        else:
            assert result.objective == pytest.approx(float(best), rel=1e-12)
        if result.tree is not None:
            check_tree(graph, limit, result.tree, best)


def test_edges() -> None:
    one = Layered(np.array([[3.0]]), np.array([[2.0]]))
    assert check_against_brute(one, 2.0).objective == 3.0
    assert check_against_brute(one, 1.9).status == "infeasible"
    assert check_against_brute(one, -1.0).status == "infeasible"
    assert check_against_brute(one, INFINITE).objective == 3.0
    assert check_against_brute(Layered(np.array([[np.inf]]), np.zeros((1, 1))), 1.0).status == "infeasible"
    zero = Layered(np.zeros((3, 3)), np.zeros((3, 3)))
    assert check_against_brute(zero, 0.0).objective == 0.0
    here = Digraph(2, [0, 1], [1, 0], [1.0, 1.0], [1.0, 1.0], 0, 0)  # type: ignore[arg-type]
    assert check_against_brute(here, 0.0).objective == 0.0
    assert check_against_brute(here, -1.0).status == "infeasible"
    lost = Digraph(3, np.array([0, 0]), np.array([1, 0]), np.ones(2), np.ones(2), 0, 2)
    assert check_against_brute(lost, 9.0).status == "infeasible"
    empty = Digraph(2, np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0), 0, 1)
    assert check_against_brute(empty, 9.0).status == "infeasible"
    parallel = Digraph(2, np.zeros(3, int), np.ones(3, int), np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), 0, 1)
    assert [check_against_brute(parallel, w).objective for w in (3.0, 2.5, 1.0)] == [1.0, 2.0, 3.0]


def test_inputs_stay_as_they_are() -> None:
    rng = np.random.default_rng(12)
    graph = random_layered(rng, 4, 4, 2)
    arrays = [graph.node_cost, graph.node_resource, graph.arc_cost, graph.arc_resource]
    copies = [None if a is None else a.copy() for a in arrays]
    rcsp.solve(graph, [3.0, 4.0])
    for array, copy in zip(arrays, copies, strict=True):
        if array is not None and copy is not None:
            np.testing.assert_array_equal(array, copy)


def test_large_matrices_are_not_copied() -> None:
    switch = np.zeros((4, 4))
    assert Layered(np.zeros((9, 4)), np.zeros((9, 4)), switch).arc_cost is switch


def test_same_question_same_answer() -> None:
    graph, limit = middling(np.random.default_rng(13), 2)
    one, two = rcsp.solve(graph, limit), rcsp.solve(graph, limit)
    assert one.path is not None
    assert two.path is not None
    assert one.path.tolist() == two.path.tolist()
    assert one.tree == two.tree


def test_numbers_at_both_ends_of_the_range_of_floats() -> None:
    """The dual ends before it asks for a path: its multipliers would leave the range."""
    cost = [
        [8.077539213091582e-17, 1.3456525632744201e-09, 8.24375956335104e-06],
        [1.317160674852582e-11, 1.1373213564305018e-14, 3.042464254644606e-07],
    ]
    used = [
        [8.05922526706128e91, 2.911912305928746e97, 6.17358164230537e92],
        [8.632169070700065e95, 5.0477379266002264e95, 3.109426391465372e95],
    ]
    change = [
        [6.564291778779056e287, 1.3238423082911882e-282, 4.1724863814553874e160],
        [1.2896058333469448e-214, 6.2525892943405986e-260, 8.162679245813144e74],
        [4.9554484509087514e-265, 1.0290614065735231e-166, 4.849483023677403e16],
    ]
    spent = [
        [4.6838953411570265e-42, 2.556948087640997e153, 1.332174748144419e-138],
        [3.9094556616889036e-119, 1.6692970574989416e240, 4.2208285867215607e251],
        [6.715355847137213e-171, 4.910078104371049e-74, 1.7903988298357363e21],
    ]
    limit = 3.11559997310456e95
    paths = {
        (a, b): cost[0][a] + cost[1][b] + change[a][b]
        for a, b in itertools.product(range(3), repeat=2)
        if within([used[0][a], used[1][b], spent[a][b]], limit)
    }
    found = rcsp.solve(Layered(np.array(cost), np.array(used), np.array(change), np.array(spent)), limit)
    assert found.status in ("optimal", "optimal-by-solver")
    assert found.objective == pytest.approx(min(paths.values()), rel=1e-12)
