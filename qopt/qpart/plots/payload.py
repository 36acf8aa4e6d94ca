"""What is sent, before and after: every tensor as it is stored, and at the width of a plan."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arguments import whole
from qopt.core.arrays import FloatArray
from qopt.core.display import number
from qopt.core.errors import InputError
from qopt.core.plot_style import BLUE, GREY, GRID, ORANGE, axes_for, legend_beside, name_places
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.qpart.plan import QPartPlan, checked_plan, crossing_activations
from qopt.qpart.plots.names import OTHERS, tensor_name
from qopt.qpart.problem import QPart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_payload(
    problem: QPart | str | os.PathLike[str],
    plan: QPartPlan | Solution | None = None,
    stored: int = 32,
    ax: Axes | None = None,
) -> Axes:
    """Payload before and after: bits of every tensor that is sent, as it is stored and at the width of a plan.

    The tensors are the weights that go down and the outputs (or the raw input) that go up, as in Eq. 14; what is sent
    with them whatever their width counts on both sides. The axis is logarithmic, so the distance of two marks is the
    factor that is saved.

    Parameters
    ----------
    problem : a request, a bundled name or a path.
    plan : its widths, or a solution's; by default those of the optimum.
    stored : bits of a value as it is stored, 1 to 64; a raw input that is not quantized has its own.
    ax : where to draw.

    Raises
    ------
    InputError
        There is no plan, or it does not fit the problem, or nothing is sent.
    """
    problem = problem_of(QPart, problem, named=True, instead=OTHERS)
    stored = whole("stored", stored, 1, 64)
    decided = solve(problem) if plan is None else plan
    decided = decided.plan if isinstance(decided, Solution) else decided
    if not isinstance(decided, QPartPlan):
        raise InputError("plan", "none", "a plan, or a request that some plan serves")
    names, before, after = _sent(problem, checked_plan(problem, decided), stored)
    keep = before > 0
    if not keep.any():
        raise InputError("plan", f"cut {decided.cut}, which sends nothing", "a plan that sends something")
    kind = np.arange(len(names)) < decided.cut
    ax = axes_for(ax, max(5.5, min(0.5 * len(names) + 3.0, 12.0)), 3.8)
    x, size = np.arange(1, len(names) + 1), 7 if len(names) <= 60 else 4
    for mine, color, mark, label in (
        (kind & keep, BLUE, "o", "weights, down"),
        (~kind & keep, ORANGE, "s", "output or input, up"),
    ):
        if mine.any():
            ax.vlines(x[mine], after[mine], before[mine], color=GREY, linewidth=1.0, zorder=1)
            look: dict[str, Any] = {"linestyle": "none", "marker": mark, "color": color, "markersize": size}
            ax.plot(x[mine], before[mine], markerfacecolor="white", label=f"{label}: as stored", **look)
            ax.plot(x[mine], after[mine], label=f"{label}: as sent", **look)
    ax.set_yscale("log")
    ax.set_ylim(0.6 * float(after[keep].min()), 1.8 * float(before[keep].max()))
    name_places(ax, names, "tensor that is sent")
    ax.set_ylabel("payload [bit]")
    total, sent = float(before.sum()), float(after.sum())
    share = f"{number(100.0 * sent / total, 3)} %"
    ax.set_title(f"{number(total, 4)} bit before, {number(sent, 4)} bit after: {share}", loc="left", fontsize=10)
    ax.grid(axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    legend_beside(ax)
    return ax


def _sent(problem: QPart, plan: QPartPlan, stored: int) -> tuple[list[str], FloatArray, FloatArray]:
    """Names of the tensors that a plan sends, and their bits as they are stored and as they are sent."""
    net, p = problem.network, plan.cut
    names = [tensor_name(problem, i) for i in range(1, p + 1)]
    before = (stored * net.sent[:p] + net.sent_overhead[:p]).tolist()
    after = (np.array(plan.weights) * net.sent[:p] + net.sent_overhead[:p]).tolist()
    if 0 in net.crossing(p) and not problem.quantize_input:
        names.append(tensor_name(problem, 0))
        before.append(net.input_bits * net.input_size)
        after.append(before[-1])
    for tensor, width in zip(crossing_activations(problem, p), plan.activations, strict=True):
        values = float(net.activations[tensor - 1]) if tensor else float(net.input_size)
        more = 0.0 if net.overhead_activations is None or not tensor else float(net.overhead_activations[tensor - 1])
        names.append(tensor_name(problem, -tensor))
        before.append((stored if tensor else net.input_bits) * values + more)
        after.append(width * values + more)
    return names, np.array(before, dtype=np.float64), np.array(after, dtype=np.float64)
