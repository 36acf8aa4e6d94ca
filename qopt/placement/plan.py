"""A placement: the operator, and the tier of each operation that it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from qopt.core.arrays import AnyArray
from qopt.core.errors import InputError, shown
from qopt.core.plan import Plan
from qopt.placement.problem import Placement
from qopt.placement.terms import Terms, kept_operations

if TYPE_CHECKING:
    from qopt.core.arrays import IntArray


class PlacementPlan(Plan):
    """An operator, and the name of the tier that runs each operation it keeps.

    Attributes
    ----------
    operator : its name.
    tiers : name of the tier of each kept operation, by name of the operation.
    """

    format: Literal["qopt/placement-plan"] = "qopt/placement-plan"
    version: Literal[1] = 1
    operator: str
    tiers: dict[str, str]

    def _decided(self) -> dict[str, Sequence[object] | AnyArray]:
        """A row for each operation that the operator keeps."""
        return {"operation": list(self.tiers), "tier": list(self.tiers.values())}


def checked_placement(problem: Placement, plan: PlacementPlan) -> PlacementPlan:
    """A plan whose shape fits the problem.

    Raises
    ------
    InputError
        The operator is unknown, a tier is, or the operations are not those that the operator keeps. (A limit
        exceeded is for the certificate to say.)
    """
    known = tuple(operator.name for operator in problem.operators)
    if plan.operator not in known:
        raise InputError("plan.operator", shown(plan.operator), ", ".join(known))
    graph = problem.graph
    kept = [graph.operations[i] for i in kept_operations(problem, problem.operator(plan.operator))]
    for name in kept:
        if name not in plan.tiers:
            raise InputError(f"plan.tiers.{name}", "nothing", "a tier for each operation that the operator keeps")
    inside, tiers = set(kept), problem.tier_names
    for name, tier in plan.tiers.items():
        if name not in inside:
            what = "an operation that the operator skips" if name in graph.place else "an unknown operation"
            raise InputError(f"plan.tiers.{name}", what, f"the {len(kept)} operations that {plan.operator} keeps")
        if tier not in tiers:
            raise InputError(f"plan.tiers.{name}", shown(tier), ", ".join(tiers))
    return plan


def tiers_used(problem: Placement, plan: PlacementPlan) -> str:
    """The tiers that run something, from the device up: ``mobile-edge``."""
    used = set(plan.tiers.values())
    return "-".join(name for name in problem.tier_names if name in used)


def labels_of(problem: Placement, own: Terms, plan: PlacementPlan) -> list[int]:
    """(n + 1,) tier index of the raw input and of each kept operation: a plan for this network as labels."""
    number = {name: k for k, name in enumerate(problem.tier_names)}
    return [problem.birth, *(number[plan.tiers[name]] for name in own.names)]


def plan_of(problem: Placement, own: Terms, labels: Sequence[int] | IntArray) -> PlacementPlan:
    """The plan of tier indices, one for each kept operation.

    Parameters
    ----------
    labels : (n,) index of the tier of each kept operation.
    """
    names = problem.tier_names
    tiers = {name: names[int(k)] for name, k in zip(own.names, labels, strict=True)}
    return PlacementPlan(problem=problem.name, operator=own.operator.name, tiers=tiers)
