"""Pictures of a request and its plans. Each function draws on one Axes and returns it.

matplotlib loads when the first picture is drawn. Colours are those of Okabe and Ito, which colour-blind readers
tell apart; no meaning hangs on colour alone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.algorithms.kkt import at_cut
from qopt.arrays import FloatArray
from qopt.costs import prices
from qopt.errors import InputError, shown
from qopt.plan import QPartPlan, checked_plan, crossing_activations
from qopt.problems.qpart import QPart
from qopt.problems.terms import noise_terms
from qopt.segments import Segment, segments
from qopt.solution import Solution
from qopt.solving import solve

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from qopt.plots_serving import plot_breakpoints as plot_breakpoints
    from qopt.plots_serving import plot_fading as plot_fading
    from qopt.plots_serving import plot_published as plot_published

ORANGE, SKY, GREEN, BLUE, RED, PINK = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
GREY, INK = "#999999", "#222222"
SEQUENCE = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
MARKERS = ("o", "s", "D", "^", "v", "P")

STATES = {"between lo and hi": (SKY, ""), "smallest width, lo": (ORANGE, "//"), "largest width, hi": (GREEN, "\\\\")}
"""How a bar of the water level looks: colour and hatch."""

LETTER = 0.0125
"""About the width of a letter of a name, as a share of the picture; names wider than their bar stand upright."""

UPRIGHT = 10
"""Beyond this many upright names none of them is written."""

MANY = 8
"""With more cuts than this, lines that are never the best stay grey."""

ACCURATE = 1e-9
"""Gaps up to here are drawn as 0: the tolerance of a certificate."""


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The given Axes, or a new one without a box."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _tensor_name(problem: QPart, tensor: int) -> str:
    """``fc1 weights`` for 1, ``fc1 output`` for -1."""
    return f"{problem.network.names[abs(tensor) - 1]} {'weights' if tensor > 0 else 'output'}"


def _number(x: float) -> str:
    return f"{x:.4g}"


def plot_water_level(problem: QPart, cut: int, plan: QPartPlan | None = None, ax: Axes | None = None) -> Axes:
    """Who spends how much noise: the closed form of real-valued bits at a fixed cut, as a picture.

    A tensor is a bar, price pi_i wide and psi_i / pi_i = c_i 4^{-b_i} / pi_i high, so its area is the noise psi_i
    that it spends and all areas together are Delta. Every bar reaches the water level t = 1 / (lambda ln 4), except
    those that stop below it at the smallest width lo and those that stand above it at the largest width hi.

    Parameters
    ----------
    problem : the request; its noise follows the law s 4^-b.
    cut : p, 1 to L.
    plan : drawn as outlines, for example the whole bits of the same cut.
    ax : where to draw.

    Raises
    ------
    InputError
        The noise does not follow the law, the cut or the plan does not fit, no widths keep the limits, or the
        device's memory binds, so that there is no one level.
    """
    from matplotlib.patches import Rectangle

    if problem.noise.model != "law":
        allowed = "law; problem.replace({'noise.model': 'law'}) gives the law's view of measured noise"
        raise InputError("noise.model", repr(problem.noise.model), allowed)
    n = len(problem.network)
    if isinstance(cut, bool) or not isinstance(cut, int | np.integer) or not 1 <= cut <= n:
        raise InputError("cut", shown(cut), f"a whole number from 1 to {n}")
    segment = segments(problem).at(int(cut))
    found = at_cut(segment)
    if found is None:
        raise InputError("cut", str(cut), "a cut at which some widths keep the limits")
    if math.isfinite(segment.memory) and float(segment.stored @ found.bits) >= segment.memory * (1 - 1e-9):
        raise InputError("device.memory", "a memory that binds", "one that does not: else no one level serves all")
    if plan is not None and checked_plan(problem, plan).cut != cut:
        raise InputError("plan.cut", str(plan.cut), str(cut))

    assert segment.coefficient is not None
    lo, hi = float(segment.bits[0]), float(segment.bits[-1])
    drawn = np.flatnonzero(segment.price > 0)
    price, c = segment.price[drawn], segment.coefficient[drawn]
    height = c * np.exp2(-2.0 * found.bits[drawn]) / price
    left = np.concatenate(([0.0], np.cumsum(price)))
    top = float(np.max(height, initial=0.0 if math.isinf(found.level) else found.level)) or 1.0

    ax = _axes(ax, 7.0, 3.8)
    seen: set[str] = set()
    names = [_tensor_name(problem, int(segment.tensors[i])) for i in drawn]
    narrow = price < LETTER * np.array([len(name) for name in names]) * left[-1]
    crowded = int(narrow.sum()) > UPRIGHT
    upright = 0
    centre = _apart(left[:-1] + price / 2, narrow, 0.035 * float(left[-1]))
    for k, i in enumerate(drawn):
        b = float(found.bits[i])
        state = "smallest width, lo" if b <= lo else "largest width, hi" if b >= hi else "between lo and hi"
        color, hatch = STATES[state]
        ax.add_patch(
            Rectangle(
                (left[k], 0.0),
                float(price[k]),
                float(height[k]),
                facecolor=color,
                edgecolor="white",
                hatch=hatch,
                linewidth=1.5,
                label=None if state in seen else state,
            )
        )
        seen.add(state)
        # Above its bar; a narrow bar's name stands upright, over the water, where it meets nothing.
        if narrow[k] and crowded:
            continue
        above = max(float(height[k]), top) if narrow[k] else float(height[k])
        text = f"{names[k]}{', ' if narrow[k] else chr(10)}{_number(b)} bits"
        upright = max(upright, len(text)) if narrow[k] else upright
        ax.annotate(
            text,
            (centre[k], above),
            xytext=(0, 4),
            textcoords="offset points",
            rotation=90 if narrow[k] else 0,
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )
    if plan is not None:
        spent = _spent(segment, plan)[drawn] / price
        top = max(top, float(np.max(spent)))
        label = "these whole bits" if plan.bits == "whole" else "this plan"
        ax.stairs(spent, left, color=INK, linewidth=1.5, linestyle=":", baseline=None, label=label)
    if math.isfinite(found.level):
        ax.axhline(found.level, color=BLUE, linewidth=2, label=f"water level t = {_number(found.level)}")
    else:
        ax.plot([], [], " ", label="the limit does not bind: no level")
    ax.set_xlim(0.0, float(left[-1]))
    ax.set_ylim(0.0, top / (1.0 - min(0.2 + 1.2 * LETTER * upright, 0.6)))
    ax.set_xlabel("price of a bit of width, $\\pi_i$ [objective per bit]: one bar a tensor")
    ax.set_ylabel("noise per price, $c_i 4^{-b_i} / \\pi_i$")
    spent_total = _number(math.fsum((price * height).tolist()))
    ax.set_title(f"Cut {cut}: area = noise spent, {spent_total} of {_number(segment.limit)}", loc="left", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _apart(wanted: FloatArray, moving: np.ndarray[Any, Any], distance: float) -> FloatArray:
    """Places for labels: those that may move keep a distance from the next one on their right."""
    placed = wanted.copy()
    for k in range(len(placed) - 2, -1, -1):
        if moving[k]:
            placed[k] = min(placed[k], placed[k + 1] - distance)
    return placed


def _spent(segment: Segment, plan: QPartPlan) -> FloatArray:
    """(n,) noise c_i 4^-b_i of a plan's tensors, in the segment's order."""
    assert segment.coefficient is not None
    width = np.empty(len(segment.tensors))
    width[segment.owner] = [*plan.weights, *plan.activations]
    spent: FloatArray = segment.coefficient * np.exp2(-2.0 * width)
    return spent


def plot_objective_by_cut(problem: QPart, ax: Axes | None = None) -> Axes:
    """What every cut costs: the best whole-bit plan in its four parts, and the real-valued bound.

    The parts of Eq. 17 are computing on the device, computing on the server, download of weights and upload of what
    crosses the cut (or of the raw input). The best cut is named in the title; an admissible cut without a plan is
    marked. Measured noise has no real-valued bound, and none is drawn.

    Parameters
    ----------
    problem : the request. Every admissible cut is solved exactly, so this is for networks of up to about 100 layers.
    ax : where to draw.
    """
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
            row = (
                price.device * macs,
                price.server * (float(done[-1]) - macs),
                price.download * cost.download,
                price.upload * cost.upload,
            )
        for column, value in zip(parts.values(), row, strict=True):
            column.append(value)

    ax = _axes(ax, max(5.0, min(0.7 * len(cuts) + 2.5, 14.0)), 3.8)
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
    if problem.noise.model != "table":
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
        ax.set_title(f"Best cut: {best}, at {_number(least)}", loc="left", fontsize=10)
    if len(cuts) <= 24:
        ax.set_xticks(cuts)
    ax.set_xlabel("cut p: layers 1..p run on the device")
    ax.set_ylabel("objective J of the best plan (Eq. 17)")
    # Many bars leave no room among them: the legend stands beside.
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
    from matplotlib.ticker import MaxNLocator

    named = plans if isinstance(plans, Mapping) else {_plan_name(p, k): p for k, p in enumerate(plans)}
    decided = {name: p.plan if isinstance(p, Solution) else p for name, p in named.items()}
    drawn = {name: checked_plan(problem, p) for name, p in decided.items() if p is not None}
    if not drawn:
        raise InputError("plans", "none", "at least one plan")
    deepest = max(1, *(p.cut for p in drawn.values()))
    ax = _axes(ax, max(5.0, min(0.8 * deepest + 2.5, 12.0)), 3.4)
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
    ax.set_xlim(0.5, deepest + 1.0)
    ax.set_ylabel("width [bits per value]")
    ax.set_title("Filled: weights. Hollow, half a step later: the output sent up.", loc="left", fontsize=9)
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _plan_name(plan: QPartPlan | Solution, k: int) -> str:
    return f"{plan.method} ({plan.bits})" if isinstance(plan, Solution) else f"plan {k + 1}"


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

    ax = _axes(ax, 6.5, 3.8)
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
    ax = _axes(ax, 6.0, 3.8)
    b = np.arange(problem.bits.lo, problem.bits.hi + 1)
    for k, tensor in enumerate(asked):
        kind, row = int(tensor < 0), abs(tensor) - 1
        color, marker = SEQUENCE[k % len(SEQUENCE)], MARKERS[k % len(MARKERS)]
        look: dict[str, Any] = {"color": color, "marker": marker, "markersize": 4.5}
        ax.plot(b, measured[kind][row], linestyle="none", label=_tensor_name(problem, tensor), **look)
        if lawful is not None:
            ax.plot(b, lawful[kind][row], color=color, linewidth=0.9)
    ax.set_yscale("log")
    ax.set_xlabel("width b [bits per value]")
    ax.set_ylabel("noise term, $N_i(b) / \\rho_i$")
    ax.set_title("Markers: measured. Lines: the law $s_i 4^{-b} / \\rho_i$.", loc="left", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_comparison(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Time and proved gap of methods, side by side: what `qopt.compare` returns, as a picture.

    Parameters
    ----------
    table : rows of `qopt.compare`, one point each; those without a plan are left out, as is a method with none.
    ax : the panel of times (logarithmic). The panel of gaps hangs at its right and is ``ax.child_axes[0]``. A gap
        is against the certificate's bound for the same bits; up to 1e-9 it is drawn at 0.

    Raises
    ------
    InputError
        A column is missing, or no row has a plan.
    """
    needed = ("problem", "method", "bits", "objective", "gap", "seconds", "proved")
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise InputError("table", f"no column {missing[0]}", "the table that qopt.compare returns")
    rows = table[table["objective"].notna()]
    if rows.empty:
        raise InputError("table", "no row with a plan", "at least one")
    methods = list(dict.fromkeys(rows["method"]))
    kinds = dict(zip(rows["method"], rows["bits"], strict=True))
    instances = list(dict.fromkeys(rows["problem"]))
    ax = _axes(ax, 8.0, 0.36 * len(methods) + 1.4)
    gap_ax = ax.inset_axes((1.06, 0.0, 0.8, 1.0), sharey=ax)
    gap_ax.spines[["top", "right"]].set_visible(False)
    for k, name in enumerate(instances):
        here = rows[rows["problem"] == name]
        y = np.array([methods.index(m) for m in here["method"]], dtype=float)
        y += (k - (len(instances) - 1) / 2) * min(0.2, 0.6 / len(instances))
        look: dict[str, Any] = {
            "linestyle": "none",
            "marker": MARKERS[k % len(MARKERS)],
            "color": SEQUENCE[k % len(SEQUENCE)],
            "markersize": 6,
        }
        gap = 100.0 * np.where(here["gap"].astype(float) <= ACCURATE, 0.0, here["gap"].astype(float))
        ax.plot(here["seconds"].astype(float), y, label=name, **look)
        gap_ax.plot(gap, y, **look)
    ax.set_yticks(range(len(methods)), [f"{m} ({kinds[m]})" for m in methods])
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_xscale("log")
    ax.set_xlabel("time [s]")
    gap_ax.set_xscale("symlog", linthresh=0.01)
    gap_ax.set_xlim(-0.002, max(100.0 * float(rows["gap"].astype(float).max(skipna=True)) * 2, 1.0))
    gap_ax.set_xlabel("gap to the proved bound [%]")
    gap_ax.tick_params(labelleft=False)
    for panel in (ax, gap_ax):
        panel.grid(color="#e6e6e6", linewidth=0.8)
        panel.set_axisbelow(True)
    if len(instances) > 1:
        gap_ax.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize=8, loc="lower right")
    return ax


_SERVING = ("plot_breakpoints", "plot_fading", "plot_published")


def __getattr__(name: str) -> Any:
    """Pictures of serving, which stand in a file of their own."""
    if name not in _SERVING:
        raise AttributeError(f"module 'qopt.plots' has no attribute {name!r}")
    return getattr(importlib.import_module("qopt.plots_serving"), name)
