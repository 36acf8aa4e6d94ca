"""Accuracy against cost: the best placement of every operator, and the one to take for a target."""

from __future__ import annotations

import os

from qopt.core.arguments import is_number
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import InputError, shown
from qopt.core.front import Criterion, Front, FrontPoint, front_of
from qopt.core.limited import limit_named
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.core.tracing import trace
from qopt.placement.parts import Operator
from qopt.placement.plan import tiers_used
from qopt.placement.problem import Placement

CRITERIA = (Criterion("accuracy", "", "max"), Criterion("objective", ""))


def front(
    problem: Placement | str | os.PathLike[str],
    *,
    against: str = "accuracy",
    low: float | None = None,
    high: float | None = None,
    clock: Clock = ENDLESS,
) -> Front:
    """The whole front of accuracy and cost, most accurate first, each operator solved to a proof.

    Against latency or the memory of a tier: all plans that no other beats in the objective and in that, each proved.

    Targets are set aside, pins and memory are not. Each operator is a candidate; those off the front, and those
    without a plan, are `Front.dominated`. A point's solution is for the problem with its operator alone.

    Parameters
    ----------
    problem : a placement, a bundled name or a path.
    against : ``accuracy``, ``latency`` [s], or ``memory`` and the name of a tier [byte]; its own limit is set aside.
    low, high : ends of the range of latency or memory; by default all of it.
    clock : of the call; operators that were not looked at when it is over are left out.

    Raises
    ------
    InputError
        The problem is no placement, nothing is known by that name, or plans do not differ in it.
    """
    asked = problem_of(Placement, problem, named=True)
    limit = limit_named(asked, against)
    if limit.name != "accuracy":
        return trace(asked, limit, CRITERIA[1], low=low, high=high, clock=clock, name="plan")
    for name, value in (("low", low), ("high", high)):
        if value is not None:
            raise InputError(name, shown(value), "nothing: accuracy has a point for each operator")
    free = asked.replace({"targets": {}})
    points: list[FrontPoint] = []
    try:
        for operator in clock.watching(asked.operators):
            points.append(_point(free, operator, clock))
    except OutOfTime:
        return front_of(asked.name, CRITERIA, points, complete=False)
    late = any(point.solution.late for point in points)
    return front_of(asked.name, CRITERIA, points, complete=not late)


def _point(free: Placement, operator: Operator, clock: Clock) -> FrontPoint:
    """One operator at its best, or as good as there is time for."""
    solution = solve(_alone(free, operator), time_limit=clock.left)
    cost = solution.certificate.cost
    facts = {
        "latency": cost.latency if cost else None,
        "energy": cost.energy if cost else None,
        "price": cost.price if cost else None,
        "tiers": None if solution.plan is None else tiers_used(free, solution.plan),
    }
    reached = {"accuracy": operator.accuracy, "objective": solution.objective}
    return FrontPoint(operator.name, reached, solution, facts)


def _alone(free: Placement, operator: Operator) -> Placement:
    """The problem with one operator to choose; those that a mixture is made of stay as what it is made of."""
    if not operator.mixed:
        return free.replace({"operators": [operator.model_dump()]})
    accuracy = operator.accuracy or 1.0  # of the mixture: above those of its parts, which are set to 0
    parts = {*operator.tiers.values(), *operator.operations.values()}
    others = [{**o.model_dump(), "accuracy": 0.0} for o in free.operators if o.name in parts]
    operators = [{**operator.model_dump(), "accuracy": accuracy}, *others]
    return free.replace({"operators": operators, "targets.accuracy": accuracy})


def recommend(
    problem: Placement | str | os.PathLike[str],
    *,
    accuracy: float | None = None,
    latency: float | None = None,
) -> Solution:
    """The strategy to take for a target, proved best: operator, and tier of each operation.

    With an accuracy (or neither): the least objective that reaches it. With a latency alone: the most accurate
    operator that some placement brings within it, and of its placements the one of least objective. With both: the
    least objective within both.

    Parameters
    ----------
    problem : a placement, a bundled name or a path; its own targets hold where none is given here.
    accuracy : least accuracy, in [0, 1].
    latency : most seconds.

    Returns
    -------
    Solution, ``infeasible`` where nothing meets the targets.

    Raises
    ------
    InputError
        A target is out of range, or the problem is no placement.
    """
    problem = problem_of(Placement, problem, named=True)
    for name, value, most in (("accuracy", accuracy, 1.0), ("latency", latency, float("inf"))):
        if value is not None and not (is_number(value) and 0 <= value <= most and value < float("inf")):
            raise InputError(name, shown(value), "a number from 0 to 1" if most == 1 else "seconds >= 0")
    targets = {} if accuracy is None else {"targets.accuracy": float(accuracy)}
    if latency is not None:
        targets["targets.latency"] = float(latency)
    asked = problem.replace(targets) if targets else problem
    if accuracy is not None or latency is None:
        return solve(asked)
    solution = None
    for level in sorted({o.accuracy for o in asked.eligible}, reverse=True):
        solution = solve(asked.replace({"targets.accuracy": level}))
        if solution.plan is not None:
            break
    return solve(asked) if solution is None else solution
