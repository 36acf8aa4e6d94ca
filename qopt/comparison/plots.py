"""Methods beside each other: gap and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.errors import InputError
from qopt.core.plot_style import MARKERS, SEQUENCE, axes_for

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ACCURATE = 1e-9
"""Gaps up to here are drawn as 0: the tolerance of a certificate."""


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
    ax = axes_for(ax, 8.0, 0.36 * len(methods) + 1.4)
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
