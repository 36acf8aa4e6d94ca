"""Colors, marks and axes that all pictures share (Okabe and Ito's palette, safe for color-blind readers)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORANGE, SKY, GREEN, BLUE, RED, PINK = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
GREY, INK = "#999999", "#222222"
SEQUENCE = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
MARKERS = ("o", "s", "D", "^", "v", "P")
LINES = ("-", "--", ":", "-.")
SERIES = len(SEQUENCE) * len(LINES)
"""Series that can be told apart: no two share colour and line, nor colour and mark."""


def series(k: int) -> dict[str, Any]:
    """Colour, line and mark of a series, as keywords for `Axes.plot`; unlike those of every other below `SERIES`.

    Parameters
    ----------
    k : its number, from 0.
    """
    again = k // len(SEQUENCE)
    return {
        "color": SEQUENCE[k % len(SEQUENCE)],
        "linestyle": LINES[again % len(LINES)],
        "marker": MARKERS[(k + again) % len(MARKERS)],
    }


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """The given Axes, or a new one without a box.

    Parameters
    ----------
    ax : where to draw; None for a new figure.
    width, height : of a new figure, in inches.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def number(x: float) -> str:
    """A number of four digits, for a label.

    Parameters
    ----------
    x : in any unit.
    """
    return f"{x:.4g}"
