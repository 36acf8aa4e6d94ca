"""`qopt.explain`: what every limit of a problem is worth, and where there is no plan, which limits forbid it.

Two prices, which must not be confused. The *multiplier* is that of the limit's row in the relaxation: what a unit more
is worth there, a slope of the bound. The *next point* is exact: the least that the limit must be for a better plan, and
what that plan costs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from qopt.core.arguments import check_time_limit
from qopt.core.clock import Clock
from qopt.core.contradiction import Contradiction, contradiction
from qopt.core.display import Brief, number
from qopt.core.html import InNotebooks
from qopt.core.limited import Limit, changed, limits_of, module_of, used
from qopt.core.problem import Problem
from qopt.core.reading import as_problem
from qopt.core.smallest import better, smallest
from qopt.core.solution import Solution
from qopt.core.solving import solve


@dataclass(frozen=True, repr=False)
class Worth(Brief):
    """What one limit is worth.

    Attributes
    ----------
    limit : the limit in force.
    used : what the best plan uses of it.
    binds : whether there is a better plan without it; None where that is open.
    multiplier : objective for a unit of it in the relaxation, 0 or more; None where the family's has none.
    next_limit : the least value of it that allows a better plan; None where none does, or none is known.
    next_objective : objective of the best plan within that.
    proved : whether that is the next point of the front: no smaller change allows a better plan.
    """

    limit: Limit
    used: float
    binds: bool | None
    multiplier: float | None = None
    next_limit: float | None = None
    next_objective: float | None = None
    proved: bool = False

    @property
    def change(self) -> float | None:
        """How much more (of a limit from below, less) must be allowed for the next point; None without one."""
        if self.next_limit is None or self.limit.value is None:
            return None
        return abs(self.next_limit - self.limit.value)

    def words(self, objective: float) -> str:
        """A line for people.

        Parameters
        ----------
        objective : of the best plan.
        """
        limit = self.limit
        kind = "at least" if limit.at_least else "at most"
        head = f"{limit.label} {kind} {limit.amount(limit.value)} ({limit.amount(self.used)} used)"
        if self.binds is None:
            return f"{head}: not known in the time"
        if not self.binds:
            return f"{head}: does not bind"
        parts = []
        if self.next_limit is not None and self.next_objective is not None:
            sure = "" if self.proved else " (a smaller change may do)"
            gain = objective - self.next_objective
            parts.append(
                f"the next better plan needs {limit.amount(self.next_limit)}{sure} and saves {number(gain)} of "
                f"{number(objective)}, exactly"
            )
        if self.multiplier is not None:
            per = f" for one {limit.unit}" if limit.unit else " for 1"
            parts.append(f"its multiplier in the relaxation is {number(self.multiplier)}{per}")
        return f"{head}: {'; '.join(parts) or 'binds'}"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "limit": self.limit.name,
            "unit": self.limit.unit,
            "value": self.limit.value,
            "used": self.used,
            "binds": self.binds,
            "multiplier": self.multiplier,
            "next_limit": self.next_limit,
            "next_objective": self.next_objective,
            "proved": self.proved,
        }


@dataclass(frozen=True, repr=False)
class Relaxation(Brief):
    """The least change of one limit, all others kept, that leaves a plan.

    Attributes
    ----------
    limit : the limit in force.
    needed : the value that it must have; None where no value will do, or none is known.
    proved : whether no smaller change will do; without a value, whether none will.
    """

    limit: Limit
    needed: float | None
    proved: bool

    @property
    def words(self) -> str:
        """A line for people."""
        limit, kind = self.limit, "at least" if self.limit.at_least else "at most"
        head = f"{limit.label} {kind} {limit.amount(limit.value)}"
        if self.needed is None:
            return f"{head}: {'no value helps while the others stand' if self.proved else 'not known in the time'}"
        sure = "" if self.proved else ", or less of a change"
        return f"{head}: {limit.amount(self.needed, 9)} is needed while the others stand{sure}"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        name, value = self.limit.name, self.limit.value
        return {"limit": name, "unit": self.limit.unit, "value": value, "needed": self.needed, "proved": self.proved}


@dataclass(frozen=True, repr=False)
class Explanation(InNotebooks, Brief):
    """Why a problem's answer is what it is.

    Attributes
    ----------
    problem : its name.
    status : ``feasible``, ``infeasible`` (proved), or ``undecided``: neither a plan nor a proof that there is none.
    solution : the answer that is explained.
    worths : what each limit is worth, where there is a plan.
    contradiction : limits that contradict each other, where there is none.
    relaxations : the least change of each of these.
    parts : which limits each part (each cut) breaks, a line each, where there is no plan.
    notes : a line for each remark.
    """

    problem: str
    status: Literal["feasible", "infeasible", "undecided"]
    solution: Solution
    worths: tuple[Worth, ...] = ()
    contradiction: Contradiction | None = None
    relaxations: tuple[Relaxation, ...] = ()
    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.problem}: {self._head}"]
        objective = self.solution.objective
        if objective is not None:
            lines += [f"  {worth.words(objective)}" for worth in self.worths]
        lines += [f"  {relaxation.words}" for relaxation in self.relaxations]
        if self.parts:
            lines += ["where it breaks:", *(f"  {part}" for part in self.parts)]
        return "\n".join([*lines, *self.notes])

    @property
    def _head(self) -> str:
        if self.status == "undecided":
            return "neither a plan nor a proof that there is none"
        if self.contradiction is None:
            sure = "proved best" if self.solution.certificate.proved else "not proved best"
            return f"objective {number(self.solution.objective, 9)}, {sure}"
        found = self.contradiction
        if found.background:
            return "no plan, even without any limit: pins, menus or what else a plan must be forbid it"
        names = " and ".join(limit.label for limit in found.limits)
        if len(found.limits) == 1:
            open_ = "" if found.minimal else "; whether there is one without it is open"
            return f"no plan keeps the limit on {names}{open_}"
        kind = "none of them can stay out" if found.minimal else "not proved minimal"
        return f"no plan: the limits on {names} contradict each other ({kind})"

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        found = self.contradiction
        return {
            "format": "qopt/explanation",
            "version": 1,
            "problem": self.problem,
            "status": self.status,
            "objective": self.solution.objective,
            "proved": self.solution.certificate.proved or self.solution.certificate.infeasible,
            "worths": [worth.to_dict() for worth in self.worths],
            "contradiction": None
            if found is None
            else {
                "limits": [limit.name for limit in found.limits],
                "minimal": found.minimal,
                "undecided": list(found.undecided),
                "background": found.background,
            },
            "relaxations": [relaxation.to_dict() for relaxation in self.relaxations],
            "parts": list(self.parts),
            "notes": list(self.notes),
        }


def explain(problem: Problem | str | os.PathLike[str], *, time_limit: float | None = None) -> Explanation:
    """What every limit is worth; where there is no plan, which limits contradict each other, and what would help.

    Parameters
    ----------
    problem : of any family, a bundled name, or the path of an instance file.
    time_limit : seconds of wall time for the whole call; what is not known by then is said to be open.

    Returns
    -------
    `Explanation`: with a plan the worth of each limit, a multiplier and the exact next point; without one a minimal set
    of limits that contradict each other, with the least change of each.

    Raises
    ------
    InputError
        Malformed input, or a family that does not say what can be limited.
    """
    asked = as_problem(problem)
    check_time_limit(time_limit)
    clock = Clock(time_limit)
    given = tuple(limit for limit in limits_of(asked) if limit.value is not None)
    solution = solve(asked, time_limit=clock.left)
    if solution.plan is not None and solution.certificate.feasible:
        return _priced(asked, given, solution, clock)
    if not solution.certificate.infeasible:
        note = ("the time limit is reached" if clock.over else "the method gave up",)
        return Explanation(asked.name, "undecided", solution, notes=note)
    found = contradiction(asked, given, clock)
    relaxations = []
    for limit in found.limits:
        least = smallest(asked, limit, None, clock)
        relaxations.append(Relaxation(limit, least.value, least.proved))
    notes = []
    if found.undecided:
        notes.append(
            f"undecided in the time: whether {', '.join(found.undecided)} could go; the set may not be minimal"
        )
    parts = getattr(module_of(asked), "parts", None)
    broken = () if parts is None else tuple(parts(asked, solution))
    return Explanation(
        asked.name,
        "infeasible",
        solution,
        contradiction=found,
        relaxations=tuple(relaxations),
        parts=broken,
        notes=tuple(notes),
    )


def _priced(problem: Problem, given: tuple[Limit, ...], solution: Solution, clock: Clock) -> Explanation:
    """The worth of every limit."""
    notes = [] if given else ["no limits are given: nothing to price"]
    if not solution.certificate.proved:
        notes.append("the plan is not proved best, so nothing is said of what limits are worth")
        return Explanation(problem.name, "feasible", solution, notes=tuple(notes))
    read = getattr(module_of(problem), "multipliers", None)
    prices = {} if read is None else read(problem, solution)
    worths = tuple(_worth(problem, limit, solution, prices.get(limit.name), clock) for limit in given)
    return Explanation(problem.name, "feasible", solution, worths, notes=tuple(notes))


def _worth(problem: Problem, limit: Limit, solution: Solution, multiplier: float | None, clock: Clock) -> Worth:
    """What one limit is worth."""
    objective = solution.objective
    assert objective is not None
    amount = used(problem, solution.plan, limit.name)
    if clock.over:
        return Worth(limit, amount, None, multiplier)
    free = solve(changed(problem, {limit.name: None}), time_limit=clock.left)
    if not better(free.objective, objective):
        return Worth(limit, amount, False if free.certificate.proved else None, multiplier)
    found = smallest(problem, limit, objective, clock)
    if found.value is None:
        return Worth(limit, amount, True, multiplier)
    best = solve(changed(problem, {limit.name: found.value}), time_limit=clock.left)
    if not better(best.objective, objective):  # not in the time
        return Worth(limit, amount, True, multiplier)
    proved = found.proved and best.certificate.proved
    return Worth(limit, amount, True, multiplier, found.value, best.objective, proved)
