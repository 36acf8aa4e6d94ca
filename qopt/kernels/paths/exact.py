"""A graph with its limits as a network of whole numbers (`qopt.kernels.exact`), for what sums in floats cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.arguments import LARGEST
from qopt.kernels.exact import MAX_ARCS, Network, Split, cheapest, prove, room_within, whole
from qopt.kernels.nodes import Node
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.kernels.paths.limits import Limits
from qopt.kernels.paths.tree import leaf


class ExactPaths:
    """Paths of a graph in whole numbers.

    Parameters
    ----------
    graph : of at most `MAX_ARCS` arcs, as `few_arcs` tells.
    bounds : its limits.
    deadline : `time.perf_counter` at which everything stops; None for none.
    """

    def __init__(self, graph: Layered | Digraph, bounds: Limits, deadline: float | None) -> None:
        self.graph, self.bounds = graph, bounds
        self.digraph = graph.digraph() if isinstance(graph, Layered) else graph
        ends = self.digraph.tail != self.digraph.head
        self.arcs = np.flatnonzero((self.digraph.cost < np.inf) & ends)
        cost, cost_unit = whole(self.digraph.cost[self.arcs].tolist())
        scaled = [whole(self.digraph.resource[row, self.arcs].tolist()) for row in bounds.rows.tolist()]
        order = self.digraph.order
        self.network = Network(
            vertices=self.digraph.vertices,
            tail=self.digraph.tail[self.arcs].tolist(),
            head=self.digraph.head[self.arcs].tolist(),
            cost=cost,
            used=[row for row, _ in scaled],
            room=[room_within(w, per) for w, (_, per) in zip(bounds.allowed.tolist(), scaled, strict=True)],
            cost_unit=cost_unit,
            units=[per for _, per in scaled],
            source=self.digraph.source,
            target=self.digraph.target,
            order=None if order is None else order.tolist(),
            deadline=deadline,
        )

    def below(self, path: IntArray | None, upper: float) -> int | None:
        """What a cheaper path costs less than, in units: the best one known, or an upper value; None for any.

        Parameters
        ----------
        path : steps of a path: states of the layers, or arcs.
        upper : only answers of lower cost are of interest.
        """
        if path is not None:
            return self.network.total(self._places(path))
        return math.ceil(Fraction(upper) * self.network.cost_unit) if math.isfinite(upper) else None

    def cheapest(self, multipliers: FloatArray, below: int | None) -> tuple[bool, IntArray | None]:
        """Whether a search for a path that costs less came to its end, and the steps of the cheapest, None for none.

        Parameters
        ----------
        multipliers : (r,) of a Lagrangian bound, any >= 0.
        below : as that method says.
        """
        complete, found = cheapest(self.network, multipliers.tolist(), below)
        return complete, None if found is None else self._steps(self.arcs[found])

    def prove(self, weights: Sequence[FloatArray], below: int | None, max_nodes: int) -> list[Node] | None:
        """A tree which shows that no path costs less; None where it has too many nodes.

        Parameters
        ----------
        weights : (1 + r,) of leaves that may help, the first entry 0 or 1.
        below : as that method says; None: no path keeps the limits.
        max_nodes : beyond which it gives up.
        """
        rows, resources = self.bounds.rows, self.graph.resources
        plain = [*np.eye(1 + len(rows)), *(row for row in weights if row.max(initial=0.0) <= LARGEST)]
        leaves = [(int(row[0]), row[1:].tolist(), leaf(row, rows, resources)) for row in plain]
        split: Split = lambda vertex, arcs: ["out", vertex, self.arcs[arcs].tolist()]  # noqa: E731
        return prove(self.network, below, leaves, split, max_nodes)

    def _places(self, path: IntArray) -> list[int]:
        """Arcs of the network along a path."""
        arcs = self.graph.path_arcs(path) if isinstance(self.graph, Layered) else path
        return list(np.searchsorted(self.arcs, arcs).tolist())

    def _steps(self, arcs: IntArray) -> IntArray:
        """States of a layered graph's path, every second arc of which enters one; else the arcs."""
        if not isinstance(self.graph, Layered):
            return arcs
        states: IntArray = (self.digraph.head[arcs[:-1:2]] - 1) % self.graph.states
        return states


def few_arcs(graph: Layered | Digraph) -> bool:
    """Whether a graph is small enough for whole numbers.

    Parameters
    ----------
    graph : layers, or a digraph.
    """
    arcs = graph.layers * graph.states**2 if isinstance(graph, Layered) else len(graph.cost)
    return arcs <= MAX_ARCS
