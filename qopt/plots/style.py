"""Colors, marks and axes that all pictures share (Okabe and Ito's palette, safe for color-blind readers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qopt.errors import InputError, shown
from qopt.problems.qpart import QPart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORANGE, SKY, GREEN, BLUE, RED, PINK = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
GREY, INK = "#999999", "#222222"
SEQUENCE = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
MARKERS = ("o", "s", "D", "^", "v", "P")


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """The given Axes, or a new one without a box."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def as_request(problem: Any, instead: str = "plot_placement, plot_front, plot_break_even") -> QPart:
    """The problem, if it is a QPART request; otherwise an error that names the pictures of placements."""
    if isinstance(problem, QPart):
        return problem
    found = getattr(problem, "name", problem)
    raise InputError("problem", shown(found), f"a QPART request (for a placement: {instead})")


def tensor_name(problem: QPart, tensor: int) -> str:
    """``fc1 weights`` for 1, ``fc1 output`` for -1."""
    return f"{problem.network.names[abs(tensor) - 1]} {'weights' if tensor > 0 else 'output'}"


def number(x: float) -> str:
    return f"{x:.4g}"
