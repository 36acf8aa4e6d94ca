"""What a family of problems is, and the table of them.

Core knows no family: the rows are in `qopt.families`, which fills this table when qopt is imported. A part is imported
when it is first asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from qopt.core.display import Brief, with_article
from qopt.core.errors import InputError, shown

if TYPE_CHECKING:
    from qopt.core.problem import Problem


Bits = Literal["whole", "real"]
"""Sorts of bits that methods choose: whole numbers, or real ones."""


@dataclass(frozen=True, repr=False)
class Family(Brief):
    """Where the parts of one family live, as ``module:name``.

    Attributes
    ----------
    name : folder of its bundled instances, and its ``format`` without ``qopt/``.
    problem, plan : classes of its problems and plans.
    registry : module with METHODS, in the order in which they are listed; the first exact one that can is the default.
    certificate : module with `certify`, and with IN_SOLVE, the effort that `qopt.solve` asks of it.
    report : module with `heading`, `plan_parts`, KINDS (its kinds of bounds in words) and BUDGETS (limits of which the
        amount used is worth a line); for comparisons with `facts`, COLUMNS, and FACTS, which say what a plan decides.
    breakpoints, front : the functions behind `qopt.breakpoints` and `qopt.front`; empty where there is none.
    first : module with `first_plan`, a heuristic that takes a problem and a clock and hands back a plan that keeps all
        limits, or None, and `objective` of a problem and a plan: what a call under a time limit begins with. Empty
        where there is none.
    formulation : module with the family's model: `joint` makes it of a problem and a formulation, `extract` reads the
        plan of a solved one, `assign` gives it the values of a plan, and `legend` says what its names mean. Empty where
        there is none.
    generate : the function behind `qopt generate`: of a size, a seed and settings. Empty where there is none.
    limited : module that says what can be limited, for fronts and for `qopt.explain`: see `qopt.core.limited`; empty
        where there is none.
    showing : module that says what a page shows of a problem: sliders, strips and pictures (`qopt.core.showing`);
        empty where there is none.
    proof : function of a problem, a plan (None: there is none) and a gap, which hands back what
        `qopt.kernels.checker` reads as a proof; empty where there is none.
    bits : which sorts of bits its methods choose, the usual first; none for a family without bits.
    """

    name: str
    problem: str
    plan: str
    registry: str
    certificate: str
    report: str
    breakpoints: str = ""
    front: str = ""
    first: str = ""
    formulation: str = ""
    generate: str = ""
    limited: str = ""
    showing: str = ""
    proof: str = ""
    bits: tuple[Bits, ...] = ()

    @property
    def a_problem(self) -> str:
        """A problem of this family in words, for messages."""
        return with_article(f"{self.name} problem")

    @property
    def format(self) -> str:
        """What the field ``format`` of its instance files says."""
        return f"qopt/{self.name}"

    def part(self, name: str) -> Any:
        """The class, function or module that a field of this entry names."""
        module, _, inner = getattr(self, name).partition(":")
        found = importlib.import_module(module)
        return getattr(found, inner) if inner else found


FAMILIES: dict[str, Family] = {}
"""Families by the ``format`` of their instance files, in the order of `qopt.families`. The first is the usual one."""


def register(family: Family) -> None:
    """Enter a family into the table."""
    FAMILIES[family.format] = family


def family_of(problem: Problem) -> Family:
    """The family of a problem."""
    return FAMILIES[problem.format]


def family_named(name: str | None) -> Family:
    """The family of a name, such as ``qpart``; None stands for the usual one."""
    for family in FAMILIES.values():
        if name in (None, family.name):
            return family
    raise InputError("family", shown(name), " or ".join(f.name for f in FAMILIES.values()))
