"""Resource-constrained shortest paths against enumeration, another solver, published optima and exact arithmetic."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from qopt.certificates.checker import check
from qopt.errors import InputError
from qopt.kernels import rcsp
from qopt.kernels.exchange import rcsp_instance, rcsp_witness
from qopt.kernels.paths import layers as rcsp_layers
from qopt.kernels.rcsp import Digraph, Layered

ORLIB = Path(__file__).parents[1] / "instances" / "rcsp"
INFINITE = math.inf


def allowed(limit: float) -> float:
    """What resources may add up to: the limit relaxed by 1e-12 of its size."""
    return limit * (1 + 1e-12 if limit >= 0 else 1 - 1e-12)


def total(numbers: Any) -> Fraction:
    return sum(map(Fraction, map(float, numbers)), Fraction(0))


# --- by enumeration -----------------------------------------------------------------------------------------------


def layered_paths(graph: Layered) -> Any:
    """Every path with its costs and its resources, from the definition."""
    layers, states, rows = graph.layers, graph.states, graph.resources
    for path in itertools.product(range(states), repeat=layers):
        costs = [graph.node_cost[k, s] for k, s in enumerate(path)]
        used = [[graph.node_resource[r, k, s] for k, s in enumerate(path)] for r in range(rows)]
        for k, (one, two) in enumerate(itertools.pairwise(path)):
            if graph.arc_cost is not None:
                costs.append((graph.arc_cost if graph.arc_cost.ndim == 2 else graph.arc_cost[k])[one, two])
            if graph.arc_resource is not None:
                for r in range(rows):
                    matrix = graph.arc_resource[r]
                    used[r].append((matrix if matrix.ndim == 2 else matrix[k])[one, two])
        if max(costs) < INFINITE:
            yield costs, used


def simple_paths(graph: Digraph) -> Any:
    """Every simple path, by depth-first search over arcs."""
    leaving: list[list[int]] = [[] for _ in range(graph.vertices)]
    for arc, (tail, cost) in enumerate(zip(graph.tail, graph.cost, strict=True)):
        if cost < INFINITE:
            leaving[tail].append(arc)

    def extend(path: list[int], seen: set[int], vertex: int) -> Any:
        if vertex == graph.target:
            yield [graph.cost[a] for a in path], [[row[a] for a in path] for row in graph.resource]
            return
        for arc in leaving[vertex]:
            head = int(graph.head[arc])
            if head not in seen:
                yield from extend([*path, arc], seen | {head}, head)

    yield from extend([], {graph.source}, graph.source)


def brute(graph: Layered | Digraph, limit: Any) -> Fraction | None:
    """Least cost of a path within all limits."""
    every = layered_paths(graph) if isinstance(graph, Layered) else simple_paths(graph)
    ends = [float(w) for w in np.atleast_1d(limit)]
    fits = (
        total(costs)
        for costs, used in every
        if all(math.isinf(w) or total(row) <= Fraction(allowed(w)) for row, w in zip(used, ends, strict=True))
    )
    return min(fits, default=None)


# --- a verifier of trees, in rationals ----------------------------------------------------------------------------


def common_step(numbers: list[Fraction]) -> Fraction:
    """Greatest rational of which all are whole multiples; 0 if all are 0."""
    bottom = math.lcm(*(x.denominator for x in numbers)) if numbers else 1
    return Fraction(math.gcd(*(int(x * bottom) for x in numbers)), bottom)


class Verifier:
    """Bounds of leaves by relaxing arcs until nothing changes."""

    def __init__(self, graph: Digraph, limit: Any) -> None:
        self.graph = graph
        self.ends = list(zip(graph.tail.tolist(), graph.head.tolist(), strict=True))
        self.present = {a for a, cost in enumerate(graph.cost) if cost < INFINITE}
        self.cost = [Fraction(float(c)) if c < INFINITE else Fraction(0) for c in graph.cost]
        self.rows = [[Fraction(float(x)) for x in row] for row in graph.resource]
        self.step = common_step([self.cost[a] for a in self.present])
        self.limit: list[Fraction | None] = []
        for row, w in zip(self.rows, np.atleast_1d(limit), strict=True):
            if math.isinf(w):
                self.limit.append(None)
                continue
            room, step = Fraction(allowed(float(w))), common_step([row[a] for a in self.present])
            self.limit.append(math.floor(room / step) * step if step else room)

    def leaf(self, node: list[Any], arcs: set[int]) -> Fraction | None:
        """Bound; None where the leaf holds nothing feasible."""
        kind, a, *lam = node
        assert kind == "leaf"
        assert a in (0, 1)
        assert len(lam) == len(self.rows)
        assert all(x >= 0 and math.isfinite(x) for x in lam)
        assert all(x == 0 for x, w in zip(lam, self.limit, strict=True) if w is None)
        weights = [Fraction(x) for x in lam]
        length = {
            arc: a * self.cost[arc]
            + sum((x * row[arc] for x, row in zip(weights, self.rows, strict=True)), Fraction(0))
            for arc in arcs
        }
        distance = {self.graph.source: Fraction(0)}
        for _ in range(self.graph.vertices + 1):
            changed = False
            for arc in arcs:
                tail, head = self.ends[arc]
                if tail in distance and (head not in distance or distance[tail] + length[arc] < distance[head]):
                    distance[head], changed = distance[tail] + length[arc], True
            if not changed:
                break
        else:
            raise AssertionError("a negative cycle")
        if self.graph.target not in distance:
            return None
        value = distance[self.graph.target] - sum(
            (x * w for x, w in zip(weights, self.limit, strict=True) if w is not None), Fraction(0)
        )
        if a == 0:
            assert value > 0
            return None
        return math.ceil(value / self.step) * self.step if self.step else value

    def bound(self, tree: list[Any]) -> Fraction | None:
        """Least bound of the leaves."""
        nodes = iter(tree)
        bounds: list[Fraction] = []

        def walk(arcs: set[int]) -> None:
            node = next(nodes)
            if node[0] == "leaf":
                value = self.leaf(node, arcs)
                if value is not None:
                    bounds.append(value)
                return
            kind, at, chosen = node
            if kind == "cross":
                assert all(tail < head for tail, head in self.ends)
                rivals = {arc for arc in arcs if self.ends[arc][0] <= at < self.ends[arc][1]}
            else:
                assert kind == "out"
                rivals = {arc for arc in arcs if self.ends[arc][0] == at}
            first = set(chosen)
            assert first <= rivals
            assert len(first) == len(chosen)
            walk((arcs - rivals) | first)
            walk(arcs - first)

        walk(self.present)
        assert next(nodes, None) is None
        return min(bounds, default=None)


def check_tree(graph: Layered | Digraph, limit: Any, tree: list[Any], target: Fraction | None) -> None:
    """Every leaf reaches the target; None claims that nothing is feasible."""
    bound = Verifier(graph.digraph() if isinstance(graph, Layered) else graph, limit).bound(tree)
    if target is None:
        assert bound is None
    else:
        assert bound is None or bound >= target - Fraction(1e-9) * abs(target)


def check_path(graph: Layered | Digraph, limit: Any, result: rcsp.Result) -> None:
    """The path is one, its arcs are its arcs, and the numbers said of it hold."""
    assert result.path is not None
    assert result.arcs is not None
    assert result.objective is not None
    assert result.used is not None
    network = graph.digraph() if isinstance(graph, Layered) else graph
    vertex = network.source
    for arc in result.arcs:
        assert network.tail[arc] == vertex
        vertex = network.head[arc]
    assert vertex == network.target
    assert result.objective == math.fsum(network.cost[result.arcs])
    for r, w in enumerate(np.atleast_1d(limit)):
        assert result.used[r] == math.fsum(network.resource[r, result.arcs])
        assert math.isinf(w) or total(network.resource[r, result.arcs]) <= Fraction(allowed(float(w)))
    if isinstance(graph, Layered):
        assert len(result.path) == graph.layers
        through = [(v - 1) % graph.states for v in network.head[result.arcs[:-1]][::2]]
        assert through == result.path.tolist()
    else:
        assert result.path.tolist() == [network.source, *network.head[result.arcs]]


def size(graph: Layered | Digraph) -> float:
    """Scale of a path's cost, by which sums round."""
    costs = graph.node_cost if isinstance(graph, Layered) else graph.cost
    largest = float(np.abs(costs[np.isfinite(costs)]).max(initial=0.0))
    return largest * (graph.layers if isinstance(graph, Layered) else graph.vertices)


def check_against_brute(graph: Layered | Digraph, limit: Any, **options: Any) -> rcsp.Result:
    best = brute(graph, limit)
    result = rcsp.solve(graph, limit, **options)
    if best is None:
        assert result.status == "infeasible"
        assert result.objective is None
        assert result.bound is None
        if result.tree is not None:
            check_tree(graph, limit, result.tree, None)
        return result
    assert result.status == "optimal" or (options and result.status == "optimal-by-solver")
    check_path(graph, limit, result)
    assert result.objective is not None
    assert abs(Fraction(result.objective) - best) <= Fraction(1e-12 * size(graph))
    assert result.bound == result.objective
    assert (result.tree is None) == (result.status == "optimal-by-solver")
    if result.tree is not None:
        check_tree(graph, limit, result.tree, best)
    return result


# --- random instances ---------------------------------------------------------------------------------------------


def draw(rng: np.random.Generator, shape: Any, real: bool, low: int, high: int) -> Any:
    """Real numbers, or few integers so that many tie."""
    return rng.uniform(low, high, shape) if real else rng.integers(low, high + 1, shape).astype(float)


def random_layered(rng: np.random.Generator, layers: int, states: int, rows: int) -> Layered:
    real, absent = bool(rng.integers(2)), rng.random() < 0.3
    cost = draw(rng, (layers, states), real, -3, 6)
    resource = draw(rng, (rows, layers, states), real, 0, 4)
    arc_cost, arc_resource = None, None
    if rng.random() < 0.8:
        arc_cost = draw(rng, (states, states) if rng.random() < 0.5 else (layers - 1, states, states), real, -1, 3)
    if rng.random() < 0.8:
        shape = (rows, states, states) if rng.random() < 0.5 else (rows, layers - 1, states, states)
        arc_resource = draw(rng, shape, real, 0, 2)
    if absent:
        cost[rng.random(cost.shape) < 0.15] = np.inf
        if arc_cost is not None:
            arc_cost[rng.random(arc_cost.shape) < 0.15] = np.inf
    return Layered(cost, resource, arc_cost, arc_resource)


def random_digraph(rng: np.random.Generator, vertices: int, arcs: int, rows: int, cyclic: bool) -> Digraph:
    real = bool(rng.integers(2))
    tail, head = rng.integers(0, vertices, (2, arcs))
    if not cyclic:
        label = rng.permutation(vertices) if rng.random() < 0.5 else np.arange(vertices)
        low, high = np.minimum(tail, head), np.maximum(tail, head)
        tail, head = label[low[low < high]], label[high[low < high]]
        source, target = int(label[0]), int(label[-1])
    else:
        source, target = 0, vertices - 1
    cost = draw(rng, len(tail), real, 0 if cyclic else -3, 6)
    cost[rng.random(len(tail)) < 0.05] = np.inf
    return Digraph(vertices, tail, head, cost, draw(rng, (rows, len(tail)), real, 0, 4), source, target)


def random_limit(rng: np.random.Generator, graph: Layered | Digraph) -> Any:
    """Between the least resources and those of a cheapest path; sometimes below, above, equal or infinite."""
    every = layered_paths(graph) if isinstance(graph, Layered) else simple_paths(graph)
    paths = [(total(c), [float(total(row)) for row in used]) for c, used in every]
    if not paths:
        return np.full(graph.resources, 5.0)
    cheapest = min(paths)[1]
    least = [min(used[r] for _, used in paths) for r in range(graph.resources)]
    where = rng.choice([-0.1, 0.0, 0.1, 0.3, 0.6, 0.6, 1.0, 1.5, INFINITE], graph.resources)
    gap = [max(w - low, 0.5) for w, low in zip(cheapest, least, strict=True)]
    return np.array([low + x * g for low, x, g in zip(least, where, gap, strict=True)])


@pytest.mark.parametrize("block", range(5))
def test_layers_agree_with_enumeration(block: int) -> None:
    for seed in range(100):
        rng = np.random.default_rng((1, block, seed))
        graph = random_layered(rng, int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4)))
        check_against_brute(graph, random_limit(rng, graph), **OPTIONS[seed % len(OPTIONS)])


def test_leaving_out_states_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide layers are searched in parts; here all layers count as wide."""
    monkeypatch.setattr(rcsp_layers, "SPARSE_FROM", 1)
    for seed in range(100):
        rng = np.random.default_rng((16, seed))
        graph = random_layered(rng, int(rng.integers(2, 5)), int(rng.integers(3, 6)), int(rng.integers(1, 4)))
        check_against_brute(graph, random_limit(rng, graph))
    for seed in range(3):
        graph, limit = middling(np.random.default_rng((17, seed)), 1, layers=10, states=12)
        result = rcsp.solve(graph, limit)
        check_path(graph, limit, result)
        assert result.objective == pytest.approx(flow_program(graph.digraph(), limit), rel=1e-6)


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("block", range(5))
def test_digraphs_agree_with_enumeration(block: int, cyclic: bool) -> None:
    for seed in range(100):
        rng = np.random.default_rng((2, block, seed, cyclic))
        vertices = int(rng.integers(2, 8))
        graph = random_digraph(rng, vertices, int(rng.integers(1, 3 * vertices)), int(rng.integers(1, 4)), cyclic)
        check_against_brute(graph, random_limit(rng, graph), **OPTIONS[seed % len(OPTIONS)])


OPTIONS: list[dict[str, Any]] = [{}, {}, {"witness_nodes": 3}, {"witness_nodes": 0}]


def test_random_instances_are_of_every_kind() -> None:
    """The tests above would say little if all instances were easy or infeasible."""
    seen: dict[str, int] = {}
    for seed in range(60):
        rng = np.random.default_rng((1, 0, seed))
        graph = random_layered(rng, int(rng.integers(1, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4)))
        result = rcsp.solve(graph, random_limit(rng, graph))
        kind: str = result.status
        if result.tree is not None and len(result.tree) > 1:
            kind += " by a tree"
        seen[kind] = seen.get(kind, 0) + 1
    assert min(seen.get(kind, 0) for kind in ("optimal", "optimal by a tree", "infeasible")) >= 3, seen


# --- mid-size instances against a mixed-integer program -----------------------------------------------------------


def flow_program(graph: Digraph, limit: Any) -> float | None:
    """Optimum of the flow formulation by HiGHS."""
    arcs, m = np.arange(len(graph.cost)), len(graph.cost)
    ends = (np.concatenate((graph.tail, graph.head)), np.concatenate((arcs, arcs)))
    flow = csr_array((np.concatenate((np.ones(m), -np.ones(m))), ends), shape=(graph.vertices, m))
    supply = np.zeros(graph.vertices)
    supply[graph.source] += 1
    supply[graph.target] -= 1
    ends_of_rows = np.atleast_1d(limit)
    found = milp(
        graph.cost,
        constraints=[LinearConstraint(flow, supply, supply), LinearConstraint(graph.resource, -np.inf, ends_of_rows)],
        integrality=np.ones(m, dtype=np.int64),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    assert found.status in (0, 2)
    return None if found.fun is None else float(found.fun)


def middling(rng: np.random.Generator, rows: int, layers: int = 8, states: int = 6) -> tuple[Layered, Any]:
    cost, resource = rng.uniform(0, 10, (layers, states)), rng.uniform(0, 10, (rows, layers, states))
    switch, taken = rng.uniform(0, 3, (states, states)), rng.uniform(0, 3, (rows, states, states))
    graph = Layered(cost, resource, switch, taken)
    free = rcsp.solve(graph, np.full(rows, np.inf))
    assert free.used is not None
    return graph, free.used * rng.uniform(0.7, 0.95, rows)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_middling_layers_agree_with_a_program(rows: int) -> None:
    for seed in range(4):
        graph, limit = middling(np.random.default_rng((3, rows, seed)), rows)
        result, best = rcsp.solve(graph, limit), flow_program(graph.digraph(), limit)
        if best is None:
            assert result.status == "infeasible"
        else:
            assert result.status in ("optimal", "optimal-by-solver")
            check_path(graph, limit, result)
            assert result.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("rows", [1, 3])
def test_middling_digraphs_agree_with_a_program(rows: int) -> None:
    for seed in range(6):
        rng = np.random.default_rng((4, rows, seed))
        n, m = 60, 1000
        tail, head = rng.integers(0, n, (2, m))
        near = np.abs(tail - head) < 15
        tail, head = tail[near & (tail != head)], head[near & (tail != head)]
        cost, resource = rng.integers(1, 50, len(tail)).astype(float), rng.uniform(0, 10, (rows, len(tail)))
        graph = Digraph(n, tail, head, cost, resource, 0, n - 1)
        free = rcsp.solve(graph, np.full(rows, np.inf))
        assert free.used is not None
        limit = free.used * 0.75
        result, best = rcsp.solve(graph, limit), flow_program(graph, limit)
        if best is None:
            assert result.status == "infeasible"
        else:
            check_path(graph, limit, result)
            assert result.objective == pytest.approx(best, rel=1e-6)


PUBLISHED = {1: 131, 2: 131, 3: 2, 4: 2, 5: 100, 6: 100, 7: 6, 8: 14}


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_optima(number: int) -> None:
    graph, lower, limit = rcsp.read_orlib(ORLIB / f"rcsp{number}.txt")
    result = rcsp.solve(graph, limit, lower=lower)
    assert result.status == "optimal"
    assert result.objective == PUBLISHED[number]
    check_path(graph, limit, result)
    assert result.tree is not None
    verdict = check(rcsp_instance(graph, limit), rcsp_witness(result))
    assert verdict.accepted, verdict.reason
    assert verdict.objective == PUBLISHED[number]


@pytest.mark.parametrize("rows", [1, 2])
def test_trees_of_layers_convince_the_checker(rows: int) -> None:
    proved = 0
    for seed in range(4):
        graph, limit = middling(np.random.default_rng((14, rows, seed)), rows, layers=15)
        result = rcsp.solve(graph, limit, witness_nodes=5_000)
        if result.tree is None:
            continue
        proved += 1
        verdict = check(rcsp_instance(graph, limit), rcsp_witness(result))
        assert verdict.accepted, verdict.reason
        # A tree that lacks a leaf, or claims another path, proves nothing.
        assert not check(rcsp_instance(graph, limit), {**rcsp_witness(result), "tree": result.tree[:-1]}).accepted
    assert proved >= 3


def test_conversion_keeps_every_path() -> None:
    for seed in range(20):
        rng = np.random.default_rng((5, seed))
        graph = random_layered(rng, int(rng.integers(1, 4)), int(rng.integers(1, 4)), 2)
        network = graph.digraph()
        assert np.all(network.tail < network.head)
        assert network.order is not None
        one = sorted((total(c), tuple(total(row) for row in used)) for c, used in layered_paths(graph))
        two = sorted((total(c), tuple(total(row) for row in used)) for c, used in simple_paths(network))
        assert one == two


# --- scale, stopping, edges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost_unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("row_unit", [1e-12, 1.0, 1e12])
def test_units_do_not_matter(cost_unit: float, row_unit: float) -> None:
    for seed in range(12):
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
    for seed in range(20):
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
    for seed in range(60):
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
    for seed in range(150):
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
    monkeypatch.setattr(rcsp, "EXACT_ARCS", 1)
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
    for seed in range(60):
        rng = np.random.default_rng((18, seed))
        cost, used = rng.integers(0, 9, (2, int(rng.integers(2, 6)), 3)) * 0.1
        graph = Layered(cost, used)
        limit = math.fsum(used[np.arange(len(used)), rng.integers(0, 3, len(used))])
        if brute(graph, limit):  # else what cancels to 0 is no matter of this test
            check_against_brute(graph, limit)


@pytest.mark.parametrize("exact_arcs", [rcsp.EXACT_ARCS, 1])
def test_costs_that_cancel(exact_arcs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective far below the costs, where sums in floats prove nothing."""
    monkeypatch.setattr(rcsp, "EXACT_ARCS", exact_arcs)
    statuses = set()
    for seed in range(120):
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
    assert statuses <= {"optimal", "optimal-by-solver"}


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
    line = Digraph(**LINE)
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
    for seed in range(12):
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


NUMBERS = np.ones((2, 3))
LINE: dict[str, Any] = {
    "vertices": 2, "tail": [0], "head": [1], "cost": [1.0], "resource": [1.0], "source": 0, "target": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((NUMBERS[0], NUMBERS), "node_cost"),
        ((np.zeros((0, 3)), np.zeros((0, 3))), "node_cost"),
        (("x", NUMBERS), "node_cost"),
        ((NUMBERS, NUMBERS[:1]), "node_resource"),
        ((np.full((2, 3), np.nan), NUMBERS), "node_cost[0, 0]"),
        ((np.full((2, 3), -np.inf), NUMBERS), "node_cost[0, 0]"),
        ((np.full((2, 3), -1e301), NUMBERS), "node_cost[0, 0]"),
        ((NUMBERS, np.full((2, 3), 1e301)), "node_resource[0, 0]"),
        ((NUMBERS, -NUMBERS), "node_resource[0, 0]"),
        ((NUMBERS, np.full((1, 2, 3), np.inf)), "node_resource[0, 0, 0]"),
        ((NUMBERS, NUMBERS, np.ones((2, 2))), "arc_cost"),
        ((NUMBERS, NUMBERS, np.ones((2, 3, 3))), "arc_cost"),
        ((NUMBERS, NUMBERS, np.full((3, 3), np.nan)), "arc_cost[0, 0]"),
        ((NUMBERS, NUMBERS, None, np.ones((2, 2))), "arc_resource"),
        ((NUMBERS, NUMBERS, None, -np.ones((3, 3))), "arc_resource[0, 0]"),
    ],
)
def test_bad_layers_are_named(arguments: Any, field: str) -> None:
    with pytest.raises(InputError) as caught:
        Layered(*arguments)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vertices": 0}, "vertices"),
        ({"vertices": 2.5}, "vertices"),
        ({"tail": [2]}, "tail[0]"),
        ({"head": [-1]}, "head[0]"),
        ({"tail": [0.0]}, "tail"),
        ({"tail": [0, 1]}, "tail"),
        ({"source": 2}, "source"),
        ({"target": True}, "target"),
        ({"cost": [math.nan]}, "cost[0]"),
        ({"cost": [1e301]}, "cost[0]"),
        ({"resource": [1e301]}, "resource[0]"),
        ({"cost": [[1.0]]}, "cost"),
        ({"resource": [-1.0]}, "resource[0]"),
        ({"resource": [1.0, 2.0]}, "resource"),
        ({"tail": [0, 1], "head": [1, 0], "cost": [1.0, -1.0], "resource": [0.0, 0.0]}, "cost[1]"),
        ({"tail": [0, 1], "head": [1, 1], "cost": [1.0, -1.0], "resource": [0.0, 0.0]}, "cost[1]"),
    ],
)
def test_bad_digraphs_are_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Digraph(**{**LINE, **change})
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("limit", "options", "field"),
    [
        (math.nan, {}, "limit"),
        (-math.inf, {}, "limit"),
        ("1", {}, "limit"),
        (None, {}, "limit"),
        ([1.0, 2.0], {}, "limit"),
        (1.0, {"lower": 0.5}, "lower"),
        (1e301, {}, "limit"),
        ([[1.0]], {}, "limit"),
        ([math.nan], {}, "limit[0]"),
        (1.0, {"upper": math.nan}, "upper"),
        (1.0, {"upper": -1e301}, "upper"),
        (1.0, {"gap": -1.0}, "gap"),
        (1.0, {"time_limit": -1.0}, "time_limit"),
        (1.0, {"max_labels": 1.5}, "max_labels"),
        (1.0, {"witness_nodes": -1}, "witness_nodes"),
    ],
)
def test_bad_questions_are_named(limit: Any, options: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        rcsp.solve(Digraph(**LINE), limit, **options)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_lower_limits_that_say_nothing_are_taken() -> None:
    assert rcsp.solve(Digraph(**LINE), 1.0, lower=0.0).objective == 1.0
    with pytest.raises(InputError, match="dominance"):
        rcsp.solve(Digraph(**LINE), 1.0, lower=0.1)


def test_files_that_are_no_instances(tmp_path: Path) -> None:
    head = "2 1 1 0 9 0 0 "
    bad = ["", "1 2", head + "1 2 x 1", head + "1 2 3", head + "1 3 1 1", head + "0 2 1 1", head + "1 1.5 1 1"]
    bad += ["inf 1 1", "nan 1 1", "-1 1 1", "2.5 1 1", "1e300 1 1", head + "1 nan 1 1"]
    texts = [text.encode() for text in bad] + [b"\xff\xfe\x00\x81", b"\x00\x01"]
    for text in texts:
        (tmp_path / "bad.txt").write_bytes(text)
        with pytest.raises(InputError) as caught:
            rcsp.read_orlib(tmp_path / "bad.txt")
        assert "\n" not in str(caught.value)
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError):
            rcsp.read_orlib(path)


def test_amounts_consumed_at_vertices_count(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("3 3 1  0  5  1 2 1  1 2 1 1  2 3 1 0  1 3 9 0")
    graph, _, limit = rcsp.read_orlib(tmp_path / "small.txt")
    assert rcsp.solve(graph, limit).objective == 2.0  # 1 + (1 + 2) + (0 + 1) = 5
    assert rcsp.solve(graph, limit - 0.5).objective == 9.0
