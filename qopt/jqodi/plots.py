"""Pictures of JQODI problems: the time-energy diagram, time against energy, and where both go."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.plot_style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MARKERS,
    ORANGE,
    PINK,
    RED,
    SKY,
    axes_for,
    legend_beside,
    literal,
    stacked,
)
from qopt.core.reading import problem_of
from qopt.jqodi.breakpoints import breakpoints
from qopt.jqodi.certificate.certify import violations
from qopt.jqodi.costs import NODES, JqodiCost, breakdown
from qopt.jqodi.diagram import SOURCE, THETA, diagram, plan_vertices
from qopt.jqodi.plan import JqodiPlan, checked_plan
from qopt.jqodi.problem import Jqodi

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

DRAWN = 400
"""Vertices of a diagram that can be drawn and still be told apart."""

NAMED = 60
"""Up to so many vertices have their names beside them."""

KINDS = {"source": (GREY, "v"), "model": (PINK, "s"), "width": (SKY, "D"), "epoch": (ORANGE, "o"), "theta": (RED, "P")}
"""Colour and mark of each kind of vertex."""

PARTS: dict[str, dict[str, Any]] = {
    "device": {"color": ORANGE, "hatch": ""},
    "edge": {"color": GREEN, "hatch": "..."},
    "cloud": {"color": BLUE, "hatch": "xxx"},
    "device link": {"color": "#F5C77E", "hatch": "///"},
    "cloud link": {"color": "#8FC1DE", "hatch": "\\\\\\"},
    "quantizing": {"color": GREY, "hatch": "ooo"},
    "changes": {"color": PINK, "hatch": "+++"},
    "inference": {"color": INK, "hatch": "---"},
}
"""Colour and hatch of each node, a light one for its link, and of the rest."""


def part(name: str) -> dict[str, Any]:
    """How a part looks.

    Parameters
    ----------
    name : a key of `PARTS`.
    """
    return {**PARTS[name], "edgecolor": "white"}


Plans = JqodiPlan | Mapping[str, JqodiPlan]


def plot_diagram(
    problem: Jqodi | str | os.PathLike[str],
    plan: JqodiPlan | None = None,
    *,
    tree: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """The time-energy diagram from left to right, like Fig. 5, and a plan as a bold path through it.

    A width that never reaches its loss ends nowhere. Up to 60 vertices are named: epochs by server and cut, in a tree
    with the elapsed time. Each step of the plan has its energy and time.

    Parameters
    ----------
    problem : a JQODI problem, a bundled name or a path; up to 400 vertices.
    plan : a plan for it.
    tree : as `qopt.jqodi.diagram.diagram`.
    ax : where to draw.

    Raises
    ------
    InputError
        The diagram has more vertices than can be drawn.
    """
    problem = problem_of(Jqodi, problem, named=True)
    graph = diagram(problem, tree=tree)
    if len(graph) > DRAWN:
        raise InputError("problem", f"a diagram of {len(graph)} vertices", f"up to {DRAWN} vertices")
    path = [] if plan is None else plan_vertices(problem, plan, tree=tree)
    missing = [vertex for vertex in path if vertex not in graph]
    if missing:
        raise InputError("plan", f"a path through {missing[0]}", "a plan that is possible, for a tree within T_max")
    place = _places(graph, tree)
    layers = 1 + graph.nodes[THETA]["layer"]
    rows = 1.0 - min(y for _, y in place.values())
    ax = axes_for(ax, 1.6 * layers, 1.0 + 0.42 * rows)
    bold = set(itertools.pairwise(path))
    for one, two in graph.edges:
        (x0, y0), (x1, y1) = place[one], place[two]
        if (one, two) in bold:
            ax.plot([x0, x1], [y0, y1], color=INK, linewidth=2.2, zorder=2)
            step = graph.edges[one, two]
            if step["energy"] or step["time"]:
                text = f"{step['energy']:.3g} J\n{step['time']:.3g} s"
                look: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0}
                ax.text((x0 + x1) / 2, (y0 + y1) / 2, text, fontsize=7, ha="center", va="center", zorder=4, bbox=look)
        else:
            ax.plot([x0, x1], [y0, y1], color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
    for kind, (color, marker) in KINDS.items():
        at = [place[vertex] for vertex, data in graph.nodes(data=True) if data["kind"] == kind]
        if at:
            label = {"width": "bit-width", "theta": "Theta"}.get(kind, kind)
            xs, ys = zip(*at, strict=True)
            ax.scatter(xs, ys, color=color, marker=marker, s=45, zorder=3, label=label)
    if len(graph) <= NAMED:
        for vertex, data in graph.nodes(data=True):
            x, y = place[vertex]
            ax.annotate(_name(data), (x, y), (0, -6), textcoords="offset points", fontsize=7, ha="center", va="top")
    ax.set_yticks([])
    ax.set_xlabel("from left to right: what is decided, then the epochs; beside the plan's arcs J and s")
    ax.spines["left"].set_visible(False)
    ax.set_xticks(range(layers), _headings(layers), fontsize=8)
    legend_beside(ax)
    return ax


def _places(graph: nx.DiGraph, tree: bool) -> dict[str, tuple[float, float]]:
    """Layers from left to right; every bit-width has a band of its own, so that no arc crosses another's."""
    import networkx as nx

    order = list(nx.dfs_preorder_nodes(graph, SOURCE)) if tree else list(graph)
    bands: dict[str, dict[int, list[str]]] = {}
    for vertex in order:
        data = graph.nodes[vertex]
        if data["kind"] in ("width", "epoch"):
            band = bands.setdefault(f"{data['model']}/{data['bits']}", {})
            band.setdefault(data["layer"], []).append(vertex)
    place: dict[str, tuple[float, float]] = {}
    top = 0.0
    for band in bands.values():
        height = max(map(len, band.values()))
        for layer, column in band.items():
            start = top - (height - len(column)) / 2.0
            place |= {vertex: (float(layer), start - i) for i, vertex in enumerate(column)}
        top -= height + 0.5
    for vertex, data in graph.nodes(data=True):
        if data["kind"] == "model":
            place[vertex] = (1.0, float(np.mean([place[width][1] for width in graph.successors(vertex)])))
    for vertex in (SOURCE, THETA):
        place[vertex] = (float(graph.nodes[vertex]["layer"]), (top + 1.5) / 2.0)
    return place


def _name(data: Mapping[str, Any]) -> str:
    if data["kind"] == "epoch":
        text = f"{literal(data['server'], 12)}, {data['cut']}"
        return f"{text}\n{data['elapsed']:.3g} s" if "elapsed" in data else text
    if data["kind"] == "width":
        return f"{data['bits']} bits" if data["reaches"] else f"{data['bits']} bits, never"
    return literal(data["model"], 12) if data["kind"] == "model" else {"source": "", "theta": "Θ"}[data["kind"]]


def _headings(layers: int) -> list[str]:
    return ["", "model", "bit-width", *(f"epoch {k}" for k in range(1, layers - 3)), ""][:layers]


def plot_energy_time(
    problem: Jqodi | str | os.PathLike[str], plans: Plans | None = None, *, ax: Axes | None = None
) -> Axes:
    """Least energy for every T_max, the T_max in force, and some plans.

    Parameters
    ----------
    problem : a JQODI problem, a bundled name or a path.
    plans : a plan, or plans by name; hollow where one breaks a constraint. One that is impossible in some epoch is left
        out.
    ax : where to draw.
    """
    problem = problem_of(Jqodi, problem, named=True)
    steps = breakpoints(problem).points
    ax = axes_for(ax, 6.5, 3.8)
    if steps:
        steps.append((1.15 * max(steps[-1][0], problem.time_limit), steps[-1][1]))
        ax.step(*zip(*steps, strict=True), where="post", color=BLUE, label="least energy")
    ax.axvline(problem.time_limit, color=INK, linewidth=0.9, linestyle=":", label="$T_{max}$")
    named = _named(plans)
    for i, (name, cost) in enumerate(_costs(problem, plans).items()):
        if cost.objective is None or cost.time is None:
            continue
        marker = MARKERS[i % len(MARKERS)]
        face = "white" if violations(problem, named[name]) else RED
        look: dict[str, Any] = {"marker": marker, "color": RED, "markerfacecolor": face, "markersize": 7, "zorder": 3}
        ax.plot(cost.time, cost.objective, linestyle="none", label=literal(name), **look)
    ax.set_xlabel("time [s]")
    ax.set_ylabel("energy [J]")
    legend_beside(ax)
    return ax


def _costs(problem: Jqodi, plans: Plans | None) -> dict[str, JqodiCost]:
    """Costs by name."""
    return {name: breakdown(problem, checked_plan(problem, plan)) for name, plan in _named(plans).items()}


def _named(plans: Plans | None) -> Mapping[str, JqodiPlan]:
    return plans if isinstance(plans, Mapping) else {} if plans is None else {"plan": plans}


def plot_breakdown(
    problem: Jqodi | str | os.PathLike[str],
    plans: Plans,
    what: Literal["energy", "time"] = "energy",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Where a plan's energy or time goes: device, edge, cloud, their links, quantizing and changes (as in Figs. 8, 12).

    Parameters
    ----------
    problem : a JQODI problem, a bundled name or a path.
    plans : a plan, or plans by name, a bar each.
    what : ``energy`` [J] that counts, or ``time`` [s].
    ax : where to draw.

    Raises
    ------
    InputError
        `what` is neither, there is no plan, or a plan is impossible in some epoch.
    """
    if what not in ("energy", "time"):
        raise InputError("what", shown(what), "energy, time")
    problem = problem_of(Jqodi, problem, named=True)
    costs = _costs(problem, plans)
    if not costs:
        raise InputError("plans", "none", "a plan, or plans by name")
    rows = {name: _parts(name, cost, what) for name, cost in costs.items()}
    shown_parts = [name for name in PARTS if any(row[name] for row in rows.values())]
    ax = axes_for(ax, 7.0, 1.2 + 0.5 * len(rows))
    parts = {name: [row[name] for row in rows.values()] for name in shown_parts}
    left = stacked(ax, range(len(rows)), parts, part, across=True)
    for i, total in enumerate(left):
        ax.annotate(_readable(total), (total, i), (4, 0), textcoords="offset points", fontsize=8, va="center")
    ax.set_yticks(range(len(rows)), list(map(literal, rows)))
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlim(left=0.0)
    ax.set_ylabel("plan")
    ax.set_xlabel("energy [J]" if what == "energy" else "time [s]")
    legend_beside(ax)
    return ax


def _readable(value: float) -> str:
    """Four digits or more; a power of ten only where there would be many zeros."""
    return f"{value:.0f}" if 1e3 <= value < 1e7 else f"{value:.4g}"


def _parts(name: str, cost: JqodiCost, what: str) -> dict[str, float]:
    """Joules or seconds by node and for the rest."""
    by_node = cost.node_energies if what == "energy" else cost.node_times
    parts: dict[str, float] = {}
    for node in NODES:
        value = by_node[node]
        if value is None or not math.isfinite(value):
            raise InputError("plans", f"{name}, impossible in epoch {cost.impossible[0]}", "plans that are possible")
        parts[node] = value
    parts["quantizing"] = cost.setup_energy if what == "energy" else cost.setup_time
    parts["changes"] = cost.switch_energy if what == "energy" else cost.switch_time
    served = cost.inference is not None and cost.inference.requests > 0 and what == "energy"
    parts["inference"] = cost.inference.total_energy if served and cost.inference is not None else 0.0
    return parts
