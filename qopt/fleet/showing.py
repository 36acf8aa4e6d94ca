"""What a page shows of fleets: how full the capacities are, and what a rising load does.

No exact curve over the load is known, so some loads are solved.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qopt.core.plan import Plan
from qopt.core.showing import Picture, Slider, Strip
from qopt.core.solution import Solution
from qopt.fleet.costs import capacities
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import Cell, Fleet, Limit, Server

LOADS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Loads that are solved, as multiples of the instance's."""

FEW_CLASSES = 6
"""Classes that have a strip each."""

MOST = 2**53
"""No capacity is larger."""


def sliders(problem: Fleet) -> list[Slider]:
    """The load, where there is a capacity.

    Parameters
    ----------
    problem : a fleet.
    """
    if not capacities(problem):
        return []
    return [Slider("solves", "load", "load, as a multiple of the instance's", 1.0, LOADS)]


def changed(problem: Fleet, name: str, value: float) -> Fleet:
    """The fleet under another load: capacities divided by it and rounded down, as of so many times the requests.

    Parameters
    ----------
    problem : a fleet.
    name : ``load``.
    value : above 0.
    """
    assert name == "load"

    def less(limit: Limit) -> Limit:
        return None if limit is None else min(int(limit / Fraction(value)), MOST)

    return problem.with_parts(
        servers={s: Server(work=less(of.work), memory=less(of.memory)) for s, of in problem.servers.items()},
        cells={c: Cell(up=less(of.up), down=less(of.down)) for c, of in problem.cells.items()},
    )


def strips(problem: Fleet, plan: Plan) -> list[Strip]:
    """Where the requests of each class are served, by number.

    Parameters
    ----------
    problem, plan : a fleet and a plan for it.
    """
    assert isinstance(plan, FleetPlan)
    rows, columns, counts = taken(problem, plan)
    kinds = problem.requests.kind[rows]
    found = []
    for k, (name, options) in enumerate(list(problem.classes.items())[:FEW_CLASSES]):
        by_option = np.bincount(columns[kinds == k], weights=counts[kinds == k], minlength=len(options.name) + 1)
        groups: dict[str, int] = {}
        for where, count in zip(("refused", *options.server), by_option.tolist(), strict=True):
            if count:
                groups[where or "device"] = groups.get(where or "device", 0) + int(count)
        found.append(Strip(f"requests of {name}", tuple(sorted(groups.items()))))
    return found


def pictures(problem: Fleet, solution: Solution) -> list[Picture]:
    """How much of each capacity is used.

    Parameters
    ----------
    problem : a fleet.
    solution : with a plan.
    """
    from qopt.fleet.plots import plot_capacities

    return [Picture("How much of each capacity is used.", lambda: plot_capacities(problem, solution.plan))]
