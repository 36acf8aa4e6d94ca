"""Graphs without cycles as levels of arcs, each level's tails settled before it is reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.paths.graph import Digraph, Layered


@dataclass(frozen=True, repr=False)
class Level(Brief):
    """Arcs of which all tails come in earlier levels, in the order of their heads.

    Attributes
    ----------
    tail, head, step : (m,) vertices, and what the path notes down; -1 for nothing.
    cost, resource : (parts, m) as given: the parts of an arc are those of a transition and of the state it enters.
    """

    tail: IntArray
    head: IntArray
    step: IntArray
    cost: FloatArray
    resource: FloatArray


class LayeredLevels:
    """Levels of the states that are allowed. Vertex 0 is the source; where transitions cost nothing, all states of a

    Parameters
    ----------
    graph : the layers.
    allowed : (K, S) mask of states.
    layer lead to one vertex, and from there to the next layer."""

    def __init__(self, graph: Layered, allowed: BoolArray) -> None:
        self.graph = graph
        self.free = graph.arc_cost is None and graph.arc_resource is None
        self.states = [np.flatnonzero(row) for row in allowed]
        sizes = [len(row) + 1 for row in self.states]
        self.first = 1 + np.concatenate(([0], np.cumsum(sizes)))  # then its states, then where they meet
        self.vertices, self.target = int(self.first[-1]), int(self.first[-1]) - 1
        self.source = 0
        self.terms = graph.layers

    def __iter__(self) -> Iterator[Level]:
        return map(self.level, range(len(self)))

    def __reversed__(self) -> Iterator[Level]:
        return map(self.level, reversed(range(len(self))))

    def __len__(self) -> int:
        return 2 * self.graph.layers if self.free else self.graph.layers + 1

    def level(self, i: int) -> Level:
        """The i-th.

        Parameters
        ----------
        i : which one.
        """
        layers = self.graph.layers
        k, leaving = (i // 2, i % 2 == 1) if self.free else (i, i == layers)
        if leaving:
            k = k if self.free else layers - 1
            tail = self.first[k] + np.arange(len(self.states[k]))
            zero = np.zeros((1, len(tail)))
            return Level(tail, np.full_like(tail, self.first[k + 1] - 1), np.full_like(tail, -1), zero, zero)
        states, rows, graph = self.states[k], len(self.states[k]), self.graph
        columns = self.first[k] + np.arange(rows)
        if self.free or k == 0:
            tail = np.full(rows, self.first[k] - 1)  # the source, or where the layer before meets
            cost, used = graph.node_cost[k, states][None], graph.node_resource[0, k, states][None]
            return Level(tail, columns, states, cost, used)
        before = self.states[k - 1]
        block = np.ix_(before, states)
        shape = (len(before), rows)
        cost, used = np.zeros((2, *shape)), np.zeros((2, *shape))
        cost[0], used[0] = graph.node_cost[k, states], graph.node_resource[0, k, states]
        matrix, taken = graph.transition_cost(k - 1), graph.transition_resource(k - 1)
        if matrix is not None:
            cost[1] = matrix[block]
        if taken is not None:
            used[1] = taken[0][block]
        tail = np.tile(self.first[k - 1] + np.arange(len(before)), rows)
        head, step = np.repeat(columns, len(before)), np.repeat(states, len(before))
        return Level(tail, head, step, *(np.swapaxes(each, 1, 2).reshape(2, -1) for each in (cost, used)))


class DigraphLevels:
    """Levels of a digraph without cycles: arcs by the most arcs on a way to their head.

    Parameters
    ----------
    graph : the digraph.
    arcs : (m,) those that are allowed, all on ways from the source.
    """

    def __init__(self, graph: Digraph, arcs: IntArray) -> None:
        assert graph.order is not None
        self.source, self.target = graph.source, graph.target
        self.vertices = graph.vertices
        place = np.empty(graph.vertices, dtype=np.int64)
        place[graph.order] = np.arange(graph.vertices)
        depth = [0] * graph.vertices
        arcs = arcs[np.argsort(place[graph.tail[arcs]], kind="stable")]
        for tail, head in zip(graph.tail[arcs].tolist(), graph.head[arcs].tolist(), strict=True):
            depth[head] = max(depth[head], depth[tail] + 1)
        level = np.array(depth)[graph.head[arcs]]
        order = np.lexsort((graph.head[arcs], level))
        arcs, level = arcs[order], level[order]
        self.terms = int(level[-1]) if len(level) else 0
        parts = np.split(arcs, np.searchsorted(level, np.arange(2, self.terms + 1)))
        self.levels = [
            Level(graph.tail[a], graph.head[a], a, graph.cost[a][None], graph.resource[:1, a]) for a in parts if len(a)
        ]

    def __iter__(self) -> Iterator[Level]:
        return iter(self.levels)

    def __reversed__(self) -> Iterator[Level]:
        return reversed(self.levels)


Levels = LayeredLevels | DigraphLevels
