"""What was measured of a network, with intervals: sensitivity of each tensor; and whether the model of noise is true.

The law by width, the sum beside what was measured, and the loss beside the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.errors import InputError
from qopt.core.plot_style import (
    BLUE,
    GREY,
    GRID,
    INK,
    MARKERS,
    NAMED,
    ORANGE,
    SEQUENCE,
    axes_for,
    legend_beside,
    number,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qopt.measuring.sensitivity import Sensitivity
    from qopt.measuring.truth import JointPlan

FEW = 12
"""Tensors that get a line of the legend; with more, weights and activations are two."""


def plot_sensitivity(found: Sensitivity, level: float | None = None, ax: Axes | None = None) -> Axes:
    """How sensitive every tensor is, with its interval: weights filled, activations hollow.

    Parameters
    ----------
    found : of `qopt.measuring.sensitivity.measure`.
    level : None draws the coefficient s_i of the law s 4^-b [squared output]; one of the measured levels draws the
        robustness rho_i(a) there (Eqs. 20-22), which has no unit. A tensor that never loses the level has none and is
        counted in the title; an interval without an end goes to the edge.
    ax : where to draw.

    Raises
    ------
    InputError
        A level that was not measured, or nothing that is finite and above 0.
    """
    row = None if level is None else found.row(level)
    kept = {
        tensor: estimate
        for tensor, one in found.tensors.items()
        if 0.0 < (estimate := one.s if row is None else one.rho[row]).value < np.inf
    }
    if not kept:
        raise InputError("found", "no tensor with such a figure", "at least one")
    values = np.array([estimate.value for estimate in kept.values()])
    ends = np.array([(estimate.low, estimate.high) for estimate in kept.values()])
    least = 0.5 * float(min(values.min(), ends[:, 0][ends[:, 0] > 0].min(initial=np.inf)))
    most = 2.0 * float(max(values.max(), ends[:, 1][np.isfinite(ends[:, 1])].max(initial=0.0)))
    reach = np.abs(np.clip(ends, least, most) - values[:, None]).T
    x = np.array([tensor.layer for tensor in kept], dtype=float)
    layers = range(1, len(found.ranges) + 1)
    ax = axes_for(ax, max(5.0, min(0.4 * len(layers) + 3.0, 12.0)), 3.8)
    for kind, shift, color, mark, face in (
        ("weight", -0.12, BLUE, "o", BLUE),
        ("activation", 0.12, ORANGE, "s", "white"),
    ):
        mine = np.array([tensor.kind == kind for tensor in kept])
        if mine.any():
            look: dict[str, Any] = {
                "color": color,
                "markerfacecolor": face,
                "fmt": mark,
                "capsize": 2,
                "linewidth": 0.9,
            }
            size = 5 if len(layers) <= NAMED else 3
            ax.errorbar(x[mine] + shift, values[mine], reach[:, mine], markersize=size, label=f"{kind}s", **look)
    ax.set_yscale("log")
    ax.set_ylim(least, most)
    whole_ticks(ax, layers)
    ax.set_xlabel("layer, by number")
    if level is None:
        ax.set_ylabel("coefficient $s_i$ of the law [squared output]")
    else:
        ax.set_ylabel(r"robustness $\rho_i$")
    never = len(found.tensors) - len(kept)
    title = "" if level is None else f"{number(100 * level)} points lost"
    if never:
        title += f"{', ' if title else ''}{never} tensors without one"
    ax.set_title(title, loc="left", fontsize=10)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    legend_beside(ax)
    return ax


def plot_law(found: Sensitivity, ax: Axes | None = None) -> Axes:
    """Measured noise over the law s 4^-b, by width: a line a tensor, its interval shaded; 1 is the law.

    Weights are drawn with solid lines, activations with dashed ones. At one or two bits a line may be far from 1.

    Parameters
    ----------
    found : of `qopt.measuring.sensitivity.measure`.
    ax : where to draw.
    """
    from qopt.measuring.truth import law_ratios

    ax = axes_for(ax, 7.0, 4.2)
    bits = found.bits
    many = len(found.tensors) > FEW
    seen: set[str] = set()
    for tensor, ratio in law_ratios(found).items():
        one = found.tensors[tensor]
        if not np.isfinite(ratio).all() or not np.all(ratio > 0):
            continue
        weight = tensor.kind == "weight"
        color = (BLUE if weight else ORANGE) if many else SEQUENCE[(tensor.layer - 1) % len(SEQUENCE)]
        label = f"{tensor.kind}s" if many else str(tensor)
        ax.plot(
            bits,
            ratio,
            color=color,
            linestyle="-" if weight else "--",
            marker=MARKERS[(tensor.layer - 1) % len(MARKERS)],
            markersize=3.5,
            linewidth=1.2,
            label=None if label in seen else label,
        )
        seen.add(label)
        law = one.noise / ratio
        ax.fill_between(bits, one.noise_low / law, one.noise_high / law, color=color, alpha=0.15, linewidth=0)
    ax.axhline(1.0, color=INK, linewidth=0.8)
    ax.set_yscale("log", base=2)
    ax.set_xlabel("width $b$ [bit]")
    ax.set_ylabel("measured noise over the law, $N_i(b) / (s_i 4^{-b})$")
    legend_beside(ax)
    return ax


def plot_additivity(records: Sequence[JointPlan], ax: Axes | None = None) -> Axes:
    """Noise of joint plans beside the sum of their tensors' noise, with intervals; on the line noise adds up.

    Parameters
    ----------
    records : one for each plan, of `qopt.measuring.truth.joint_plans`.
    ax : where to draw.
    """
    _check(records)
    ax = axes_for(ax, 6.4, 4.2)
    few = np.array([min(*r.plan.weights, *r.plan.activations) <= 2 for r in records])
    x = np.array([r.summed for r in records])
    y = np.array([r.noise.value for r in records])
    ends = np.abs(np.array([[r.noise.low, r.noise.high] for r in records]).T - y)
    groups: tuple[tuple[Any, str, str, str], ...] = (
        (~few, BLUE, "o", "at least 3 bits everywhere"),
        (few, ORANGE, "s", "2 bits or 1 somewhere"),
    )
    for group, color, marker, label in groups:
        if group.any():
            ax.errorbar(
                x[group], y[group], ends[:, group], color=color, fmt=marker, markersize=4, linewidth=0.8, label=label
            )
    span = [min(x.min(), y.min()), max(x.max(), y.max())]
    ax.plot(span, span, color=INK, linewidth=0.8)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("sum of the tensors' noise, each alone [squared output]")
    ax.set_ylabel("noise of the plan [squared output]")
    legend_beside(ax)
    return ax


def plot_loss(records: Sequence[JointPlan], found: Sensitivity, level: float, ax: Axes | None = None) -> Axes:
    """Loss of joint plans beside what they spend of the natural limit at one level.

    Were the model exact, plans left of 1 would lose at most the level: the lower left quarter and the upper right one
    would hold every point. What lies in the upper left quarter is why Delta is calibrated.

    Parameters
    ----------
    records : one for each plan, of `qopt.measuring.truth.joint_plans`.
    found : the coefficients that they were judged by.
    level : one of the measured levels.
    ax : where to draw.
    """
    _check(records)
    row = found.row(level)
    ax = axes_for(ax, 4.6, 4.2)
    x = np.array([r.spent[row] for r in records]) / found.natural.value
    y = 100 * np.array([r.loss.value for r in records])
    ends = np.abs(100 * np.array([[r.loss.low, r.loss.high] for r in records]).T - y)
    ax.errorbar(x, y, ends, color=BLUE, fmt="o", markersize=4, linewidth=0.8)
    ax.axvline(1.0, color=GREY, linewidth=0.8)
    ax.axhline(100 * level, color=GREY, linewidth=0.8)
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=100 * level)
    ax.set_ylim(bottom=min(0.0, float((y - ends[0]).min())) - 10 * level)
    ax.set_xlabel(r"noise over robustness, share of the natural limit $\|\sigma^*\|^2$")
    ax.set_ylabel("loss [points]")
    ax.set_title(f"level {100 * level:g} point{'' if level == 0.01 else 's'}", loc="left", fontsize=10)
    return ax


def _check(records: Sequence[JointPlan]) -> None:
    if not records:
        raise InputError("records", "none", "at least one joint plan")
