"""Several devices that fine-tune on shared servers, as a fleet: a JQODI problem each, the servers' capacity for all.

Every device has a problem of its own (its models, its data, its T_max) in mode ``choice``: one server and cut for all
of its epochs. What a choice takes of its server are the seconds that the server computes for it (Eq. 4 over v_x, summed
over the epochs), and a seat. All devices together keep to each server's seconds and seats; a device that gets nothing
is refused, at a penalty that is worth more than all energy, so that as many as possible are served first.

Choices that break T_max are left out, in the exact test; so are those that take no less of anything than another on the
same server. Energies are rounded to whole units and seconds upwards, 2^-30 of the largest: the optimum of the fleet is
that of the devices up to so much a device, and its plans keep the capacities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.bridges.options import AHEAD
from qopt.core.arguments import real, whole
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.core.reading import problem_of
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import Fleet
from qopt.jqodi.costs import breakdown
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidates, keeps_limit, plan_of

STEPS = 2**30
"""Units that the largest energy, and the longest work, are divided into."""


@dataclass(frozen=True)
class Choice:
    """One choice of a device.

    Attributes
    ----------
    plan : the choice, for its own problem.
    server : that computes.
    energy : joules, the plan's objective.
    work : seconds that the server computes.
    """

    plan: JqodiPlan
    server: str
    energy: float
    work: float


@dataclass(frozen=True, repr=False)
class SharedServers(Brief):
    """Devices as a fleet, and what its options stand for.

    Attributes
    ----------
    fleet : to be solved by any of its methods: `qopt.solve(shared.fleet)`.
    choices : those of each device, in the order of its options.
    joules : what a unit of the fleet's cost is worth [J].
    """

    fleet: Fleet
    choices: dict[str, tuple[Choice, ...]]
    joules: float

    def chosen(self, plan: FleetPlan) -> dict[str, Choice | None]:
        """What each device gets; None where it is refused.

        Parameters
        ----------
        plan : of the fleet.
        """
        taken(self.fleet, plan)
        pairs = zip(self.choices.items(), plan.option.tolist(), strict=True)
        return {name: mine[o - 1] if o else None for (name, mine), o in pairs}

    def energy(self, plan: FleetPlan) -> float:
        """Joules of all devices that are served.

        Parameters
        ----------
        plan : of the fleet.
        """
        return math.fsum(one.energy for one in self.chosen(plan).values() if one is not None)


def share_servers(
    problems: Mapping[str, Jqodi],
    seconds: Mapping[str, float | None],
    *,
    seats: Mapping[str, int] | None = None,
) -> SharedServers:
    """Devices with a problem each, on servers that they share.

    Parameters
    ----------
    problems : by the device's name; mode ``choice``, servers of the same name are the same.
    seconds : seconds that each server computes at most, for all devices together; None, or a server not named, is no
        limit.
    seats : devices that each server takes at most; none by default.

    Returns
    -------
    The fleet, whose cost counts energies, and what its options stand for.

    Raises
    ------
    InputError
        No devices, a problem of another family or mode, a server that none of them has, a number that is none, or a
        device without a choice that keeps its T_max.
    """
    if not problems:
        raise InputError("problems", "no devices", "at least one")
    asked = {name: problem_of(Jqodi, problem, field=f"problems.{name}") for name, problem in problems.items()}
    servers = list(dict.fromkeys(server for problem in asked.values() for server in problem.server_names))
    for field, given in (("seconds", seconds), ("seats", seats or {})):
        for name in given:
            if name not in servers:
                raise InputError(f"{field}.{name}", shown(name), "a server: " + ", ".join(servers))
    limits = {x: None if s is None else real(f"seconds.{x}", s, 0.0, 1e300) for x, s in seconds.items()}
    places = {x: whole(f"seats.{x}", s, 0) for x, s in (seats or {}).items()}
    found = {name: _choices(name, problem) for name, problem in asked.items()}
    joules = max(one.energy for mine in found.values() for one in mine) / STEPS or 1.0
    unit = max(one.work for mine in found.values() for one in mine) / STEPS or 1.0
    classes = {name: _kept(mine, joules, unit) for name, mine in found.items()}
    penalty = sum(max(costs) for costs, _, _ in classes.values()) + 1
    data: dict[str, Any] = {
        "name": "devices on shared servers",
        "description": f"A unit of cost is {joules:.9g} J.",
        "units": {"time": unit},
        "servers": {x: {"work": _capacity(limits.get(x), unit, len(found)), "memory": places.get(x)} for x in servers},
        "cells": {"all": {}},
        "classes": {
            name: {
                "name": [
                    f"{o + 1}: {one.plan.model} at {one.plan.bits} bits, {one.server}" for o, one in enumerate(mine)
                ],
                "server": [one.server for one in mine],
                "cost": costs,
                "work": work,
                "memory": [1] * len(mine),
            }
            for name, (costs, work, mine) in classes.items()
        },
        "requests": {
            "kind": list(range(len(classes))),
            "cell": [0] * len(classes),
            "penalty": [penalty] * len(classes),
        },
    }
    return SharedServers(Fleet(**data), {name: tuple(mine) for name, (_, _, mine) in classes.items()}, joules)


def _capacity(seconds: float | None, unit: float, devices: int) -> int | None:
    """Whole units of work that some seconds hold; None for more than all devices can take."""
    if seconds is None or seconds / unit > (STEPS + 1) * devices:
        return None
    return math.floor(seconds / unit * (1.0 + AHEAD))


def _choices(name: str, problem: Jqodi) -> list[Choice]:
    """All choices that keep T_max."""
    if problem.mode != "choice":
        raise InputError(f"problems.{name}.mode", shown(problem.mode), "'choice': one server and cut for all epochs")
    found: list[Choice] = []
    for candidate in candidates(problem):
        for s in np.flatnonzero(np.isfinite(candidate.time).all(axis=0)).tolist():
            states = [s] * candidate.epochs
            if not keeps_limit(problem, candidate, states):
                continue
            plan = plan_of(problem, candidate, states)
            cost = breakdown(problem, plan)
            work = cost.node_times["edge"]
            assert cost.objective is not None
            assert work is not None
            found.append(Choice(plan, plan.servers[0], cost.objective, work))
    if not found:
        message = "no choice that keeps T_max"
        raise InputError(
            f"problems.{name}", message, "a problem that has a plan (qopt.jqodi.smallest_limits says when)"
        )
    return found


def _kept(mine: list[Choice], joules: float, unit: float) -> tuple[list[int], list[int], list[Choice]]:
    """Whole costs and works of the choices of a device of which none takes as little of both as another."""
    rows: list[tuple[str, int, int, Any]] = [
        (one.server, round(one.energy / joules), math.ceil(one.work / unit * (1.0 - AHEAD)), one) for one in mine
    ]
    kept: list[tuple[str, int, int, Any]] = []
    for server in dict.fromkeys(row[0] for row in rows):
        least = math.inf
        for row in sorted((row for row in rows if row[0] == server), key=lambda row: row[1:3]):
            if row[2] < least:
                kept.append(row)
                least = row[2]
    return [row[1] for row in kept], [row[2] for row in kept], [row[3] for row in kept]
