"""Pictures of losses and of what reaching them takes, like Figs. 2, 3 and 7 to 12 of the JQODI paper."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.plot_style import (
    BLUE,
    GREY,
    INK,
    RED,
    SKY,
    axes_for,
    legend_beside,
    literal,
    name_places,
    series,
    stacked,
    whole_ticks,
)
from qopt.core.reading import problem_of
from qopt.jqodi.costs import NODES, breakdown
from qopt.jqodi.estimators.curves import Curve
from qopt.jqodi.estimators.forecast import Forecast
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.plots import PARTS, part
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import request_bits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

What = Literal["energy", "time"]
UNITS = {"energy": "energy [J]", "time": "time [s]"}


def plot_accuracy(curves: Mapping[str, Curve], *, ax: Axes | None = None) -> Axes:
    """Accuracy over the epochs for models and widths (Fig. 2).

    Parameters
    ----------
    curves : by name, with accuracies.
    ax : where to draw.

    Raises
    ------
    InputError
        There is no curve, or one whose accuracy nobody counted.
    """
    _some("curves", curves)
    ax = axes_for(ax, 6.5, 3.8)
    for k, (name, curve) in enumerate(curves.items()):
        if not curve.accuracy:
            raise InputError("curves", f"{shown(name)} without accuracies", "curves with an accuracy for each epoch")
        ax.plot(
            range(1, curve.epochs + 1),
            curve.accuracy,
            label=literal(name),
            markersize=3,
            markevery=max(1, curve.epochs // 20),
            **series(k),
        )
    whole_ticks(ax, range(1, 1 + max(curve.epochs for curve in curves.values())))
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy [share]")
    legend_beside(ax)
    return ax


def plot_losses(
    problem: Jqodi | str | os.PathLike[str],
    plans: Mapping[str, JqodiPlan],
    curves: Sequence[Curve],
    against: What = "time",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Loss of plans over the time or energy that their epochs take (Figs. 7 and 11).

    A circle ends a plan whose loss meets L_max, a square one whose loss does not. The loss is that of the first curve
    of a plan's model and width, as far as it goes.

    Parameters
    ----------
    problem : a JQODI problem, a bundled name or a path.
    plans : by name.
    curves : list of curves of the plans' models and widths.
    against : ``time`` [s] or ``energy`` [J].
    ax : where to draw.

    Raises
    ------
    InputError
        There is no plan, one has no curve or is impossible in some epoch, or `against` is neither.
    """
    problem = problem_of(Jqodi, problem, named=True)
    _check_what("against", against)
    _some("plans", plans)
    ax = axes_for(ax, 6.5, 3.8)
    for k, (name, plan) in enumerate(plans.items()):
        curve = next((c for c in curves if (c.model, c.bits) == (plan.model, plan.bits)), None)
        if curve is None:
            raise InputError("curves", f"none of {plan.model} at {plan.bits} bits", "a curve for each plan")
        spent = _spent(problem, name, plan, against)[: curve.epochs + 1]
        losses, limit = curve.after[: len(spent)], problem.model(plan.model).loss_limit
        look = series(k)
        ax.plot(spent, losses, label=literal(name), color=look["color"], linestyle=look["linestyle"])
        end = "o" if limit is not None and losses[-1] <= limit else "s"
        ax.plot(spent[-1:], losses[-1:], marker=end, color=look["color"], markersize=7)
    known = (problem.model(plan.model).loss_limit for plan in plans.values())
    limits = {limit for limit in known if limit is not None}
    for limit in limits:
        ax.axhline(limit, color=INK, linewidth=0.9, linestyle=":", label="$L_{max}$" if limit == min(limits) else None)
    if against == "time":
        ax.axvline(problem.time_limit, color=GREY, linewidth=0.9, linestyle="--", label="$T_{max}$")
    ax.set_yscale("log")
    ax.set_xlabel(UNITS[against])
    ax.set_ylabel("loss")
    legend_beside(ax)
    return ax


def plot_cuts(
    problem: Jqodi | str | os.PathLike[str],
    plan: JqodiPlan,
    what: What = "energy",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Energy or time of a plan's epochs at every cut, by node (Fig. 3): with its first server, all layers' cuts 0 to n.

    Parameters
    ----------
    problem : a JQODI problem, a bundled name or a path.
    plan : model, width, server and number of epochs.
    what : ``energy`` [J] or ``time`` [s].
    ax : where to draw.

    Raises
    ------
    InputError
        `what` is neither, or the server cannot be used.
    """
    problem = problem_of(Jqodi, problem, named=True)
    _check_what("what", what)
    cuts = range(len(problem.model(plan.model)) + 1)
    rows = [cut_cost(problem, plan, cut, what) for cut in cuts]
    ax = _stacked(axes_for(ax, 6.5, 3.6), rows, UNITS[what], 0)
    whole_ticks(ax, cuts)
    ax.set_xlabel("cut j: layers 1..j run on the device")
    return ax


def cut_cost(problem: Jqodi, plan: JqodiPlan, cut: int, what: What) -> dict[str, float]:
    """Joules or seconds by node of a plan's epochs, all at one cut with its first server.

    Parameters
    ----------
    problem, plan : as for `plot_cuts`.
    cut : j.
    what : ``energy`` or ``time``.

    Raises
    ------
    InputError
        An epoch is impossible.
    """
    count = len(plan.servers)
    moved = plan.model_copy(update={"servers": plan.servers[:1] * count, "cuts": (cut,) * count})
    cost = breakdown(problem, moved)
    if cost.time is None:
        raise InputError("plan", f"{plan.servers[0]}, impossible in epoch {cost.impossible[0]}", "a server in reach")
    if what == "time":
        return {node: float(value or 0.0) for node, value in cost.node_times.items()}
    return {node: math.fsum(row.energies[i] for row in cost.epochs) for i, node in enumerate(NODES)}


def plot_inference(
    problem: Jqodi | str | os.PathLike[str],
    plans: Mapping[str, JqodiPlan],
    what: What = "energy",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Energy or time of one inference by node, for each plan and each combination of device and servers (Figs. 9, 10).

    Parameters
    ----------
    problem : a JQODI problem, a bundled name or a path; its models have activations.
    plans : by name; model, width and the last epoch's cut count.
    what : ``energy`` [J] or ``time`` [s].
    ax : where to draw.

    Raises
    ------
    InputError
        `what` is neither, there is no plan, or the problem does not say what a request sends.
    """
    problem = problem_of(Jqodi, problem, named=True)
    _check_what("what", what)
    _some("plans", plans)
    rows = {}
    for name, plan in plans.items():
        for combination, parts in inference_costs(problem, plan, what).items():
            rows[f"{name}: {combination}"] = parts
    ax = axes_for(ax, min(3.0 + 0.6 * len(rows), 14.0), 4.0)
    ax = _stacked(ax, list(rows.values()), f"{UNITS[what]} of one inference", 1)
    name_places(ax, list(rows), "plan: where one inference runs")
    ax.tick_params(axis="x", labelsize=7)
    return ax


def inference_costs(problem: Jqodi, plan: JqodiPlan, what: What = "energy") -> dict[str, dict[str, float]]:
    """Joules or seconds of one inference by node, for the device alone and with each server.

    Parameters
    ----------
    problem, plan, what : as for `plot_inference`.

    Raises
    ------
    InputError
        The problem does not say what a request sends.
    """
    model, device = problem.model(plan.model), problem.decided
    width, cut, n = model.width(plan.bits), plan.cuts[-1], len(model)

    def amount(macs: float, speed: float, energy: float) -> float:
        return width.work * macs * energy if what == "energy" else width.work * macs / speed

    whole = amount(math.fsum(model.macs.tolist()), device.speed, device.energy)
    found = {device.name: {"device": whole, "device link": 0.0, "edge": 0.0}}
    for server in problem.servers:
        link = next((link for link in device.links if link.server == server.name), None)
        if link is None:
            continue
        bits = request_bits(model, width, cut)
        if bits is None:
            raise InputError(
                f"models.{model.name}.activations", "nothing", "outputs of each layer, which requests send"
            )
        found[f"{device.name} + {server.name}" if cut else server.name] = {
            "device": amount(math.fsum(model.macs[:cut].tolist()), device.speed, device.energy),
            "device link": bits * link.energy if what == "energy" else bits / link.bits_per_second,
            "edge": amount(math.fsum(model.macs[cut:n].tolist()), server.speed, server.energy),
        }
    return found


def plot_forecast(curve: Curve, forecast: Forecast, limit: float | None = None, *, ax: Axes | None = None) -> Axes:
    """A forecast with its 50, 80 and 95 % intervals, and the curve as far as it is known.

    Parameters
    ----------
    curve : what came, whether the forecast saw it or not.
    forecast : of the same model and width.
    limit : L_max, a dotted line.
    ax : where to draw.
    """
    ax = axes_for(ax, 6.0, 3.6)
    epochs = np.arange(1, forecast.epochs + 1)
    for level, shade in ((0.95, 0.15), (0.8, 0.25), (0.5, 0.4)):
        low, high = forecast.interval(level)
        ax.fill_between(epochs, low, high, color=SKY, alpha=shade, linewidth=0, label=f"{100 * level:g} %")
    ax.plot(epochs, forecast.losses(), color=BLUE, label=f"expected ({forecast.estimator})")
    seen = np.arange(1, curve.epochs + 1) <= forecast.seen
    at = np.arange(1, curve.epochs + 1)
    ax.plot(at[seen], np.array(curve.trained)[seen], "o", color=INK, markersize=4, label="seen")
    ax.plot(at[~seen], np.array(curve.trained)[~seen], "o", color=RED, markersize=4, fillstyle="none", label="came")
    if limit is not None:
        ax.axhline(limit, color=INK, linewidth=0.9, linestyle=":")
    ax.set_yscale("log")
    whole_ticks(ax, range(1, 1 + forecast.epochs))
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    legend_beside(ax)
    return ax


def _spent(problem: Jqodi, name: str, plan: JqodiPlan, what: str) -> list[float]:
    """Seconds or joules after 0, 1, ... epochs, quantizing included."""
    cost = breakdown(problem, plan)
    if cost.time is None:
        raise InputError("plans", f"{name}, impossible in epoch {cost.impossible[0]}", "plans that are possible")
    first = cost.setup_time if what == "time" else cost.setup_energy
    steps = [(row.time if what == "time" else row.energy) or 0.0 for row in cost.epochs]
    return list(itertools.accumulate([first, *steps]))


def _stacked(ax: Axes, rows: Sequence[Mapping[str, float]], label: str, first: int) -> Axes:
    """Bars of parts, one for each row, from a place on."""
    parts = {name: [row.get(name, 0.0) for row in rows] for name in PARTS}
    stacked(ax, range(first, first + len(rows)), {n: heights for n, heights in parts.items() if any(heights)}, part)
    ax.set_ylabel(label)
    legend_beside(ax)
    return ax


def _check_what(field: str, what: object) -> None:
    if what not in UNITS:
        raise InputError(field, shown(what), ", ".join(UNITS))


def _some(field: str, given: Mapping[str, object]) -> None:
    if not isinstance(given, Mapping) or not given:
        raise InputError(field, shown(given), "at least one, by name")
