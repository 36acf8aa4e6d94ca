"""What a fleet's plan costs and uses: exact sums, straight from the problem's tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.display import Brief
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import AMOUNTS, Fleet

ROWS = 500_000
"""Rows at a time."""


@dataclass(frozen=True, repr=False)
class FleetCost(Brief):
    """What a plan comes to, in the problem's units.

    Attributes
    ----------
    objective : what all requests cost, penalties of those refused included.
    served : what those cost that are served.
    refused : how many are refused.
    late : how many take an option that misses their deadline.
    used : what is used of each capacity, by the path of its field, such as ``servers.edge.work``; of those without a
        limit too.
    """

    equations: ClassVar[str] = "added up in whole numbers"

    objective: int
    served: int
    refused: int
    late: int
    used: dict[str, int]

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)


def breakdown(problem: Fleet, plan: FleetPlan) -> FleetCost:
    """What a plan costs and uses.

    Raises
    ------
    InputError
        The plan does not fit the problem.
    """
    rows, columns, counts = taken(problem, plan)
    cost, penalty, refused, late = 0, 0, 0, 0
    used: dict[str, int] = {}
    table = {name: np.concatenate([o.column(name) for o in problem.classes.values()]) for name in AMOUNTS}
    sizes = [len(options.name) for options in problem.classes.values()]
    start = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    place = {name: s for s, name in enumerate(problem.servers)}
    server = np.array([-1 if s is None else place[s] for o in problem.classes.values() for s in o.server])
    by_server = {field: np.zeros(len(problem.servers), dtype=np.int64) for field in ("work", "memory")}
    by_cell = {field: np.zeros(len(problem.cells), dtype=np.int64) for field in ("up", "down")}
    for begin in range(0, len(rows), ROWS):
        r, c, n = (part[begin : begin + ROWS] for part in (rows, columns, counts))
        none = c == 0
        refused += int(n[none].sum())
        penalty += int((problem.requests.penalty[r] * n)[none].sum())
        r, c, n = r[~none], c[~none], n[~none]
        at = start[problem.requests.kind[r]] + c - 1
        up, down = (_column(problem, name, r) for name in ("up", "down"))
        costs = table["cost"][at] + table["cost_up"][at] * up + table["cost_down"][at] * down
        sent, received = table["up"][at] * up, table["down"][at] * down
        cost += int((costs * n).sum())
        deadline = problem.requests.deadline
        if deadline is not None:
            late += int(n[table["time"][at] + sent + received > deadline[r]].sum())
        cell = problem.requests.cell[r]
        on = server[at] >= 0
        for field in ("work", "memory"):
            np.add.at(by_server[field], server[at][on], (table[field][at] * n)[on])
        for field, moved in (("up", sent), ("down", received)):
            np.add.at(by_cell[field], cell, moved * n)
    for owners, kind, sums in ((problem.servers, "servers", by_server), (problem.cells, "cells", by_cell)):
        for k, name in enumerate(owners):
            used |= {f"{kind}.{name}.{field}": int(total[k]) for field, total in sums.items()}
    return FleetCost(cost + penalty, cost, refused, late, used)


def _column(problem: Fleet, name: str, rows: IntArray) -> IntArray:
    found = problem.requests.column(name)
    return np.zeros(len(rows), dtype=np.int64) if found is None else found[rows]


def capacities(problem: Fleet) -> dict[str, int]:
    """Capacities by the path of their field, those without a limit left out."""
    found = {}
    for kind, owners, fields in (
        ("servers", problem.servers, ("work", "memory")),
        ("cells", problem.cells, ("up", "down")),
    ):
        for name, owner in owners.items():
            for field in fields:
                limit = getattr(owner, field)
                if limit is not None:
                    found[f"{kind}.{name}.{field}"] = limit
    return found


def called(field: str) -> str:
    """What the capacity of a field is called: ``work of edge``, ``airtime up in cell``."""
    kind, _, rest = field.partition(".")
    owner, _, what = rest.rpartition(".")
    return f"{what} of {owner}" if kind == "servers" else f"airtime {what} in {owner}"
