"""What a page shows of fleets: how full the capacities are. No exact envelope is known, so there is no slider."""

from __future__ import annotations

from qopt.core.showing import Picture
from qopt.core.solution import Solution
from qopt.fleet.costs import capacities
from qopt.fleet.problem import Fleet

FEW = 60
"""Up to so many capacities have a bar each."""


def pictures(problem: Fleet, solution: Solution) -> list[Picture]:
    """How much of each capacity is used.

    Parameters
    ----------
    problem : a fleet.
    solution : with a plan.
    """
    from qopt.fleet.plots import plot_capacities

    if len(capacities(problem)) > FEW:
        return []
    return [Picture("How much of each capacity is used.", lambda: plot_capacities(problem, solution.plan))]
