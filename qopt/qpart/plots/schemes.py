"""Figs. 3 and 5 to 10 of the QPART paper, drawn from a request of yours: a function a figure."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.plot_style import BLUE, GREY, MARKERS, NAMED, SEQUENCE, axes_for, legend_beside, name_places, whole_ticks
from qopt.core.reading import problem_of
from qopt.core.solving import solve
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.plots.names import OTHERS
from qopt.qpart.problem import QPart
from qopt.qpart.schemes import COLUMNS, SCHEMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PERFORMANCE = {"time": "time [s]", "energy": "energy [J]", "price": "price"}
"""What Fig. 5 shows, a picture each."""


def _layerwise(table: pd.DataFrame, value: str, label: str, names: tuple[str, ...], ax: Axes | None) -> Axes:
    """A quantity by cut, a line for each scheme; hollow where its accuracy is assumed, crossed where a limit breaks."""
    missing = [name for name in COLUMNS if name not in getattr(table, "columns", ())]
    if missing:
        raise InputError("table", f"no column {missing[0]}", "what `qopt.schemes` returns")
    ax = axes_for(ax, 6.2, 3.4)
    drawn = False
    for k, scheme in enumerate(names):
        rows = table[(table["scheme"] == scheme) & table[value].notna()]
        if not len(rows):
            continue
        drawn = True
        x, y = rows["cut"].to_numpy(), rows[value].to_numpy(dtype=float)
        color, marker = SEQUENCE[SCHEMES.index(scheme) % len(SEQUENCE)], MARKERS[SCHEMES.index(scheme)]
        assumed = (rows["status"] == "assumed").all()
        face = "white" if assumed else color
        name = f"{scheme} (assumed)" if assumed else scheme
        few = 6 if len(x) <= NAMED else 3
        ax.plot(
            x,
            y,
            color=color,
            marker=marker,
            markerfacecolor=face,
            linewidth=1.4,
            label=name,
            zorder=2 + k,
            markersize=few,
        )
        broken = rows["breaks"].astype(bool).to_numpy()
        ax.plot(x[broken], y[broken], linestyle="none", marker="x", color="black", zorder=9, markersize=1.5 * few)
    if not drawn:
        raise InputError("table", "no scheme that can be carried out", "at least one row with a cost")
    if (table["breaks"].astype(bool) & table[value].notna() & table["scheme"].isin(names)).any():
        ax.plot([], [], linestyle="none", marker="x", color="black", label="breaks a limit")
    whole_ticks(ax, sorted(set(table["cut"].tolist())))
    ax.set_xlabel("cut p: layers 1..p run on the device\n(partition point p - 1 of the paper)")
    ax.set_ylabel(label)
    ax.set_ylim(0.0, None)
    legend_beside(ax)
    return ax


def plot_scheme_performance(table: pd.DataFrame, value: str = "time", ax: Axes | None = None) -> Axes:
    """Fig. 5: time, energy or price by cut, without optimization, by the published rule, and at the optimum.

    Parameters
    ----------
    table : of `qopt.schemes`.
    value : ``time``, ``energy`` or ``price``.
    ax : where to draw.

    Raises
    ------
    InputError
        Another value, or a table of something else.
    """
    if value not in PERFORMANCE:
        raise InputError("value", shown(value), ", ".join(PERFORMANCE))
    names = ("no optimization", "qpart-paper", "exact")
    return _layerwise(table, value, PERFORMANCE[value], names, ax)


def plot_scheme_objective(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Fig. 7: the objective J of Eq. 17 by cut, of all schemes.

    Parameters
    ----------
    table : of `qopt.schemes`.
    ax : where to draw; errors as `plot_scheme_performance`.
    """
    return _layerwise(table, "objective", "objective J (Eq. 17)", SCHEMES, ax)


def plot_scheme_energy(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Fig. 8: energy by cut, of all schemes.

    Parameters
    ----------
    table : of `qopt.schemes`.
    ax : where to draw; errors as `plot_scheme_performance`.
    """
    return _layerwise(table, "energy", "energy [J]", SCHEMES, ax)


def plot_scheme_time(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Fig. 9: time by cut, of all schemes.

    Parameters
    ----------
    table : of `qopt.schemes`.
    ax : where to draw; errors as `plot_scheme_performance`.
    """
    return _layerwise(table, "time", "time [s]", SCHEMES, ax)


def plot_scheme_payload(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Fig. 10: payload by cut, of all schemes: weights down, the encoder's among them, and what goes up.

    Parameters
    ----------
    table : of `qopt.schemes`.
    ax : where to draw; errors as `plot_scheme_performance`.
    """
    return _layerwise(table, "payload", "payload Z [bit] (Eq. 14)", SCHEMES, ax)


def plot_parameter_reduction(
    problem: QPart | str | os.PathLike[str], plan: QPartPlan | None = None, stored: int = 32, ax: Axes | None = None
) -> Axes:
    """Fig. 3: how much smaller the weights of each layer become, of the bits that they are stored in.

    Parameters
    ----------
    problem : a request, a bundled name or a path.
    plan : its widths; by default those of the optimum at the last admissible cut.
    stored : bits of a parameter as it is stored, 32 or 64.
    ax : where to draw.

    Raises
    ------
    InputError
        No plan there is, or it leaves no layer to the device.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    if plan is None:
        found = solve(problem.replace({"cuts": [int(problem.admissible_cuts[-1])]})).plan
        if not isinstance(found, QPartPlan):
            raise InputError("problem", "no plan at its last cut", "a request that some plan serves, or a plan")
        plan = found
    plan = checked_plan(problem, plan)
    if plan.cut == 0:
        raise InputError("plan", "cut 0", "a plan that leaves a layer to the device")
    saved = 100.0 * (1.0 - np.array(plan.weights) / stored)
    net = problem.network
    sizes = net.sent[: plan.cut]
    total = 100.0 * (1.0 - float(np.dot(plan.weights, sizes)) / (stored * float(sizes.sum())))
    ax = axes_for(ax, max(4.0, min(0.7 * plan.cut + 2.0, 12.0)), 3.2)
    x = np.arange(1, plan.cut + 1)
    ax.bar(x, saved, color=BLUE, width=0.7)
    if plan.cut <= NAMED:
        for at, value in zip(x.tolist(), saved.tolist(), strict=True):
            ax.annotate(f"{value:.0f} %", (at, value), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    ax.axhline(total, color=GREY, linewidth=1.0, linestyle="--")
    name_places(ax, net.names[: plan.cut], "layer")
    ax.set_ylim(0.0, 110.0)
    ax.set_ylabel(f"saved [% of {stored} bit a weight]")
    ax.set_title(f"All weights together: {total:.1f} %", loc="left", fontsize=10)
    return ax


def plot_size_by_level(problem: QPart | str | os.PathLike[str], ax: Axes | None = None) -> Axes:
    """Fig. 6: bits of all weights at the optimum of the last admissible cut, by the accuracy that may be lost.

    Parameters
    ----------
    problem : a request, a bundled name or a path; every level of its `accuracy` is solved exactly.
    ax : where to draw.

    Raises
    ------
    InputError
        No level has a plan.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    last = problem.replace({"cuts": [int(problem.admissible_cuts[-1])]})
    levels, sizes = [], []
    for level in problem.accuracy.levels.tolist():
        plan = solve(last.replace({"level": level})).plan
        if isinstance(plan, QPartPlan):
            levels.append(100.0 * level)
            sizes.append(math.fsum(b * z for b, z in zip(plan.weights, problem.network.sent.tolist(), strict=False)))
    if not levels:
        raise InputError("problem", "no level with a plan at its last cut", "a request that some plan serves")
    ax = axes_for(ax, 5.0, 3.2)
    ax.plot(levels, sizes, color=BLUE, marker="o")
    ax.set_xscale("log")
    ax.set_xticks(levels, [f"{x:g}" for x in levels])
    ax.minorticks_off()
    ax.set_ylim(0.0, None)
    ax.set_xlabel("accuracy that may be lost [points]")
    ax.set_ylabel("weights that are sent [bit]")
    return ax
