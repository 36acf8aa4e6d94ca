"""What a page shows of placements: the rates of links and the targets as sliders, tiers as a strip."""

from __future__ import annotations

from qopt.core.plan import Plan
from qopt.core.showing import Picture, Slider, Strip, limit_sliders
from qopt.core.solution import Solution
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

FEW = 120
"""Up to so many operations are drawn."""


def sliders(problem: Placement) -> list[Slider]:
    """The rate of every link, where no latency target forbids it, and accuracy; then the limits.

    Parameters
    ----------
    problem : a placement.
    """
    names = problem.tier_names
    found = []
    if problem.targets.latency is None:
        found = [
            Slider("breakpoints", f"links[{i}].rate", f"rate of the link {names[i]}-{names[i + 1]}", link.rate)
            for i, link in enumerate(problem.links)
        ]
    if len({operator.accuracy for operator in problem.operators}) > 1:
        found.append(Slider("front", "accuracy", "accuracy, at least", problem.targets.accuracy or None))
    return [*found, *limit_sliders(problem, "accuracy")]


def strips(problem: Placement, plan: Plan) -> list[Strip]:
    """The tier of each operation that the operator keeps.

    Parameters
    ----------
    problem, plan : a placement and a plan for it.
    """
    del problem
    assert isinstance(plan, PlacementPlan)
    return [Strip.of("operations", plan.tiers.values())]


def pictures(problem: Placement, solution: Solution) -> list[Picture]:
    """The network over its tiers, and accuracy against the objective.

    Parameters
    ----------
    problem : a placement.
    solution : with a plan.
    """
    from qopt.placement.plots import plot_front, plot_placement

    if len(problem.graph.operations) > FEW:
        return []
    return [
        Picture("The network over its tiers; bold lines cross a link.", lambda: plot_placement(problem, solution.plan)),
        Picture("Accuracy against the objective.", lambda: plot_front(problem)),
    ]
