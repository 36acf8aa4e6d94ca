"""Limits of a resource-constrained path, the grids its numbers lie on, and the best path found so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.arrays import FloatArray, IntArray
from qopt.kernels.paths.graph import Digraph, Layered, slack_limit

UNIT = 2.0**-52


def grid(arrays: Iterable[FloatArray | None]) -> float:
    """Greatest g of which all finite numbers are whole multiples, exactly; 0 where it is too fine to be of use."""
    given = [array for array in arrays if array is not None and array.size]
    top = max((_largest(array) for array in given), default=0.0)
    if top == 0.0:
        return 0.0
    shift = 40 - math.frexp(top)[1]
    if abs(shift) > 1000:
        return 0.0
    common = 0
    for array in given:
        for block in array if array.ndim > 2 else array[None]:
            scaled = np.ldexp(_finite(block), shift)
            if np.any(scaled.flat[:1000] % 1) or np.any(scaled % 1):
                return 0.0
            common = math.gcd(common, int(np.gcd.reduce(scaled.astype(np.int64), axis=None)))
    return math.ldexp(common, -shift)


def _finite(array: FloatArray) -> FloatArray:
    return np.where(np.isfinite(array), array, 0.0)


@dataclass(frozen=True)
class Limits:
    """Upper limits that are finite.

    Attributes
    ----------
    rows : (r,) which resources have one.
    allowed : (r,) what exact sums may reach: the limit with its slack.
    room : (r,) the same, rounded down to the grid of the row's numbers.
    margin : (r,) by which floating-point sums may be off.
    largest : (r,) greatest amount of an element.
    """

    rows: IntArray
    allowed: FloatArray
    room: FloatArray
    margin: FloatArray
    largest: FloatArray


def limits(graph: Layered | Digraph, limit: FloatArray) -> Limits:
    """Slack, grid and margin of every finite limit."""
    rows = np.flatnonzero(np.isfinite(limit))
    allowed = np.array([slack_limit(float(limit[r])) for r in rows])
    room, largest = allowed.copy(), np.zeros(len(rows))
    for i, r in enumerate(rows):
        if isinstance(graph, Layered):
            arrays = [graph.node_resource[r], None if graph.arc_resource is None else graph.arc_resource[r]]
        else:
            arrays = [graph.resource[r]]
        largest[i] = max(_largest(array) for array in arrays if array is not None)
        step = grid(arrays)
        if step and abs(allowed[i]) < step * 2.0**52:
            room[i] = float(math.floor(Fraction(float(allowed[i])) / Fraction(step)) * Fraction(step))
    return Limits(rows, allowed, room, UNIT * (2 * length(graph) + 8) * np.abs(room), largest)


def length(graph: Layered | Digraph) -> int:
    """Most terms that a path's sum has."""
    return 2 * graph.layers - 1 if isinstance(graph, Layered) else graph.vertices


class Incumbent:
    """Best path so far and the exact test that admits it.

    Attributes
    ----------
    largest : greatest size of a cost.
    value : its cost; before there is a path, the cutoff.
    path : its steps: states of the layers, or arcs.
    doubtful : least cost of a path that was refused only by the exact test, within rounding of a limit:
        the search, whose sums round, has a blind spot there.
    """

    def __init__(self, graph: Layered | Digraph, bounds: Limits, cutoff: float) -> None:
        self.graph, self.bounds, self.value = graph, bounds, cutoff
        self.path: IntArray | None = None
        self.doubtful = math.inf
        arrays = [graph.node_cost, graph.arc_cost] if isinstance(graph, Layered) else [graph.cost]
        self.largest = max(_largest(array) for array in arrays if array is not None)
        self.rounding = UNIT * (2 * length(graph) + 8) * self.largest
        step = grid(arrays)
        self.step = step if 1e6 * self.rounding < step else 0.0

    @property
    def target(self) -> float:
        """What a bound must reach so that nothing better is left, up to what sums round by."""
        if self.step or not math.isfinite(self.value):
            return self.proved
        return min(self.proved, self.value - self.rounding)

    @property
    def proved(self) -> float:
        """What a bound must reach in a proof."""
        if not math.isfinite(self.value):
            return self.value
        if self.step:
            # The value itself need not lie on the grid: it may be a cutoff from outside.
            return math.ceil(self.value / self.step - 1e-6) * self.step - self.step * (1.0 - 1e-6)
        return self.value - 1e-13 * abs(self.value)

    def offer(self, path: IntArray) -> bool:
        """Take a path if it is feasible and better."""
        costs, used = self.graph.terms(path)
        cost = math.fsum(costs)
        if not cost < self.value:
            return False
        refused = False
        for row, allowed, room, margin in zip(
            self.bounds.rows, self.bounds.allowed, self.bounds.room, self.bounds.margin, strict=True
        ):
            if math.fsum([*used[row], -allowed]) > 0:
                if float(used[row].sum()) > room + margin:
                    return False
                refused = True
        if refused:
            self.doubtful = min(self.doubtful, cost)
            return False
        self.value, self.path = cost, path.copy()
        return True


def _largest(array: FloatArray) -> float:
    """Greatest finite size, block by block, so that no copy of a large array is held."""
    blocks = array if array.ndim > 2 else array[None]
    return max((float(np.max(np.abs(_finite(block)), initial=0.0)) for block in blocks), default=0.0)
