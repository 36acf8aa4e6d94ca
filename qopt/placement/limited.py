"""What a placement can limit: accuracy from below, latency, and the memory of each tier."""

from __future__ import annotations

from collections.abc import Mapping

from qopt.core.clock import Clock
from qopt.core.limited import Least, Limit
from qopt.core.smallest import better
from qopt.core.solving import solve
from qopt.placement.costs import breakdown
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

MEMORY = "memory "
"""Begins the names of limits on the memory of tiers."""


def limits(problem: Placement) -> tuple[Limit, ...]:
    """Everything that can be limited, with what the problem states.

    Parameters
    ----------
    problem : a placement.
    """
    targets, levels = problem.targets, {operator.accuracy for operator in problem.operators}
    return (
        Limit("accuracy", targets.accuracy or None, at_least=True, varies=len(levels) > 1),
        Limit("latency", targets.latency, "s"),
        *(Limit(MEMORY + tier.name, tier.memory, "byte") for tier in problem.tiers),
    )


def changed(problem: Placement, values: Mapping[str, float | None]) -> Placement:
    """The placement with other limits.

    Parameters
    ----------
    problem : a placement.
    values : by name; None takes a limit away.
    """
    number = {MEMORY + tier.name: k for k, tier in enumerate(problem.tiers)}
    changes: dict[str, object] = {}
    for name, value in values.items():
        if name == "accuracy":
            changes["targets.accuracy"] = 0.0 if value is None else min(value, 1.0)
        elif name == "latency":
            changes["targets.latency"] = value
        else:
            changes[f"tiers[{number[name]}].memory"] = value
    return problem.replace(changes)


def used(problem: Placement, plan: PlacementPlan) -> dict[str, float]:
    """What a plan uses, by name; of accuracy what it reaches.

    Parameters
    ----------
    problem, plan : a placement and a plan for it.
    """
    cost = breakdown(problem, plan)
    held = {
        MEMORY + tier.name: weights + (tensors if tier.activations else 0.0)
        for tier, weights, tensors in zip(problem.tiers, cost.memory, cost.activations, strict=True)
    }
    return {"accuracy": cost.accuracy, "latency": cost.latency, **held}


def least(problem: Placement, name: str, below: float | None, clock: Clock) -> Least | None:
    """The most accurate operator that keeps the other limits, or the least latency; None for what solves must find.

    Parameters
    ----------
    problem : a placement.
    name : of the limit that is to be as loose as need be.
    below : objective that a plan must be better than; None for any.
    clock : of the call.
    """
    if name == "latency" and below is None:
        weights = {"time": 1.0, "energy": 0.0, "price": 0.0}
        solution = solve(problem.replace({"objective": weights, "targets.latency": None}), time_limit=clock.left)
        certificate = solution.certificate
        if solution.plan is None or not certificate.feasible:
            return Least(None, proved=certificate.infeasible)
        return Least(used(problem, solution.plan)["latency"], proved=certificate.proved)
    if name != "accuracy":
        return None
    sure = True
    for level in sorted({operator.accuracy for operator in problem.operators}, reverse=True):
        alone = [o.model_dump() for o in problem.operators if o.accuracy == level]
        own = problem.replace({"operators": alone, "targets.accuracy": 0.0})
        solution = solve(own, time_limit=clock.left)
        if solution.certificate.feasible and better(solution.objective, below):
            return Least(level, proved=sure)
        sure = sure and (solution.certificate.infeasible or solution.certificate.proved)
    return Least(None, proved=sure)
