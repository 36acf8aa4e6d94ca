"""The least limit at which a problem has a plan, or a better one: by the family's own search, or by solving in between.

In between, limits are halved between one that is known not to do and the use of a plan that does. It ends where a
limit just below what a plan uses is proved not to do: that use is then the least.
"""

from __future__ import annotations

import math

from qopt.core.certificate import SAME
from qopt.core.clock import Clock
from qopt.core.limited import Least, Limit, changed, least, used
from qopt.core.problem import Problem
from qopt.core.solving import solve

MOST_SOLVES = 200
"""Solves for one limit: floats have 64 digits, and each halves what is between."""

UNKNOWN = Least(None, proved=False)


def smallest(problem: Problem, limit: Limit, below: float | None, clock: Clock) -> Least:
    """The least that something must be allowed, with all other limits kept; of a limit from below the most.

    Parameters
    ----------
    problem : of a family with `limited`.
    limit : whose value is to change; the one in force does not do.
    below : objective that a plan must be better than; None for any.
    clock : of the call.
    """
    if clock.over:
        return UNKNOWN
    own = least(problem, limit, below, clock)
    return _between(problem, limit, below, clock) if own is None else own


def better(objective: float | None, below: float | None) -> bool:
    """Whether an objective is less than another by more than sums in another order differ.

    Parameters
    ----------
    objective : of a plan; None for no plan.
    below : the other; None where any plan will do.
    """
    return objective is not None and (below is None or below - objective > SAME * abs(below))


def _between(problem: Problem, limit: Limit, below: float | None, clock: Clock) -> Least:
    """By solves at limits in between."""

    def at(value: float | None) -> tuple[bool | None, float]:
        """Whether a limit does, and what the plan uses then; None where that is open."""
        asked = changed(problem, {limit.name: value})
        solution = solve(asked, time_limit=clock.left)
        certificate = solution.certificate
        if solution.plan is not None and certificate.feasible and better(solution.objective, below):
            return True, used(problem, solution.plan, limit.name)
        no = certificate.infeasible or (certificate.proved and not better(solution.objective, below))
        return (False if no else None), math.nan

    does, good = at(None)
    if not does:
        return Least(None, proved=does is False)
    bad = limit.value
    assert bad is not None
    closing = True
    for _ in range(MOST_SOLVES):
        if good <= limit.floor and not limit.at_least:
            return Least(good, proved=True)
        if clock.over:
            return Least(good, proved=False)
        value = limit.stricter(good) if closing else 0.5 * (bad + good)
        if limit.whole and not closing:
            value = math.floor(value)
        if (value <= bad) != limit.at_least and value != bad and not closing:
            value = limit.stricter(good)
        does, amount = at(value)
        if does is None:
            return Least(good, proved=False)
        if does:
            good = amount
        elif closing:
            return Least(good, proved=True)
        else:
            bad = value
        # Every other solve asks whether this is the end, once the range is short.
        closing = not closing and abs(good - bad) <= 1e-3 * max(abs(good), abs(bad))
        closing = closing or abs(good - bad) <= 4.0 * abs(good - limit.stricter(good))
    return Least(good, proved=False)
