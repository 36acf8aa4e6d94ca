"""The problem families, and where each family's parts live. A part is imported when it is first asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qopt.errors import InputError, shown

if TYPE_CHECKING:
    from qopt.problems.problem import Problem


@dataclass(frozen=True)
class Family:
    """Where the parts of one family live, as ``module:name``.

    Attributes
    ----------
    name : folder of its bundled instances, and its ``format`` without ``qopt/``.
    problem, plan : classes of its problems and plans.
    registry : module with METHODS, `get` and `default`.
    certificate : module with `certify`.
    report : module with `heading`, `plan_parts` and `KINDS` (its kinds of bounds in words), and with `facts`, the
        columns of its own in a comparison.
    breakpoints : the function behind `qopt.breakpoints`.
    """

    name: str
    problem: str
    plan: str
    registry: str
    certificate: str
    report: str
    breakpoints: str

    def part(self, name: str) -> Any:
        """The class, function or module that a field of this entry names."""
        module, _, inner = getattr(self, name).partition(":")
        found = importlib.import_module(module)
        return getattr(found, inner) if inner else found


FAMILIES = {
    "qopt/qpart": Family(
        name="qpart",
        problem="qopt.problems.qpart:QPart",
        plan="qopt.plan:QPartPlan",
        registry="qopt.algorithms.registry",
        certificate="qopt.certificates.qpart",
        report="qopt.report_qpart",
        breakpoints="qopt.serving.breakpoints:breakpoints",
    ),
    "qopt/placement": Family(
        name="placement",
        problem="qopt.problems.placement:Placement",
        plan="qopt.placement.plan:PlacementPlan",
        registry="qopt.algorithms.placement_registry",
        certificate="qopt.certificates.placement",
        report="qopt.report_placement",
        breakpoints="qopt.placement.breakpoints:breakpoints",
    ),
    "qopt/jqodi": Family(
        name="jqodi",
        problem="qopt.problems.jqodi:Jqodi",
        plan="qopt.jqodi.plan:JqodiPlan",
        registry="qopt.algorithms.jqodi_registry",
        certificate="qopt.certificates.jqodi",
        report="qopt.report_jqodi",
        breakpoints="qopt.jqodi.front:breakpoints",
    ),
}
"""Families by the ``format`` of their instance files."""


def family_of(problem: Problem) -> Family:
    """The family of a problem."""
    return FAMILIES[problem.format]


def family_named(name: str) -> Family:
    """The family of a name, ``qpart``, ``placement`` or ``jqodi``."""
    for family in FAMILIES.values():
        if family.name == name:
            return family
    raise InputError("family", shown(name), " or ".join(f.name for f in FAMILIES.values()))
