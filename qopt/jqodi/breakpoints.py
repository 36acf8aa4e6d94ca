"""Time against energy: the least energy for every T_max, a falling staircase.

Choice by inspection of every model, width, server and cut; schedule by the whole front of its knapsack
(`qopt.kernels.mckp.front`), which is also the path's where changing is free; path by solving again and again, each
time for a T_max just below the time of the plan before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import IntArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.envelope import Envelope, Line, Piece
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import limit_below, within
from qopt.core.reading import problem_of
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible, schedule_instance
from qopt.jqodi.terms import Candidate, candidates, loosest_limit, plan_of, totals

MAX_SOLVES = 1_000
"""Problems solved for one front of mode path, by default."""

Point = tuple[float, float, Callable[[], JqodiPlan]]
"""Time, energy, and how to make the plan."""


def breakpoints(
    problem: Jqodi,
    parameter: str = "time_limit",
    *,
    low: float = 0.0,
    high: float = math.inf,
    max_labels: int | None = None,
    max_solves: int = MAX_SOLVES,
    clock: Clock = ENDLESS,
) -> Envelope:
    """The best plan for every T_max: a falling staircase. Below its first step nothing is feasible.

    Parameters
    ----------
    problem : the problem; its own T_max does not matter, and everything else stays as it is.
    parameter : ``time_limit``, the only one: in it the energy is a staircase, whatever the mode.
    low, high : T_max for which plans are asked for, default all.
    max_labels : for a schedule, partial sums kept before it gives up, for each model and width (10 million).
    max_solves : for a path with costs of changing, problems solved before it gives up.
    clock : of the call; where it is over before all steps are known, those found by then are given.

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
    if max_labels is not None:
        whole("max_labels", max_labels, 0)
    admissible = candidates(problem)
    points: Iterator[Point]
    if problem.mode == "choice":
        points = (point for one in admissible for point in _choices(problem, one, clock))
    elif all(one.switch_time is None and one.switch_energy is None for one in admissible):
        points = (point for one in admissible for point in _schedules(problem, one, float(high), max_labels, clock))
    else:
        points = _paths(problem, admissible, float(low), float(high), max_solves, clock)
    found, complete = [], True
    try:
        for point in points:
            if within([point[0]], high):
                found.append(point)
    except OutOfTime:
        complete = False
    kept = _staircase(found)
    steps = kept[max(sum(point[0] <= low for point in kept) - 1, 0) :]  # the last of those below is best at `low`
    starts = [max(float(point[0]), float(low)) for point in steps]
    stops = [*starts[1:], float(high)][: len(starts)]
    pieces = [
        Piece(start, stop, Line(float(energy)), plan)
        for start, stop, (_, energy, plan) in zip(starts, stops, steps, strict=True)
    ]
    if not starts or starts[0] > low:
        pieces.insert(0, Piece(float(low), starts[0] if starts else float(high), None, None))
    ends = float(low), float(high)
    return Envelope(problem.name, "time_limit", "s", tuple(pieces), *ends, limit=True, complete=complete)


def _staircase(points: list[Point]) -> list[Point]:
    """Points that no other one dominates, by time."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p[0], p[1])):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return kept


def _choices(problem: Jqodi, candidate: Candidate, clock: Clock) -> Iterator[Point]:
    """Every state, kept through all epochs."""
    for s in clock.watching(np.flatnonzero(np.isfinite(candidate.time).all(axis=0)).tolist()):
        states = [s] * candidate.epochs
        energy, time = totals(candidate, states)
        yield time, energy, _later(problem, candidate, states)


def _later(problem: Jqodi, candidate: Candidate, states: Sequence[int] | IntArray) -> Callable[[], JqodiPlan]:
    """The plan of states, made when it is asked for."""
    return lambda: plan_of(problem, candidate, states)


def _made(plan: JqodiPlan) -> Callable[[], JqodiPlan]:
    """A plan that is there already."""
    return lambda: plan


def _schedules(
    problem: Jqodi, candidate: Candidate, high: float, max_labels: int | None, clock: Clock
) -> Iterator[Point]:
    """The whole front of one candidate's knapsack: an epoch a class, and quantizing one more."""
    from qopt.kernels import mckp

    if not possible(candidate):
        return
    clock.check()
    knapsack = schedule_instance(candidate, high)
    front = mckp.front(knapsack.cost, knapsack.weight, high, time_limit=clock.left, max_labels=max_labels)
    late = not front.complete and clock.over
    if not front.complete and not late:
        allowed = "a smaller one, or more max_labels, so that the front's partial sums can be listed"
        raise InputError("high", f"{high:g}, too many plans of {candidate.model} at {candidate.bits} bits", allowed)

    def later(point: int) -> Callable[[], JqodiPlan]:
        return lambda: plan_of(problem, candidate, knapsack.states_of(front.choice(point)))

    for i in range(len(front.weight)):
        yield float(front.weight[i]), float(front.cost[i]), later(i)
    if late:
        raise OutOfTime("not all steps of a front are known")


def _paths(
    problem: Jqodi, admissible: tuple[Candidate, ...], low: float, high: float, max_solves: int, clock: Clock
) -> Iterator[Point]:
    """From the largest T_max down to `low`, each time below the time of the plan before."""
    from qopt.core.solving import solve

    limit = min(high, loosest_limit(admissible))
    data = problem.model_dump()
    for _ in range(max_solves):
        if not limit > 0 or limit < low:
            return
        clock.check()
        solution: Any = solve(Jqodi(**{**data, "time_limit": limit}), time_limit=clock.left)
        if solution.late:
            if solution.plan is not None and solution.certificate.feasible:
                yield solution.certificate.cost.time, solution.objective, _made(solution.plan)
            raise OutOfTime("a plan on the way was not proved in time")
        if solution.certificate.infeasible:
            return
        if not solution.certificate.proved:
            raise MethodError(f"time_limit = {limit:g}: {solution.status}, not proved")
        seconds: float = solution.certificate.cost.time
        yield seconds, solution.objective, _made(solution.plan)
        limit = limit_below(seconds)
    raise InputError("max_solves", f"{max_solves} and still no end", "more of them, or a smaller range")
