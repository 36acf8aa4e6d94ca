"""Limits of a resource-constrained path, the grids its numbers lie on, and the best path found so far."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.limits import limits_with_slack
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.kernels.tolerances import COARSE, DIGITS, EPSILON, PROOF_GAP, SUM_ROUNDING

GRID_DIGITS = 40
"""Binary digits, from the largest number down, within which a grid is looked for: 13 are left to the 2^13 terms whose
sums are then exact, more than most paths have."""

LARGEST_SHIFT = 1000
"""Exponents of two beyond this leave the range of floats."""

SAMPLE = 1000
"""So many numbers of an array are tried first: real-valued data are told apart by these, without a look at the rest."""

PRECISE, ASKED = 16, 1e-9
"""An optimum is told by sums in floats where this many of their roundings stay below what a certificate grants."""

LEAST_NORMAL = -1020
"""Exponent below which products lose digits, with two to spare."""


def grid(arrays: Iterable[FloatArray | None]) -> float:
    """Greatest g of which all finite numbers are whole multiples, exactly; 0 where it is too fine to be of use.

    Parameters
    ----------
    arrays : numbers, infinite ones left aside; None for none.
    """
    given = [array for array in arrays if array is not None and array.size]
    top = max((_largest(array) for array in given), default=0.0)
    if top == 0.0:
        return 0.0
    shift = GRID_DIGITS - math.frexp(top)[1]
    if abs(shift) > LARGEST_SHIFT:
        return 0.0
    common = 0
    for array in given:
        for block in array if array.ndim > 2 else array[None]:
            scaled = np.ldexp(_finite(block), shift)
            if np.any(scaled.flat[:SAMPLE] % 1) or np.any(scaled % 1):
                return 0.0
            common = math.gcd(common, int(np.gcd.reduce(scaled.astype(np.int64), axis=None)))
    return math.ldexp(common, -shift)


def _finite(array: FloatArray) -> FloatArray:
    return np.where(np.isfinite(array), array, 0.0)


@dataclass(frozen=True, repr=False)
class Limits(Brief):
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
    """Slack, grid and margin of every finite limit.

    Parameters
    ----------
    graph : layers, or a digraph.
    limit : on the sums, as `solve` takes it.
    """
    rows = np.flatnonzero(np.isfinite(limit))
    allowed = limits_with_slack(limit[rows])
    room, largest = allowed.copy(), np.zeros(len(rows))
    for i, r in enumerate(rows):
        if isinstance(graph, Layered):
            arrays = [graph.node_resource[r], None if graph.arc_resource is None else graph.arc_resource[r]]
        else:
            arrays = [graph.resource[r]]
        largest[i] = max(_largest(array) for array in arrays if array is not None)
        step = grid(arrays)
        if step and abs(allowed[i]) < step * 2.0 ** (DIGITS - 1):
            room[i] = float(math.floor(Fraction(float(allowed[i])) / Fraction(step)) * Fraction(step))
    return Limits(rows, allowed, room, EPSILON * operations(graph, len(rows)) * np.abs(room), largest)


def longest(graph: Layered | Digraph) -> int:
    """Most terms that a path's sum has.

    Parameters
    ----------
    graph : layers, or a digraph.
    """
    return 2 * graph.layers - 1 if isinstance(graph, Layered) else graph.vertices


def operations(graph: Layered | Digraph, rows: int) -> int:
    """Most roundings that a weighted length, its limits taken off, goes through.

    Parameters
    ----------
    graph : layers, or a digraph.
    rows : (r,) resources that have a limit.
    """
    return 2 * longest(graph) + 4 * rows + 8


class Incumbent:
    """Best path so far and the exact test that admits it.

    Parameters
    ----------
    graph : layers, or a digraph.
    bounds : its limits.
    upper : only paths of lower cost count.

    Attributes
    ----------
    largest : greatest size of a cost.
    value : its cost; before there is a path, what it must stay below.
    path : its steps: states of the layers, or arcs.
    refused_cost : least cost of a path that was refused only by the exact test, within rounding of a limit:
        the search, whose sums round, has a blind spot there.
    """

    def __init__(self, graph: Layered | Digraph, bounds: Limits, upper: float) -> None:
        self.graph, self.bounds, self.value = graph, bounds, upper
        self.path: IntArray | None = None
        self.refused_cost = math.inf
        given = [graph.node_cost, graph.arc_cost] if isinstance(graph, Layered) else [graph.cost]
        arrays = [array for array in given if array is not None]
        self.largest = max(_largest(array) for array in arrays)
        self._terms = EPSILON * operations(graph, len(bounds.rows))
        self._negative = any(_least(array) < 0 for array in arrays)
        self._size = longest(graph) * self.largest
        step = grid(arrays)
        self.step = step if COARSE * self._terms * self.largest < step else 0.0

    @property
    def rounding(self) -> float:
        """By which a sum of costs near the value may be off. Where none is negative, it is of the value's order."""
        if self.step:
            return 0.0
        relative = math.isfinite(self.value) and not self._negative
        return self._terms * (abs(self.value) if relative else self._size)

    @property
    def precise(self) -> bool:
        """Whether rounding is far below what an optimum may be off by, so that sums in floats tell it."""
        return self.path is None or PRECISE * self.rounding <= ASKED * abs(self.value)

    @property
    def cutoff(self) -> float:
        """What a bound must reach so that nothing better is left, up to what sums round by."""
        value = self.value
        if not math.isfinite(value) or self.step:
            return self._below()
        if self.path is None:
            return value + self.rounding
        return min(value - SUM_ROUNDING * abs(value), value - self.rounding)

    @property
    def proof_cutoff(self) -> float:
        """What a bound must reach in a proof, half of what its reader grants."""
        if not math.isfinite(self.value):
            return self.value
        return min(self._below(), self.value - PROOF_GAP * abs(self.value))

    def error(self, weights: FloatArray, size: float) -> float:
        """By which a dual value may be off, for weights (1 + r,) and the length of a shortest path.

        Parameters
        ----------
        weights : (1 + r,) factor of the cost, then multipliers of the resources; or a row of them for each search.
        size : the length that was found.
        """
        if self.step and not weights[1:].any():
            return 0.0
        size = abs(size) + float(weights[1:] @ np.abs(self.bounds.room))
        if self._negative:
            size += 2 * self._size
        return self._terms * size + self.underflow(weights[1:])

    def underflow(self, multipliers: FloatArray) -> float:
        """By which a length may be off because products fall below the least float.

        Parameters
        ----------
        multipliers : of the rows, (R,) or one set a row.
        """
        exact = bool(np.all((multipliers == 0) | (multipliers == 1)))
        return 0.0 if exact else math.ldexp(self._terms, LEAST_NORMAL)

    def offer(self, path: IntArray) -> bool:
        """Take a path if it is feasible and better.

        Parameters
        ----------
        path : steps of a path: states of the layers, or arcs.
        """
        costs, used = self.graph.terms(path)
        cost = math.fsum(costs)
        if not cost < self.value:
            return False
        within_rounding = False
        for row, allowed, room, margin in zip(
            self.bounds.rows, self.bounds.allowed, self.bounds.room, self.bounds.margin, strict=True
        ):
            if math.fsum([*used[row], -allowed]) > 0:
                if float(used[row].sum()) > room + margin:
                    return False
                within_rounding = True
        if within_rounding:
            self.refused_cost = min(self.refused_cost, cost)
            return False
        self.value, self.path = cost, path.copy()
        return True

    def _below(self) -> float:
        """The value; or a little above the greatest multiple of the grid's step that is below it.

        A bound that reaches this rounds up to the value or more. The value may be an upper one off the grid, so this
        is told exactly.
        """
        if not self.step or not math.isfinite(self.value):
            return self.value
        step = Fraction(self.step)
        return float((math.ceil(Fraction(self.value) / step) - 1 + 1 / Fraction(COARSE)) * step)


def _least(array: FloatArray) -> float:
    return float(np.min(array, initial=0.0))


def _largest(array: FloatArray) -> float:
    """Greatest finite size, block by block, so that no copy of a large array is held."""
    blocks = array if array.ndim > 2 else array[None]
    return max((float(np.max(np.abs(_finite(block)), initial=0.0)) for block in blocks), default=0.0)
