"""A fully polynomial approximation scheme for the shortest path under one resource limit.

    cost(path) <= (1 + eps) optimum,  in time polynomial in the size of the graph and in 1 / eps

(D. H. Lorenz and D. Raz, A simple efficient approximation scheme for the restricted shortest path problem, Operations
Research Letters 28 (2001) 213-219; F. Ergun, R. Sinha and L. Zhang, Information Processing Letters 83 (2002) 287-291.)

1. Bounds: the Lagrangian dual, the paths that it meets, and a search by a limited number of labels at a time; the
   guarantee is often reached here. Where bounds are far apart, the least threshold B such that arcs of cost <= B hold a
   path within the limit: B <= optimum <= n B, n the terms of a path's cost. Thresholds are powers of two, so the second
   inequality has another factor 2.
2. Interval tests: dynamic programming over costs in units of V / n tells whether the optimum is > V or <= 2 V, for V
   the geometric mean of the bounds, until they are within a factor 4.
3. Units of e lower / n, e at first a quarter of the gap, then less by factors 4 down to about eps: the scaled cost of a
   path is less than its cost by at most e lower. A round only looks for paths that cost at most upper / (1 + eps), a
   bound that would do: it finds one, and its bound, or there is none and the guarantee holds.

Scaled costs are floors of divisions by powers of two, and bounds are rational numbers. Resources add up in floats.
Labels within rounding of the limit are kept and complete paths put to the exact test; a path that it refuses may have
hidden another, so then all is done again in whole numbers.
"""

from __future__ import annotations

import math
import time
from fractions import Fraction
from typing import Literal

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.errors import InputError, shown
from qopt.kernels.arguments import check_options, number
from qopt.kernels.exact import Late
from qopt.kernels.paths.arcs import ArcPaths
from qopt.kernels.paths.dual import ascent, maximise
from qopt.kernels.paths.graph import Digraph, Layered
from qopt.kernels.paths.labels import Paths, guided
from qopt.kernels.paths.late import least_costs, light_path
from qopt.kernels.paths.layers import LayerPaths
from qopt.kernels.paths.levels import DigraphLevels, LayeredLevels
from qopt.kernels.paths.limits import Incumbent, Limits, limits
from qopt.kernels.paths.model import Cuts, OuterModel
from qopt.kernels.paths.result import Result, answer
from qopt.kernels.paths.scaled import MAX_LABELS, Room, Search, Stopped, WithinRounding, check_time, whole_room
from qopt.kernels.paths.tree import leaf
from qopt.kernels.tolerances import EPSILON

LEAST_EXPONENT = -1074
LEAST_FLOAT = 2.0**LEAST_EXPONENT
"""The least float above 0, of which all are multiples."""

CLOSE_BOUNDS = 4
"""Upper over lower bound at which interval tests end: a test's own answer, above V or at most 2 V, and its units of a
power of two leave a factor 4."""

BEAM_WIDTH = 100.0
"""Labels kept at a time in the search for a first good path: those of the first pass of `qopt.kernels.rcsp`."""

MOST_UNITS = 2**60
"""Scaled costs of all paths stay below this, in 64-bit integers with two digits to spare."""

ROUNDING = Fraction(2 * EPSILON)
"""By more than this share the sum of a transition's and a state's cost does not round."""

WHOLE_ARCS = 100_000
"""Arcs of a graph that is searched again in whole numbers where floats cannot tell."""


def approximate(graph: Layered | Digraph, limit: float, eps: float, *, time_limit: float | None = None) -> Result:
    """Find a path that costs at most 1 + eps times the optimum, in time polynomial in 1 / eps and the graph's size.

    Parameters
    ----------
    graph : `Layered`, or a `Digraph` without cycles, with one resource and costs >= 0.
    limit : on the sum of resources; relative slack 1e-12; infinite for none.
    eps : > 0.
    time_limit : seconds; when it is over, the best path and a valid bound are returned.

    Returns
    -------
    A `Result` with the status ``within-gap`` (objective <= (1 + eps) bound, with bound <= optimum), ``infeasible``, or
    ``limit`` (time, or the memory that so small an eps takes). `tree` proves the bound where the Lagrangian dual does.
    `details` holds the rounds of dynamic programming, and why it stopped.

    Raises
    ------
    InputError
        A graph with cycles, several resources, a cost below 0, an eps that is not above 0, a limit that is no number.
    """
    _check(graph, eps)
    limit = number("limit", limit, "a number; inf for no limit")
    check_options(math.inf, 0.0, time_limit)
    deadline = None if time_limit is None else time.perf_counter() + time_limit
    if limit < 0:
        return Result("infeasible", tree=[["leaf", 0, 1.0]])
    if isinstance(graph, Digraph) and graph.source == graph.target:
        none = np.zeros(0, dtype=np.int64)
        return Result("within-gap", *answer(graph, none), bound=0.0, tree=[["leaf", 1, 0.0]])
    return _Run(graph, limits(graph, np.array([limit])), Fraction(float(eps)), deadline).result()


def _check(graph: object, eps: object) -> None:
    if not isinstance(graph, Layered | Digraph):
        raise InputError("graph", shown(graph), "a Layered or a Digraph")
    if isinstance(graph, Digraph) and graph.order is None:
        raise InputError("graph", "cycles", "a Layered, or a Digraph without cycles")
    if graph.resources != 1:
        raise InputError("graph", f"{graph.resources} resources", "one resource")
    layered = isinstance(graph, Layered)
    for name in ("node_cost", "arc_cost") if layered else ("cost",):
        array = getattr(graph, name)
        if array is not None and array.size and array.min() < 0:
            at = np.unravel_index(int(np.argmin(array)), array.shape)
            raise InputError(f"{name}[{', '.join(map(str, at))}]", f"{array[at]}", "costs >= 0: eps is relative")
    if number("eps", eps, "a finite number > 0") <= 0 or eps == math.inf:
        raise InputError("eps", shown(eps), "a finite number > 0")


class _Run:
    """One call: bounds that close in on each other.

    Attributes
    ----------
    incumbent : best path so far, and the exact test.
    lower : proved bound on the optimum.
    allowed : elements that may lie on a path that costs less than upper / (1 + eps).
    """

    def __init__(self, graph: Layered | Digraph, bounds: Limits, eps: Fraction, deadline: float | None) -> None:
        self.graph, self.bounds, self.eps, self.deadline = graph, bounds, eps, deadline
        self.incumbent = Incumbent(graph, bounds, math.inf)
        self.lower = Fraction(0)
        self.infeasible = False
        self.prepared: Fraction | None = None
        self.rounds = 0
        self.details: dict[str, object] = {"rounds": 0}
        self.room = Room(float(bounds.room[0] + bounds.margin[0]) if len(bounds.rows) else math.inf)
        self.paths: Paths
        if isinstance(graph, Layered):
            self.paths = LayerPaths(graph, bounds.rows)
        else:
            self.paths = ArcPaths(graph, bounds.rows)
        self.paths.deadline = deadline
        self.allowed = self.paths.everything

    @property
    def upper(self) -> Fraction:
        """Cost of the best path, exactly."""
        assert self.incumbent.path is not None
        return self._cost(self.incumbent.path)

    @property
    def enough(self) -> Fraction:
        """A bound that would do."""
        return self.upper / (1 + self.eps)

    def done(self) -> bool:
        """Whether the guarantee holds."""
        return self.incumbent.path is not None and self.lower >= self.enough

    def result(self) -> Result:
        """The search, and what came of it."""
        self.weights = np.concatenate(([1.0], np.zeros(len(self.bounds.rows))))
        self.leaf = leaf(self.weights, self.bounds.rows, 1)
        try:
            self._dual()
        except Late:
            self._raise(Fraction(max(least_costs(self.graph), 0.0)))
        proved = math.inf if self.infeasible else self.lower
        try:
            self._search()
        except WithinRounding:
            self._search_whole()
        except Stopped as stopped:
            self.details["stopped"] = str(stopped)
        except Late:
            self.details["stopped"] = "the time is over"
        if self.incumbent.path is None and "stopped" in self.details:
            self.paths.deadline = None
            light = light_path(self.paths, self.graph, self.bounds)
            if light is not None:
                self.incumbent.offer(light)
        if self.infeasible:
            return Result("infeasible", tree=[self.leaf] if proved == math.inf else None, details=self.details)
        tree = [self.leaf] if self.lower == proved else None
        bound = _downwards(self.lower)
        if self.incumbent.path is None:
            return Result("limit", bound=bound, tree=tree, details=self.details)
        found = answer(self.graph, self.incumbent.path)
        status: Literal["within-gap", "limit"] = "within-gap" if self.done() else "limit"
        return Result(status, *found, bound=min(bound, found[2]), tree=tree, details=self.details)

    def _dual(self) -> None:
        """Bounds by multipliers."""
        units = np.maximum(np.abs(self.bounds.room), self.bounds.largest)
        model = OuterModel(self.bounds.room, self.incumbent.largest, units)
        guess = np.zeros(len(self.bounds.rows))
        steps = ascent(self.bounds, self.incumbent, model, Cuts(), guess=guess, deadline=self.deadline)
        dual = maximise(self.paths.shortest, self.allowed, steps)
        self.weights, self.leaf = dual.weights, leaf(dual.weights, self.bounds.rows, 1)
        self.infeasible = dual.bound == math.inf
        if math.isfinite(dual.bound):
            self._raise(Fraction(dual.bound))

    def _search_whole(self) -> None:
        """Search again in whole numbers, where the graph is small."""
        graph = self.graph
        arcs = graph.layers * graph.states**2 if isinstance(graph, Layered) else len(graph.cost)
        if arcs > WHOLE_ARCS:
            self.details["stopped"] = f"floats cannot tell what keeps the limit, and {arcs} arcs are too many"
            return
        self.room = whole_room(graph, float(self.bounds.allowed[0]))
        try:
            self._search()
        except Stopped as stopped:
            self.details["stopped"] = str(stopped)
        except Late:
            self.details["stopped"] = "the time is over"

    def _search(self) -> None:
        """Close in on the optimum, from whatever bounds there are."""
        if self.infeasible or self.done():
            return
        check_time(self.deadline)
        guided(
            self.paths,
            self.bounds,
            self.allowed,
            self.weights,
            self.incumbent,
            width=BEAM_WIDTH,
            deadline=self.deadline,
            max_labels=MAX_LABELS,
        )
        if self.done():
            return
        self._prepare()
        if self.incumbent.path is None:
            quickest = self._quickest(math.inf)
            if quickest is None:
                self.infeasible = True
                return
            self._admit(quickest)
            self._prepare()
        if self.upper > self.terms * self.lower:
            self._thresholds()
        while not self.done() and self.upper > CLOSE_BOUNDS * self.lower:
            middle = Fraction(math.sqrt(self.lower) * math.sqrt(self.upper))
            self._below(_power(middle / self.terms), min(max(middle, self.lower), self.upper))
        share = Fraction(4)
        while not self.done():
            share = min(share, self.upper / self.lower - 1) / 4
            self._below(_power(share * self.lower / self.terms), self.enough)

    def _prepare(self) -> None:
        """Leave out what lies on no path that is cheap enough, and make what searches share."""
        check_time(self.deadline)
        if self.incumbent.path is not None:
            self.prepared = self.enough
            through = self.paths.through(self.weights, self.allowed)
            self.allowed = self.allowed & (through <= self._bar(self.prepared))
        if isinstance(self.graph, Layered):
            levels: LayeredLevels | DigraphLevels = LayeredLevels(self.graph, self.allowed)
        else:
            assert isinstance(self.paths, ArcPaths)
            levels = DigraphLevels(self.graph, self.paths.arc[self.allowed])
        self.terms = max(levels.terms, 1)
        weight = float(self.weights[1]) if len(self.weights) > 1 and self.room.per is None else 0.0
        self.search = Search(levels, self.room, weight, self.deadline)

    def _bar(self, ceiling: Fraction) -> float:
        """Paths within the limit that cost at most a ceiling have no greater weighted length."""
        shift = float(self.weights[1:] @ (self.bounds.room + self.bounds.margin))
        reach = float(ceiling) + shift
        return reach + self.incumbent.error(self.weights, reach)

    def _below(self, unit: float, ceiling: Fraction) -> None:
        """Look for a path whose scaled costs add up to at most a ceiling; a better bound, or a better path, or both."""
        wide = ceiling * (1 + ROUNDING)
        top = math.floor(wide / Fraction(unit))
        if top * self.terms >= MOST_UNITS:
            raise Stopped(f"scaled costs up to {top:.0e} are too many")
        self.rounds += 1
        self.details["rounds"] = self.rounds
        bar = self._bar(wide) if self.room.per is None else math.inf
        found = self.search.cheapest(unit, top, self.incumbent.value, bar)
        if found is None:
            self._raise(ceiling)
            return
        self._admit(found[1])
        self._raise(found[0] * Fraction(unit) / (1 + ROUNDING))
        if self.prepared is None or self.enough < self.prepared:
            self._prepare()

    def _thresholds(self) -> None:
        """The least power of two such that arcs of no greater cost hold a path within the limit: bisection."""
        free = self._quickest(0.0)
        if free is not None:
            self._admit(free)  # it costs nothing
            return
        # No path uses only arcs up to 2^low; the best one known uses only arcs up to 2^high.
        low, high = LEAST_EXPONENT - 1, math.frexp(self.incumbent.value)[1]
        while high - low > 1:
            middle = (low + high) // 2
            path = self._quickest(math.ldexp(1.0, middle))
            if path is None:
                low = middle
            else:
                self._admit(path)
                high = middle
        self._raise(Fraction(2) ** low)

    def _quickest(self, dearest: float) -> IntArray | None:
        """Path of least resource over arcs up to a cost, if it keeps the limit."""
        found = self.search.cheapest(math.inf, 0, dearest, math.inf)
        return None if found is None else found[1]

    def _raise(self, bound: Fraction) -> None:
        """A bound for paths of what is allowed; what has left costs more than what was enough then."""
        if self.prepared is not None:
            bound = min(bound, self.enough)
        elif self.incumbent.path is not None:
            bound = min(bound, self.upper)
        self.lower = max(self.lower, bound)

    def _admit(self, path: IntArray) -> None:
        """Put a path to the exact test."""
        used = self.graph.terms(path)[1]
        if len(self.bounds.rows) and math.fsum([*used[0], -float(self.bounds.allowed[0])]) > 0:
            raise WithinRounding
        cost = self._cost(path)
        if self.incumbent.path is None or cost < self.upper:
            self.incumbent.value, self.incumbent.path = float(cost), path

    def _cost(self, path: IntArray) -> Fraction:
        return sum(map(Fraction, self.graph.terms(path)[0].tolist()), Fraction(0))


def _power(number: Fraction) -> float:
    """Greatest power of two that is not above a number; at the least the least float, which divides all of them."""
    if number < Fraction(LEAST_FLOAT):
        return LEAST_FLOAT
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > number
    return math.ldexp(1.0, exponent)


def _downwards(number: Fraction) -> float:
    """Greatest float that is not above a number."""
    near = float(number)
    return near if Fraction(near) <= number else math.nextafter(near, -math.inf)
