"""Pictures of placements: which tier runs what, break-even values, and accuracy against cost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.plot_style import (
    BLUE,
    GREY,
    GRID,
    INK,
    LINES,
    MARKERS,
    ORANGE,
    SEQUENCE,
    axes_for,
    legend_beside,
    literal,
    name_places,
)
from qopt.core.reading import problem_of
from qopt.placement.breakpoints import breakpoints
from qopt.placement.front import front
from qopt.placement.plan import PlacementPlan, checked_placement
from qopt.placement.problem import Placement
from qopt.placement.strategies import strategies
from qopt.placement.terms import terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABEL = 56
"""Letters in a line of a plan's entry in a legend."""


def plot_placement(problem: Placement | str | os.PathLike[str], plan: PlacementPlan, *, ax: Axes | None = None) -> Axes:
    """The network from left to right, tiers as lanes, tensors as lines; those that cross a link are bold.

    Parameters
    ----------
    problem, plan : a placement, a bundled name or a path, and a plan for it. Few operations are named, many numbered.
    ax : where to draw.
    """
    problem = problem_of(Placement, problem, named=True)
    own = terms(problem, problem.operator(checked_placement(problem, plan).operator))
    number = {name: k for k, name in enumerate(problem.tier_names)}
    at = [problem.birth, *(number[plan.tiers[name]] for name in own.names)]
    many = len(at) > 60
    ax = axes_for(ax, 7.5 if not many else 11.0, 1.4 + 0.6 * len(number))
    for lane in range(0, len(number), 2):
        ax.axhspan(lane - 0.5, lane + 0.5, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    for flow in own.flows:
        for r in flow.readers:
            crosses = at[r] > at[flow.producer]
            ax.annotate(
                "",
                (r, at[r]),
                (flow.producer, at[flow.producer]),
                arrowprops={
                    "arrowstyle": "-",
                    "color": INK if crosses else GREY,
                    "linewidth": (1.8 if crosses else 0.7) * (0.6 if many else 1.0),
                    "connectionstyle": "arc3,rad=-0.25" if r - flow.producer > 1 and not crosses else "arc3",
                },
            )
    size: dict[str, Any] = {"markersize": 3 if many else 6}
    ax.plot(0, at[0], marker="s", color=ORANGE, linestyle="none", label="raw input", **size)
    ax.plot(range(1, len(at)), at[1:], marker="o", color=BLUE, linestyle="none", label="operation", **size)
    ax.plot([], [], color=INK, linewidth=1.8, label="tensor over a link")
    ax.plot([], [], color=GREY, linewidth=0.7, label="tensor within a tier")
    ax.set_yticks(range(len(number)), list(map(literal, number)))
    ax.set_ylim(-0.5, len(number) - 0.5)
    ax.set_ylabel("tier")
    name_places(ax, ["input", *own.names], "operation", first=0)
    legend_beside(ax)
    return ax


def plot_break_even(
    problem: Placement | str | os.PathLike[str],
    parameter: str,
    *,
    low: float | None = None,
    high: float | None = None,
    scale: Literal["log", "linear"] = "log",
    ax: Axes | None = None,
) -> Axes:
    """Least objective against one parameter, a colour for each best plan, and the values where it changes.

    The legend says which operator, how many operations each tier runs, and, of plans that agree in this, where they
    differ.

    Parameters
    ----------
    problem : a placement, a bundled name or a path.
    parameter, low, high : as `qopt.breakpoints` takes them.
    scale : ``log``, both axes logarithmic; or ``linear``, against the parameter or its inverse, whichever makes the
        curve concave and piecewise linear.
    ax : where to draw.

    Raises
    ------
    InputError
        As `qopt.breakpoints`, and if no plan keeps the limits or the scale is another.
    """
    if scale not in ("log", "linear"):
        raise InputError("scale", shown(scale), "log, linear")
    problem = problem_of(Placement, problem, named=True)
    found = breakpoints(problem, parameter, low=low, high=high)
    if not found.feasible:
        raise InputError("problem", "no plan", "a placement that keeps its limits")
    ax = axes_for(ax, 7.0, 3.8)
    flipped = scale == "linear" and found.inverse
    labels = _labels([piece.plan for piece in found.pieces], problem.tier_names)
    for i, (piece, label) in enumerate(zip(found.pieces, labels, strict=True)):
        x = np.geomspace(piece.start, piece.stop, 60)
        x_of = 1.0 / x if found.inverse else x
        style = LINES[(i // len(SEQUENCE) + i) % len(LINES)]
        color = SEQUENCE[i % len(SEQUENCE)]
        y = [line(value) for value in x] if (line := piece.objective) else []
        ax.plot(
            x_of if flipped else x,
            y,
            color=color,
            linestyle=style,
            linewidth=2.2,
            label=fill(literal(label, 10 * LABEL), LABEL),
        )
    for value in found.values:
        ax.axvline(1.0 / value if flipped else value, color=INK, linewidth=0.8, linestyle=":")
    if scale == "log":
        ax.set_xscale("log")
        _log_ticks(ax, "y")
    per = f" [1/({found.unit})]" if found.unit else ""
    ax.set_xlabel(f"1 / {found.parameter}{per}" if flipped else found.axis)
    ax.set_ylabel(f"least {_objective(problem)}")
    legend_beside(ax, size=7)
    return ax


def _labels(plans: Sequence[PlacementPlan], tiers: Sequence[str]) -> list[str]:
    """A text for each plan, no two alike: operator, operations of each tier, and where that is not enough, which."""
    texts = []
    for plan in plans:
        used = list(plan.tiers.values())
        shares = ", ".join(f"{tier} {used.count(tier)}" for tier in tiers if tier in used)
        texts.append(f"{plan.operator}: {shares}")
    for text in {text for text in texts if texts.count(text) > 1}:
        alike = [i for i, other in enumerate(texts) if other == text]
        telling: list[str] = []  # operations whose tiers tell the plans apart
        for name in plans[alike[0]].tiers:
            if len(_kinds(plans, alike, [*telling, name])) > len(_kinds(plans, alike, telling)):
                telling.append(name)
        for i in alike:
            texts[i] += "; " + ", ".join(f"{name} on {plans[i].tiers[name]}" for name in telling)
    return texts


def _kinds(plans: Sequence[PlacementPlan], members: Sequence[int], names: Sequence[str]) -> set[tuple[str, ...]]:
    """The different ways in which some plans place some operations."""
    return {tuple(plans[i].tiers[name] for name in names) for i in members}


def _objective(problem: Placement) -> str:
    """What is minimised, with its unit where it is one thing alone."""
    w = problem.objective
    names = {(1.0, 0.0, 0.0): "latency [s]", (0.0, 1.0, 0.0): "energy [J]", (0.0, 0.0, 1.0): "price"}
    alone = names.get((w.time, w.energy, w.price))
    if alone is not None:
        return alone
    return f"objective, {w.time:g} latency [s] + {w.energy:g} energy [J] + {w.price:g} price"


def plot_front(problem: Placement | str | os.PathLike[str], *, ax: Axes | None = None) -> Axes:
    """Accuracy against objective: every operator at its best, the front through them, and the study's strategies.

    Operators are told apart by their marks, hollow where another operator is better in both respects.

    Parameters
    ----------
    problem : a placement, a bundled name or a path.
    ax : where to draw.
    """
    problem = problem_of(Placement, problem, named=True)
    table = strategies(problem)
    ax = axes_for(ax, 6.5, 3.8)
    ax.plot(table.objective, table.accuracy, linestyle="none", marker="x", color=GREY, label="the study's strategies")
    found = front(problem)
    order = [operator.name for operator in problem.operators]
    for point in sorted((*found, *found.dominated), key=lambda point: order.index(point.name)):
        if point.plan is None:
            continue
        marker = MARKERS[order.index(point.name) % len(MARKERS)]
        color = SEQUENCE[order.index(point.name) // len(MARKERS) % len(SEQUENCE)]
        face = color if point in found.points else "white"
        look: dict[str, Any] = {"marker": marker, "color": color, "markerfacecolor": face, "markersize": 7, "zorder": 3}
        objective, accuracy = point.values["objective"], point.values["accuracy"]
        ax.plot(objective, accuracy, linestyle="none", label=literal(point.name), **look)
    ax.step(*found.curve("objective", "accuracy"), where="post", color=BLUE, linewidth=1.2, label="best placements")
    _log_ticks(ax, "x")
    ax.set_xlabel(_objective(problem))
    ax.set_ylabel("accuracy [share]")
    legend_beside(ax)
    return ax


def _log_ticks(ax: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5: its range may be less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if which == "x":
        ax.set_xscale("log")
    else:
        ax.set_yscale("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
