"""What a plan uses that can be limited, by name: what fronts trade and what `qopt.explain` speaks of.

A family names a module (`Family.limited`) with these functions. Menus, pins, ties, admissible cuts and the like are no
limits: they say what a plan is.

    limits(problem) -> tuple[Limit, ...]
        everything that can be limited, with the limit where one is given
    changed(problem, values) -> Problem
        the problem with other limits, by name; None takes a limit away
    used(problem, plan) -> dict[str, float]
        what a plan uses, by the same names
    least(problem, name, below, clock) -> Least | None  (optional)
        the least that a plan uses of `name` with all other limits kept and, where `below` is given, a lower objective;
        None where the family has no search of its own for it
    parts(problem, solution) -> list[str]               (optional)
        of a problem without a plan, which limits each part (each cut) breaks
    multipliers(problem, solution) -> dict[str, float]  (optional)
        what a unit of a limit is worth in the relaxation, by name
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qopt.core.clock import Clock
from qopt.core.display import Brief, number
from qopt.core.errors import InputError, shown
from qopt.core.families import FAMILIES, family_of
from qopt.core.limits import SLACK
from qopt.core.plan import Plan
from qopt.core.problem import Problem


@dataclass(frozen=True, repr=False)
class Limit(Brief):
    """Something that a plan uses, and how much of it is allowed.

    Attributes
    ----------
    name : how calls name it.
    value : what is allowed; None where nothing limits it.
    unit : of the value; empty for a number.
    words : what it is, for people; empty where the name says it.
    at_least : whether it must be reached, rather than kept.
    whole : whether it comes in whole units, so that the next smaller amount is one less.
    varies : whether plans differ in it; where they do not, it trades against nothing.
    floor : what every plan uses at least; no limit is below it.
    """

    name: str
    value: float | None
    unit: str = ""
    words: str = ""
    at_least: bool = False
    whole: bool = False
    varies: bool = True
    floor: float = 0.0

    @property
    def label(self) -> str:
        """What people read."""
        return self.words or self.name

    def amount(self, value: float | None, digits: int = 6) -> str:
        """An amount with its unit.

        Parameters
        ----------
        value : the amount; None for none.
        digits : significant ones.
        """
        if value is not None and self.whole and math.isfinite(value):
            return f"{value:.0f} {self.unit}".rstrip()
        return f"{number(value, digits)} {self.unit}".rstrip()

    def stricter(self, amount: float) -> float:
        """The loosest limit that a plan of an amount breaks, in spite of the slack that limits have.

        Parameters
        ----------
        amount : what the plan uses, or reaches.
        """
        if self.at_least:
            return math.nextafter(amount, math.inf)
        if self.whole:
            return math.ceil(amount) - 1.0
        if amount == 0.0:
            return -1e-300
        return amount - 2.0 * SLACK * abs(amount)


@dataclass(frozen=True, repr=False)
class Least(Brief):
    """The least that a plan can use of something.

    Attributes
    ----------
    value : the least that is known; None where no plan is known.
    proved : that there is none of less; without a value, that there is none at all.
    """

    value: float | None
    proved: bool


def module_of(problem: Problem) -> Any:
    """The module of a problem's family that says what can be limited.

    Parameters
    ----------
    problem : of any family.

    Raises
    ------
    InputError
        The family has none.
    """
    family = family_of(problem)
    if not family.limited:
        able = " or ".join(f.a_problem for f in FAMILIES.values() if f.limited)
        raise InputError("problem", f"{shown(problem.name)}, {family.a_problem}", able or "none")
    return family.part("limited")


def limits_of(problem: Problem) -> tuple[Limit, ...]:
    """Everything that can be limited, with the limits that are given.

    Parameters
    ----------
    problem : of any family that has such.
    """
    found: tuple[Limit, ...] = module_of(problem).limits(problem)
    return found


def limit_named(problem: Problem, name: object, field: str = "against") -> Limit:
    """What can be limited under a name.

    Parameters
    ----------
    problem : of any family that has such.
    name : as a user gives it.
    field : the option that the user gave.

    Raises
    ------
    InputError
        There is no such thing; the line lists what there is.
    """
    known = limits_of(problem)
    for limit in known:
        if limit.name == name:
            return limit
    raise InputError(field, shown(name), " or ".join(limit.name for limit in known) or "nothing: none can be limited")


def changed(problem: Problem, values: Mapping[str, float | None]) -> Problem:
    """A problem with other limits.

    Parameters
    ----------
    problem : of any family that has such.
    values : by name; None takes a limit away.
    """
    found: Problem = module_of(problem).changed(problem, values) if values else problem
    return found


def used(problem: Problem, plan: Plan, name: str) -> float:
    """What a plan uses of something.

    Parameters
    ----------
    problem, plan : of one family.
    name : of a limit.
    """
    return float(module_of(problem).used(problem, plan)[name])


def least(problem: Problem, limit: Limit, below: float | None, clock: Clock) -> Least | None:
    """The least that a plan uses with all other limits kept, as the family's own search finds it; None without one.

    Parameters
    ----------
    problem : of any family that has such.
    limit : what is to be small.
    below : objective that a plan must be better than; None for any.
    clock : of the call.
    """
    function = getattr(module_of(problem), "least", None)
    found: Least | None = None if function is None else function(problem, limit.name, below, clock)
    return found
