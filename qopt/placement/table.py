"""A decision table over link rates: the best plan for every pair of rates, from as few minimum cuts as that takes.

A plan's objective is affine in y = (1 / rate of each link). The best of all plans is the lower envelope of these
planes, a concave function f. Say g is the envelope of the plans found so far. It divides the range into cells, in each
of which one plan is best of them, so g is affine there; f <= g. If f = g at every corner of a cell, then f >= g in all
of it, since f is concave: **the corners prove the cell**. So: solve at the corners of all cells; where a plan is found
that is below g, divide anew; stop when no corner is left that was not solved. Planes and corners are rational numbers.
With one link these are the steps of Eisner and Severance (1976), as in `qopt.breakpoints`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from qopt.core.arguments import is_number
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock, OutOfTime
from qopt.core.display import Brief
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.reading import problem_of
from qopt.core.solving import solve
from qopt.placement.breakpoints import ROUNDING, exact_cost
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

Point = tuple[Fraction, ...]
Plane = tuple[Fraction, ...]
"""Intercept, and slope in every 1 / rate."""

EDGE = 1e-12
"""Rates may be outside the range by this share of it."""


@dataclass(frozen=True, eq=False, repr=False)
class RateTable(Brief):
    """The best plan for all rates in a range.

    Attributes
    ----------
    problem : name of the problem.
    links : index of each link whose rate varies.
    low, high : bits per second of each of them, the range.
    plans : (plans,) those that are best somewhere.
    intercepts, slopes : (plans,) and (plans, links): a plan's objective is intercept + sum of slope / rate.
    solved : problems that were solved.
    complete : whether every cell is proved. Not so where the time was over: then plans are the best of those found.
    """

    problem: str
    links: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    plans: tuple[PlacementPlan, ...]
    intercepts: FloatArray
    slopes: FloatArray
    solved: int
    complete: bool

    def __len__(self) -> int:
        return len(self.plans)

    def decide(self, rates: ArrayLike) -> IntArray:
        """The best plan for each of N requests, as an index into `plans`.

        Parameters
        ----------
        rates : (N, links) bits per second, or (N,) of a single link.

        Returns
        -------
        (N,) indices.

        Raises
        ------
        InputError
            Rates of another shape, or outside the range.
        """
        found: IntArray = np.argmin(self._values(rates), axis=1)
        return found

    def objectives(self, rates: ArrayLike) -> FloatArray:
        """The least objective for each of N requests, (N,).

        Parameters
        ----------
        rates : as in `decide`.

        Raises
        ------
        InputError
            As in `decide`.
        """
        found: FloatArray = self._values(rates).min(axis=1)
        return found

    def at(self, *rates: float) -> PlacementPlan:
        """The best plan for one request.

        Parameters
        ----------
        rates : bits per second of each link.

        Raises
        ------
        InputError
            As in `decide`.
        """
        return self.plans[int(self.decide([rates])[0])]

    def _values(self, rates: ArrayLike) -> FloatArray:
        """(N, plans) objectives."""
        try:
            given = np.asarray(rates, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("rates", shown(rates), f"(N, {len(self.links)}) bits per second") from None
        if given.ndim == 1 and len(self.links) == 1:
            given = given[:, None]
        if given.ndim != 2 or given.shape[1] != len(self.links):
            raise InputError("rates", f"shape {given.shape}", f"(N, {len(self.links)}): requests, links")
        low, high = np.array(self.low) * (1.0 - EDGE), np.array(self.high) * (1.0 + EDGE)
        outside = np.argwhere(~((given >= low) & (given <= high)))
        if outside.size:
            i, j = outside[0].tolist()
            raise InputError(f"rates[{i}, {j}]", f"{given[i, j]:g}", f"{self.low[j]:g} to {self.high[j]:g}")
        found: FloatArray = self.intercepts + (1.0 / given) @ self.slopes.T
        return found


def rate_table(
    problem: Placement,
    *,
    links: Sequence[int] | None = None,
    low: float | Sequence[float],
    high: float | Sequence[float],
    time_limit: float | None = None,
) -> RateTable:
    """The best plan for every rate of one or two links, each proved.

    Parameters
    ----------
    problem : the placement, a bundled name or a path; everything but the rates stays as it is.
    links : indices of one or two links; by default all, if they are not more.
    low, high : bits per second, the same for every link or one for each.
    time_limit : seconds; when they are over, the table holds the plans found so far.

    Raises
    ------
    InputError
        Other links, an empty range, a latency target (which the rates change too), or no plan at all.
    MethodError
        A problem whose optimum could not be proved.
    """
    problem = problem_of(Placement, problem, named=True)
    if problem.targets.latency is not None:
        raise InputError("targets.latency", f"{problem.targets.latency:g}", "no latency target: the rates move it")
    known = range(len(problem.links))
    chosen = tuple(known) if links is None else tuple(links)
    if not 1 <= len(chosen) <= 2 or len(set(chosen)) < len(chosen) or any(i not in known for i in chosen):
        raise InputError("links", shown(list(chosen)), f"one or two of {', '.join(map(str, known)) or 'none'}")
    ends = [_ends(name, value, len(chosen)) for name, value in (("low", low), ("high", high))]
    for least, most in zip(*ends, strict=True):
        if not least < most:
            raise InputError("low", f"{least:g} with high {most:g}", "low < high")
    search = _Planes(problem, chosen, Clock(time_limit))
    corners = [(1 / Fraction(most), 1 / Fraction(least)) for least, most in zip(*ends, strict=True)]
    complete = True
    try:
        search.cover(list(itertools.product(*corners)))
    except OutOfTime:
        complete = False
    if not search.planes:
        raise InputError("problem", "no plan", "a placement that keeps its limits, and time to find one")
    used = search.cells(list(itertools.product(*corners)))
    planes = [plane for plane in search.planes if plane in used] or list(search.planes)
    return RateTable(
        problem=problem.name,
        links=chosen,
        low=ends[0],
        high=ends[1],
        plans=tuple(search.planes[plane] for plane in planes),
        intercepts=np.array([float(plane[0]) for plane in planes]),
        slopes=np.array([[float(slope) for slope in plane[1:]] for plane in planes]),
        solved=search.count,
        complete=complete,
    )


def _ends(name: str, value: float | Sequence[float], count: int) -> tuple[float, ...]:
    entries = (value,) * count if isinstance(value, int | float) else tuple(value)
    if len(entries) != count:
        raise InputError(name, f"{len(entries)} entries", f"a rate, or {count}, one for each link")
    for entry in entries:
        if not is_number(entry) or not 0 < entry < math.inf:
            raise InputError(name, shown(entry), "finite rates > 0")
    return tuple(float(entry) for entry in entries)


class _Planes:
    """The planes of the plans found so far, and the points at which was solved."""

    def __init__(self, problem: Placement, links: tuple[int, ...], clock: Clock) -> None:
        self.problem, self.links, self.clock = problem, links, clock
        self.planes: dict[Plane, PlacementPlan] = {}
        self.solved: set[Point] = set()
        self.count = 0

    def cover(self, box: list[Point]) -> None:
        """Solve until no corner of a cell is left; each round finds a plan that is new, or is the last."""
        waiting = sorted(box)
        while waiting:
            for point in waiting:
                self._solve(point)
            corners = {corner for cell in self.cells(box).values() for corner in cell}
            waiting = sorted(corners - self.solved)

    def cells(self, box: list[Point]) -> dict[Plane, list[Point]]:
        """The cell of every plane that is lowest of all somewhere, as its corners; of equal planes one."""
        found = {}
        for plane in self.planes:
            cell = _hull(box)
            for other in self.planes:
                if other != plane:
                    cell = _clipped(cell, tuple(a - b for a, b in zip(plane, other, strict=True)))
                if not cell:
                    break
            if cell:
                found[plane] = cell
        return found

    def _solve(self, point: Point) -> None:
        self.clock.check()
        rates = {f"links[{i}].rate": float(1 / y) for i, y in zip(self.links, point, strict=True)}
        solution = solve(self.problem.replace(rates), time_limit=self.clock.left)
        self.count += 1
        self.solved.add(point)
        if solution.certificate.infeasible:
            raise InputError("problem", "no plan", "a placement that keeps its limits")
        if solution.late:
            raise OutOfTime("a plan on the way was not proved in time")
        if not solution.certificate.proved:
            raise MethodError(f"rates {', '.join(f'{r:g}' for r in rates.values())}: {solution.status}, not proved")
        plane = self._plane(rates, solution.plan)
        here = min((_value(known, point) for known in self.planes), default=None)
        value = _value(plane, point)
        if here is None or value < here - ROUNDING * abs(here):
            self.planes.setdefault(plane, solution.plan)

    def _plane(self, rates: dict[str, float], plan: PlacementPlan) -> Plane:
        """The plane of a plan, from as many exact costs as it has numbers."""
        base = exact_cost(self.problem.replace(rates), plan)
        slopes = []
        for name, rate in rates.items():
            moved = exact_cost(self.problem.replace({**rates, name: rate * 2.0}), plan)
            slopes.append((moved - base) / (1 / Fraction(rate * 2.0) - 1 / Fraction(rate)))
        steps = zip(slopes, rates.values(), strict=True)
        return (base - sum((s / Fraction(r) for s, r in steps), Fraction(0)), *slopes)


def _value(plane: Plane, point: Point) -> Fraction:
    return plane[0] + sum((s * y for s, y in zip(plane[1:], point, strict=True)), Fraction(0))


def _hull(box: list[Point]) -> list[Point]:
    """The corners of a range in one or two dimensions, going round it."""
    return box if len(box) < 4 else [box[0], box[1], box[3], box[2]]


def _clipped(cell: list[Point], plane: Plane) -> list[Point]:
    """The part of a convex cell, by its corners going round, where a plane is not above 0 (Sutherland and Hodgman)."""
    values = [_value(plane, point) for point in cell]
    found: list[Point] = []
    for i, (point, value) in enumerate(zip(cell, values, strict=True)):
        if value <= 0:
            found.append(point)
        j = (i + 1) % len(cell)
        if value * values[j] < 0:
            share = value / (value - values[j])
            found.append(tuple(a + share * (b - a) for a, b in zip(point, cell[j], strict=True)))
    return list(dict.fromkeys(found))
