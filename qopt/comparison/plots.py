"""Methods beside each other: gap and time, performance profiles, gaps over time, ratios with their intervals.

Pictures are whole under a plain ``savefig``: legends and second panels lie inside of the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.comparison.profiles import profile
from qopt.comparison.times import Times, ratios
from qopt.core.arguments import is_number
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown
from qopt.core.plot_style import BLUE, GREY, GRID, INK, MARKERS, SEQUENCE, SERIES, axes_for, literal, number, series

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ACCURATE = 1e-9
"""Gaps up to here are drawn as 0: the tolerance of a certificate."""

NAMED = 12
"""Instances up to which each has a mark of its own and a name; more are drawn as a cloud with its quartiles."""

LETTERS = 40
"""Of the name of a method or an instance."""

LONG = 60
"""Marks on a curve up to which each step has one."""


def plot_comparison(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Time and proved gap of methods, side by side: what `qopt.compare` returns, as a picture.

    Parameters
    ----------
    table : rows of `qopt.compare`, or of a study's table, one point each; those without a plan are left out, as is a
        method with none. Of more than 12 instances each is a grey dot, and a method has its median and quartiles.
    ax : the panel of times (logarithmic). The panel of gaps hangs at its right and is ``ax.child_axes[0]``. A gap
        is against the certificate's bound for the same bits; up to 1e-9 it is drawn at 0.

    Raises
    ------
    InputError
        A column is missing, or no row has a plan.
    """
    table = table.rename(columns={"instance": "problem", "run": "method"} if "run" in table.columns else {})
    table = table.loc[:, ~table.columns.duplicated(keep="last")] if table.columns.has_duplicates else table
    needed = ("problem", "method", "objective", "gap", "seconds", "proved")
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise InputError("table", f"no column {missing[0]}", "the table that qopt.compare returns")
    rows = table[table["objective"].notna()]
    if rows.empty:
        raise InputError("table", "no row with a plan", "at least one")
    methods = list(dict.fromkeys(rows["method"]))
    kinds = dict(zip(rows["method"], rows["bits"], strict=True)) if "bits" in rows else {}
    instances = list(dict.fromkeys(rows["problem"]))
    labels = [literal(f"{m} ({kinds[m]})" if isinstance(kinds.get(m), str) else m, LETTERS) for m in methods]
    ax, gap_ax = _two_panels(ax, 0.36 * len(methods) + 1.4, max(map(len, labels)))
    if len(instances) > NAMED:
        for j, name in enumerate(methods):
            here = rows[rows["method"] == name]
            _cloud(ax, here["seconds"].to_numpy(float), j)
            _cloud(gap_ax, _percent(here["gap"]), j)
    else:
        for k, name in enumerate(instances):
            here = rows[rows["problem"] == name]
            y = np.array([methods.index(m) for m in here["method"]], dtype=float)
            y += (k - (len(instances) - 1) / 2) * min(0.2, 0.6 / len(instances))
            look = series(k) | {"linestyle": "none", "markersize": 6}
            ax.plot(here["seconds"].astype(float), y, label=literal(name, LETTERS), **look)
            gap_ax.plot(_percent(here["gap"]), y, **look)
    ax.set_yticks(range(len(methods)), labels)
    ax.set_ylim(len(methods) - 0.5, -0.5)
    _readable_log(ax)
    ax.set_xlabel("time [s]")
    ax.set_ylabel("method")
    gap_ax.set_xscale("symlog", linthresh=0.01)
    worst = float(np.nan_to_num(rows["gap"].astype(float).max(skipna=True)))
    gap_ax.set_xlim(-0.002, max(100.0 * worst * 2, 1.0))
    gap_ax.set_xlabel("gap to the proved bound [%]")
    gap_ax.tick_params(labelleft=False)
    for panel in (ax, gap_ax):
        _grid(panel)
    if 1 < len(instances) <= NAMED:
        gap_ax.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize=8, loc="best")
    return ax


def _two_panels(ax: Axes | None, height: float, longest: int) -> tuple[Axes, Axes]:
    """The left panel, and one that hangs at its right, both inside of the figure."""
    own = ax is None
    ax = axes_for(ax, 8.0, height)
    room = 1.86  # both panels and what is between them, in widths of the left one
    if own:
        ax.get_figure(root=True).set_layout_engine("constrained", rect=(0.0, 0.0, 0.56, 1.0))  # type: ignore[union-attr]
    else:
        box, figure = ax.get_position(), ax.get_figure(root=True)
        assert figure is not None
        needed = min(0.4, (0.09 * longest + 0.2) / figure.get_figwidth())  # inches of a label, about
        left = max(box.x0, needed) if box.x0 < needed else box.x0
        ax.set_position((left, box.y0, (box.x1 - left) / room, box.height))
    gap_ax = ax.inset_axes((1.06, 0.0, room - 1.06, 1.0), sharey=ax)
    gap_ax.set_in_layout(False)  # the room is kept for it
    gap_ax.spines[["top", "right"]].set_visible(False)
    return ax, gap_ax


def _percent(gap: Any) -> FloatArray:
    """Gaps in percent; what a certificate cannot tell from 0 is 0."""
    values = gap.astype(float).to_numpy()
    return np.asarray(100.0 * np.where(values <= ACCURATE, 0.0, values))


def _cloud(ax: Axes, x: FloatArray, y: int) -> None:
    """All values of a method, spread over its line, and their quartiles and median."""
    x = x[np.isfinite(x)]
    if not x.size:
        return
    spread = y + 0.5 * (np.random.default_rng(y).random(x.size) - 0.5)
    ax.plot(x, spread, linestyle="none", marker=".", color=GREY, markersize=3, alpha=0.5, rasterized=x.size > 300)
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
    ax.plot([low, high], [y, y], color=BLUE, linewidth=3, solid_capstyle="butt")
    ax.plot([middle], [y], linestyle="none", marker="o", color=BLUE, markeredgecolor="white", markersize=7)


def _grid(ax: Axes) -> None:
    ax.grid(color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)


def _readable_log(ax: Axes) -> None:
    """A logarithmic x-axis whose labels do not run into each other: 1, 2 and 5 of a decade or two, else powers.

    Of a range of a factor of some few, round numbers.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    if low > 0 and high / low < 300:
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high / low > 6 else MaxNLocator(5))
        ax.xaxis.set_major_formatter(lambda value, _: number(value))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _few(names: Sequence[str]) -> None:
    """Refuse more series than can be told apart."""
    if len(names) > SERIES:
        raise InputError("runs", str(len(names)), f"at most {SERIES}, which can be told apart")


def _legend_below(ax: Axes, names: Sequence[str]) -> None:
    """Names of the series under the picture, as many in a line as fit; the layout makes room for them."""
    fits = int(80 // (max(map(len, names)) + 9))
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=max(1, min(4, fits, len(names))),
        frameon=False,
        fontsize=8,
        handlelength=3,
    )


def plot_profile(found: Times, ax: Axes | None = None) -> Axes:
    """Performance profiles: for each run the share of instances that it solved within a factor of the fastest.

    What such a picture can and cannot say is `qopt.comparison.profiles.statement`.

    Parameters
    ----------
    found : of `qopt.comparison.times.times`, up to 24 runs.
    ax : where to draw; a new figure by default.

    Raises
    ------
    InputError
        More runs than can be told apart.
    """
    _few(found.runs)
    table = profile(found)
    ax = axes_for(ax, 6.4, 3.6 + 0.2 * -(-len(found.runs) // 4))
    right = max(float(table["factor"].max()) if len(table) else 1.0, 2.0) * 1.1
    for k, run in enumerate(found.runs):
        steps = table[table["run"] == run]
        x = np.concatenate(([1.0], steps["factor"].to_numpy(float), [right]))
        y = np.concatenate(([0.0], steps["share"].to_numpy(float)))
        y = np.append(y, y[-1])
        ax.step(
            x,
            y,
            where="post",
            label=literal(run, LETTERS),
            markevery=_some(len(x), k, len(found.runs)),
            markersize=5,
            **series(k),
        )
    ax.set_xscale("log", base=2)
    ax.set_xlim(1.0, right)
    ax.set_ylim(0.0, 1.03)
    ax.xaxis.set_major_formatter(lambda value, _: number(value))
    ax.set_xlabel("within this factor of the fastest run")
    ax.set_ylabel(f"share of {len(found.instances)} instances")
    _grid(ax)
    _legend_below(ax, found.runs)
    return ax


def _some(points: int, k: int, of: int) -> list[int]:
    """Points of curve k that carry its mark: all of a short curve, else about eight, apart from those of the others."""
    if points <= LONG:
        return list(range(points))
    step = points // 8
    return list(range(k * step // of, points, step))


def plot_gaps(traces: pd.DataFrame, ax: Axes | None = None, *, instance: str | None = None) -> Axes:
    """How the gap between incumbent and bound closed, run by run.

    Parameters
    ----------
    traces : a row a point: columns ``instance, run, seconds, incumbent, bound``, as a study's traces. Each curve is a
        step: a point holds until the next. Before the first incumbent, or bound, there is no gap and nothing is drawn.
    ax : where to draw; a new figure by default.
    instance : its name; needed where the traces have several.

    Raises
    ------
    InputError
        A column is missing, several instances and none named, an unknown one, more runs than can be told apart, or no
        point with both an incumbent and a bound.
    """
    for name in ("instance", "run", "seconds", "incumbent", "bound"):
        if name not in traces.columns:
            raise InputError("traces", f"no column {name}", "the traces of a study")
    names = list(dict.fromkeys(traces["instance"].astype(str)))
    if instance is None and len(names) != 1:
        raise InputError("instance", f"{len(names)} in the traces", "the name of one")
    if instance is not None and instance not in names:
        raise InputError("instance", shown(instance), f"one of {', '.join(names[:5])}{' ...' * (len(names) > 5)}")
    rows = traces[traces["instance"].astype(str) == (instance or names[0])]
    curves = {str(run): _gap_curve(part) for run, part in rows.groupby("run", sort=False)}
    curves = {run: curve for run, curve in curves.items() if curve[0].size}
    if not curves:
        raise InputError("traces", "no point with an incumbent and a bound", "at least one")
    _few(list(curves))
    ax = axes_for(ax, 6.4, 3.6 + 0.2 * -(-len(curves) // 4))
    end = max(float(x[-1]) for x, _ in curves.values()) * 1.1
    for k, (run, (x, y)) in enumerate(curves.items()):
        x, y = np.append(x, end), np.append(y, y[-1])
        ax.step(
            x,
            y,
            where="post",
            label=literal(run, LETTERS),
            markevery=_some(len(x), k, len(curves)),
            markersize=5,
            **series(k),
        )
    _readable_log(ax)
    ax.set_yscale("symlog", linthresh=1e-4)
    ax.set_ylim(0.0, 2.0 * max(1e-4, *(float(y.max()) for _, y in curves.values())))
    ax.set_xlabel("time [s]")
    ax.set_ylabel("gap, incumbent to bound [%]")
    ax.set_title(literal(instance or names[0], 60), loc="left", fontsize=10)
    _grid(ax)
    _legend_below(ax, list(curves))
    return ax


def _gap_curve(rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Seconds and gaps in percent of a run, as the best incumbent and the best bound so far leave them.

    Repeats of a run are one curve: the median would be of no run, so the first is drawn.
    """
    if "repeat" in rows:
        rows = rows[rows["repeat"] == rows["repeat"].min()]
    rows = rows.sort_values("seconds", kind="stable")
    incumbent = np.fmin.accumulate(rows["incumbent"].to_numpy(float))
    bound = np.fmax.accumulate(rows["bound"].to_numpy(float))
    x = rows["seconds"].to_numpy(float)
    both = np.isfinite(incumbent) & np.isfinite(bound) & np.isfinite(x)
    x, incumbent, bound = x[both], incumbent[both], bound[both]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(incumbent > bound, 100.0 * (incumbent - bound) / np.abs(incumbent), 0.0)
    keep = np.isfinite(gap)
    return np.maximum(x[keep], 1e-6), gap[keep]


def plot_ratios(found: Times, reference: str, ax: Axes | None = None, *, level: float = 0.95, seed: int = 0) -> Axes:
    """Time of every run over that of one, paired by instance: geometric mean and bootstrap interval.

    Parameters
    ----------
    found : of `qopt.comparison.times.times`, with at least three instances.
    reference : the run that stands below the fraction.
    ax : where to draw; a new figure by default.
    level : of the intervals, in (0, 1).
    seed : of the bootstrap.

    Raises
    ------
    InputError
        An unknown reference, or as `qopt.comparison.times.ratios`.
    """
    if reference not in found.runs:
        raise InputError("reference", shown(reference), f"one of {', '.join(found.runs)}")
    if not (is_number(level) and 0 < level < 1):
        raise InputError("level", shown(level), "a number in (0, 1)")
    table = ratios(found, level=level, seed=seed)
    others = [run for run in found.runs if run != reference]
    ax = axes_for(ax, 6.4, 0.32 * len(others) + 1.2)
    for y, run in enumerate(others):
        row = table[(table["left"].isin((run, reference))) & (table["right"].isin((run, reference)))].iloc[0]
        middle, low, high = float(row["ratio"]), float(row["low"]), float(row["high"])
        if row["left"] == reference:
            middle, low, high = 1 / middle, 1 / high, 1 / low
        ax.plot([low, high], [y, y], color=SEQUENCE[0], linewidth=2)
        ax.plot([middle], [y], linestyle="none", marker=MARKERS[0], color=SEQUENCE[0])
    ax.axvline(1.0, color=INK, linewidth=0.8)
    _readable_log(ax)
    ax.set_yticks(range(len(others)), [literal(run, LETTERS) for run in others])
    ax.set_ylabel("run")
    ax.set_ylim(len(others) - 0.5, -0.5)
    ax.set_xlabel(f"time over that of {literal(reference)}, {len(found.instances)} instances, {level:.0%} interval")
    _grid(ax)
    return ax


def plot_latencies(requests: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Box plots of measured latencies, a row a strategy: quartiles, whiskers of 1.5 their distance, what is beyond.

    Parameters
    ----------
    requests : of `qopt.comparison.latencies.read_logs`: columns ``strategy`` and ``total`` [s].
    ax : where to draw; by default a figure of its own.

    Raises
    ------
    InputError
        A column is missing, or there is no row.
    """
    missing = [name for name in ("strategy", "total") if name not in requests.columns]
    if missing or requests.empty:
        raise InputError("requests", f"no column {missing[0]}" if missing else "no row", "requests of a log")
    names = list(dict.fromkeys(requests["strategy"]))
    ax = axes_for(ax, 7.0, 0.36 * len(names) + 1.2)
    ax.boxplot(
        [requests.loc[requests["strategy"] == name, "total"].to_numpy(float) for name in names],
        orientation="horizontal",
        widths=0.55,
        boxprops={"color": BLUE},
        medianprops={"color": INK},
        whiskerprops={"color": GREY},
        capprops={"color": GREY},
        flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
    )
    ax.set_yticks(range(1, len(names) + 1), [literal(name, LETTERS) for name in names])
    ax.set_ylabel("strategy")
    ax.set_ylim(len(names) + 0.5, 0.5)
    _readable_log(ax)
    ax.set_xlabel("latency [s]")
    return ax
