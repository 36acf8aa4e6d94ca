"""Small problems of the kernels with numbers from one end of the floats to the other; what is right, in rationals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from exact import allowed

from qopt.kernels import mckp, mincut, rcsp
from qopt.kernels.exchange import (
    cut_instance,
    cut_witness,
    mckp_instance,
    mckp_witness,
    rcsp_instance,
    rcsp_witness,
)

Result = mckp.Result | rcsp.Result | mincut.Result


class Numbers:
    """A kind of numbers: any exponent, a few decades, two far apart, whole, tenths, or a few that come again."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.kind = str(rng.choice(["any", "near", "apart", "whole", "tenths", "again"]))
        self.base = int(rng.integers(-310, 295)) if rng.random() < 0.6 else int(rng.integers(-12, 12))
        self.jump = int(rng.choice([16, 30, 100, 200, 300, -16, -100, -300]))
        self.most = int(rng.choice([3, 100, 2**53]))
        self.negative = float(rng.choice([0.0, 0.3, 0.6]))
        self.few = [self._scaled(int(rng.integers(-320, 301))) for _ in range(3)]

    def __call__(self, shape: tuple[int, ...], signed: bool = True) -> Any:
        return np.array([self._one(signed) for _ in range(math.prod(shape))]).reshape(shape)

    def _one(self, signed: bool) -> float:
        rng = self.rng
        sign = -1.0 if signed and rng.random() < self.negative else 1.0
        if rng.random() < 0.08:
            return 0.0
        if self.kind == "whole":
            return sign * float(rng.integers(0, self.most))
        if self.kind == "tenths":
            return sign * float(rng.integers(0, 60)) / 10
        if self.kind == "again":
            return sign * float(rng.choice(self.few))
        exponent = int(rng.integers(-320, 301))
        if self.kind == "near":
            exponent = self.base + int(rng.integers(-6, 7))
        if self.kind == "apart":
            exponent = self.base + (self.jump if rng.random() < 0.3 else 0) + int(rng.integers(-2, 3))
        return sign * self._scaled(exponent)

    def _scaled(self, exponent: int) -> float:
        digits = self.rng.choice(
            [1.0, 1 + 9 * self.rng.random(), float(self.rng.integers(1, 10)), 1 + 1e-12, 1 + 1e-11]
        )
        return float(digits) * float(f"1e{min(max(exponent, -323), 299)}")


def near(rng: np.random.Generator, terms: Any) -> float:
    """A limit at the sum of some terms, within a few units of its last digit, of its slack, or not near it at all."""
    x = float(sum(map(Fraction, terms), Fraction(0)))
    found = (
        x,
        math.nextafter(x, math.inf),
        math.nextafter(x, -math.inf),
        x * (1 - 1e-12),
        x / (1 + 1e-12),
        x * (1 + float(rng.normal()) * 1e-12),
        x * float(rng.choice([0.5, 0.9, 1.5, 2.0])),
    )[int(rng.integers(7))]
    rare = float(rng.choice([0.0, math.inf, -5e-324, 5e-324]))
    return rare if rng.random() < 0.07 else max(min(found, 1e300), -1e300)


def keeps(rows: Any, limits: Any) -> bool:
    """Whether terms keep their limits, in rationals."""
    return all(
        math.isinf(limit) or sum(map(Fraction, terms), Fraction(0)) <= Fraction(allowed(limit))
        for terms, limit in zip(rows, limits, strict=True)
    )


def knapsack(rng: np.random.Generator) -> dict[str, Any]:
    """Arguments of `mckp.solve`."""
    n, k, rows = int(rng.integers(1, 6)), int(rng.integers(1, 5)), int(rng.choice([1, 1, 1, 2, 3]))
    weight = np.stack([Numbers(rng)((n, k)) for _ in range(rows)])
    limit = np.array([near(rng, row[np.arange(n), rng.integers(0, k, n)].tolist()) for row in weight])
    ties = [sorted(map(int, rng.choice(n, 2, replace=False)))] if n > 1 and rng.random() < 0.2 else None
    return {"cost": Numbers(rng)((n, k)), "weight": weight, "limit": limit, "ties": ties}


def path(rng: np.random.Generator) -> tuple[rcsp.Layered | rcsp.Digraph, Any]:
    """Arguments of `rcsp.solve`."""
    rows = int(rng.choice([1, 1, 2]))
    graph: rcsp.Layered | rcsp.Digraph
    if rng.random() < 0.6:
        shape = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        square = (shape[1], shape[1])
        cost = Numbers(rng)(shape)
        if rng.random() < 0.2:
            cost[rng.random(shape) < 0.2] = math.inf
        graph = rcsp.Layered(
            cost,
            np.stack([Numbers(rng)(shape, False) for _ in range(rows)]),
            Numbers(rng)(square) if rng.random() < 0.6 else None,
            np.stack([Numbers(rng)(square, False) for _ in range(rows)]) if rng.random() < 0.6 else None,
        )
    else:
        n, arcs = int(rng.integers(2, 6)), int(rng.integers(1, 10))
        tail, head = rng.integers(0, n, (2, arcs))
        ordered = bool(rng.random() < 0.5)
        if ordered:
            tail, head = np.minimum(tail, head), np.maximum(tail, head)
            tail, head = tail[tail < head], head[tail < head]
        used = np.stack([Numbers(rng)((len(tail),), False) for _ in range(rows)])
        graph = rcsp.Digraph(n, tail, head, Numbers(rng)((len(tail),), ordered), used, 0, n - 1)
    arcs_of = graph.digraph() if isinstance(graph, rcsp.Layered) else graph
    some = list(itertools.islice(ways(arcs_of), 200)) or [()]
    limits = [near(rng, row[list(some[rng.integers(len(some))])].tolist()) for row in arcs_of.resource]
    return graph, np.maximum(limits, 0.0)


def cut(rng: np.random.Generator) -> tuple[Any, list[tuple[int, list[int], list[float]]]]:
    """Arguments of `mincut.solve`."""
    n, labels = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    unary, weights = Numbers(rng)((n, labels)), Numbers(rng)
    for never in (math.inf, float(rng.choice([1e18, 1e30, 1e300]))):
        if rng.random() < 0.3:
            unary[rng.random((n, labels)) < 0.2] = never
    tensors = []
    for _ in range(int(rng.integers(0, 6))):
        paid = weights((labels - 1,), False)
        if labels > 1 and rng.random() < 0.1:
            paid[rng.integers(labels - 1)] = float(rng.choice([math.inf, 1e30, 1e300]))
        readers = [int(x) for x in rng.integers(0, n, int(rng.integers(0, 3)))]
        tensors.append((int(rng.integers(0, n)), readers, paid.tolist()))
    return unary, tensors


def ways(graph: rcsp.Digraph) -> Iterator[tuple[int, ...]]:
    """Arcs of all simple paths."""
    waiting: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((graph.source,), ())]
    while waiting:
        seen, arcs = waiting.pop()
        if seen[-1] == graph.target:
            yield arcs
            continue
        for arc in np.flatnonzero((graph.tail == seen[-1]) & (graph.cost < math.inf)).tolist():
            if int(graph.head[arc]) not in seen:
                waiting.append(((*seen, int(graph.head[arc])), (*arcs, arc)))


def knapsack_costs(given: dict[str, Any], choice: Any) -> Fraction | None:
    """What a choice costs; None if it is not allowed."""
    classes = np.arange(len(given["cost"]))
    taken = np.asarray(choice)
    tied = all(len(set(taken[group].tolist())) == 1 for group in given["ties"] or [])
    if not tied or not keeps(given["weight"][:, classes, taken].tolist(), given["limit"].tolist()):
        return None
    return sum(map(Fraction, given["cost"][classes, taken].tolist()), Fraction(0))


def path_costs(graph: rcsp.Digraph, limit: Any, arcs: Any) -> Fraction | None:
    """What a path costs; None if it breaks a limit."""
    taken = list(arcs)
    if not keeps(graph.resource[:, taken].tolist(), limit.tolist()):
        return None
    return sum(map(Fraction, graph.cost[taken].tolist()), Fraction(0))


def cut_costs(unary: Any, tensors: Any, labels: Any) -> Fraction | None:
    """What labels cost; None if they are not allowed."""
    terms = [float(unary[v, label]) for v, label in enumerate(labels)]
    for producer, readers, weights in tensors:
        if any(labels[r] < labels[producer] for r in readers):
            return None
        terms += weights[labels[producer] : max([labels[r] for r in readers], default=0)]
    return None if math.inf in terms else sum(map(Fraction, terms), Fraction(0))


def case(kind: str, rng: np.random.Generator) -> tuple[Result, Fraction | None, Fraction | None, dict[str, Any], Any]:
    """A kernel's answer, its true cost, the optimum, the instance as JSON, and what writes the answer's witness."""
    if kind == "mckp":
        given = knapsack(rng)
        found = mckp.solve(**given)
        n, k = given["cost"].shape
        costs = [knapsack_costs(given, choice) for choice in itertools.product(range(k), repeat=n)]
        true = None if found.choice is None else knapsack_costs(given, found.choice)
        return found, true, least(costs), mckp_instance(**given), mckp_witness
    if kind == "rcsp":
        graph, limit = path(rng)
        route = rcsp.solve(graph, limit)
        arcs = graph.digraph() if isinstance(graph, rcsp.Layered) else graph
        true = None if route.arcs is None else path_costs(arcs, limit, route.arcs.tolist())
        best = least([path_costs(arcs, limit, way) for way in ways(arcs)])
        return route, true, best, rcsp_instance(graph, limit), rcsp_witness
    unary, tensors = cut(rng)
    labelled = mincut.solve(unary, tensors)
    n, labels = unary.shape
    true = None if labelled.labels is None else cut_costs(unary, tensors, labelled.labels.tolist())
    best = least([cut_costs(unary, tensors, each) for each in itertools.product(range(labels), repeat=n)])
    return labelled, true, best, cut_instance(unary, tensors), cut_witness


def least(costs: list[Fraction | None]) -> Fraction | None:
    """The least of those that are."""
    return min((cost for cost in costs if cost is not None), default=None)
