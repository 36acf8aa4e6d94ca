"""The picture of a front: its points as a staircase, and what is proved below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qopt.core.errors import InputError, shown
from qopt.core.front import Criterion, Front
from qopt.core.plot_style import BLUE, GREY, ORANGE, PALE, axes_for, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 60
"""Up to so many points each has a mark."""


def plot_trade_off(front: Front, *, x: str | None = None, y: str | None = None, ax: Axes | None = None) -> Axes:
    """Two criteria of a front: what each limit allows, and the bound below which no plan lies.

    Parameters
    ----------
    front : a front of `qopt.front`.
    x, y : names of its criteria; by default the second against the first.
    ax : where to draw.

    Raises
    ------
    InputError
        No such criterion, or no point to draw.
    """
    known = {criterion.name: criterion for criterion in front.criteria}
    names = [front.criteria[1].name if x is None else x, front.criteria[0].name if y is None else y]
    for field, name in zip(("x", "y"), names, strict=True):
        if name not in known:
            raise InputError(field, shown(name), " or ".join(known))
    if not front.points:
        raise InputError("front", "no points", "a front with points")
    across, up = (known[name] for name in names)
    xs, ys = front.curve(*names)
    ax = axes_for(ax, 6.5, 3.8)
    mark = "o" if len(xs) <= FEW else ""
    joined = across.sense == up.sense == "min" and len(front.criteria) == 2
    if joined:
        ax.step(xs, ys, where="post", color=BLUE, marker=mark, markersize=4, label="plans")
    else:
        ax.plot(xs, ys, color=BLUE, marker="o", markersize=4, linestyle="none", label="plans")
    steps = [(a, b) for a, b in front.bounds if a <= xs[-1]]
    if steps and joined and x is None and y is None:
        bx, by = zip(*[*steps, (xs[-1], steps[-1][1])], strict=True)
        floor = min(ax.get_ylim()[0], *by)
        ax.fill_between(
            bx, floor, by, step="post", facecolor="white", edgecolor=PALE, hatch="///", linewidth=0, zorder=0
        )
        ax.step(bx, by, where="post", color=ORANGE, linestyle="--", label="no plan below, proved")
        ax.set_ylim(bottom=floor)
    if front.dominated:
        off = [(p.values[names[0]], p.values[names[1]]) for p in front.dominated]
        placed = [(a, b) for a, b in off if a is not None and b is not None]
        if placed:
            off_x, off_y = [a for a, _ in placed], [b for _, b in placed]
            ax.scatter(off_x, off_y, color=GREY, marker="x", s=18, label="another is better")
    ax.set_xlabel(_label(across))
    ax.set_ylabel(_label(up))
    legend_beside(ax)
    return ax


def _label(criterion: Criterion) -> str:
    return f"{criterion.name} [{criterion.unit}]" if criterion.unit else criterion.name
