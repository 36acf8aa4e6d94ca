"""A request and its plans: cost by cut and by rate, widths, payload, noise."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.plot_style import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    LINES,
    MARKERS,
    ORANGE,
    PALE,
    PINK,
    SEQUENCE,
    SERIES,
    SKY,
    axes_for,
    legend_beside,
    literal,
    name_places,
    number,
    series,
    stacked,
    whole_ticks,
)
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.qpart.costs import Cost
from qopt.qpart.plan import QPartPlan, checked_plan, crossing_activations
from qopt.qpart.plots.names import OTHERS, tensor_name
from qopt.qpart.problem import QPart
from qopt.qpart.real_bits import not_in_closed_form
from qopt.qpart.terms import noise_terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = 8
"""With more cuts than this, lines that are never the best stay grey."""


def plot_objective_by_cut(
    problem: QPart | str | os.PathLike[str],
    what: Literal["objective", "time", "energy"] = "objective",
    ax: Axes | None = None,
) -> Axes:
    """What every cut costs: the best whole-bit plan of each in its parts, and the real-valued bound.

    The parts of Eq. 17 are computing on the device, computing on the server, its price where it has one, download of
    weights and upload of what crosses the cut (or of the raw input). The best cut is named in the title; an admissible
    cut without a plan is marked. Measured noise, menus, tables by width and limits on what a plan costs have no
    real-valued bound, and none is drawn.

    Parameters
    ----------
    problem : a request, a bundled name or a path. Every admissible cut is solved exactly, so this is for networks of
        up to about 200 layers.
    what : the ``objective`` J, or the ``time`` [s] or ``energy`` [J] of an inference, of the plans with the least J.
    ax : where to draw.

    Raises
    ------
    InputError
        `what` is none of these.
    """
    if what not in KINDS:
        raise InputError("what", shown(what), ", ".join(KINDS))
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    cuts = [int(p) for p in problem.admissible_cuts]
    one = [problem.replace({"cuts": [p]}) for p in cuts]
    solutions = [solve(q, bits="whole") for q in one]
    rows = [_parts(problem, solution.certificate.cost, what) for solution in solutions]
    parts = {name: [row[name] for row in rows] for name in LOOKS}
    if not any(parts[PRICE]):
        del parts[PRICE]

    ax = axes_for(ax, max(5.5, min(0.7 * len(cuts) + 3.0, 14.0)), 3.8)
    stacked(ax, cuts, parts, lambda name: {**LOOKS[name], "edgecolor": "white"})
    if what == "objective" and problem.noise.model != "table" and not_in_closed_form(problem) is None:
        real = [solve(q, bits="real").objective for q in one]
        bounds = np.array([np.nan if value is None else value for value in real])
        ax.plot(
            cuts, bounds, linestyle="none", marker="_", markersize=max(3, min(18, 400 / len(cuts))), markeredgewidth=2,
            color=INK, label="best with real-valued bits",
        )  # fmt: skip
    for p, solution in zip(cuts, solutions, strict=True):
        if solution.plan is None:
            look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
            ax.annotate("no plan", (p, 0.0), xytext=(0, 3), rotation=90 if len(cuts) > 12 else 0, **look)
    found = [(s.objective, p) for p, s in zip(cuts, solutions, strict=True) if s.objective is not None]
    if found:
        least, best = min(found)
        at = number(least) if what == "objective" else f"J = {number(least)}"
        ax.set_title(f"Best cut: {best}, at {at}", loc="left", fontsize=10)
    whole_ticks(ax, cuts)
    ax.set_xlabel("cut p: layers 1..p run on the device")
    ax.set_ylabel(KINDS[what])
    legend_beside(ax)
    return ax


PRICE = "price of the server"
LOOKS: dict[str, dict[str, Any]] = {
    "computing, device": {"color": ORANGE, "hatch": ""},
    "computing, server": {"color": SKY, "hatch": "///"},
    PRICE: {"color": BLUE, "hatch": "xxx"},
    "download of weights": {"color": GREEN, "hatch": "..."},
    "upload": {"color": PINK, "hatch": "\\\\\\"},
}
"""Colour and hatch of the parts of Eq. 17."""

KINDS = {
    "objective": "objective J of the best plan (Eq. 17)",
    "time": "time of an inference [s]",
    "energy": "energy of an inference [J]",
}
"""What is drawn by cut, and its axis."""


def _parts(problem: QPart, cost: Cost | None, what: str) -> dict[str, float]:
    """A cost in its parts; without a plan nothing."""
    if cost is None:
        return dict.fromkeys(LOOKS, 0.0)
    w, channel = problem.objective, problem.channel
    down, up = cost.download / channel.downlink / problem.inferences, cost.upload / channel.uplink
    power = channel.transmit_power
    times = (cost.device_time, cost.server_time, 0.0, down, up)
    energies = (
        cost.device_energy,
        cost.server_energy,
        0.0,
        power * down if channel.charge_download else 0.0,
        power * up,
    )
    values: tuple[float, ...] = times if what == "time" else energies
    if what == "objective":
        values = tuple(w.time * t + w.energy * e for t, e in zip(times, energies, strict=True))
        values = (*values[:2], w.price * cost.price, *values[3:])
    return dict(zip(LOOKS, values, strict=True))


def plot_cut_by_rate(
    problem: QPart | str | os.PathLike[str], rates: Sequence[float], bits: str = "whole", ax: Axes | None = None
) -> Axes:
    """J of every cut as the link gets slower: lines in 1 / rate, and their lower envelope.

    Eq. 17 is linear in 1 / rate once a plan is fixed. With one rate for both directions the best plan of a cut does
    not change with it, so every cut is a straight line and the best cut is the lower envelope. Of many cuts only those
    that are the best somewhere have a colour.

    Parameters
    ----------
    problem : a request, a bundled name or a path; its channel is given by a rate.
    rates : bits per second, at least two.
    bits : ``whole`` or ``real``.
    ax : where to draw.

    Raises
    ------
    InputError
        The channel is not given by a rate, or there are fewer than two rates.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    if problem.channel.rate is None:
        raise InputError("channel.rate", "nothing", "a rate, which is what is varied here")
    if len(rates) < 2:
        raise InputError("rates", f"{len(rates)} rates", "at least two")
    slow = 1e6 / np.sort(np.asarray(rates, dtype=float))[::-1]
    cuts = [int(p) for p in problem.admissible_cuts]
    value = np.full((len(cuts), len(slow)), np.nan)
    for row, p in enumerate(cuts):
        for column, seconds in enumerate(slow):
            request = problem.replace({"cuts": [p], "channel.rate": 1e6 / float(seconds)})
            objective = solve(request, bits=bits).objective
            value[row, column] = np.nan if objective is None else objective

    ax = axes_for(ax, 6.5, 3.8)
    lowest = np.full(len(slow), np.nan)
    some = np.any(np.isfinite(value), axis=0)
    lowest[some] = np.nanmin(value[:, some], axis=0)
    ax.plot(slow, lowest, color=PALE, linewidth=7, solid_capstyle="round", label="best cut")
    # Between two rates lines may cross, so who is ever the best is looked up on a finer grid.
    fine = np.linspace(slow[0], slow[-1], 500)
    between = np.array([np.interp(fine, slow, row) for row in value])
    winners = set(np.nanargmin(between[:, np.any(np.isfinite(between), axis=0)], axis=0).tolist())
    drawn = 0
    for row, p in enumerate(cuts):
        if not np.any(np.isfinite(value[row])):
            continue
        if len(cuts) > MANY and row not in winners:
            ax.plot(slow, value[row], color=GREY, linewidth=0.5)
            continue
        look: dict[str, Any] = {"color": SEQUENCE[drawn % 6], "linestyle": LINES[(drawn // 6 + drawn) % 4]}
        look |= {"marker": MARKERS[drawn % 6], "markersize": 4, "markevery": max(1, len(slow) // 8)}
        ax.plot(slow, value[row], linewidth=1.5, label=f"cut {p}", **look)
        drawn += 1
    ax.set_xlim(0.0, float(slow[-1]))
    ax.set_ylim(0.0, None)
    ax.set_xlabel("seconds per megabit, $10^6 / r$ (fast link on the left)")
    ax.set_ylabel("objective J of the best plan (Eq. 17)")
    legend_beside(ax)
    return ax


def plot_bits(
    problem: QPart | str | os.PathLike[str],
    plans: Mapping[str, QPartPlan | Solution] | Sequence[QPartPlan | Solution],
    ax: Axes | None = None,
) -> Axes:
    """Widths of the tensors under several plans: filled markers for weights, hollow ones for what goes up.

    Parameters
    ----------
    problem : a request, a bundled name or a path.
    plans : plans or solutions by name; a bare sequence is named by method, or by number. Their cuts may differ.
    ax : where to draw.

    Raises
    ------
    InputError
        There is nothing to draw, or a plan does not fit the problem.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    from matplotlib.ticker import MaxNLocator

    named = plans if isinstance(plans, Mapping) else {_plan_name(p, k): p for k, p in enumerate(plans)}
    decided = {name: p.plan if isinstance(p, Solution) else p for name, p in named.items()}
    drawn = {name: checked_plan(problem, p) for name, p in decided.items() if p is not None}
    if not drawn:
        raise InputError("plans", "none", "at least one plan")
    deepest = max(1, *(p.cut for p in drawn.values()))
    ax = axes_for(ax, max(5.0, min(0.8 * deepest + 2.5, 12.0)), 3.4)
    # Plans stand side by side within a layer, so that equal widths do not hide each other.
    step = min(0.16, 0.6 / len(drawn))
    size = 6 if deepest <= 60 else 3
    for k, (name, plan) in enumerate(drawn.items()):
        shift = (k - (len(drawn) - 1) / 2) * step
        color, marker = SEQUENCE[k % len(SEQUENCE)], MARKERS[k % len(MARKERS)]
        x = np.arange(1, plan.cut + 1) + shift
        ax.plot(
            x,
            plan.weights,
            marker=marker,
            color=color,
            linewidth=0.8,
            markersize=size,
            label=f"{literal(name)}: cut {plan.cut}",
        )
        out = np.array(crossing_activations(problem, plan.cut)) + shift + 0.5
        ax.plot(
            out,
            plan.activations,
            linestyle="none",
            marker=marker,
            markersize=size,
            color=color,
            markerfacecolor="white",
        )
    highest = max((b for p in drawn.values() for b in (*p.weights, *p.activations)), default=1.0)
    ax.set_ylim(0.0, math.ceil(highest) + 1)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    name_places(ax, problem.network.names[:deepest], "layer")
    ax.set_xlim(0.0 if problem.quantize_input else 0.5, deepest + 1.0)
    ax.set_ylabel("width [bits per value]")
    ax.set_title("Filled: weights. Hollow, half a step later: the output sent up.", loc="left", fontsize=9)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    legend_beside(ax)
    return ax


def _plan_name(plan: QPartPlan | Solution, k: int) -> str:
    return f"{plan.method} ({plan.bits})" if isinstance(plan, Solution) else f"plan {k + 1}"


def plot_noise(
    problem: QPart | str | os.PathLike[str], tensors: Sequence[int] | None = None, ax: Axes | None = None
) -> Axes:
    """Measured noise of tensors by width, with the law s 4^-b that was fitted to it.

    Parameters
    ----------
    problem : a request, a bundled name or a path, with a measured noise table.
    tensors : l for the weights of layer l, -l for its output; default the weights of all layers.
    ax : where to draw.

    Raises
    ------
    InputError
        The request has no measured table, or a tensor does not exist.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    if problem.noise.model != "table":
        raise InputError("noise.model", repr(problem.noise.model), "table")
    n = len(problem.network)
    asked = list(range(1, n + 1)) if tensors is None else list(tensors)
    for tensor in asked:
        if not 1 <= abs(tensor) <= n:
            raise InputError("tensors", shown(tensor), f"a layer from 1 to {n}, negative for its output")
    measured = noise_terms(problem)
    lawful = None
    if problem.noise.s_weights is not None and problem.noise.s_activations is not None:
        lawful = noise_terms(problem.replace({"noise.model": "law"}))
    ax = axes_for(ax, 6.5, 3.8)
    b = problem.widths
    many = len(asked) > SERIES // 2
    seen: set[str] = set()
    for k, tensor in enumerate(asked):
        kind, row = int(tensor < 0), abs(tensor) - 1
        name = ("weights", "outputs")[kind] if many else tensor_name(problem, tensor)
        how = series(kind if many else k)
        look: dict[str, Any] = {"color": how["color"], "marker": how["marker"], "markersize": 3 if many else 4.5}
        label = None if name in seen else literal(name)
        ax.plot(b, measured[kind][row], linestyle="none", label=label, **look)
        seen.add(name)
        if lawful is not None:
            ax.plot(b, lawful[kind][row], color=how["color"], linewidth=0.4 if many else 0.9)
    ax.set_yscale("log")
    ax.set_xlabel("width b [bits per value]")
    ax.set_ylabel("noise term, $N_i(b) / \\rho_i$")
    ax.set_title("Markers: measured. Lines: the law $s_i 4^{-b} / \\rho_i$.", loc="left", fontsize=9)
    legend_beside(ax)
    return ax
