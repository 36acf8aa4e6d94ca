"""Pictures of serving: break-even, fading channels, and the published algorithm."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qopt.core.errors import InputError
from qopt.core.plot_style import (
    BLUE,
    GREY,
    INK,
    LINES,
    MARKERS,
    PALE,
    RED,
    SEQUENCE,
    area,
    axes_for,
    legend_beside,
)
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.solving import solve
from qopt.qpart.plan import crossing_activations
from qopt.qpart.plots.names import ELSEWHERE, OTHERS
from qopt.qpart.problem import QPart
from qopt.qpart.serving.breakpoints import breakpoints
from qopt.qpart.serving.table import Decisions
from qopt.qpart.terms import noise_terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 8
"""Up to so many cuts all are drawn; up to so many pieces the values where they meet are written."""

WIDE = 0.22
"""About the width of such a label, as a share of the axis."""

LABELS = {
    "channel.rate": "rate of the link [bit/s]",
    "channel.download_rate": "rate from server to device [bit/s]",
    "inferences": "inferences that share a download",
    "server.price": "server's price $\\zeta$ [per second]",
    "channel.transmit_power": "transmit power [W]",
}


def plot_breakpoints(
    problem: QPart | str | os.PathLike[str],
    parameter: str,
    *,
    low: float | None = None,
    high: float | None = None,
    bits: Literal["whole", "real"] = "whole",
    ax: Axes | None = None,
) -> Axes:
    """J of every cut against one parameter, the lower envelope, and the values at which the best cut changes.

    Of many cuts only those are drawn that are the best somewhere.

    Parameters
    ----------
    problem, parameter, bits : as `qopt.breakpoints` takes them.
    low, high : range drawn, 0 < low < high < infinity; both axes are logarithmic. By default from a tenth of the least
        value at which the best plan changes to ten times the largest; to be given where there is none.
    ax : where to draw.

    Raises
    ------
    InputError
        As `qopt.breakpoints`, and if the range does not suit logarithmic axes, no cut has a plan, or the problem is a
        placement (see `plot_break_even`).
    """
    problem = problem_of(QPart, problem, named=True, instead=ELSEWHERE)
    if low is None or high is None:
        changes = [value for value in breakpoints(problem, parameter, bits=bits).values if 0 < value < math.inf]
        if not changes:
            raise InputError("low" if low is None else "high", "nothing", "the range to draw, where no plan changes")
        low = changes[0] / 10 if low is None else low
        high = changes[-1] * 10 if high is None else high
    if not 0 < low < high < math.inf:
        raise InputError("low", f"{low:g} with high {high:g}", "0 < low < high, both finite")
    found = breakpoints(problem, parameter, low=low, high=high, bits=bits)
    if not found.feasible:
        raise InputError("problem", "no cut with a plan", "a request that some plan serves")
    x = np.geomspace(low, high, 400)
    ax = axes_for(ax, 7.0, 3.8)
    ax.plot(x, found.objectives(x), color=PALE, linewidth=7, solid_capstyle="round", label="best cut")
    pieces = found.by("cut")
    cuts = [int(p) for p in problem.admissible_cuts]
    if len(cuts) > FEW:
        cuts = sorted({cut for _, _, cut in pieces if isinstance(cut, int)})
    for k, cut in enumerate(cuts):
        alone = breakpoints(problem.replace({"cuts": [cut]}), parameter, low=low, high=high, bits=bits)
        if alone.feasible:
            look: dict[str, Any] = {"color": SEQUENCE[k % 6], "linestyle": LINES[(k // 6 + k) % 4]}
            look |= {"marker": MARKERS[k % 6], "markersize": 4, "markevery": (8 * (k % 6), 48)}  # marks of lines apart
            ax.plot(x, alone.objectives(x), linewidth=1.4, label=f"cut {cut}", **look)
    ends: list[float] = []  # where the last label of each row ends: neighbours may be close
    for (_, value, before), (_, _, after) in itertools.pairwise(pieces):
        ax.axvline(value, color=INK, linewidth=0.8, linestyle=":")
        if len(pieces) > FEW:
            continue
        at = math.log(value / low) / math.log(high / low)
        row = next((r for r, end in enumerate(ends) if end < at - WIDE / 2), len(ends))
        ends[row : row + 1] = [at + WIDE / 2]
        ax.annotate(
            f"cut {before} | cut {after}\n{value:,.6g}",
            (value, 1.0),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2 + 22 * row),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(low, high)
    ax.set_xlabel(LABELS.get(found.parameter, found.axis))
    ax.set_ylabel("objective J of the best plan (Eq. 17)")
    legend_beside(ax)
    return ax


def plot_fading(decisions: Decisions, *, bins: int = 60, ax: Axes | None = None) -> Axes:
    """How often a channel has which rate, and which cut is the best there: a stacked histogram.

    Parameters
    ----------
    decisions : of requests with a column ``channel.rate``, for example drawn by `qopt.fading_rates`.
    bins : bars, evenly spaced in the logarithm of the rate.
    ax : where to draw. A legend gives each cut's share of the requests.

    Raises
    ------
    InputError
        The requests have no column of rates, or there are none.
    """
    rates = decisions.requests.columns.get("channel.rate")
    if rates is None or len(rates) == 0:
        raise InputError("requests.channel.rate", "no column", "the rates that were drawn")
    low, high = np.quantile(rates, [0.001, 1.0])
    edges = np.geomspace(low, high * (1 + 1e-9), bins + 1)
    ax = axes_for(ax, 7.0, 3.4)
    bottom = np.zeros(bins)
    for k, cut in enumerate(np.unique(decisions.cut)):
        mine = decisions.cut == cut
        count = np.histogram(np.maximum(rates[mine], low), edges)[0] / len(rates)
        name = f"cut {cut}" if cut >= 0 else "no plan"
        ax.bar(
            edges[:-1],
            count,
            np.diff(edges),
            bottom,
            align="edge",
            linewidth=0.4,
            label=f"{name}: {mine.mean():.1%}",
            **(area(k) if cut >= 0 else {"color": GREY}),
        )
        bottom += count
    ax.set_xscale("log")
    ax.set_xlabel("rate drawn [bit/s]")
    ax.set_ylabel("share of requests a bar")
    legend_beside(ax)
    return ax


def spent_and_allowed(problem: QPart, solution: Solution) -> tuple[float, float]:
    """Noise of a plan of whole bits at a cut p >= 1, and the limit Delta there."""
    plan = solution.plan
    if plan is None or plan.cut == 0 or plan.bits != "whole":
        raise InputError("solution.plan", "no whole bits at a cut p >= 1", "such a plan")
    weights, outputs = noise_terms(problem)
    column = {b: j for j, b in enumerate(problem.widths.tolist())}
    crossing = crossing_activations(problem, plan.cut)
    terms = [float(weights[i, column[int(b)]]) for i, b in enumerate(plan.weights)]
    terms += [float(outputs[i - 1, column[int(b)]]) for i, b in zip(crossing, plan.activations, strict=True)]
    return math.fsum(terms), float(problem.delta[plan.cut - 1])


def plot_published(problems: Sequence[QPart | str | os.PathLike[str]], ax: Axes | None = None) -> Axes:
    """The published algorithm on many requests: noise it spends of what is allowed, and its cost over the optimum.

    A point is a request: right of the line its plan breaks the accuracy limit (crosses), left of it the plan is
    admissible (dots) and what it costs too much can be read off. An inadmissible plan may cost less than the optimum.

    Parameters
    ----------
    problems : requests; one without an admissible plan, or for which the published algorithm has none, is left out.
    ax : where to draw.

    Raises
    ------
    InputError
        No request that both can answer.
    """
    share, excess, kept = [], [], []
    for i, given in enumerate(problems):
        problem = problem_of(QPart, given, field=f"problems[{i}]", named=True, instead=OTHERS)
        paper, best = solve(problem, "qpart-paper"), solve(problem)
        if paper.plan is None or paper.objective is None or best.objective is None:
            continue
        spent, allowed = spent_and_allowed(problem, paper)
        share.append(spent / allowed if allowed > 0 else math.inf)
        excess.append(paper.objective / best.objective - 1.0)
        kept.append(paper.certificate.feasible)
    if not share:
        raise InputError("problems", "none that both can answer", "at least one")
    ok = np.array(kept)
    ax = axes_for(ax, 6.5, 3.8)
    for mask, color, marker, name in (
        (ok, BLUE, MARKERS[0], "keeps the limits"),
        (~ok, RED, "x", "breaks a limit"),
    ):
        label = f"{name}: {int(mask.sum())} of {len(ok)}"
        ax.plot(
            np.array(share)[mask],
            100 * np.array(excess)[mask],
            linestyle="none",
            marker=marker,
            markersize=4.5,
            color=color,
            label=label,
        )
    ax.axvline(1.0, color=INK, linewidth=1, linestyle=":")
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=1.0)
    ax.margins(0.1)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    ax.set_xlabel("noise spent / noise allowed, $\\Delta$")
    ax.set_ylabel("objective over the optimum [%]")
    legend_beside(ax)
    return ax
