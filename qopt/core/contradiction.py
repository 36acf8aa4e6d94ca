"""Limits that contradict each other: a minimal set, by leaving out one after the other (deletion filter).

Each test is one solve. A limit goes when what is left of the set still has no plan; one of an undecided test stays, and
the set is then not proved minimal. Chinneck and Dravnieks (1991) call such a set irreducible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.limited import Limit, changed
from qopt.core.problem import Problem
from qopt.core.solving import solve


@dataclass(frozen=True, repr=False)
class Contradiction(Brief):
    """Limits that no plan keeps together.

    Attributes
    ----------
    limits : list of the set; empty where there is none, or where there is no plan even without any limit.
    minimal : whether any of them left out leaves a plan, each proved by one.
    undecided : names of limits whose test ended without an answer.
    background : whether there is no plan even without any limit, proved; None where that is open.
    """

    limits: tuple[Limit, ...]
    minimal: bool
    undecided: tuple[str, ...] = ()
    background: bool | None = False


def contradiction(problem: Problem, given: Sequence[Limit], clock: Clock) -> Contradiction:
    """A minimal set of limits that contradict each other, of a problem that has no plan.

    Parameters
    ----------
    problem : without a plan, proved.
    given : the limits that it states.
    clock : of the call; tests that are not begun when it is over are undecided.
    """

    def holds(kept: Sequence[Limit]) -> bool | None:
        """Whether there is a plan that keeps some of the limits; None where that is open."""
        if clock.over:
            return None
        names = {limit.name for limit in kept}
        asked = changed(problem, {limit.name: None for limit in given if limit.name not in names})
        solution = solve(asked, time_limit=clock.left)
        if solution.plan is not None and solution.certificate.feasible:
            return True
        return False if solution.certificate.infeasible else None

    alone = holds(()) if given else False  # without any limit it is the problem itself
    if alone is False:
        return Contradiction((), minimal=True, background=True)
    kept, undecided = list(given), []
    for limit in given:
        rest = [other for other in kept if other is not limit]
        answer = alone if not rest else holds(rest)
        if answer is False:
            kept = rest
        elif answer is None:
            undecided.append(limit.name)
    return Contradiction(tuple(kept), not undecided, tuple(undecided), None if alone is None else False)
