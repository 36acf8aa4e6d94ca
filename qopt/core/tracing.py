"""Fronts of the objective against one limit, point by point: each solve at a limit just below the last point's use.

The method of constraints (Haimes, Lasdon and Wismer, 1971): whatever else a problem asks, a plan of least objective
within a limit is a point of the front, unless a lighter plan is as good. Under a clock limits in the middle come first,
so that what is left open is small wherever the clock stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qopt.core.certificate import SAME
from qopt.core.clock import Clock
from qopt.core.display import number
from qopt.core.errors import InputError
from qopt.core.front import Criterion, Front, FrontPoint, on_staircase
from qopt.core.limited import Limit, changed, used
from qopt.core.problem import Problem
from qopt.core.solution import Solution
from qopt.core.solving import solve

HALVINGS = 4
"""Times that an open range is halved under a clock before its end is taken: sixteen parts."""


@dataclass(frozen=True)
class _Open:
    """Limits above `low` and below `high` of which it is not known what they allow.

    No plan within them costs less than `below`, proved; one within `low`, if there is any, costs `above`.
    """

    low: float
    high: float
    above: float
    below: float
    depth: int


def trace(
    problem: Problem,
    limit: Limit,
    objective: Criterion,
    *,
    low: float | None = None,
    high: float | None = None,
    clock: Clock,
    name: str = "limit",
) -> Front:
    """The front of the objective against something that can be limited, every point a solve with its proof.

    Its own limit is set aside, everything else stays.

    Parameters
    ----------
    problem : of a family with `limited`.
    limit : what is traded, an amount to keep.
    objective : what is minimised.
    low, high : only points of which the use is in this range, and what lies above `low` alone, are looked for.
    clock : of the call; when it is over, what was found is kept.
    name : of the points, before their number.

    Raises
    ------
    InputError
        Plans do not differ in it.
    """
    check_range(limit, low, high)
    found: list[tuple[float, Solution]] = []
    unsure = 0

    def at(value: float | None) -> tuple[float, float, float] | None:
        """Use and objective of the best plan within a limit, and what no plan within it is proved to be below.

        Infinite where there is none, None where that is open.
        """
        nonlocal unsure
        asked = changed(problem, {limit.name: value})
        solution = solve(asked, time_limit=clock.left)
        certificate = solution.certificate
        if certificate.infeasible:
            return -math.inf, math.inf, math.inf
        if solution.plan is None or not certificate.feasible or solution.objective is None:
            unsure += 1
            return None
        amount = used(problem, solution.plan, limit.name)
        found.append((amount, solution))
        if certificate.proved:
            return amount, solution.objective, solution.objective
        unsure += 1
        if clock.over or solution.status != "optimal-by-solver":
            return None
        return amount, solution.objective, -math.inf if certificate.bound is None else certificate.bound

    end = at(high)
    floor = -math.inf if low is None else limit.stricter(low)
    whole = _Open(floor, math.inf, math.inf, -math.inf, 0)
    todo, done = ([], [whole]) if end is None else ([replace(whole, high=end[0], below=end[2])], [])
    while todo:
        todo.sort(key=lambda part: (part.above - part.below, part.high))
        part = todo.pop()
        if part.high == -math.inf or part.high <= limit.floor:
            continue
        value = limit.stricter(part.high)
        if value <= part.low or not part.high > part.low:
            continue
        if clock.over:
            done.append(part)
            continue
        halved = clock.limit is not None and part.depth < HALVINGS
        middle = 0.5 * (max(part.low, limit.floor) + part.high)
        if halved and part.low < middle < value:
            value = float(math.floor(middle)) if limit.whole else middle
        reached = at(value)
        if reached is None:
            done.append(part)
            continue
        use, cost, bound = reached
        apart = part.below == -math.inf or cost - part.below > SAME * abs(part.below)
        if value < limit.stricter(part.high) and apart:
            todo.append(_Open(value, part.high, cost, part.below, part.depth + 1))
        if cost < math.inf:
            todo.append(_Open(part.low, use, part.above, bound, part.depth + 1))
    return _front(problem, limit, objective, found, done, unsure > 0, clock, name)


def _front(
    problem: Problem,
    limit: Limit,
    objective: Criterion,
    found: list[tuple[float, Solution]],
    left: list[_Open],
    unsure: bool,
    clock: Clock,
    name: str,
) -> Front:
    """The points, and what is known of the limits that were not looked at."""
    objectives = [math.inf if s.objective is None else s.objective for _, s in found]
    points = []
    for i in on_staircase([use for use, _ in found], objectives):
        use, solution = found[i]
        own = replace(solution, instance=changed(problem, {limit.name: use}))
        values = {objective.name: solution.objective, limit.name: use}
        facts = {"plan": str(solution.plan)}
        points.append(FrontPoint("", values, own, facts, solution.certificate.proved))
    points.sort(key=lambda point: point.values[objective.name] or 0.0)
    points = [replace(point, name=f"{name} {k}") for k, point in enumerate(points, start=1)]
    notes = []
    if not points:
        notes.append("no plan keeps the other limits" if not unsure else "no plan was found")
    elif len(points) == 1 and not left and not unsure:
        notes.append(f"one point: no plan of less {limit.label} keeps the other limits, or the best one uses the least")
    if clock.over and (left or unsure):
        notes.append("the time limit is reached")
    elif unsure:
        notes.append("some limits were not solved to a proof")
    gap = 0.0 if not left and not unsure else _gap(points, left, unsure)
    bounds = _bounds(points, limit, left) if left else ()
    criteria = (objective, Criterion(limit.name, limit.unit))
    whole = not left and not unsure
    return Front(problem.name, criteria, tuple(points), complete=whole, gap=gap, bounds=bounds, notes=tuple(notes))


def _gap(points: list[FrontPoint], left: list[_Open], unsure: bool) -> float:
    """How far the point that a limit allows may be above the optimum within the limit, as a share, at most."""
    worst = 0.0 if points else math.inf
    for part in left:
        if part.above == math.inf:
            return math.inf  # below the lightest point nothing is known
        worst = max(worst, (part.above - part.below) / abs(part.above) if part.above else math.inf)
    if unsure:
        for point in points:
            gap = 0.0 if point.proved else point.solution.gap
            worst = max(worst, math.inf if gap is None else gap)
    return worst


def _bounds(points: list[FrontPoint], limit: Limit, left: list[_Open]) -> tuple[tuple[float, float], ...]:
    """Steps below which no plan lies: the points', and in open ranges those of the next point above."""
    steps: dict[float, float] = {}
    for point in points:
        if point.proved:
            steps[point.values[limit.name] or 0.0] = point.solution.objective or 0.0
    for part in left:
        begin = max(part.low, limit.floor)
        if math.isfinite(begin) and math.isfinite(part.below):
            steps[begin] = part.below
    return tuple(sorted(steps.items()))


def check_range(limit: Limit, low: float | None, high: float | None) -> None:
    """Refuse a range without an amount in it, and an amount in which plans do not differ.

    Parameters
    ----------
    limit : what is traded.
    low, high : ends of the range; None for none.

    Raises
    ------
    InputError
        Not a number, an empty range, or nothing that varies.
    """
    if not limit.varies:
        raise InputError("against", f"{limit.name}, which is the same for every plan", "what plans differ in")
    for end, value in (("low", low), ("high", high)):
        good = value is None or (
            isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
        )
        if not good:
            raise InputError(end, f"{value!r}", "a finite number >= 0")
    if low is not None and high is not None and low > high:
        raise InputError("low", f"{number(low)} with high {number(high)}", "low <= high")
