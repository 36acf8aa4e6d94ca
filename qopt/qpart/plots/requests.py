"""A request and its plans: objective by cut and by rate, widths, noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.plot_style import GREEN, GREY, INK, MARKERS, ORANGE, PINK, SEQUENCE, SKY, axes_for, number
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.qpart.costs import prices
from qopt.qpart.plan import QPartPlan, checked_plan, crossing_activations
from qopt.qpart.plots.names import OTHERS, tensor_name
from qopt.qpart.problem import QPart
from qopt.qpart.real_bits import not_in_closed_form
from qopt.qpart.terms import noise_terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = 8
"""With more cuts than this, lines that are never the best stay grey."""


def plot_objective_by_cut(problem: QPart, ax: Axes | None = None) -> Axes:
    """What every cut costs: the best whole-bit plan in its four parts, and the real-valued bound.

    The parts of Eq. 17 are computing on the device, computing on the server, download of weights and upload of what
    crosses the cut (or of the raw input). The best cut is named in the title; an admissible cut without a plan is
    marked. Measured noise, menus, tables by width and limits on what a plan costs have no real-valued bound, and none
    is drawn.

    Parameters
    ----------
    problem : the request. Every admissible cut is solved exactly, so this is for networks of up to about 100 layers.
    ax : where to draw.
    """
    problem = problem_of(QPart, problem, instead=OTHERS)
    cuts = [int(p) for p in problem.admissible_cuts]
    one = [problem.replace({"cuts": [p]}) for p in cuts]
    solutions = [solve(q, bits="whole") for q in one]
    price = prices(problem)
    done = np.concatenate(([0.0], np.cumsum(problem.network.macs)))
    parts: dict[str, list[float]] = {"device": [], "server": [], "download": [], "upload": []}
    for p, solution in zip(cuts, solutions, strict=True):
        cost = solution.certificate.cost
        row = (0.0, 0.0, 0.0, 0.0)
        if cost is not None:
            macs = float(done[p])
            on_device, on_server = price.device * macs, price.server * (float(done[-1]) - macs)
            if problem.tables is not None:
                w = problem.objective
                on_device = w.time * cost.device_time + w.energy * cost.device_energy
                on_server = w.time * cost.server_time + w.energy * cost.server_energy + w.price * cost.price
            row = (on_device, on_server, price.download * cost.download, price.upload * cost.upload)
        for column, value in zip(parts.values(), row, strict=True):
            column.append(value)

    ax = axes_for(ax, max(5.0, min(0.7 * len(cuts) + 2.5, 14.0)), 3.8)
    looks = (
        ("device", "computing, device", ORANGE, ""),
        ("server", "computing, server", SKY, "//"),
        ("download", "download of weights", GREEN, ""),
        ("upload", "upload", PINK, "\\\\"),
    )
    bottom = np.zeros(len(cuts))
    for name, label, color, hatch in looks:
        heights = np.array(parts[name])
        look: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "white", "linewidth": 0.8}
        ax.bar(cuts, heights, bottom=bottom, width=0.7, label=label, **look)
        bottom = bottom + heights
    if problem.noise.model != "table" and not_in_closed_form(problem) is None:
        real = [solve(q, bits="real").objective for q in one]
        bounds = np.array([np.nan if value is None else value for value in real])
        ax.plot(
            cuts, bounds, linestyle="none", marker="_", markersize=18, markeredgewidth=2, color=INK,
            label="best with real-valued bits",
        )  # fmt: skip
    for p, solution in zip(cuts, solutions, strict=True):
        if solution.plan is None:
            look = {
                "textcoords": "offset points",
                "ha": "center",
                "fontsize": 8,
                "rotation": 90 if len(cuts) > 12 else 0,
            }
            ax.annotate("no plan", (p, 0.0), xytext=(0, 3), **look)
    found = [(s.objective, p) for p, s in zip(cuts, solutions, strict=True) if s.objective is not None]
    if found:
        least, best = min(found)
        ax.set_title(f"Best cut: {best}, at {number(least)}", loc="left", fontsize=10)
    if len(cuts) <= 24:
        ax.set_xticks(cuts)
    ax.set_xlabel("cut p: layers 1..p run on the device")
    ax.set_ylabel("objective J of the best plan (Eq. 17)")
    # Many bars leave no room among them: the legend stands beside.
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_cut_by_rate(problem: QPart, rates: Sequence[float], bits: str = "whole", ax: Axes | None = None) -> Axes:
    """J of every cut as the link gets slower: lines in 1 / rate, and their lower envelope.

    Eq. 17 is linear in 1 / rate once a plan is fixed. With one rate for both directions the best plan of a cut does
    not change with it, so every cut is a straight line and the best cut is the lower envelope. Of many cuts only those
    that are the best somewhere have a colour.

    Parameters
    ----------
    problem : the request; its channel is given by a rate.
    rates : bits per second, at least two.
    bits : ``whole`` or ``real``.
    ax : where to draw.

    Raises
    ------
    InputError
        The channel is not given by a rate, or there are fewer than two rates.
    """
    problem = problem_of(QPart, problem, instead=OTHERS)
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
    ax.plot(slow, lowest, color="#cccccc", linewidth=7, solid_capstyle="round", label="best cut")
    # Between two rates lines may cross, so who is ever the best is looked up on a finer grid.
    fine = np.linspace(slow[0], slow[-1], 500)
    between = np.array([np.interp(fine, slow, row) for row in value])
    winners = set(np.nanargmin(between[:, np.any(np.isfinite(between), axis=0)], axis=0).tolist())
    styles, drawn = ("-", "--", "-.", ":"), 0
    for row, p in enumerate(cuts):
        if not np.any(np.isfinite(value[row])):
            continue
        if len(cuts) > MANY and row not in winners:
            ax.plot(slow, value[row], color=GREY, linewidth=0.5)
            continue
        look: dict[str, Any] = {"color": SEQUENCE[drawn % 6], "linestyle": styles[(drawn // 6 + drawn) % 4]}
        ax.plot(slow, value[row], linewidth=1.5, label=f"cut {p}", **look)
        drawn += 1
    ax.set_xlim(0.0, float(slow[-1]))
    ax.set_ylim(0.0, None)
    ax.set_xlabel("seconds per megabit, $10^6 / r$ (fast link on the left)")
    ax.set_ylabel("objective J of the best plan (Eq. 17)")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_bits(
    problem: QPart,
    plans: Mapping[str, QPartPlan | Solution] | Sequence[QPartPlan | Solution],
    ax: Axes | None = None,
) -> Axes:
    """Widths of the tensors under several plans: filled markers for weights, hollow ones for what goes up.

    Parameters
    ----------
    problem : the request.
    plans : plans or solutions by name; a bare sequence is named by method, or by number. Their cuts may differ.
    ax : where to draw.

    Raises
    ------
    InputError
        There is nothing to draw, or a plan does not fit the problem.
    """
    problem = problem_of(QPart, problem, instead=OTHERS)
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
    for k, (name, plan) in enumerate(drawn.items()):
        shift = (k - (len(drawn) - 1) / 2) * step
        color, marker = SEQUENCE[k % len(SEQUENCE)], MARKERS[k % len(MARKERS)]
        x = np.arange(1, plan.cut + 1) + shift
        ax.plot(
            x, plan.weights, marker=marker, color=color, linewidth=0.8, markersize=6, label=f"{name}: cut {plan.cut}"
        )
        out = np.array(crossing_activations(problem, plan.cut)) + shift + 0.5
        ax.plot(
            out, plan.activations, linestyle="none", marker=marker, markersize=6, color=color, markerfacecolor="white"
        )
    highest = max((b for p in drawn.values() for b in (*p.weights, *p.activations)), default=1.0)
    ax.set_ylim(0.0, math.ceil(highest) + 1)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if deepest <= 24:
        ticks = [*range(1, deepest + 1)]
        labels = [problem.network.names[i - 1] for i in ticks]
        steep = max(map(len, labels)) > 8
        ax.set_xticks(ticks, labels, rotation=45 if steep else 0, ha="right" if steep else "center")
        ax.set_xlabel("layer")
    else:
        ax.set_xlabel("layer, by number")
    ax.set_xlim(0.0 if problem.quantize_input else 0.5, deepest + 1.0)
    ax.set_ylabel("width [bits per value]")
    ax.set_title("Filled: weights. Hollow, half a step later: the output sent up.", loc="left", fontsize=9)
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _plan_name(plan: QPartPlan | Solution, k: int) -> str:
    return f"{plan.method} ({plan.bits})" if isinstance(plan, Solution) else f"plan {k + 1}"


def plot_noise(problem: QPart, tensors: Sequence[int] | None = None, ax: Axes | None = None) -> Axes:
    """Measured noise of tensors by width, with the law s 4^-b that was fitted to it.

    Parameters
    ----------
    problem : a request with a measured noise table.
    tensors : l for the weights of layer l, -l for its output; default the weights of all layers.
    ax : where to draw.

    Raises
    ------
    InputError
        The request has no measured table, or a tensor does not exist.
    """
    problem = problem_of(QPart, problem, instead=OTHERS)
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
    ax = axes_for(ax, 6.0, 3.8)
    b = problem.widths
    for k, tensor in enumerate(asked):
        kind, row = int(tensor < 0), abs(tensor) - 1
        color, marker = SEQUENCE[k % len(SEQUENCE)], MARKERS[k % len(MARKERS)]
        look: dict[str, Any] = {"color": color, "marker": marker, "markersize": 4.5}
        ax.plot(b, measured[kind][row], linestyle="none", label=tensor_name(problem, tensor), **look)
        if lawful is not None:
            ax.plot(b, lawful[kind][row], color=color, linewidth=0.9)
    ax.set_yscale("log")
    ax.set_xlabel("width b [bits per value]")
    ax.set_ylabel("noise term, $N_i(b) / \\rho_i$")
    ax.set_title("Markers: measured. Lines: the law $s_i 4^{-b} / \\rho_i$.", loc="left", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return ax
