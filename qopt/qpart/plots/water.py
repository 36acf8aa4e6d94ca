"""The water level: noise spent in proportion to the price of bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError
from qopt.core.plot_style import BLUE, GREEN, INK, ORANGE, SKY, axes_for, number
from qopt.core.reading import problem_of
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.plots.names import OTHERS, tensor_name
from qopt.qpart.problem import QPart
from qopt.qpart.segments import Segment, segments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATES = {"between lo and hi": (SKY, ""), "smallest width, lo": (ORANGE, "//"), "largest width, hi": (GREEN, "\\\\")}
"""How a bar of the water level looks: colour and hatch."""

LETTER = 0.0125
"""About the width of a letter of a name, as a share of the picture; names wider than their bar stand upright."""

UPRIGHT = 10
"""Beyond this many upright names none of them is written."""


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
    problem = problem_of(QPart, problem, instead=OTHERS)
    from matplotlib.patches import Rectangle

    if problem.noise.model != "law":
        allowed = "law; problem.replace({'noise.model': 'law'}) gives the law's view of measured noise"
        raise InputError("noise.model", repr(problem.noise.model), allowed)
    n = len(problem.network)
    cut = whole("cut", cut, 1, n)
    segment = segments(problem).at(cut)
    found = at_cut(segment)
    if found is None:
        raise InputError("cut", str(cut), "a cut at which some widths keep the limits")
    if math.isfinite(segment.memory) and segment.stored_bits(found.bits) >= segment.memory * (1 - 1e-9):
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

    ax = axes_for(ax, 7.0, 3.8)
    seen: set[str] = set()
    names = [tensor_name(problem, int(segment.tensors[i])) for i in drawn]
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
        text = f"{names[k]}{', ' if narrow[k] else chr(10)}{number(b)} bits"
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
        ax.axhline(found.level, color=BLUE, linewidth=2, label=f"water level t = {number(found.level)}")
    else:
        ax.plot([], [], " ", label="the limit does not bind: no level")
    ax.set_xlim(0.0, float(left[-1]))
    ax.set_ylim(0.0, top / (1.0 - min(0.2 + 1.2 * LETTER * upright, 0.6)))
    ax.set_xlabel("price of a bit of width, $\\pi_i$ [objective per bit]: one bar a tensor")
    ax.set_ylabel("noise per price, $c_i 4^{-b_i} / \\pi_i$")
    spent_total = number(math.fsum((price * height).tolist()))
    ax.set_title(f"Cut {cut}: area = noise spent, {spent_total} of {number(segment.limit)}", loc="left", fontsize=10)
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
