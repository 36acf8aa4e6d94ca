"""What a page shows of allocations: budgets as sliders, formats as a strip."""

from __future__ import annotations

from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.plan import Plan
from qopt.core.showing import Picture, Slider, Strip, limit_sliders
from qopt.core.solution import Solution

FEW = 400
"""Up to so many groups have a mark each."""


def sliders(problem: Allocation) -> list[Slider]:
    """The budgets: by the whole staircase where one of them is the only limit, else by a front each.

    Parameters
    ----------
    problem : an allocation.
    """
    limits = [name for name, resource in problem.resources.items() if resource.budget is not None]
    pools = problem.pools is not None or bool(problem.interactions)
    if problem.minimise == DAMAGE and len(limits) == 1 and not pools:
        name = limits[0]
        return [Slider("breakpoints", f"resources.{name}.budget", f"budget of {name}", problem.resources[name].budget)]
    return limit_sliders(problem)


def strips(problem: Allocation, plan: Plan) -> list[Strip]:
    """The format of each group.

    Parameters
    ----------
    problem, plan : an allocation and a plan for it.
    """
    assert isinstance(plan, AllocationPlan)
    return [Strip.of("formats", (plan.formats[group] for group in problem.groups))]


def pictures(problem: Allocation, solution: Solution) -> list[Picture]:
    """The format of each group.

    Parameters
    ----------
    problem : an allocation.
    solution : with a plan.
    """
    from qopt.allocation.plots import plot_formats

    if len(problem.groups) > FEW:
        return []
    return [Picture("The format of each group.", lambda: plot_formats(problem, solution.plan))]
