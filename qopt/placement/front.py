"""Accuracy against cost: the best placement of every operator, and the one to take for a target."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from qopt.core.arguments import is_number
from qopt.core.errors import InputError, shown
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.placement.plan import tiers_used
from qopt.placement.problem import Operator, Placement


@dataclass(frozen=True)
class FrontPoint:
    """One operator at its best.

    Attributes
    ----------
    operator, accuracy, tiers : which, what it reaches, and the tiers that run something (None without a plan).
    solution : its optimal placement, with a certificate for the problem with this operator alone.
    on_front : no other operator is at least as accurate and costs less, or costs as much and is more accurate.
    """

    operator: str
    accuracy: float
    tiers: str | None
    solution: Solution
    on_front: bool

    @property
    def row(self) -> dict[str, Any]:
        """The point as a row of a table; None where the operator has no plan."""
        cost = self.solution.certificate.cost
        return {
            "operator": self.operator,
            "accuracy": self.accuracy,
            "objective": self.solution.objective,
            "latency": cost.latency if cost else None,
            "energy": cost.energy if cost else None,
            "price": cost.price if cost else None,
            "tiers": self.tiers,
            "proved": self.solution.certificate.proved or self.solution.certificate.infeasible,
            "on_front": self.on_front,
        }


def front(problem: Placement | str | os.PathLike[str]) -> tuple[FrontPoint, ...]:
    """The whole front of accuracy and cost, most accurate first, each operator solved to a proof.

    Targets are set aside, pins and memory are not. Operators off the front are listed too.

    Raises
    ------
    InputError
        The problem is no placement. A front of a JQODI problem is that of `qopt.breakpoints` over T_max.
    """
    elsewhere = 'the front of a JQODI problem is qopt.breakpoints(problem, "time_limit")'
    problem = problem_of(Placement, problem, named=True, instead=elsewhere)
    free = problem.replace({"targets": {}})
    solved = [(o, solve(_with_operator(free, o))) for o in sorted(problem.operators, key=lambda o: -o.accuracy)]
    points = []
    for operator, solution in solved:
        beaten = solution.objective is None or any(
            other.objective is not None
            and p.accuracy >= operator.accuracy
            and (other.objective, -p.accuracy) < (solution.objective, -operator.accuracy)
            for p, other in solved
        )
        tiers = None if solution.plan is None else tiers_used(problem, solution.plan)
        points.append(FrontPoint(operator.name, operator.accuracy, tiers, solution, not beaten))
    return tuple(points)


def _with_operator(problem: Placement, operator: Operator) -> Placement:
    return problem.replace({"operators": [operator.model_dump()]})


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
