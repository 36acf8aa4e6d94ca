"""Constrained shortest paths: drawn at random, enumerated, by a flow program, and their trees verified in rationals."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
from exact import allowed, total, within
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from qopt.kernels import rcsp
from qopt.kernels.rcsp import Digraph, Layered

INFINITE = math.inf


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


def every_path(graph: Layered | Digraph) -> Any:
    """Costs and resources of every path, a list a row."""
    return layered_paths(graph) if isinstance(graph, Layered) else simple_paths(graph)


def brute(graph: Layered | Digraph, limit: Any) -> Fraction | None:
    """Least cost of a path within all limits."""
    ends = np.atleast_1d(limit)
    fits = (
        total(costs)
        for costs, used in every_path(graph)
        if all(within(row, w) for row, w in zip(used, ends, strict=True))
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
        assert within(network.resource[r, result.arcs], w)
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
    paths = [(total(c), [float(total(row)) for row in used]) for c, used in every_path(graph)]
    if not paths:
        return np.full(graph.resources, 5.0)
    cheapest = min(paths)[1]
    least = [min(used[r] for _, used in paths) for r in range(graph.resources)]
    where = rng.choice([-0.1, 0.0, 0.1, 0.3, 0.6, 0.6, 1.0, 1.5, INFINITE], graph.resources)
    gap = [max(w - low, 0.5) for w, low in zip(cheapest, least, strict=True)]
    return np.array([low + x * g for low, x, g in zip(least, where, gap, strict=True)])


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
