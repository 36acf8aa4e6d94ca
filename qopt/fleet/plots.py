"""Pictures of fleets: how full capacities are; which options a rising load moves requests to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arrays import AnyArray
from qopt.core.plot_style import BLUE, GRID, INK, area, axes_for, legend_beside, literal
from qopt.core.reading import problem_of
from qopt.fleet.costs import breakdown, called, capacities
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import Fleet

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FEW = 40
"""Capacities that have a bar."""

MOST = 14
"""Options that have an area of their own."""


def plot_capacities(problem: Fleet | str | os.PathLike[str], plan: FleetPlan, ax: Axes | None = None) -> Axes:
    """How much of each capacity a plan uses; of many the fullest.

    Parameters
    ----------
    problem : a fleet, a bundled name or a path.
    plan : a plan of it.
    ax : where to draw; by default a figure of its own.

    Returns
    -------
    The axes.
    """
    problem = problem_of(Fleet, problem, named=True)
    used, limits = breakdown(problem, plan).used, capacities(problem)
    share = {name: 100.0 * used[name] / max(limits[name], 1) for name in limits}
    names = list(limits)
    if len(names) > FEW:
        names = sorted(names, key=lambda name: -share[name])[:FEW]
    ax = axes_for(ax, 6.5, 1.2 + 0.22 * len(names))
    ax.barh(range(len(names)), [share[name] for name in names], color=BLUE, height=0.7)
    ax.axvline(100.0, color=INK, linewidth=1, linestyle="--")
    ax.set_yticks(range(len(names)), [literal(called(name), 40) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlabel("used [% of the capacity]")
    ax.set_ylabel("capacity")
    more = f"\nthe fullest {FEW} of {len(limits)}" if len(limits) > FEW else ""
    ax.set_title(f"{literal(problem.name, 32)}{more}", loc="left", fontsize=10)
    ax.grid(axis="x", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def plot_options(
    problems: Sequence[Fleet], plans: Sequence[FleetPlan], loads: Sequence[float], kind: int = 0, ax: Axes | None = None
) -> Axes:
    """Which options the requests of a class take as the load rises; of many the most taken, the others together.

    Parameters
    ----------
    problems, plans : fleets that differ in their capacities, and a plan of each.
    loads : a number for each, without a unit: where it stands on the axis.
    kind : which class.
    ax : where to draw; by default a figure of its own.

    Returns
    -------
    The axes.
    """
    ax = axes_for(ax, 6.5, 3.8)
    options = list(problems[0].classes.values())[kind]
    shares: dict[str, list[float]] = {name: [] for name in ("refused", *options.name)}
    for problem, plan in zip(problems, plans, strict=True):
        counted = _counts(problem, plan, kind)
        for o, name in enumerate(shares):
            shares[name].append(100.0 * counted[o] / max(int(counted.sum()), 1))
    drawn = {name: values for name, values in shares.items() if max(values) > 0}
    most = sorted(drawn, key=lambda name: -max(drawn[name]))[:MOST]
    rest = [values for name, values in drawn.items() if name not in most]
    layers = [(literal(name, 40), values) for name, values in drawn.items() if name in most]  # cut names may be alike
    if rest:
        layers.append((f"{len(rest)} other options", np.sum(rest, axis=0).tolist()))
    for k, (layer, (name, _)) in enumerate(zip(ax.stackplot(list(loads), [v for _, v in layers]), layers, strict=True)):
        look = area(k)
        layer.set(facecolor=look["color"], edgecolor=look["edgecolor"], hatch=look["hatch"], linewidth=0.4, label=name)
    ax.set_ylim(0.0, 100.0)
    ax.set_xlabel("load")
    ax.set_ylabel("requests of the class [%]")
    legend_beside(ax)
    return ax


def _counts(problem: Fleet, plan: FleetPlan, kind: int) -> AnyArray:
    """(O + 1,) how many requests of a class take each column."""
    rows, columns, counts = taken(problem, plan)
    mine = problem.requests.kind[rows] == kind
    size = len(list(problem.classes.values())[kind].name) + 1
    return np.bincount(columns[mine], weights=counts[mine], minlength=size)
