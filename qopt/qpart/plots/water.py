"""The water level: noise spent in proportion to the price of bits."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.errors import InputError
from qopt.core.plot_style import BLUE, GREEN, INK, ORANGE, SKY, axes_for, legend_beside, literal, number
from qopt.core.reading import problem_of
from qopt.kernels.waterfill import Allocation
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.plan import QPartPlan, checked_plan
from qopt.qpart.plots.names import OTHERS, tensor_name
from qopt.qpart.problem import QPart
from qopt.qpart.real_bits import not_in_closed_form
from qopt.qpart.subproblem import Subproblem, subproblems

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATES = {"between lo and hi": (SKY, ""), "smallest width, lo": (ORANGE, "//"), "largest width, hi": (GREEN, "\\\\")}
"""How a bar of the water level looks: colour and hatch."""

LETTER = 0.0125
"""About the width of a letter of a name, as a share of the picture; names wider than their bar stand upright."""

UPRIGHT = 10
"""Beyond this many upright names none of them is written."""


def plot_water_level(
    problem: QPart | str | os.PathLike[str], cut: int, plan: QPartPlan | None = None, ax: Axes | None = None
) -> Axes:
    """Who spends how much noise: the closed form of real-valued bits at a fixed cut, as a picture.

    A tensor is a bar, price pi_i wide and psi_i / pi_i = c_i 4^{-b_i} / pi_i high, so its area is the noise psi_i
    that it spends and all areas together are Delta. Every bar reaches the water level t = 1 / (lambda ln 4), except
    those that stop below it at the smallest width lo and those that stand above it at the largest width hi.

    Parameters
    ----------
    problem : a request, a bundled name or a path; its noise follows the law s 4^-b.
    cut : p, 1 to L.
    plan : drawn as outlines, for example the whole bits of the same cut.
    ax : where to draw.

    Raises
    ------
    InputError
        The noise does not follow the law, the request is none of the closed form, the cut or the plan does not fit, no
        widths keep the limits, or the device's memory binds, so that there is no one level.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    subproblem, found = _filled(problem, cut)
    if plan is not None and checked_plan(problem, plan).cut != cut:
        raise InputError("plan.cut", str(plan.cut), str(cut))
    bars = _Bars.of(problem, subproblem, found)
    top = float(np.max(bars.height, initial=0.0 if math.isinf(found.level) else found.level)) or 1.0

    ax = axes_for(ax, 7.0, 3.8)
    _draw_bars(ax, bars)
    upright = _write_names(ax, bars, top)
    if plan is not None:
        spent = _spent(subproblem, plan)[bars.drawn] / bars.price
        top = max(top, float(np.max(spent)))
        label = "these whole bits" if plan.bits == "whole" else "this plan"
        ax.stairs(spent, bars.left, color=INK, linewidth=1.5, linestyle=":", baseline=None, label=label)
    if math.isfinite(found.level):
        ax.axhline(found.level, color=BLUE, linewidth=2, label=f"water level t = {number(found.level)}")
    else:
        ax.plot([], [], " ", label="the limit does not bind: no level")
    ax.set_xlim(0.0, float(bars.left[-1]))
    ax.set_ylim(0.0, top / (1.0 - min(0.2 + 1.2 * LETTER * upright, 0.6)))
    ax.set_xlabel("price of a bit of width, $\\pi_i$ [objective per bit]: one bar a tensor")
    ax.set_ylabel("noise per price, $c_i 4^{-b_i} / \\pi_i$")
    spent_total = number(math.fsum((bars.price * bars.height).tolist()))
    ax.set_title(f"Cut {cut}: area = noise spent, {spent_total} of {number(subproblem.limit)}", loc="left", fontsize=10)
    legend_beside(ax)
    return ax


def _filled(problem: QPart, cut: int) -> tuple[Subproblem, Allocation]:
    """The fixed-cut problem and its real-valued widths, where there is one level to draw."""
    if problem.noise.model != "law":
        allowed = "law; problem.replace({'noise.model': 'law'}) gives the law's view of measured noise"
        raise InputError("noise.model", repr(problem.noise.model), allowed)
    if (why := not_in_closed_form(problem)) is not None:
        raise InputError("problem", why, "a request of the closed form: one range of widths, noise and memory alone")
    n = len(problem.network)
    cut = whole("cut", cut, 1, n)
    subproblem = subproblems(problem).at(cut)
    found = at_cut(subproblem)
    if found is None:
        raise InputError("cut", str(cut), "a cut at which some widths keep the limits")
    if math.isfinite(subproblem.memory) and subproblem.stored_bits(found.bits) >= subproblem.memory * (1 - 1e-9):
        raise InputError("device.memory", "a memory that binds", "one that does not: else no one level serves all")
    return subproblem, found


@dataclass(frozen=True)
class _Bars:
    """The bars from left to right: tensors whose bits have a price.

    Attributes
    ----------
    drawn : (n,) which items of the subproblem they are.
    names : of the tensors.
    bits : (n,) real-valued widths.
    states : (n,) keys of `STATES`.
    price, height : (n,) width and height of the bars.
    left : (n + 1,) where they begin, and where the last ends.
    """

    drawn: IntArray
    names: list[str]
    bits: FloatArray
    states: list[str]
    price: FloatArray
    height: FloatArray
    left: FloatArray

    @classmethod
    def of(cls, problem: QPart, subproblem: Subproblem, found: Allocation) -> Self:
        """The bars of a cut."""
        assert subproblem.coefficient is not None
        lo, hi = float(subproblem.bits[0]), float(subproblem.bits[-1])
        drawn = np.flatnonzero(subproblem.price > 0)
        bits, price = found.bits[drawn], subproblem.price[drawn]
        return cls(
            drawn,
            [tensor_name(problem, int(subproblem.tensors[i])) for i in drawn],
            bits,
            [
                "smallest width, lo" if b <= lo else "largest width, hi" if b >= hi else "between lo and hi"
                for b in bits
            ],
            price,
            subproblem.coefficient[drawn] * np.exp2(-2.0 * bits) / price,
            np.concatenate(([0.0], np.cumsum(price))),
        )


def _draw_bars(ax: Axes, bars: _Bars) -> None:
    """A rectangle a tensor, one of each state in the legend."""
    from matplotlib.patches import Rectangle

    seen: set[str] = set()
    edge = 1.5 if len(bars.price) <= 60 else 0.2
    for left, price, height, state in zip(bars.left[:-1], bars.price, bars.height, bars.states, strict=True):
        color, hatch = STATES[state]
        ax.add_patch(
            Rectangle(
                (left, 0.0),
                float(price),
                float(height),
                facecolor=color,
                edgecolor="white",
                hatch=hatch,
                linewidth=edge,
                label=None if state in seen else state,
            )
        )
        seen.add(state)


def _write_names(ax: Axes, bars: _Bars, top: float) -> int:
    """Names and widths above the bars; a narrow bar's stand upright, over the water, where they meet nothing.

    Returns the letters of the longest upright name.
    """
    narrow = bars.price < LETTER * np.array([len(name) for name in bars.names]) * bars.left[-1]
    crowded = int(narrow.sum()) > UPRIGHT
    centre = _apart(bars.left[:-1] + bars.price / 2, narrow, 0.035 * float(bars.left[-1]))
    longest = 0
    for k, name in enumerate(bars.names):
        if narrow[k] and crowded:
            continue
        height = float(bars.height[k])
        text = f"{literal(name)}{', ' if narrow[k] else chr(10)}{number(float(bars.bits[k]))} bits"
        longest = max(longest, len(text)) if narrow[k] else longest
        ax.annotate(
            text,
            (centre[k], max(height, top) if narrow[k] else height),
            xytext=(0, 4),
            textcoords="offset points",
            rotation=90 if narrow[k] else 0,
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )
    return longest


def _apart(wanted: FloatArray, moving: BoolArray, distance: float) -> FloatArray:
    """Places for labels: those that may move keep a distance from the next one on their right."""
    placed = wanted.copy()
    for k in range(len(placed) - 2, -1, -1):
        if moving[k]:
            placed[k] = min(placed[k], placed[k + 1] - distance)
    return placed


def _spent(subproblem: Subproblem, plan: QPartPlan) -> FloatArray:
    """(n,) noise c_i 4^-b_i of a plan's tensors, in the subproblem's order."""
    assert subproblem.coefficient is not None
    width = np.empty(len(subproblem.tensors))
    width[subproblem.owner] = [*plan.weights, *plan.activations]
    spent: FloatArray = subproblem.coefficient * np.exp2(-2.0 * width)
    return spent
