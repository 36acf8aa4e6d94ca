"""Label setting in whole numbers of any size, for what sums in floats cannot tell.

Floats are dyadic rationals: scaled by powers of two they are whole, and no sum rounds. Partial paths are taken in
the order of their cost with the cheapest rest (the A* order), so the first that arrives is an optimum.
"""

from __future__ import annotations

import heapq
import math
import time
from fractions import Fraction
from operator import le, mul

from qopt.core.arrays import FloatArray
from qopt.kernels.paths.graph import Digraph
from qopt.kernels.paths.limits import Limits

MAX_LABELS = 30_000
"""Partial paths made before it gives up: whole numbers of any size are slow, and few paths lie within rounding."""


def solve_exactly(
    graph: Digraph, bounds: Limits, multipliers: FloatArray, below: float, deadline: float | None
) -> tuple[bool, list[int] | None]:
    """Cheapest path within the limits; whether the search is complete, and its arcs, None if none is below a value.

    Parameters
    ----------
    multipliers : (r,) of a Lagrangian bound that prunes, any >= 0.
    below : only cheaper paths count.
    """
    tail, head = graph.tail.tolist(), graph.head.tolist()
    arcs = [a for a, cost in enumerate(graph.cost.tolist()) if cost < math.inf and tail[a] != head[a]]
    cost, unit = _whole(graph.cost[arcs].tolist())
    scaled = [_whole(graph.resource[row, arcs].tolist()) for row in bounds.rows.tolist()]
    used = [row for row, _ in scaled]
    room = [math.floor(Fraction(w) * per) for w, (_, per) in zip(bounds.allowed.tolist(), scaled, strict=True)]
    bar = math.ceil(Fraction(below) * unit) if math.isfinite(below) else None
    if bar is not None:
        # One more row: cost + lam (resource - limit), too, must stay below.
        lam = [Fraction(x) * unit / per for x, (_, per) in zip(multipliers.tolist(), scaled, strict=True)]
        common = math.lcm(*(x.denominator for x in lam))
        factors = [common, *(int(x * common) for x in lam)]
        used.append([sum(map(mul, factors, each)) for each in zip(cost, *used, strict=True)])
        room.append(sum(map(mul, factors, [bar, *room])))
    rest = _to_target(graph, arcs, cost)
    least = [_to_target(graph, arcs, row) for row in used]
    leaving: list[list[int]] = [[] for _ in range(graph.vertices)]
    for i, a in enumerate(arcs):
        if rest[head[a]] < math.inf:
            leaving[tail[a]].append(i)
    labels: list[tuple[int, int]] = [(-1, -1)]
    passed: list[list[tuple[int, ...]]] = [[] for _ in range(graph.vertices)]
    heap: list[tuple[float, int, int, tuple[int, ...]]] = []
    if rest[graph.source] < math.inf:
        heap.append((rest[graph.source], 0, graph.source, (0,) * len(used)))
    while heap:
        reach, label, vertex, spent = heapq.heappop(heap)
        if bar is not None and reach >= bar:
            break
        if vertex == graph.target:
            path = []
            while label:
                label, i = labels[label]
                path.append(arcs[i])
            return True, path[::-1]
        # Labels of a vertex come in the order of their cost.
        if any(all(map(le, other, spent)) for other in passed[vertex]):
            continue
        passed[vertex].append(spent)
        if len(labels) > MAX_LABELS or (deadline is not None and time.perf_counter() > deadline):
            return False, None
        for i in leaving[vertex]:
            after = head[arcs[i]]
            taken = tuple(x + row[i] for x, row in zip(spent, used, strict=True))
            if all(x + go[after] <= w for x, go, w in zip(taken, least, room, strict=True)):
                labels.append((label, i))
                heapq.heappush(heap, (reach - rest[vertex] + cost[i] + rest[after], len(labels) - 1, after, taken))
    return True, None


def _whole(numbers: list[float]) -> tuple[list[int], int]:
    """Numbers times a power of two that makes all of them whole, and that power."""
    ratios = [x.as_integer_ratio() for x in numbers]
    unit = max((bottom for _, bottom in ratios), default=1)
    return [top * (unit // bottom) for top, bottom in ratios], unit


def _to_target(graph: Digraph, arcs: list[int], length: list[int]) -> list[float]:
    """(n,) lengths of shortest paths to the target, whole; infinite where there is none."""
    entering: list[list[tuple[int, int]]] = [[] for _ in range(graph.vertices)]
    for a, step in zip(arcs, length, strict=True):
        entering[graph.head[a]].append((int(graph.tail[a]), step))
    least: list[float] = [math.inf] * graph.vertices
    least[graph.target] = 0
    # Without cycles vertices are settled in topological order from behind, else in the order of their length.
    ordered = None if graph.order is None else graph.order.tolist()
    heap: list[tuple[float, int]] = [(0, graph.target)]
    while ordered or (ordered is None and heap):
        if ordered is not None:
            vertex = ordered.pop()
        else:
            reach, vertex = heapq.heappop(heap)
            if reach > least[vertex]:
                continue
        if least[vertex] == math.inf:
            continue
        for before, step in entering[vertex]:
            if least[vertex] + step < least[before]:
                least[before] = least[vertex] + step
                if ordered is None:
                    heapq.heappush(heap, (least[before], before))
    return least
