"""What a page shows of QPART: the rate, the noise and the limits as sliders, the cut and the widths as strips."""

from __future__ import annotations

from qopt.core.plan import Plan
from qopt.core.showing import NOTHING, Picture, Slider, Strip, limit_sliders
from qopt.core.solution import Solution
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart

FEW_CUTS = 40
"""Up to so many cuts and layers every cut is solved for a picture."""

FEW_LAYERS = 200
"""Up to so many layers have a mark each."""


def sliders(problem: QPart) -> list[Slider]:
    """The rate and the inferences that share a download, then the limits.

    Parameters
    ----------
    problem : a request.
    """
    found = [Slider("breakpoints", "rate", "rate of the link", problem.channel.uplink)]
    if problem.inferences > 1:
        found.append(Slider("breakpoints", "inferences", "inferences that share a download", float(problem.inferences)))
    return [*found, *limit_sliders(problem)]


def strips(problem: QPart, plan: Plan) -> list[Strip]:
    """Where the layers run, and the widths of the weights on the device.

    Parameters
    ----------
    problem, plan : a request and a plan for it.
    """
    assert isinstance(plan, QPartPlan)
    n = len(problem.network)
    sides = (("device", plan.cut), ("server", n - plan.cut))
    widths = [f"{width:.4g} bit" for width in plan.weights]
    return [
        Strip("layers", tuple((side, count) for side, count in sides if count)),
        Strip.of("weights", [*widths, *[NOTHING] * (n - plan.cut)]),
    ]


def pictures(problem: QPart, solution: Solution) -> list[Picture]:
    """Widths of the plan, what is sent before and after, and what every cut costs.

    Parameters
    ----------
    problem : a request.
    solution : with a plan.
    """
    from qopt.qpart.plots.payload import plot_payload
    from qopt.qpart.plots.requests import plot_bits, plot_objective_by_cut

    found = []
    layers, cuts = len(problem.network), len(problem.admissible_cuts)
    if max(layers, cuts) <= FEW_CUTS:
        found.append(Picture("What every cut costs, in its parts.", lambda: plot_objective_by_cut(problem)))
    if 0 < solution.plan.cut <= FEW_LAYERS:
        found.append(Picture("Width of every tensor that is quantized.", lambda: plot_bits(problem, [solution])))
        found.append(Picture("Payload before and after.", lambda: plot_payload(problem, solution)))
    return found
