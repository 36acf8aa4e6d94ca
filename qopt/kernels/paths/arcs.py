"""Shortest paths in a digraph with or without cycles: Dijkstra's algorithm on costs shifted by potentials."""

from __future__ import annotations

import time

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, dijkstra

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.arguments import LARGEST
from qopt.kernels.exact import Late
from qopt.kernels.nodes import Node
from qopt.kernels.paths.graph import Digraph
from qopt.kernels.paths.layers import Labels, Tables


class _Search:
    """Dijkstra's algorithm from one vertex over arcs given in any order; of parallel arcs the shortest counts."""

    def __init__(self, vertices: int, tail: IntArray, head: IntArray, root: int) -> None:
        self.vertices, self.root = vertices, root
        self.sorted = np.lexsort((head, tail))
        key = tail[self.sorted] * vertices + head[self.sorted]
        self.starts = np.flatnonzero(np.concatenate(([True], np.diff(key) != 0))) if len(key) else np.zeros(0, int)
        self.keys = key[self.starts]
        self.parallel = len(self.starts) < len(key)
        pointer = np.searchsorted(self.keys // vertices, np.arange(vertices + 1))
        self.matrix = csr_array(
            (np.zeros(len(self.keys)), (self.keys % vertices).astype(np.int32), pointer.astype(np.int32)),
            shape=(vertices, vertices),
        )

    def run(self, length: FloatArray) -> tuple[FloatArray, IntArray]:
        """(n,) distances from the root and the arcs by which vertices are reached, -1 for none."""
        lengths = length[self.sorted]
        arc = self.sorted
        if self.parallel:
            shortest = np.minimum.reduceat(lengths, self.starts)
            sizes = np.diff(np.append(self.starts, len(lengths)))
            where = np.where(lengths == np.repeat(shortest, sizes), np.arange(len(lengths)), len(lengths))
            arc, lengths = self.sorted[np.minimum.reduceat(where, self.starts)], shortest
        self.matrix.data[:] = lengths
        distance, before = dijkstra(self.matrix, True, self.root, True)  # type: ignore[call-overload]
        reached = np.flatnonzero(before >= 0)
        by = np.full(self.vertices, -1)
        by[reached] = arc[np.searchsorted(self.keys, before[reached].astype(np.int64) * self.vertices + reached)]
        return distance, by


class ArcPaths:
    """Shortest paths by weights (a, lam) over the arcs that are allowed: length a cost + lam resource.

    Only arcs on some path from source to target count; a mask of allowed arcs has one entry for each of these.
    Costs below 0, which only graphs without cycles have, are shifted by cheapest suffixes: c(u, v) + h(v) - h(u) >= 0.

    Parameters
    ----------
    graph : the digraph.
    rows : (r,) resources that have a limit.

    Attributes
    ----------
    deadline : `time.perf_counter` after which paths raise `qopt.kernels.exact.Late`; None for none.
    """

    revisits = True
    together = 1

    def __init__(self, graph: Digraph, rows: IntArray) -> None:
        self.graph, self.rows, self.vertices = graph, rows, graph.vertices
        self.deadline: float | None = None
        useful = (graph.cost < np.inf) & (graph.tail != graph.head)
        useful &= _reached(graph.vertices, graph.tail[useful], graph.head[useful], graph.source)[graph.tail]
        useful &= _reached(graph.vertices, graph.head[useful], graph.tail[useful], graph.target)[graph.head]
        if graph.source == graph.target:
            useful[:] = False
        self.arc = np.flatnonzero(useful)
        self.tail, self.head, self.cost = graph.tail[self.arc], graph.head[self.arc], graph.cost[self.arc]
        self.resource = graph.resource[rows][:, self.arc]
        self.everything: BoolArray = np.ones(len(self.arc), dtype=bool)
        # Loops and absent arcs are there for a reader of the tree, too.
        self.numbered = bool(np.all(graph.tail < graph.head))
        self._position = np.full(len(graph.cost), -1)
        self._position[self.arc] = np.arange(len(self.arc))
        self._from_source = _Search(graph.vertices, self.tail, self.head, graph.source)
        self._to_target = _Search(graph.vertices, self.head, self.tail, graph.target)
        self._by_tail = np.argsort(self.tail, kind="stable")
        self._potential = self._cheapest_suffixes() if np.any(self.cost < 0) else np.zeros(graph.vertices)
        self._shifted = np.maximum(self.cost + self._potential[self.head] - self._potential[self.tail], 0.0)

    def shortest(self, weights: FloatArray, allowed: BoolArray) -> tuple[float, IntArray | None]:
        """Length and arcs of a shortest path; infinite and None if there is none.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        if self.deadline is not None and time.perf_counter() > self.deadline:
            raise Late
        distance, by = self._to_target.run(self._lengths(weights, allowed))
        vertex, source = self.graph.source, self.graph.source
        if distance[source] == np.inf:
            return np.inf, None
        path = []
        while vertex != self.graph.target:
            path.append(int(by[vertex]))
            vertex = int(self.head[path[-1]])
        return float(distance[source] + weights[0] * self._potential[source]), self.arc[np.array(path, dtype=np.int64)]

    def shortest_of_each(self, weights: FloatArray, allowed: list[BoolArray]) -> list[tuple[float, IntArray | None]]:
        """`shortest` for each row of weights and each mask.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        return [self.shortest(*each) for each in zip(weights, allowed, strict=True)]

    def through(self, weights: FloatArray, allowed: BoolArray) -> FloatArray:
        """(m,) length of a shortest path through each arc.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        length = self._lengths(weights, allowed)
        ahead, reach = self._to_target.run(length)[0], self._from_source.run(length)[0]
        total: FloatArray = reach[self.tail] + length + ahead[self.head]
        total += weights[0] * self._potential[self.graph.source]
        return total

    def tables(self, weights: FloatArray, allowed: BoolArray) -> Tables:
        """Shortest suffixes for each row of weights (L, 1 + r).

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        shape = (len(weights), self.vertices)
        length, cost, step = np.empty(shape), np.zeros(shape), np.full(shape, -1)
        used = np.zeros((len(self.rows), *shape))
        for i, row in enumerate(weights):
            distance, by = self._to_target.run(self._lengths(row, allowed))
            length[i] = distance + row[0] * self._potential
            moving = np.flatnonzero(by >= 0)
            following = np.arange(self.vertices)
            following[moving] = self.head[by[moving]]
            cost[i, moving], used[:, i, moving] = self.cost[by[moving]], self.resource[:, by[moving]]
            step[i, moving] = self.arc[by[moving]]
            # Sums along the tree of suffixes, twice as far with every turn.
            while np.any(following[following] != following):
                cost[i] += cost[i, following]
                used[:, i] += used[:, i, following]
                following = following[following]
        return Tables(length, cost, used, step)

    def suffix(self, tables: Tables, which: int, vertex: int) -> list[int]:
        """Arcs of a suffix.

        Parameters
        ----------
        tables : shortest suffixes, a set for each row of weights.
        which : the set of suffixes.
        vertex : where it stands, or where each of them stands.
        """
        path = []
        while vertex != self.graph.target:
            path.append(int(tables.step[which, vertex]))
            vertex = int(self.graph.head[path[-1]])
        return path

    def start(self, allowed: BoolArray) -> Labels:  # noqa: ARG002  the source is there in any case
        """One label at the source.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        """
        none, zero = np.array([-1]), np.zeros(1)
        return Labels(np.zeros(1, int), none, np.array([self.graph.source]), zero, np.zeros((len(self.rows), 1)))

    def finished(self, vertex: IntArray) -> BoolArray:
        """Which vertices end a path.

        Parameters
        ----------
        vertex : where it stands, or where each of them stands.
        """
        ended: BoolArray = vertex == self.graph.target
        return ended

    def expand(self, labels: Labels, weights: FloatArray, ahead: FloatArray, bar: float, allowed: BoolArray) -> Labels:
        """Labels one arc on whose weighted length, completed by `ahead` (n,), stays below a bar.

        Parameters
        ----------
        labels : partial answers, or their places.
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        ahead : (n,) shortest suffixes at the first row of weights.
        bar : what a label's length with its suffix must stay below.
        allowed : mask of the elements that may be used.
        """
        arcs = self._by_tail[allowed[self._by_tail]]
        start = np.searchsorted(self.tail[arcs], np.arange(self.vertices + 1))
        count = start[labels.vertex + 1] - start[labels.vertex]
        parent = np.repeat(np.arange(len(count)), count)
        before = np.cumsum(count) - count
        arc = arcs[np.arange(len(parent)) - before[parent] + start[labels.vertex[parent]]]
        cost = labels.cost[parent] + self.cost[arc]
        used = labels.used[:, parent] + self.resource[:, arc]
        keep = np.flatnonzero(weights[0] * cost + weights[1:] @ used + ahead[self.head[arc]] < bar)
        arc = arc[keep]
        return Labels(parent[keep], self.arc[arc], self.head[arc], cost[keep], used[:, keep])

    def holds(self, allowed: BoolArray, path: IntArray) -> bool:
        """Whether all arcs of a path are allowed.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        path : steps of a path: states of the layers, or arcs.
        """
        return bool(allowed[self._position[path]].all())

    def split(
        self, allowed: BoolArray, light: IntArray, heavy: IntArray, weights: FloatArray
    ) -> tuple[Node, BoolArray, BoolArray]:
        """Split the arcs out of a vertex where two paths part, the one before the greatest difference in resources.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        light : steps of the path of less weighted resource.
        heavy : steps of the path of more.
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        """
        with np.errstate(over="ignore"):  # where to split is only advice
            load = np.minimum(weights[1:] @ self.resource, LARGEST)
        one, two = self._position[light], self._position[heavy]
        where = {int(self.tail[arc]): i for i, arc in enumerate(two)} | {self.graph.target: len(two)}
        best, vertex, i, j = -1.0, self.graph.source, 0, 0
        for end in range(1, len(one) + 1):  # from one common vertex to the next
            meeting = int(self.head[one[end - 1]])
            if where.get(meeting, -1) <= j:  # not on the other path, or behind: simple paths may cross backwards
                continue
            there = where[meeting]
            spread = abs(float(load[one[i:end]].sum()) - float(load[two[j:there]].sum()))
            if one[i] != two[j] and spread > best:
                best, vertex = spread, int(self.tail[one[i]])
            i, j = end, there
        kind = "cross" if self.numbered else "out"
        rivals = allowed & (self._crossing(vertex) if self.numbered else self.tail == vertex)
        arcs = (int(one[self.tail[one] == vertex][0]), int(two[where[vertex]]))
        lighter, heavier = sorted(arcs, key=lambda arc: float(load[arc]))
        first = rivals & (load <= load[lighter])
        if first[heavier]:
            first = np.zeros_like(rivals)
            first[lighter] = True
        return [kind, vertex, self.arc[first].tolist()], (allowed & ~rivals) | first, allowed & ~first

    def apart(self, allowed: BoolArray, dropped: BoolArray) -> tuple[list[Node], BoolArray]:
        """Tree nodes whose first subtrees hold paths of dropped arcs only; what is left after them.

        A path that avoids a vertex is on both sides of a split of the arcs that leave it, so only crossings will do.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        dropped : mask of the elements to be left out.
        """
        nodes: list[Node] = []
        if not self.numbered:
            return nodes, allowed
        allowed = allowed.copy()
        for vertex in np.unique(self.tail[allowed & dropped]):
            crossing = allowed & self._crossing(int(vertex))
            leaving = crossing & dropped
            if leaving.any() and np.any(crossing & ~dropped):
                nodes.append(["cross", int(vertex), self.arc[leaving].tolist()])
                allowed &= ~leaving
        return nodes, allowed

    def _crossing(self, vertex: int) -> BoolArray:
        crossing: BoolArray = (self.tail <= vertex) & (vertex < self.head)
        return crossing

    def _lengths(self, weights: FloatArray, allowed: BoolArray) -> FloatArray:
        length = weights[0] * self._shifted + weights[1:] @ self.resource
        return np.where(allowed, length, np.inf)

    def _cheapest_suffixes(self) -> FloatArray:
        """(n,) least cost to the target, in a graph without cycles; 0 where it cannot be reached."""
        order = self.graph.order
        assert order is not None  # a graph with cycles has no cost below 0
        start = np.searchsorted(self.tail[self._by_tail], np.arange(self.vertices + 1)).tolist()
        heads, costs = self.head[self._by_tail].tolist(), self.cost[self._by_tail].tolist()
        least = [0.0] * self.vertices
        for vertex in reversed(order.tolist()):
            if start[vertex] < start[vertex + 1]:
                least[vertex] = min(costs[i] + least[heads[i]] for i in range(start[vertex], start[vertex + 1]))
        return np.array(least)


def _reached(vertices: int, tail: IntArray, head: IntArray, root: int) -> BoolArray:
    """(n,) vertices that arcs lead to from a root."""
    matrix = csr_array((np.ones(len(tail)), (tail, head)), shape=(vertices, vertices))
    found = np.zeros(vertices, dtype=bool)
    found[breadth_first_order(matrix, root, return_predecessors=False)] = True
    return found
