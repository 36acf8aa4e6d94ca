"""Time against energy: the least energy for every T_max, a falling staircase.

Choice by inspection of every model, width, server and cut; schedule by the whole front of its knapsack
(`qopt.kernels.mckp.front`), which is also the path's where changing is free; path by one search of labels
(`qopt.jqodi.front`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import IntArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.envelope import Envelope, Line, Piece
from qopt.core.errors import InputError, shown
from qopt.core.limits import within
from qopt.core.reading import problem_of
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible, schedule_instance
from qopt.jqodi.terms import Candidate, candidates, plan_of, totals

Point = tuple[float, float, Callable[[], JqodiPlan]]
"""Time, energy, and how to make the plan."""


def breakpoints(
    problem: Jqodi,
    parameter: str = "time_limit",
    *,
    low: float = 0.0,
    high: float = math.inf,
    max_labels: int | None = None,
    clock: Clock = ENDLESS,
) -> Envelope:
    """The best plan for every T_max: a falling staircase. Below its first step nothing is feasible.

    Parameters
    ----------
    problem : the problem; its own T_max does not matter, and everything else stays as it is.
    parameter : ``time_limit``, the only one: in it the energy is a staircase, whatever the mode.
    low, high : T_max for which plans are asked for, default all.
    max_labels : partial sums kept of a schedule before it gives up, for each model and width (10 million), and partial
        plans made of a path with costs of changing (100 million in all).
    clock : of the call; where it is over before all steps are known, those found by then are given.

    Raises
    ------
    InputError
        Another parameter, an empty range, or more labels than allowed: then for a schedule a smaller range helps.
    """
    problem = problem_of(Jqodi, problem)
    if parameter != "time_limit":
        raise InputError("parameter", shown(parameter), "time_limit")
    for name, value in (("low", low), ("high", high)):
        if not is_number(value) or not value >= 0:
            raise InputError(name, shown(value), "seconds >= 0")
    if not low < high:
        raise InputError("low", f"{low:g} with high {high:g}", "low < high")
    if max_labels is not None:
        whole("max_labels", max_labels, 0)
    admissible = candidates(problem)
    points: Iterator[Point]
    if problem.mode == "choice":
        points = (point for one in admissible for point in _choices(problem, one, clock))
    elif all(one.switch_time is None and one.switch_energy is None for one in admissible):
        points = (point for one in admissible for point in _schedules(problem, one, float(high), max_labels, clock))
    else:
        points = _paths(problem, max_labels, clock)
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


def _paths(problem: Jqodi, max_labels: int | None, clock: Clock) -> Iterator[Point]:
    """The whole front of paths."""
    from qopt.jqodi.front import MAX_LABELS, SEARCHING, reached

    most = MAX_LABELS if max_labels is None else max(max_labels, 1)
    search = clock.part(SEARCHING)
    found = reached(problem, False, most, search)
    late = search.over  # asked once: whoever takes the points may take long
    for each in found:
        if not each.proved and not late:
            raise InputError("max_labels", f"{most}, and still no end", "more of them")
        yield each.time, each.energy, partial(each.plan, problem)
    if late and not all(each.proved for each in found):
        raise OutOfTime("not all steps of a front are known")
