"""Colours, marks, hatches and axes that all pictures share (Okabe and Ito's palette, safe for colour-blind readers).

No meaning hangs on colour alone: a line has its dashes or its mark, a bar its hatch, so that a print in grey says the
same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, SKY, GREEN, BLUE, RED, PINK = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
GREY, INK, PALE, GRID = "#999999", "#222222", "#CCCCCC", "#E6E6E6"
SEQUENCE = (BLUE, ORANGE, GREEN, RED, PINK, SKY)
MARKERS = ("o", "s", "D", "^", "v", "P")
LINES = ("-", "--", ":", "-.")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---")
SERIES = len(SEQUENCE) * len(LINES)
"""Series that can be told apart: no two share colour and line, nor colour and mark."""

NAMED = 24
"""Places of an axis up to which each has its name; more are numbered."""

LETTERS = 24
"""Of a name below an axis or in a legend; longer ones are cut."""

LISTED = 20
"""Entries of a legend; of a longer one the first."""

ENDINGS = (".png", ".pdf", ".svg")
"""Of pictures that are written."""


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


def area(k: int) -> dict[str, Any]:
    """Colour and hatch of bars or areas of one kind, as keywords; no two alike below 36.

    Parameters
    ----------
    k : number of the kind, from 0.
    """
    hatch = HATCHES[(k + k // len(SEQUENCE)) % len(HATCHES)]
    return {"color": SEQUENCE[k % len(SEQUENCE)], "hatch": hatch, "edgecolor": "white"}


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """The given Axes, or a new one, without a box; its figure makes room for labels and legends.

    Parameters
    ----------
    ax : where to draw; None for a new figure.
    width, height : of a new figure, in inches.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    figure = ax.figure
    if hasattr(figure, "set_layout_engine") and figure.get_layout_engine() is None and ax.get_subplotspec() is not None:
        figure.set_layout_engine("constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def number(x: float) -> str:
    """A number of four digits, for a label.

    Parameters
    ----------
    x : in any unit.
    """
    return f"{x:.4g}"


def literal(text: object, letters: int = LETTERS) -> str:
    """A name as it is written, on one line: no formula, and not longer than there is room.

    Parameters
    ----------
    text : a name of the user's.
    letters : that there is room for.
    """
    line = " ".join(str(text).split())
    line = line if len(line) <= letters else f"{line[: letters - 1]}…"
    return line.replace("$", r"\$")


def name_places(ax: Axes, names: Sequence[str], word: str, *, first: int = 1) -> None:
    """Names below the axis, steep where they are long; of more than `NAMED` places the numbers.

    Parameters
    ----------
    ax : whose x-axis has a place for each name, a unit apart.
    names : one for each place, from left to right.
    word : what a place is.
    first : where the first of them stands.
    """
    from matplotlib.ticker import MaxNLocator

    if len(names) <= NAMED:
        texts = [literal(name) for name in names]
        wide = ax.get_window_extent().width / ax.figure.dpi  # inches
        steep = max(map(len, texts), default=0) > 9.0 * wide / max(len(texts), 1)
        places = range(first, first + len(texts))
        ax.set_xticks(places, texts, rotation=45 if steep else 0, ha="right" if steep else "center")
        ax.set_xlabel(word)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel(f"{word}, by number")


def whole_ticks(ax: Axes, places: Sequence[int]) -> None:
    """A tick at each of some whole numbers, or where they are many at some of them.

    Parameters
    ----------
    ax : whose x-axis they are on.
    places : list of them, ascending.
    """
    from matplotlib.ticker import MaxNLocator

    if len(places) <= NAMED:
        ax.set_xticks(list(places))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def legend_beside(ax: Axes, title: str | None = None, size: int = 8) -> None:
    """The legend at the right of the picture; of more than `LISTED` entries the first, and how many are left out.

    Parameters
    ----------
    ax : whose series have labels; without any there is no legend.
    title : of the legend.
    size : of its letters, in points.
    """
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    if len(handles) > LISTED:
        left = len(handles) - LISTED + 1
        handles = [*handles[: LISTED - 1], Line2D([], [], linestyle="none")]
        labels = [*labels[: LISTED - 1], f"… {left} more"]
    ax.legend(
        handles, labels, title=title, title_fontsize=size, frameon=False, fontsize=size, loc="upper left",
        bbox_to_anchor=(1.0, 1.0), handlelength=2.4,
    )  # fmt: skip


def stacked(
    ax: Axes,
    places: Sequence[float],
    parts: Mapping[str, Sequence[float] | FloatArray],
    look: Callable[[str], Mapping[str, Any]] | None = None,
    *,
    across: bool = False,
) -> FloatArray:
    """Bars of parts on top of each other, each part with its colour and hatch.

    Parameters
    ----------
    ax : where to draw.
    places : (n,) of the bars, ascending.
    parts : (n,) heights by the name of the part, from the bottom up.
    look : colour and hatch of a part by its name; by default `area` in turn.
    across : whether the bars lie.

    Returns
    -------
    (n,) total heights.
    """
    total = np.zeros(len(places))
    few = len(places) <= 60
    apart = min((b - a for a, b in pairwise(places)), default=1.0)
    edge, wide = (0.6, 0.7 * apart) if few else (0.0, apart)
    for k, (name, heights) in enumerate(parts.items()):
        how = {**(area(k) if look is None else look(name)), "linewidth": edge, "label": name}
        size = np.asarray(heights, dtype=np.float64)
        if across:
            ax.barh(places, size, left=total, height=wide, **how)
        else:
            ax.bar(places, size, bottom=total, width=wide, **how)
        total = total + size
    return total


def save_figure(
    figure: Figure | Axes, path: str | os.PathLike[str], *, field: str = "path", dots: float | None = None
) -> None:
    """Write a picture to a file, whole or not at all.

    Parameters
    ----------
    figure : a figure, or Axes of it.
    path : of the file: .png, .pdf or .svg.
    field : what a refusal calls the path.
    dots : dots per inch; by default those of the figure.

    Raises
    ------
    InputError
        Another ending, or a path that cannot be written.
    """
    from qopt.core.files import write_whole

    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in ENDINGS:
        raise InputError(field, shown(os.fspath(path)), f"a name that ends in {', '.join(ENDINGS)}")
    drawn = figure.get_figure(root=True)
    assert drawn is not None
    sharp = "figure" if dots is None else dots
    write_whole(path, lambda file: drawn.savefig(file, format=ending[1:], dpi=sharp))
