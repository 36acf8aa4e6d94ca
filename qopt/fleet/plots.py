"""Pictures of fleets: how full capacities are; which options a rising load moves requests to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arrays import AnyArray
from qopt.core.plot_style import axes_for
from qopt.core.reading import problem_of
from qopt.fleet.costs import breakdown, capacities
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import Fleet

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_capacities(problem: Fleet, plan: FleetPlan, ax: Axes | None = None) -> Axes:
    """How much of each capacity a plan uses.

    Parameters
    ----------
    problem : the fleet.
    plan : a plan of it.
    ax : where to draw; by default a figure of its own.

    Returns
    -------
    The axes.
    """
    problem = problem_of(Fleet, problem)
    used, limits = breakdown(problem, plan).used, capacities(problem)
    ax = axes_for(ax, 6, 4)
    names = list(limits)
    ax.barh(names, [100.0 * used[name] / max(limits[name], 1) for name in names])
    ax.axvline(100.0, color="black", linewidth=1)
    ax.invert_yaxis()
    ax.set_xlabel("used, % of the capacity")
    ax.set_title(problem.name)
    return ax


def plot_options(
    problems: Sequence[Fleet], plans: Sequence[FleetPlan], loads: Sequence[float], kind: int = 0, ax: Axes | None = None
) -> Axes:
    """Which options the requests of a class take as the load rises.

    Parameters
    ----------
    problems, plans : fleets that differ in their capacities, and a plan of each.
    loads : what to call each on the axis.
    kind : which class.
    ax : where to draw; by default a figure of its own.

    Returns
    -------
    The axes.
    """
    ax = axes_for(ax, 6, 4)
    options = list(problems[0].classes.values())[kind]
    shares: dict[str, list[float]] = {name: [] for name in ("refused", *options.name)}
    for problem, plan in zip(problems, plans, strict=True):
        counted = _counts(problem, plan, kind)
        for o, name in enumerate(shares):
            shares[name].append(100.0 * counted[o] / max(int(counted.sum()), 1))
    drawn: Mapping[str, list[float]] = {name: values for name, values in shares.items() if max(values) > 0}
    ax.stackplot(list(loads), list(drawn.values()), labels=list(drawn))
    ax.set_xlabel("load")
    ax.set_ylabel("requests, %")
    ax.legend(fontsize="small", loc="lower left")
    return ax


def _counts(problem: Fleet, plan: FleetPlan, kind: int) -> AnyArray:
    """(O + 1,) how many requests of a class take each column."""
    rows, columns, counts = taken(problem, plan)
    mine = problem.requests.kind[rows] == kind
    size = len(list(problem.classes.values())[kind].name) + 1
    return np.bincount(columns[mine], weights=counts[mine], minlength=size)
