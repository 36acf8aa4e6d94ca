"""Claims of a method that other results refute."""

from __future__ import annotations

from collections.abc import Iterable

CLAIMS = ("optimal", "optimal-by-solver")
NONE = ("infeasible", "infeasible-by-solver")
"""Statuses that say a plan is best, and that there is none."""

TOLERANCE = 1e-6
"""Share by which another's verified plan must be better to refute a claim."""


def refuted(
    status: str,
    objective: float | None,
    bounds: Iterable[float | None],
    verified: bool | None,
    best: float | None,
    *,
    gap: float = 0.0,
    tolerance: float = TOLERANCE,
) -> str:
    """The claim that the data refute, in words; empty for none.

    Parameters
    ----------
    status : of the solution (`qopt.core.solution.Status`), or of the engine that ran it.
    objective : of its plan, in the unit of the problem's objective; None without a plan.
    bounds : list of what it says no plan is below, in the same unit.
    verified : whether the plan keeps all limits; None without a plan.
    best : the least objective of a verified plan of the same problem; None if there is none.
    gap : relative; what the method was allowed to be above the optimum.
    tolerance : relative; by how much more `best` must be better.
    """
    if verified is False:
        return "plan breaks a limit"
    if best is None:
        return ""
    if status in NONE:
        return "there is a plan"
    slack = tolerance * (abs(best) or 1.0)
    if status in CLAIMS and objective is not None and objective - best > slack + gap * abs(objective):
        return "a better plan is known"
    return "bound above a plan" if any(b is not None and b - best > slack for b in bounds) else ""
