"""Break-even: the best cut as a function of one parameter of the request, exactly.

Every plan's objective is affine in 1 / rate, in 1 / inferences, and in each of several other parameters. The best
of all plans is the lower envelope of as many lines: sort by slope, O(E log E), in rational arithmetic, so that no
piece is missed. With whole bits the lines are the table's plans; with real-valued bits one plan a cut, for
parameters that leave the ratio of the prices of a bit up and down as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from qopt.core.arguments import is_number
from qopt.core.arrays import FloatArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.envelope import Envelope, of_lines
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.limits import limit_with_slack
from qopt.core.reading import problem_of
from qopt.qpart.costs import fixed_upload, split_macs, upload_values
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.real_bits import not_in_closed_form
from qopt.qpart.serving.entries import entries_in_time
from qopt.qpart.serving.fronts import upload_sizes
from qopt.qpart.serving.prices import request_prices
from qopt.qpart.serving.requests import AMOUNTS, Requests
from qopt.qpart.subproblem import subproblems

INVERSE = ("channel.rate", "channel.download_rate", "inferences")
AFFINE = (
    "server.price",
    "device.cycles_per_mac",
    "device.energy_coefficient",
    "server.cycles_per_mac",
    "server.energy_coefficient",
    "channel.transmit_power",
    "objective.time",
    "objective.energy",
    "objective.price",
)
SHORT = {name.split(".")[-1]: name for name in (*INVERSE, *AFFINE[:1], *AFFINE[5:6])}
"""Names without their section, where that is not ambiguous: rate, download_rate, inferences, price, transmit_power."""

UNITS = {
    "channel.rate": "bit/s",
    "channel.download_rate": "bit/s",
    "channel.transmit_power": "W",
    "server.price": "1/s",
    "device.cycles_per_mac": "cycles/MAC",
    "server.cycles_per_mac": "cycles/MAC",
    "device.energy_coefficient": "J s²/cycle³",
    "server.energy_coefficient": "J s²/cycle³",
    "objective.time": "1/s",
    "objective.energy": "1/J",
}
"""Units of the parameters; inferences are a number, and so is the weight of the price."""


def breakpoints(
    problem: QPart,
    parameter: str,
    *,
    low: float | None = None,
    high: float = math.inf,
    bits: Literal["whole", "real"] = "whole",
    clock: Clock = ENDLESS,
) -> Envelope:
    """The best plan for every value of a parameter.

    Parameters
    ----------
    problem : the request; everything but the parameter stays as it is.
    parameter : ``rate``, ``download_rate``, ``inferences``, ``price``, ``transmit_power``, or the full name of one of
        those and of ``device.cycles_per_mac``, ``device.energy_coefficient``, ``server.cycles_per_mac``,
        ``server.energy_coefficient``, ``objective.time``, ``objective.energy``, ``objective.price``.
    low, high : range of the parameter, default all that it can have: positive values, from 1 on for inferences.
    bits : ``whole``, or ``real`` (noise by the law).
    clock : of the call; where it is over, the plans of the cuts that were looked at by then stand for all.

    Raises
    ------
    InputError
        An unknown parameter, an empty range, or for real-valued bits a parameter that changes the ratio of the
        prices of a bit up and down.
    """
    problem = problem_of(QPart, problem)
    if bits not in ("whole", "real"):
        raise InputError("bits", shown(bits), "whole or real")
    name = SHORT.get(parameter, parameter) if isinstance(parameter, str) else ""
    if name not in INVERSE + AFFINE:
        short = {full: f"{full} ({brief})" for brief, full in SHORT.items()}
        known = ", ".join(short.get(full, full) for full in (*INVERSE, *AFFINE))
        raise InputError(
            "parameter", shown(parameter), f"one in whose value or inverse the objective is affine: {known}"
        )
    low = (1.0 if name == "inferences" else 0.0) if low is None else _number("low", low)
    high = _number("high", high)
    if not 0 <= low < high:
        raise InputError("low", f"{low:g} with high {high:g}", "0 <= low < high")
    if name == "channel.transmit_power" and problem.channel.rate is None:
        raise InputError(
            "parameter", shown(parameter), "another one: by Eq. 13 this channel's rate depends on the power"
        )
    inverse = name in INVERSE
    fixed, varying = _affine_prices(problem, name, inverse)
    plans: Sequence[QPartPlan | Callable[[], QPartPlan]]
    if bits == "whole":
        features, plans, complete = _whole_plans(problem, parameter, name, clock)
    else:
        features, plans, complete = _real_plans(problem, parameter, fixed, varying, clock)
    lines = [(float(fixed @ column), float(varying @ column)) for column in features.T] if plans else []
    where: dict[str, Any] = {"problem": problem.name, "parameter": name, "unit": UNITS.get(name, "")}
    return of_lines(lines, plans, **where, low=low, high=high, inverse=inverse, complete=complete)


def _number(field: str, value: object) -> float:
    if not is_number(value):
        raise InputError(field, shown(value), "a number")
    return float(value)


def _affine_prices(problem: QPart, name: str, inverse: bool) -> tuple[FloatArray, FloatArray]:
    """(F,) xi, delta, upload and download price at x = 0 (and those of what is measured), and what a unit of x adds."""
    # Two values of the parameter; zero where it may be zero.
    values = np.array([0.0, 1.0]) if name in AMOUNTS else np.array([2.0, 1.0])
    x = 1.0 / values if inverse else values
    base = _without_shannon(problem) if name == "channel.rate" else problem
    ends = request_prices(Requests.of({name: values}), base).objective.T
    varying: FloatArray = (ends[:, 1] - ends[:, 0]) / (x[1] - x[0])
    fixed: FloatArray = ends[:, 0] - varying * x[0]
    # What is proportional to x has no fixed part; rounding must not leave it one.
    fixed[np.abs(fixed) <= 1e-14 * np.abs(ends[:, 0])] = 0.0
    return fixed, varying


def _whole_plans(
    problem: QPart, parameter: str, name: str, clock: Clock
) -> tuple[FloatArray, Sequence[Callable[[], QPartPlan]], bool]:
    """Features of the table's entries that keep memory and the limits on what a plan costs, and what makes their plans.

    Few of them are the best anywhere, so a plan is made when it is asked for. And whether the clock left time for all.
    """
    table, complete = entries_in_time(problem.replace({"limits": None}) if problem.given_limits else problem, clock)
    memory = math.inf if problem.device.memory is None else limit_with_slack(problem.device.memory)
    fits = table.download <= memory
    if problem.given_limits:
        for rates, limit in _uses(problem, parameter, name):
            fits &= rates @ table.features <= limit_with_slack(limit)
    kept = np.flatnonzero(fits)

    def plan(e: int) -> QPartPlan:
        cut, widths = int(table.cut[e]), table.widths[table.start[e] : table.start[e + 1]].astype(float).tolist()
        return QPartPlan(problem=problem.name, cut=cut, weights=tuple(widths[:cut]), activations=tuple(widths[cut:]))

    return table.features[:, kept], [partial(plan, e) for e in kept.tolist()], complete


def _uses(problem: QPart, parameter: str, name: str) -> list[tuple[FloatArray, float]]:
    """What each limit counts of the features, and the limit; refused where the parameter changes that."""
    base = _without_shannon(problem) if name == "channel.rate" else problem
    found = request_prices(Requests.of({name: np.array([2.0, 1.0])}), base).uses
    for of_limit, (rates, _) in zip(problem.given_limits, found, strict=True):
        if not np.array_equal(rates[:, 0], rates[:, 1]):
            allowed = f"another one: what a plan uses of limits.{of_limit} depends on it"
            raise InputError("parameter", shown(parameter), allowed)
    return [(rates[:, 0], float(limit[0])) for rates, limit in found]


def _without_shannon(problem: QPart) -> QPart:
    """The same with a rate of its own, where Eq. 13 gave it."""
    if problem.channel.rate is not None:
        return problem
    shannon = ("channel.bandwidth", "channel.gain", "channel.fading", "channel.noise_power")
    return problem.replace({"channel.rate": 1.0, **dict.fromkeys(shannon)})


def _real_plans(
    problem: QPart, parameter: str, fixed: FloatArray, varying: FloatArray, clock: Clock
) -> tuple[FloatArray, list[QPartPlan], bool]:
    """Features and plans of the closed form at every cut; one plan a cut serves all values of the parameter.

    And whether the clock left time for all cuts.
    """
    if problem.noise.model != "law":
        raise MethodError(f"noise.model is {problem.noise.model}, real-valued bits take the law")
    if (why := not_in_closed_form(problem)) is not None:
        raise MethodError(why)
    (up, down), (up_more, down_more) = fixed[2:4], varying[2:4]
    if abs(up * down_more - down * up_more) > 1e-12 * (abs(up * down_more) + abs(down * up_more)):
        raise InputError("bits", "'real'", f"'whole': {parameter} changes the ratio of the prices of a bit up and down")
    table = subproblems(problem)
    on_device, on_server = split_macs(problem)
    columns, plans, complete = [], [], True
    for cut in problem.admissible_cuts:
        if clock.over:
            complete = False
            break
        subproblem = table.at(int(cut))
        found = at_cut(subproblem)
        if found is None:
            continue
        sizes = upload_sizes(subproblem, upload_values(problem))
        up_bits = float(sizes @ found.bits) + fixed_upload(problem, int(cut))
        columns.append((on_device[cut], on_server[cut], up_bits, subproblem.stored_bits(found.bits)))
        plans.append(subproblem.plan(found.bits, "real", problem.name))
    return np.array(columns).reshape(-1, 4).T, plans, complete
