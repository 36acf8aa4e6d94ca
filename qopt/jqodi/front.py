"""Time against energy: the least energy for every T_max, a falling staircase.

Choice by inspection of every model, width, server and cut; schedule by the whole front of its knapsack
(`qopt.kernels.mckp.front`), which is also the path's where changing is free; path by solving again and again, each
time for a T_max just below the time of the plan before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import limit_below, limit_with_slack, limits_with_slack, within
from qopt.core.reading import problem_of
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible, schedule_instance
from qopt.jqodi.terms import Candidate, candidates, plan_of, totals

MAX_SOLVES = 1_000
"""Problems solved for one front of mode path, by default."""

Point = tuple[float, float, Callable[[], JqodiPlan]]
"""Time, energy, and how to make the plan."""


@dataclass(frozen=True)
class TimePiece:
    """One plan is best for T_max from `start`, its own time, to `stop`, where the next begins.

    Attributes
    ----------
    energy : its objective [J], the same all along.
    """

    start: float
    stop: float
    energy: float
    plan: JqodiPlan


@dataclass(frozen=True, eq=False)
class TimeFront:
    """The best plan for every T_max from `low` to `high`.

    Attributes
    ----------
    parameter : ``time_limit``.
    time, energy : (P,) seconds ascending, joules descending: point i is best from time[i] on. The first may be below
        `low`.
    low, high : T_max for which this holds.
    """

    parameter: str
    time: FloatArray
    energy: FloatArray
    low: float
    high: float
    _plans: tuple[Callable[[], JqodiPlan], ...]

    def __len__(self) -> int:
        return len(self.time)

    @property
    def values(self) -> list[float]:
        """T_max at which the best plan changes, ascending; below the first nothing is feasible."""
        found: list[float] = self.time.tolist()
        return found

    def plan(self, point: int) -> JqodiPlan:
        """The plan of a point."""
        return self._plans[point]()

    @cached_property
    def pieces(self) -> tuple[TimePiece, ...]:
        """All points with their plans, ascending in T_max."""
        stops = [*self.values[1:], self.high]
        return tuple(
            TimePiece(start, stop, float(self.energy[i]), self.plan(i))
            for i, (start, stop) in enumerate(zip(self.values, stops, strict=True))
        )

    def at(self, time_limit: float) -> TimePiece | None:
        """The piece that is best for a T_max; None where nothing is feasible."""
        self._inside(np.asarray(time_limit, dtype=np.float64))
        kept = int(np.searchsorted(self.time, limit_with_slack(time_limit), side="right"))
        if not kept:
            return None
        stop = self.values[kept] if kept < len(self) else self.high
        return TimePiece(self.values[kept - 1], stop, float(self.energy[kept - 1]), self.plan(kept - 1))

    def objective(self, time_limits: FloatArray | float) -> FloatArray:
        """Least energy for one or many T_max; infinite where nothing is feasible."""
        given = np.asarray(time_limits, dtype=np.float64)
        self._inside(given)
        kept = np.searchsorted(self.time, limits_with_slack(given), side="right")
        found: FloatArray = np.concatenate(([np.inf], self.energy))[kept]
        return found

    def _inside(self, values: FloatArray) -> None:
        """Refuse what the front was not computed for."""
        bad = values[~((values > 0) & (values >= self.low) & (values <= self.high))]
        if bad.size:
            raise InputError(self.parameter, f"{bad.flat[0]:g}", f"seconds > 0, from {self.low:g} to {self.high:g}")


def breakpoints(
    problem: Jqodi,
    parameter: str = "time_limit",
    *,
    low: float = 0.0,
    high: float = math.inf,
    max_labels: int | None = None,
    max_solves: int = MAX_SOLVES,
) -> TimeFront:
    """The best plan for every T_max.

    Parameters
    ----------
    problem : the problem; its own T_max does not matter, and everything else stays as it is.
    parameter : ``time_limit``, the only one: in it the energy is a staircase, whatever the mode.
    low, high : T_max for which plans are asked for, default all.
    max_labels : for a schedule, partial sums kept before it gives up, for each model and width (10 million).
    max_solves : for a path with costs of changing, problems solved before it gives up.

    Raises
    ------
    InputError
        Another parameter, an empty range, or more labels or solves than allowed: then a smaller range helps.
    MethodError
        A problem on the way that could not be proved.
    """
    problem = problem_of(Jqodi, problem)
    if parameter != "time_limit":
        raise InputError("parameter", shown(parameter), "time_limit")
    for name, value in (("low", low), ("high", high)):
        if not is_number(value) or not value >= 0:
            raise InputError(name, shown(value), "seconds >= 0")
    if not low < high:
        raise InputError("low", f"{low:g} with high {high:g}", "low < high")
    whole("max_solves", max_solves, 1, 10**9)
    own = candidates(problem)
    points: Iterator[Point]
    if problem.mode == "choice":
        points = (point for one in own for point in _choices(problem, one))
    elif all(one.switch_time is None and one.switch_energy is None for one in own):
        points = (point for one in own for point in _schedules(problem, one, float(high), max_labels))
    else:
        points = _paths(problem, own, float(low), float(high), max_solves)
    kept = _staircase([point for point in points if within([point[0]], high)])
    below = sum(point[0] <= low for point in kept)  # the last of these is best at `low`
    kept = kept[max(below - 1, 0) :]
    times, energies = (np.array([point[i] for point in kept], dtype=np.float64) for i in (0, 1))
    return TimeFront("time_limit", times, energies, float(low), float(high), tuple(point[2] for point in kept))


def _staircase(points: list[Point]) -> list[Point]:
    """Points that no other one dominates, by time."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p[0], p[1])):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


def _choices(problem: Jqodi, own: Candidate) -> Iterator[Point]:
    """Every state, kept through all epochs."""
    for s in np.flatnonzero(np.isfinite(own.time).all(axis=0)).tolist():
        states = [s] * own.epochs
        energy, time = totals(own, states)
        yield time, energy, _later(problem, own, states)


def _later(problem: Jqodi, own: Candidate, states: Sequence[int] | IntArray) -> Callable[[], JqodiPlan]:
    """The plan of states, made when it is asked for."""
    return lambda: plan_of(problem, own, states)


def _made(plan: JqodiPlan) -> Callable[[], JqodiPlan]:
    """A plan that is there already."""
    return lambda: plan


def _schedules(problem: Jqodi, own: Candidate, high: float, max_labels: int | None) -> Iterator[Point]:
    """The whole front of one candidate's knapsack: an epoch a class, and quantizing one more."""
    from qopt.kernels import mckp

    if not possible(own):
        return
    knapsack = schedule_instance(own, high)
    front = mckp.front(knapsack.cost, knapsack.weight, high, max_labels=max_labels)
    if not front.complete:
        allowed = "a smaller one, or more max_labels, so that the front's partial sums can be listed"
        raise InputError("high", f"{high:g}, too many plans of {own.model} at {own.bits} bits", allowed)

    def later(point: int) -> Callable[[], JqodiPlan]:
        return lambda: plan_of(problem, own, knapsack.states_of(front.choice(point)))

    for i in range(len(front.weight)):
        yield float(front.weight[i]), float(front.cost[i]), later(i)


def _paths(problem: Jqodi, own: tuple[Candidate, ...], low: float, high: float, max_solves: int) -> Iterator[Point]:
    """From the largest T_max down to `low`, each time below the time of the plan before."""
    from qopt.core.solving import solve

    limit = min(high, _unlimited(own))
    data = problem.model_dump()
    for _ in range(max_solves):
        if not limit > 0 or limit < low:
            return
        solution: Any = solve(Jqodi(**{**data, "time_limit": limit}))
        if solution.plan is None and solution.status == "infeasible":
            return
        if solution.status != "optimal":
            raise MethodError(f"time_limit = {limit:g}: {solution.status}, not proved")
        seconds: float = solution.certificate.cost.time
        yield seconds, solution.objective, _made(solution.plan)
        limit = limit_below(seconds)
    raise InputError("max_solves", f"{max_solves} and still no end", "more of them, or a smaller range")


def _unlimited(own: tuple[Candidate, ...]) -> float:
    """A T_max that every plan keeps."""
    most = 1.0
    for one in own:
        longest = np.where(np.isfinite(one.time), one.time, 0.0).max(axis=1)
        change = 0.0 if one.switch_time is None else one.epochs * float(one.switch_time.max())
        most = max(most, math.fsum([one.setup_time, *longest.tolist(), change]))
    return 2.0 * most
