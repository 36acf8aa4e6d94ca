"""Shortest paths through layers of states: dynamic programming layer by layer, on whole arrays."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray, WholeArray
from qopt.core.display import Brief
from qopt.kernels.exact import Late
from qopt.kernels.nodes import Node
from qopt.kernels.paths.graph import Layered

NUMBERS_AT_ONCE = 200_000
"""Numbers of one layer's table that several multipliers may take at once before the cache is left: 1.6 MB.
Measured: a tenth and ten times as many are as good."""

LAYERS_BY_CLOCK = 64
"""Layers between two looks at the clock: about a millisecond."""

SPARSE_FROM = 64
"""From this many states a layer on, transitions of states that are not allowed are left out of the arrays. Measured
at 20 states: no difference, so that small diagrams are left whole."""

SPARSE_SHARE = 4
"""They are left out where this many times fewer states are allowed, and at most a sixteenth of a table is then needed,
which pays for picking it out."""

TOGETHER = 64
"""Nodes of a tree whose shortest paths are found together: a layer's arrays are then large enough for numpy. Measured:
8 take a quarter longer, 512 are no faster."""


@dataclass(frozen=True, repr=False)
class Tables(Brief):
    """Shortest suffixes from every vertex, a set for each weighting.

    Attributes
    ----------
    length : (L, n) weighted length; infinite where the target cannot be reached.
    cost : (L, n) their costs.
    used : (r, L, n) their resources.
    step : (L, n) next vertex of a layered graph, next arc of a digraph; undefined where there is none.
    """

    length: FloatArray
    cost: FloatArray
    used: FloatArray
    step: WholeArray


@dataclass(frozen=True, repr=False)
class Labels(Brief):
    """Partial paths.

    Attributes
    ----------
    parent : (N,) label of the round before.
    step : (N,) last step: a state, or an arc.
    vertex : (N,) where they end.
    cost, used : (N,) and (r, N), what has been spent before `vertex` is paid for.
    """

    parent: IntArray
    step: IntArray
    vertex: IntArray
    cost: FloatArray
    used: FloatArray

    def take(self, index: IntArray | BoolArray | slice) -> Labels:
        """Some of them.

        Parameters
        ----------
        index : which ones.
        """
        return Labels(self.parent[index], self.step[index], self.vertex[index], self.cost[index], self.used[:, index])


class LayerPaths:
    """Shortest paths by weights (a, lam) over the states that are allowed: length a cost + lam resource.

    Vertex k S + s is state s of layer k. A mask of allowed states has shape (K, S).

    Parameters
    ----------
    graph : the layers.
    rows : (r,) resources that have a limit.

    Attributes
    ----------
    deadline : `time.perf_counter` after which every method here raises `qopt.kernels.exact.Late`; None for none.
    """

    revisits = False
    together = TOGETHER

    def __init__(self, graph: Layered, rows: IntArray) -> None:
        self.graph, self.rows = graph, rows
        self.deadline: float | None = None
        self.everything: BoolArray = graph.node_cost < np.inf
        self.vertices = graph.layers * graph.states
        self._present = np.where(self.everything, graph.node_cost, 0.0)
        self._resource = graph.node_resource[rows]
        self._stationary = (graph.arc_cost is None or graph.arc_cost.ndim == 2) and (
            graph.arc_resource is None or graph.arc_resource.ndim == 3
        )

    def check_time(self, layer: int) -> None:
        """Raise `qopt.kernels.exact.Late` once the deadline is over; asked at every layer, it looks at some.

        Parameters
        ----------
        layer : its number.
        """
        if self.deadline is not None and layer % LAYERS_BY_CLOCK == 0 and time.perf_counter() > self.deadline:
            raise Late

    def shortest(self, weights: FloatArray, allowed: BoolArray) -> tuple[float, IntArray | None]:
        """Length and states of a shortest path; infinite and None if there is none.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        return self.shortest_of_each(weights[None], [allowed])[0]

    def shortest_of_each(self, weights: FloatArray, allowed: list[BoolArray]) -> list[tuple[float, IntArray | None]]:
        """`shortest` for each row of weights and each mask, layer by layer together.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        states = self.graph.states
        size = max(1, NUMBERS_AT_ONCE // (states * states))
        if len(weights) > size:
            parts = range(0, len(weights), size)
            return [each for i in parts for each in self.shortest_of_each(weights[i : i + size], allowed[i : i + size])]
        lengths = self._suffixes(weights, allowed)
        index = np.arange(len(weights))
        path = np.empty((len(weights), self.graph.layers), dtype=np.int64)
        path[:, 0] = np.argmin(lengths[0], axis=1)
        least = lengths[0, index, path[:, 0]]
        matrices: FloatArray | None = None
        for k in range(1, self.graph.layers):
            self.check_time(k)
            if len(weights) == 1:
                onward = self._transition(weights[0], k - 1, path[0, k - 1 : k])
            else:
                if matrices is None or not self._stationary:
                    matrices = self._transitions(weights, k - 1)
                onward = matrices[index, path[:, k - 1]]
            path[:, k] = np.argmin(onward + lengths[k], axis=1)
        return [(float(x), None if x == np.inf else row) for x, row in zip(least, path, strict=True)]

    def through(self, weights: FloatArray, allowed: BoolArray) -> FloatArray:
        """(K, S) length of a shortest path through each state.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        ahead = self._suffixes(weights[None], [allowed])[:, 0]
        nodes = self._nodes(weights, allowed)
        result = np.empty_like(ahead)
        reach = np.zeros(self.graph.states)
        inside = self._inside(allowed)
        fixed = self._transition(weights, 0) if self._stationary and inside is None and len(nodes) > 1 else None
        for k in range(len(nodes)):
            self.check_time(k)
            result[k] = reach + ahead[k]
            if k + 1 == len(nodes):
                break
            if inside is not None:
                rows, columns = inside[k], inside[k + 1]
                begun = (reach + nodes[k])[rows, None]
                reach = np.full(self.graph.states, np.inf)
                reach[columns] = (begun + self._transition(weights, k, rows, columns)).min(axis=0)
            else:
                matrix = self._transition(weights, k) if fixed is None else fixed
                reach = ((reach + nodes[k])[:, None] + matrix).min(axis=0)
        return result

    def tables(self, weights: FloatArray, allowed: BoolArray) -> Tables:
        """Shortest suffixes for each row of weights (L, 1 + r).

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        allowed : mask of the elements that may be used.
        """
        layers, states = self.graph.layers, self.graph.states
        size = max(1, NUMBERS_AT_ONCE // (states * states))
        if len(weights) > size:
            parts = [self.tables(weights[i : i + size], allowed) for i in range(0, len(weights), size)]
            return Tables(
                np.concatenate([part.length for part in parts]),
                np.concatenate([part.cost for part in parts]),
                np.concatenate([part.used for part in parts], axis=1),
                np.concatenate([part.step for part in parts]),
            )
        count = len(weights)
        length = np.empty((count, layers, states))
        cost = np.empty_like(length)
        used = np.empty((len(self.rows), count, layers, states))
        step = np.zeros((count, layers, states), dtype=np.int32)
        nodes = np.stack([self._nodes(row, allowed) for row in weights])
        length[:, -1], cost[:, -1], used[:, :, -1] = nodes[:, -1], self._present[-1], self._resource[:, None, -1]
        batch, index = np.arange(count)[:, None], np.arange(states)
        matrices: FloatArray | None = None
        inside = self._inside(allowed)
        for k in range(layers - 2, -1, -1):
            self.check_time(k)
            if inside is not None:
                rows, columns = inside[k], inside[k + 1]
                part = self._transitions(weights, k, rows, columns) + length[:, k + 1][:, None, columns]
                following = np.zeros((count, states), dtype=np.int64)
                following[:, rows] = columns[np.argmin(part, axis=2)]
                shortest = np.full((count, states), np.inf)
                shortest[:, rows] = part.min(axis=2)
            else:
                if matrices is None or not self._stationary:
                    matrices = self._transitions(weights, k)
                total = matrices + length[:, k + 1, None, :]
                following = np.argmin(total, axis=2)
                shortest = np.take_along_axis(total, following[:, :, None], axis=2)[:, :, 0]
            step[:, k] = following + (k + 1) * states
            length[:, k] = nodes[:, k] + shortest
            costs, taken = self.graph.transition_cost(k), self.graph.transition_resource(k)
            cost[:, k] = self._present[k] + cost[batch, k + 1, following]
            if costs is not None:
                cost[:, k] += costs[index, following]
            used[:, :, k] = self._resource[:, None, k] + used[:, batch, k + 1, following]
            if taken is not None:
                used[:, :, k] += taken[self.rows][:, index, following]
        flat = (count, self.vertices)
        return Tables(length.reshape(flat), cost.reshape(flat), used.reshape(-1, *flat), step.reshape(flat))

    def suffix(self, tables: Tables, which: int, vertex: int) -> list[int]:
        """Steps of a suffix after the vertex it begins at.

        Parameters
        ----------
        tables : shortest suffixes, a set for each row of weights.
        which : the set of suffixes.
        vertex : where it stands, or where each of them stands.
        """
        states, path = self.graph.states, []
        while vertex < self.vertices - states:
            vertex = int(tables.step[which, vertex])
            path.append(vertex % states)
        return path

    def start(self, allowed: BoolArray) -> Labels:
        """One label for each state of the first layer.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        """
        first = np.flatnonzero(allowed[0])
        zero = np.zeros(len(first))
        return Labels(np.zeros_like(first), first, first, zero, np.zeros((len(self.rows), len(first))))

    def finished(self, vertex: IntArray) -> BoolArray:
        """Which vertices end a path.

        Parameters
        ----------
        vertex : where it stands, or where each of them stands.
        """
        ended: BoolArray = vertex >= self.vertices - self.graph.states
        return ended

    def expand(self, labels: Labels, weights: FloatArray, ahead: FloatArray, bar: float, allowed: BoolArray) -> Labels:
        """Labels one layer on whose weighted length, completed by `ahead` (n,), stays below a bar.

        Parameters
        ----------
        labels : partial answers, or their places.
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        ahead : (n,) shortest suffixes at the first row of weights.
        bar : what a label's length with its suffix must stay below.
        allowed : mask of the elements that may be used.
        """
        states = self.graph.states
        k = int(labels.vertex[0]) // states
        state = labels.vertex - k * states
        to = np.flatnonzero(allowed[k + 1])
        cost = labels.cost + self._present[k, state]
        used = labels.used + self._resource[:, k, state]
        reach = weights[0] * cost + weights[1:] @ used
        origins, row = np.unique(state, return_inverse=True) if states >= SPARSE_FROM else (None, state)
        onward = self._transition(weights, k, origins)[:, to] + ahead[(k + 1) * states + to]
        parent, column = np.nonzero(onward[row] < (bar - reach)[:, None])
        origin, target = state[parent], to[column]
        cost, used = cost[parent], used[:, parent]
        costs, taken = self.graph.transition_cost(k), self.graph.transition_resource(k)
        if costs is not None:
            cost = cost + costs[origin, target]
        if taken is not None:
            used = used + taken[self.rows][:, origin, target]
        return Labels(parent, target, (k + 1) * states + target, cost, used)

    def holds(self, allowed: BoolArray, path: IntArray) -> bool:
        """Whether all states of a path are allowed.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        path : steps of a path: states of the layers, or arcs.
        """
        return bool(allowed[np.arange(len(path)), path].all())

    def split(
        self, allowed: BoolArray, light: IntArray, heavy: IntArray, weights: FloatArray
    ) -> tuple[Node, BoolArray, BoolArray]:
        """Split the layer where two paths differ most in weighted resources, lighter states from heavier.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        light : steps of the path of less weighted resource.
        heavy : steps of the path of more.
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        """
        index = np.arange(self.graph.layers)
        with np.errstate(over="ignore", invalid="ignore"):  # where to split is only advice
            load = np.tensordot(weights[1:], self._resource, 1)
            one, two = (load[index, path] + self._around(weights, path) for path in (light, heavy))
            k = int(np.argmax(np.where(light != heavy, np.abs(one - two), -1.0)))
        first = allowed[k] & (load[k] <= min(load[k, light[k]], load[k, heavy[k]]))
        if first[light[k]] == first[heavy[k]]:
            first = np.zeros_like(first)
            first[light[k]] = True
        side, other = allowed.copy(), allowed.copy()
        side[k], other[k] = first, allowed[k] & ~first
        return self._node(k, first), side, other

    def apart(self, allowed: BoolArray, dropped: BoolArray) -> tuple[list[Node], BoolArray]:
        """Tree nodes whose first subtrees hold dropped states, a layer each; what is left after them.

        Parameters
        ----------
        allowed : mask of the elements that may be used.
        dropped : mask of the elements to be left out.
        """
        kept = np.any(allowed & ~dropped, axis=1)
        dropped = dropped & allowed & kept[:, None]  # no layer is emptied
        return [self._node(int(k), dropped[k]) for k in np.flatnonzero(dropped.any(axis=1))], allowed & ~dropped

    def _node(self, k: int, states: BoolArray) -> Node:
        return ["cross", self.graph.state_vertex(k), self.graph.node_arcs(k)[states].tolist()]

    def _around(self, weights: FloatArray, path: IntArray) -> FloatArray:
        """(K,) weighted resources of the transitions into and out of each layer."""
        sums = np.zeros(len(path))
        for k in range(len(path) - 1):
            taken = self.graph.transition_resource(k)
            if taken is not None:
                amount = float(weights[1:] @ taken[self.rows, path[k], path[k + 1]])
                sums[k] += amount
                sums[k + 1] += amount
        return sums

    def _nodes(self, weights: FloatArray, allowed: BoolArray) -> FloatArray:
        """(K, S) weighted lengths of the states, infinite where not allowed."""
        length = weights[0] * self._present
        for weight, amounts in zip(weights[1:], self._resource, strict=True):
            if weight:
                length = length + weight * amounts
        return np.where(allowed, length, np.inf)

    def _inside(self, allowed: BoolArray) -> list[IntArray] | None:
        """Allowed states of each layer, where leaving out the others pays; None where it does not."""
        if self.graph.states < SPARSE_FROM or SPARSE_SHARE * np.count_nonzero(allowed) > allowed.size:
            return None
        return [np.flatnonzero(row) for row in allowed] if np.all(allowed.any(axis=1)) else None

    def _transition(
        self, weights: FloatArray, k: int, rows: IntArray | None = None, columns: IntArray | None = None
    ) -> FloatArray:
        """(S, S) weighted lengths of the transitions, or those of some rows and columns."""
        costs, taken = self.graph.transition_cost(k), self.graph.transition_resource(k)
        states = self.graph.states
        if costs is None:
            length = np.zeros((states if rows is None else len(rows), states if columns is None else len(columns)))
        else:
            costs = _block(costs, rows, columns)
            # 0 times infinity would be NaN: what is absent stays absent when costs do not count.
            length = weights[0] * costs if weights[0] else np.where(costs < np.inf, 0.0, np.inf)
        if taken is not None:
            for weight, row in zip(weights[1:], self.rows, strict=True):
                if weight:
                    length = length + weight * _block(taken[row], rows, columns)
        return length

    def _transitions(
        self, weights: FloatArray, k: int, rows: IntArray | None = None, columns: IntArray | None = None
    ) -> FloatArray:
        """(L, S, S) for each row of weights, or some rows and columns of them."""
        return np.stack([self._transition(row, k, rows, columns) for row in weights])

    def _suffixes(self, weights: FloatArray, allowed: list[BoolArray]) -> FloatArray:
        """(K, L, S) length of a shortest suffix from each state, that state included, for each row of weights."""
        nodes = np.stack([self._nodes(row, mask) for row, mask in zip(weights, allowed, strict=True)], axis=1)
        lengths = np.empty_like(nodes)
        lengths[-1] = nodes[-1]
        turned: FloatArray | None = None
        inside = self._inside(allowed[0]) if len(allowed) == 1 else None
        for k in range(len(nodes) - 2, -1, -1):
            self.check_time(k)
            if inside is not None:
                rows, columns = inside[k], inside[k + 1]
                shortest = (self._transition(weights[0], k, rows, columns) + lengths[k + 1, 0, columns]).min(axis=1)
                lengths[k] = np.inf
                lengths[k, 0, rows] = nodes[k, 0, rows] + shortest
                continue
            if turned is None or not self._stationary:
                # Turned, so that the minimum runs over a middle axis, which is faster than the last.
                turned = np.ascontiguousarray(self._transitions(weights, k).swapaxes(1, 2))
            lengths[k] = nodes[k] + (turned + lengths[k + 1][:, :, None]).min(axis=1)
        return lengths


def _block(matrix: FloatArray, rows: IntArray | None, columns: IntArray | None) -> FloatArray:
    """Some rows and columns of a matrix; all where None."""
    if rows is None:
        return matrix
    block: FloatArray = matrix[rows] if columns is None else matrix[np.ix_(rows, columns)]
    return block
