"""QPART's exact offline table as a fleet's options: plain columns, with every number whole and uses rounded up.

A table's plans of a network at a level are all that a request can be best served with, whatever its rate and prices
(`qopt.qpart.serving`). Each plan that leaves work to a server becomes an option for every server; one that leaves none
is an option of the device. What an option costs besides its airtime is Eq. 17 without eps Z; what airtime costs is its
weight (w_t + w_e P), so that J = cost + cost_up / rate_up + cost_down / rate_down again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from qopt.core.arguments import real
from qopt.core.arrays import IntArray
from qopt.core.errors import InputError, shown
from qopt.fleet.problem import MOST_OPTIONS, Options, Units
from qopt.qpart.costs import prices
from qopt.qpart.problem import QPart
from qopt.qpart.serving.table import Table

COST = 1e-6
"""What a unit of a fleet's cost is worth, by default, in that of the objective."""

AHEAD = 1e-12
"""Share by which a number may be above a whole one and still be taken for it: rounding of floats."""


def fleet_options(
    table: Table,
    network: str,
    level: float,
    servers: Mapping[str, float],
    units: Units,
    *,
    cost_unit: float = COST,
    memory: Mapping[str, float] | None = None,
    all_plans: bool = False,
) -> Options:
    """The options of a class: a network at an accuracy level, on any of some servers.

    Parameters
    ----------
    table : of whole bits, from `qopt.offline`.
    network : its name in the table; its device, channel and objective are those of the requests.
    level : accuracy loss that is allowed, absolute, such as 0.01; the network's largest level that does not exceed it.
    servers : by name, how many times as fast as the network's own server each is.
    units : of the fleet: seconds, bits and bytes of its whole numbers.
    cost_unit : what one of the fleet's costs is worth, in the unit of the objective.
    memory : bytes that a request takes of a server while it is there, by server; none by default.
    all_plans : also plans that only a tight memory of the device would ask for.

    Returns
    -------
    Columns for `qopt.Fleet.classes`.

    Raises
    ------
    InputError
        No such network, a level below all of its levels, a table of real-valued bits or one with tables by width, or
        more options than a class may have.
    """
    if table.bits != "whole":
        raise InputError("table", "one of real-valued bits", "one of whole bits")
    if network not in table.networks:
        raise InputError("network", shown(network), ", ".join(table.networks))
    problem, unit = table.networks[network], real("cost_unit", cost_unit, 0.0, math.inf, above=True)
    if problem.tables is not None:
        raise InputError("network", f"{shown(network)}, whose times stand in tables", "one whose MACs say them")
    levels = problem.accuracy.levels
    reached = np.flatnonzero(levels <= level)
    if not len(reached):
        raise InputError("level", shown(level), f"a loss of at least {levels.min():g}")
    row = int(reached[np.argmax(levels[reached])])
    speeds = {name: real(f"servers.{name}", speed, 0.0, math.inf, above=True) for name, speed in servers.items()}
    plans = table.whole[network, row]
    at = np.arange(len(plans)) if all_plans else np.flatnonzero(plans.extreme)
    columns = _columns(problem, plans, at, speeds, units, unit, dict(memory or {}))
    if not 1 <= len(columns["name"]) <= MOST_OPTIONS:
        raise InputError(
            "servers", f"{len(columns['name'])} options", f"1 to {MOST_OPTIONS}: fewer servers, or a lower level"
        )
    return Options(**columns)


def _columns(
    problem: QPart,
    plans: Any,
    at: IntArray,
    speeds: Mapping[str, float],
    units: Units,
    cost_unit: float,
    memory: Mapping[str, float],
) -> dict[str, Any]:
    """An entry for each plan and server."""
    w, device, server, channel = problem.objective, problem.device, problem.server, problem.channel
    xi = prices(problem).device
    on_air = w.time + w.energy * channel.transmit_power
    received = w.time + (w.energy * channel.transmit_power if channel.charge_download else 0.0)
    found: dict[str, list[Any]] = {
        name: [] for name in ("name", "server", "cost", "cost_up", "cost_down", "work", "memory", "up", "down", "time")
    }
    for number in at.tolist():
        here, there = float(plans.device_macs[number]), float(plans.server_macs[number])
        up, down = float(plans.upload[number]), float(plans.download[number]) / problem.inferences
        for name, speed in speeds.items() if there else [(None, 1.0)]:
            seconds = there * server.cycles_per_mac / (server.clock * speed)
            cost = xi * here + (w.time + w.price * server.price) * seconds
            if server.charge_energy:
                clock = server.clock * speed
                cost += w.energy * server.energy_coefficient * clock * clock * there * server.cycles_per_mac
            sent, got = (_up(bits / units.data) for bits in (up, down))
            label = f"cut {int(plans.cut[number])}, plan {number}"
            found["name"].append(f"{label} on {name}" if name else label)
            found["server"].append(name)
            found["cost"].append(round(cost / cost_unit))
            found["cost_up"].append(round(sent * on_air * units.time / cost_unit))
            found["cost_down"].append(round(got * received * units.time / cost_unit))
            found["work"].append(_up(seconds / units.time) if name else 0)
            found["memory"].append(_up(memory.get(name, 0.0) / units.memory) if name else 0)
            found["up"].append(sent)
            found["down"].append(got)
            found["time"].append(
                _up((here * device.cycles_per_mac / device.clock + (seconds if name else 0.0)) / units.time)
            )
    return found


def _up(value: float) -> int:
    """The least whole number that is not below a value."""
    return math.ceil(value * (1.0 - AHEAD))
