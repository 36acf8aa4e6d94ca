"""What a page shows of JQODI: the deadline as a slider, servers and cuts of the epochs as strips."""

from __future__ import annotations

from qopt.core.plan import Plan
from qopt.core.showing import Picture, Slider, Strip
from qopt.core.solution import Solution
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi

FEW_EPOCHS = 12
"""Up to so many epochs the diagram and the whole front are drawn."""


def sliders(problem: Jqodi) -> list[Slider]:
    """The time T_max.

    Parameters
    ----------
    problem : a JQODI problem.
    """
    return [Slider("breakpoints", "time_limit", "deadline T_max", problem.time_limit)]


def strips(problem: Jqodi, plan: Plan) -> list[Strip]:
    """Server and cut of each epoch.

    Parameters
    ----------
    problem, plan : a JQODI problem and a plan for it.
    """
    del problem
    assert isinstance(plan, JqodiPlan)
    return [
        Strip.of("server by epoch", plan.servers),
        Strip.of("cut by epoch", (f"cut {cut}" for cut in plan.cuts)),
    ]


def pictures(problem: Jqodi, solution: Solution) -> list[Picture]:
    """Where energy and time go, and for few epochs the diagram and the energy for every deadline.

    Parameters
    ----------
    problem : a JQODI problem.
    solution : with a plan.
    """
    from qopt.jqodi.plots import plot_breakdown, plot_diagram, plot_energy_time

    plan = solution.plan
    found = [
        Picture("Where the energy goes.", lambda: plot_breakdown(problem, plan)),
        Picture("Where the time goes.", lambda: plot_breakdown(problem, plan, "time")),
    ]
    if len(plan.cuts) <= FEW_EPOCHS:
        found += [
            Picture("The plan as a path through the time-energy diagram.", lambda: plot_diagram(problem, plan)),
            Picture("Least energy for every deadline.", lambda: plot_energy_time(problem, plan)),
        ]
    return found
