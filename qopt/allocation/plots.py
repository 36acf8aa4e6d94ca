"""Pictures of allocations: which format each group has, and what every budget buys."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import Allocation
from qopt.core.errors import InputError, shown
from qopt.core.plot_style import BLUE, GRID, LINES, axes_for, legend_beside, literal, name_places, series
from qopt.core.reading import problem_of
from qopt.core.solving import solve

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_formats(problem: Allocation | str | os.PathLike[str], plan: AllocationPlan, *, ax: Axes | None = None) -> Axes:
    """The format of each group, formats from light to heavy; a mark is as large as the group is in the first resource.

    Parameters
    ----------
    problem, plan : an allocation, a bundled name or a path, and a plan for it.
    ax : where to draw.
    """
    problem = problem_of(Allocation, problem, named=True)
    formats, _ = places(problem, plan)
    used = sorted(set(formats.tolist()), key=lambda f: _weight(problem, f))
    height = {f: y for y, f in enumerate(used)}
    ax = axes_for(ax, 7.5, 1.4 + 0.3 * len(used))
    first = next(iter(problem.resources.values()), None)
    size = np.ones(len(formats)) if first is None else np.where(problem.menu, first.use, 0.0).max(axis=1)
    few = 1.0 if len(formats) <= 60 else 0.35
    area = few * (14.0 + 180.0 * np.sqrt(size / max(float(size.max()), 1e-300)))
    at = [height[f] for f in formats.tolist()]
    ax.scatter(range(1, len(formats) + 1), at, s=area, color=BLUE, alpha=0.6, linewidths=0)
    ax.set_yticks(range(len(used)), [literal(problem.formats[f]) for f in used])
    ax.set_ylim(-0.6, len(used) - 0.4)
    ax.set_ylabel("format")
    name_places(ax, problem.groups, "group")
    if first is not None:
        name = next(iter(problem.resources))
        ax.set_title(f"Area: {literal(name)} at the heaviest format", loc="left", fontsize=9)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def _weight(problem: Allocation, f: int) -> tuple[float, int]:
    """What a format takes of the first resource, over the groups that have it on their menu."""
    first = next(iter(problem.resources.values()), None)
    on = problem.menu[:, f]
    if first is None or not on.any():
        return 0.0, f
    heaviest = np.where(problem.menu, first.use, 0.0).max(axis=1)
    return float(first.use[on, f].sum() / max(float(heaviest[on].sum()), 1e-300)), f


def plot_budgets(
    problem: Allocation | str | os.PathLike[str],
    budgets: Sequence[float],
    *,
    resource: str | None = None,
    methods: Sequence[str] = ("auto", "greedy", "uniform"),
    ax: Axes | None = None,
) -> Axes:
    """The objective against the budget of one resource, by method; a logarithmic axis where all values are above 0.

    Parameters
    ----------
    problem : an allocation, a bundled name or a path.
    budgets : at which it is solved, each a point of every curve; in the resource's unit.
    resource : whose budget varies; by default the first.
    methods : names, a curve each; budgets where one finds no plan leave a gap.
    ax : where to draw.

    Raises
    ------
    InputError
        No such resource, or no budget.
    """
    problem = problem_of(Allocation, problem, named=True)
    name = next(iter(problem.resources), None) if resource is None else resource
    if name is None or name not in problem.resources:
        raise InputError("resource", shown(name), ", ".join(problem.resources) or "nothing: there is none")
    if not len(budgets):
        raise InputError("budgets", "none", "at least one")
    ax = axes_for(ax, 7.0, 3.8)
    lowest = np.inf
    for k, method in enumerate(methods):
        values = []
        for budget in budgets:
            solution = solve(problem.with_budgets(**{name: float(budget)}), method)
            good = solution.certificate.feasible and solution.objective is not None
            values.append(solution.objective if good and solution.objective is not None else np.nan)
        lowest = min(lowest, float(np.nanmin(values)) if np.isfinite(values).any() else np.inf)
        label = "optimum" if method == "auto" else method
        ax.plot(
            budgets, values, markersize=4, label=literal(label), **{**series(k), "linestyle": LINES[k % len(LINES)]}
        )
    if 0 < lowest < np.inf:
        ax.set_yscale("log")
    unit = problem.resources[name].unit
    ax.set_xlabel(f"budget of {name} [{unit}]" if unit else f"budget of {name}")
    ax.set_ylabel(_objective(problem))
    legend_beside(ax)
    return ax


def _objective(problem: Allocation) -> str:
    """What is minimised, with its unit where it has one."""
    resource = problem.resources.get(problem.minimise)
    unit = "" if resource is None else resource.unit
    return f"{problem.minimise} [{unit}]" if unit else problem.minimise
