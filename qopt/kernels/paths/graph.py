"""Graphs of the resource-constrained shortest path: layers of states, or vertices and arcs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qopt.core.arguments import is_whole, whole
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.kernels.arguments import LARGEST, floats, table


@dataclass(frozen=True, eq=False, repr=False)
class Layered(Brief):
    """K layers of S states; a path takes one state of each layer.

    Costs have any sign, resources are >= 0. An infinite cost says that a state, or a transition, is absent.

    Parameters
    ----------
    node_cost : (K, S) cost of a state.
    node_resource : (R, K, S), or (K, S) for one resource.
    arc_cost : (S, S) cost of a transition from row to column, the same between all layers, or (K-1, S, S);
        None for zero. Broadcast, never copied.
    arc_resource : likewise, (R, S, S) or (R, K-1, S, S) where `node_resource` has one; None for zero.

    Raises
    ------
    InputError
        A shape that does not fit, a NaN, a number beyond 1e300, a cost of -inf, a resource that is negative.
    """

    node_cost: FloatArray
    node_resource: FloatArray
    arc_cost: FloatArray | None = None
    arc_resource: FloatArray | None = None

    def __post_init__(self) -> None:
        cost = floats("node_cost", self.node_cost, "an array of numbers")
        if cost.ndim != 2 or not cost.size:
            raise InputError("node_cost", f"shape {cost.shape}", "(layers, states), at least one of each")
        layers, states = cost.shape
        resource = floats("node_resource", self.node_resource, "an array of numbers")
        single = resource.ndim == 2
        resource = resource[None] if single else resource
        if resource.ndim != 3 or resource.shape[1:] != cost.shape or not len(resource):
            raise InputError(
                "node_resource", f"shape {np.shape(self.node_resource)}", f"{cost.shape} or (resources, *{cost.shape})"
            )
        arc_cost = self.arc_cost
        if arc_cost is not None:
            arc_cost = floats("arc_cost", arc_cost, "an array of numbers")
            if arc_cost.shape not in ((states, states), (layers - 1, states, states)):
                raise InputError(
                    "arc_cost", f"shape {arc_cost.shape}", f"{(states, states)} or {(layers - 1, states, states)}"
                )
        arc_resource = self.arc_resource
        if arc_resource is not None:
            arc_resource = floats("arc_resource", arc_resource, "an array of numbers")
            arc_resource = arc_resource[None] if single else arc_resource
            shapes = [(len(resource), states, states), (len(resource), layers - 1, states, states)]
            if arc_resource.shape not in shapes:
                allowed = " or ".join(str(shape[1:] if single else shape) for shape in shapes)
                raise InputError("arc_resource", f"shape {arc_resource.shape[1 if single else 0 :]}", allowed)
        for name, array in (("node_cost", cost), ("arc_cost", arc_cost)):
            if array is not None:
                _refuse(
                    name,
                    array,
                    lambda a: ~(np.abs(a) <= LARGEST) & (a != np.inf),
                    f"numbers up to {LARGEST:g}; inf for what is absent",
                )
        for name, array in (("node_resource", resource), ("arc_resource", arc_resource)):
            if array is not None:
                as_given = array[0] if single else array
                _refuse(name, as_given, lambda a: ~((a >= 0) & (a <= LARGEST)), f"numbers from 0 to {LARGEST:g}")
        for name, value in (
            ("node_cost", cost),
            ("node_resource", resource),
            ("arc_cost", arc_cost),
            ("arc_resource", arc_resource),
        ):
            object.__setattr__(self, name, value)

    @property
    def layers(self) -> int:
        """K."""
        return int(self.node_cost.shape[0])

    @property
    def states(self) -> int:
        """S."""
        return int(self.node_cost.shape[1])

    @property
    def resources(self) -> int:
        """R."""
        return int(self.node_resource.shape[0])

    def transition_cost(self, k: int) -> FloatArray | None:
        """(S, S) costs from layer k to k + 1; None for zero.

        Parameters
        ----------
        k : layer.
        """
        if self.arc_cost is None or self.arc_cost.ndim == 2:
            return self.arc_cost
        matrix: FloatArray = self.arc_cost[k]
        return matrix

    def transition_resource(self, k: int) -> FloatArray | None:
        """(R, S, S) resources from layer k to k + 1; None for zero.

        Parameters
        ----------
        k : layer.
        """
        if self.arc_resource is None or self.arc_resource.ndim == 3:
            return self.arc_resource
        matrix: FloatArray = self.arc_resource[:, k]
        return matrix

    def terms(self, path: IntArray) -> tuple[FloatArray, FloatArray]:
        """Costs (2K-1,) and resources (R, 2K-1) along a path of K states, as given.

        Parameters
        ----------
        path : steps of a path: states of the layers, or arcs.
        """
        rows = np.arange(self.layers)
        costs = [self.node_cost[rows, path]]
        used = [self.node_resource[:, rows, path]]
        if self.arc_cost is not None:
            stationary = self.arc_cost.ndim == 2
            where: tuple[IntArray | slice, ...] = (path[:-1], path[1:])
            costs.append(self.arc_cost[where if stationary else (rows[:-1], *where)])
        if self.arc_resource is not None:
            stationary = self.arc_resource.ndim == 3
            where = (slice(None), path[:-1], path[1:])
            used.append(self.arc_resource[where if stationary else (slice(None), rows[:-1], path[:-1], path[1:])])
        return np.concatenate(costs), np.concatenate(used, axis=1)

    def node_arcs(self, k: int) -> IntArray:
        """(S,) arc of `digraph` that stands for each state of layer k; -1 for absent states.

        Parameters
        ----------
        k : layer.
        """
        present = self.node_cost[k] < np.inf
        return np.where(present, self._layer_start(k) + np.cumsum(present) - 1, -1)

    def state_vertex(self, k: int) -> int:
        """Last vertex of `digraph` before which every path to a state of layer k, and none from it, has gone.

        Parameters
        ----------
        k : layer.
        """
        return 2 * k * self.states + self.states

    def path_arcs(self, path: IntArray) -> IntArray:
        """(2K+1,) arcs of `digraph` along a path of K states.

        Parameters
        ----------
        path : steps of a path: states of the layers, or arcs.
        """
        arcs = [int(path[0])]
        for k in range(self.layers):
            arcs.append(int(self.node_arcs(k)[path[k]]))
            if k + 1 < self.layers:
                first = self._layer_start(k) + int(np.count_nonzero(self.node_cost[k] < np.inf))
                flat = int(path[k]) * self.states + int(path[k + 1])
                matrix = self.transition_cost(k)
                before = flat if matrix is None else int(np.count_nonzero(matrix.ravel()[:flat] < np.inf))
                arcs.append(first + before)
        arcs.append(self._layer_start(self.layers) + int(path[-1]))
        return np.array(arcs, dtype=np.int64)

    def _layer_start(self, k: int) -> int:
        """Number of `digraph` arcs before the states of layer k."""
        nodes = int(np.count_nonzero(self.node_cost[:k] < np.inf))
        between = min(k, self.layers - 1)
        if self.arc_cost is None:
            transitions = between * self.states * self.states
        elif self.arc_cost.ndim == 2:
            transitions = between * int(np.count_nonzero(self.arc_cost < np.inf))
        else:
            transitions = sum(int(np.count_nonzero(self.arc_cost[j] < np.inf)) for j in range(between))
        return self.states + nodes + transitions

    def digraph(self) -> Digraph:
        """The same paths as vertices and arcs, no sum rounded, numbered so that every arc leads upwards.

        Vertex 0 is the source, 1 + 2 k S + s and 1 + (2 k + 1) S + s are where state s of layer k is entered
        and left, 1 + 2 K S is the target. Arcs in order: S from the source into layer 0; then for each layer
        an arc through each present state, and the present transitions to the next layer, row by row; at last
        S into the target.
        """
        layers, states, resources = self.layers, self.states, self.resources
        index = np.arange(states)
        tails, heads, costs, used = [np.zeros(states, int)], [1 + index], [np.zeros(states)], []
        used.append(np.zeros((resources, states)))
        for k in range(layers):
            entered, left = 1 + 2 * k * states, 1 + (2 * k + 1) * states
            present = np.flatnonzero(self.node_cost[k] < np.inf)
            tails.append(entered + present)
            heads.append(left + present)
            costs.append(self.node_cost[k, present])
            used.append(self.node_resource[:, k, present])
            if k + 1 == layers:
                break
            matrix, taken = self.transition_cost(k), self.transition_resource(k)
            flat = np.zeros(states * states) if matrix is None else matrix.ravel()
            present = np.flatnonzero(flat < np.inf)
            tails.append(left + present // states)
            heads.append(left + states + present % states)
            costs.append(flat[present])
            zero = np.zeros((resources, len(present)))
            used.append(zero if taken is None else taken.reshape(resources, -1)[:, present])
        target = 1 + 2 * layers * states
        tails.append(target - states + index)
        heads.append(np.full(states, target))
        costs.append(np.zeros(states))
        used.append(np.zeros((resources, states)))
        return Digraph(
            target + 1,
            np.concatenate(tails),
            np.concatenate(heads),
            np.concatenate(costs),
            np.concatenate(used, axis=1),
            0,
            target,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Digraph(Brief):
    """Vertices and arcs, with or without cycles; parallel arcs, loops and unreachable vertices are fine.

    Without cycles costs have any sign; with cycles they must be >= 0. Resources are >= 0.

    Parameters
    ----------
    vertices : their number n; they are 0..n-1.
    tail, head : (m,) ends of each arc.
    cost : (m,); infinite says that the arc is absent.
    resource : (m,) or (R, m).
    source, target : ends of the path; if they are the same vertex, the path is empty.

    Attributes
    ----------
    order : (n,) vertices in topological order, None with cycles. Loops are no cycles: no path needs them.

    Raises
    ------
    InputError
        A vertex that does not exist, a NaN, a number beyond 1e300, a cost of -inf, a resource that is negative, a
        negative cost in a graph with cycles.
    """

    vertices: int
    tail: IntArray
    head: IntArray
    cost: FloatArray
    resource: FloatArray
    source: int
    target: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", whole("vertices", self.vertices, 1))
        cost = table("cost", self.cost, "(arcs)", infinite=True)
        resource = floats("resource", self.resource, "an array of numbers")
        if resource.ndim not in (1, 2) or resource.shape[-1] != len(cost) or (resource.ndim == 2 and not len(resource)):
            raise InputError("resource", f"shape {resource.shape}", f"({len(cost)},) or (resources, {len(cost)})")
        _refuse("resource", resource, lambda a: ~((a >= 0) & (a <= LARGEST)), f"numbers from 0 to {LARGEST:g}")
        resource = resource[None] if resource.ndim == 1 else resource
        ends = [_vertices(name, getattr(self, name), len(cost), self.vertices) for name in ("tail", "head")]
        for name in ("source", "target"):
            value = getattr(self, name)
            if not is_whole(value) or not 0 <= value < self.vertices:
                raise InputError(name, shown(value), f"a vertex, 0 to {self.vertices - 1}")
            object.__setattr__(self, name, int(value))
        for name, array in (("tail", ends[0]), ("head", ends[1]), ("cost", cost), ("resource", resource)):
            object.__setattr__(self, name, array)
        present = (cost < np.inf) & (ends[0] != ends[1])
        order = _topological(self.vertices, ends[0][present], ends[1][present])
        negative = np.flatnonzero(cost < 0)
        loops = negative[ends[0][negative] == ends[1][negative]]
        if loops.size or (order is None and negative.size):
            worst = int(loops[0] if loops.size else negative[0])
            raise InputError(f"cost[{worst}]", f"{cost[worst]}", "costs >= 0 where the graph has cycles")
        object.__setattr__(self, "_order", order)

    @property
    def order(self) -> IntArray | None:
        """(n,) topological order, None with cycles."""
        found: IntArray | None = getattr(self, "_order")  # noqa: B009  set in __post_init__
        return found

    @property
    def resources(self) -> int:
        """R."""
        return int(self.resource.shape[0])

    def terms(self, path: IntArray) -> tuple[FloatArray, FloatArray]:
        """Costs (p,) and resources (R, p) along a path of p arcs, as given.

        Parameters
        ----------
        path : steps of a path: states of the layers, or arcs.
        """
        return self.cost[path], self.resource[:, path]


def read_orlib(file: str | Path) -> tuple[Digraph, FloatArray, FloatArray]:
    """Read an OR-Library file of resource-constrained shortest paths: graph, lower limits, upper limits.

    The text holds vertices, arcs and resources K; K lower and K upper limits; for each vertex K amounts consumed
    in passing through it; for each arc its tail, head, cost and K amounts. The path leads from the first vertex to
    the last. An arc takes over what its head consumes; the first vertex's amounts, which every path consumes, are
    taken off the limits.

    Parameters
    ----------
    file : its path.

    Returns
    -------
    The graph, and (K,) lower and (K,) upper limits.

    Raises
    ------
    InputError
        A file that cannot be read, or holds something else.
    """
    allowed = "an OR-Library file of this problem"
    try:
        words = Path(file).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise InputError(str(file), shown(error), allowed) from None
    try:
        numbers = [float(word) for word in words]
        n, m, rows = (_whole(number) for number in numbers[:3])
        start = 3 + 2 * rows
        lower, upper = np.array(numbers[3 : 3 + rows]), np.array(numbers[3 + rows : start])
        passing = np.array(numbers[start : start + n * rows]).reshape(n, rows)
        arcs = np.array(numbers[start + n * rows :]).reshape(m, 3 + rows)
        tail, head = (np.array([_whole(number) for number in column], dtype=np.int64) for column in arcs[:, :2].T)
        if np.any((np.minimum(tail, head) < 1) | (np.maximum(tail, head) > n)):
            raise ValueError("an arc between vertices that do not exist")
    except (ValueError, OverflowError) as error:
        raise InputError(str(file), f"{len(words)} words: {error}", allowed) from None
    graph = Digraph(n, tail - 1, head - 1, arcs[:, 2], (arcs[:, 3:] + passing[head - 1]).T, 0, n - 1)
    return graph, lower - passing[0], upper - passing[0]


def _whole(number: float) -> int:
    if number < 0 or number != int(number):
        raise ValueError(f"{number} is no whole number >= 0")
    return int(number)


def _vertices(name: str, value: object, arcs: int, vertices: int) -> IntArray:
    array = np.asarray(value)
    if array.shape != (arcs,):
        raise InputError(name, f"shape {array.shape}", f"({arcs},), one for each cost")
    if array.size and array.dtype.kind not in "iu":
        raise InputError(name, f"{array.dtype} numbers", "whole numbers")
    bad = np.flatnonzero((array < 0) | (array >= vertices))
    if bad.size:
        raise InputError(f"{name}[{bad[0]}]", f"{array[bad[0]]}", f"a vertex, 0 to {vertices - 1}")
    return array.astype(np.int64)


def _refuse(name: str, array: FloatArray, is_bad: Callable[[FloatArray], BoolArray], allowed: str) -> None:
    """Name the first bad number; block by block, so that no mask of a large array is held."""
    for block in np.ndindex(array.shape[:-2]):
        bad: BoolArray = is_bad(array[block])
        if bad.any():
            index = (*block, *(int(i) for i in np.argwhere(bad)[0]))
            text = ", ".join(map(str, index))
            raise InputError(f"{name}[{text}]", f"{array[index]}", allowed)


def _topological(vertices: int, tail: IntArray, head: IntArray) -> IntArray | None:
    """Vertices so that every arc leads onwards, by removing all sources at once; None with cycles."""
    if bool(np.all(tail < head)):
        return np.arange(vertices)
    entering = np.bincount(head, minlength=vertices)
    by_tail = np.argsort(tail, kind="stable")
    start = np.searchsorted(tail[by_tail], np.arange(vertices + 1))
    sorted_head = head[by_tail]
    ready = np.flatnonzero(entering == 0)
    order = []
    while ready.size:
        order.append(ready)
        leaving = np.concatenate([sorted_head[start[v] : start[v + 1]] for v in ready])
        reached, times = np.unique(leaving, return_counts=True)
        entering[reached] -= times
        ready = reached[entering[reached] == 0]
    found = np.concatenate(order) if order else np.zeros(0, dtype=np.int64)
    return found if len(found) == vertices else None
