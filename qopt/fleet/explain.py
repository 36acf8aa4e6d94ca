"""What prices say: what capacities are worth, who is refused and why, and what changes when a server leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arrays import AnyArray
from qopt.core.clock import Clock
from qopt.core.display import Brief, listed, number
from qopt.core.errors import InputError, shown
from qopt.core.reading import problem_of
from qopt.core.solution import Outcome
from qopt.fleet.arrays import Group, shards, tables
from qopt.fleet.costs import called
from qopt.fleet.engine import Engine
from qopt.fleet.near import lengths_of
from qopt.fleet.passes import airtimes
from qopt.fleet.plan import FleetPlan, taken
from qopt.fleet.problem import Fleet
from qopt.fleet.witness import prices, start_of


@dataclass(frozen=True, repr=False)
class Refusal(Brief):
    """A row of requests that are refused, and the option that comes nearest to being worth it.

    Attributes
    ----------
    row, count : which row, and how many of its requests are refused.
    penalty : what refusing one costs.
    option : name of the option of least cost and prices; None where none meets the deadline.
    cost : what that option costs by itself.
    prices : what it uses at the prices, by the path of the capacity; those that ask nothing left out.
    reason : why, in a line.
    """

    row: int
    count: int
    penalty: int
    option: str | None
    cost: int | None
    prices: dict[str, float]
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.reason}"


@dataclass(frozen=True, repr=False)
class Refusals(Brief):
    """Refused rows of a plan.

    Attributes
    ----------
    rows : each with its reason.
    """

    rows: tuple[Refusal, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        count = sum(refusal.count for refusal in self.rows)
        return listed(f"{count} requests are refused", [str(refusal) for refusal in self.rows])


def refusals(
    problem: Fleet, plan: FleetPlan, witness: dict[str, object] | None = None, *, most: int = 1000
) -> Refusals:
    """Who is refused and why: no option in time, prices above the penalty, or what rounding left no room for.

    Parameters
    ----------
    problem : the fleet.
    plan : a plan of it.
    witness : multipliers, as `Solution.witness` has them; without them there are no prices.
    most : rows that are explained, the first ones.

    Returns
    -------
    `Refusals`.
    """
    problem = problem_of(Fleet, problem)
    rows, columns, counts = taken(problem, plan)
    out = (columns == 0) & (counts > 0)
    refused = dict(zip(rows[out].tolist(), counts[out].tolist(), strict=True))
    shared = tables(problem)
    of_unit = prices(problem, witness)
    lam = np.array([of_unit[r.field] * float(getattr(problem.units, r.unit)) for r in shared.resources] + [0.0])
    found = []
    wanted = np.array(sorted(refused)[:most], dtype=np.int64)
    for shard in shards(problem):
        for group in shard:
            mine = group.take(np.flatnonzero(np.isin(group.row, wanted)))
            if len(mine):
                found += _explained(problem, mine, lam, refused)
    return Refusals(tuple(sorted(found, key=lambda refusal: refusal.row)))


def _explained(problem: Fleet, group: Group, lam: AnyArray, refused: Mapping[int, int]) -> list[Refusal]:
    shared = tables(problem)
    menu = shared.menus[group.key]
    none = np.zeros(len(shared.resources), dtype=np.int64)
    alone = lengths_of(group, menu, none, 0)
    used = np.einsum("na,osa->nos", airtimes(group), menu.use.astype(float)) * lam[menu.slot]
    whole = alone[:, 1:] + used.sum(axis=2)
    names = list(problem.classes.values())[group.key[0]].name
    found = []
    for i, row in enumerate(group.row.tolist()):
        penalty, count = int(group.penalty[i]), refused[row]
        if not np.isfinite(whole[i]).any():
            reason = "no option meets its deadline"
            found.append(Refusal(row, count, penalty, None, None, {}, reason))
            continue
        o = int(np.argmin(whole[i]))
        cost = int(alone[i, o + 1])
        asked: dict[str, float] = {}
        for slot, price in zip(menu.slot[o].tolist(), used[i, o].tolist(), strict=True):
            if price > 0:
                asked[shared.resources[slot].field] = price
        about = f"{names[o]} costs {cost}"
        if cost >= penalty:
            reason = f"{about} by itself, and its refusal {penalty}"
        elif whole[i, o] >= penalty * (1 - 1e-9):
            most = max(asked, key=lambda field: asked[field])
            congestion = f"{number(sum(asked.values()))} at the prices, most of it {called(most)}"
            reason = f"{about} and {congestion}; refusing {penalty}"
        else:
            reason = (
                f"{about} and {number(sum(asked.values()))} at the prices, below {penalty}: no room was left for it"
            )
        found.append(Refusal(row, count, penalty, names[o], cost, asked, reason))
    return found


def without_server(problem: Fleet, server: str) -> Fleet:
    """The fleet when a server leaves: its options are gone, and what used them must go elsewhere or be refused.

    Parameters
    ----------
    problem : the fleet.
    server : its name.

    Returns
    -------
    A fleet whose server has no capacity: options keep their places, so that plans of both can be compared.

    Raises
    ------
    InputError
        No such server.
    """
    problem = problem_of(Fleet, problem)
    if server not in problem.servers:
        raise InputError("server", shown(server), ", ".join(problem.servers) or "nothing: there is none")
    left: dict[str, Any] = {name: s for name, s in problem.servers.items() if name != server}
    left[server] = {"work": 0, "memory": 0}
    classes = {}
    for name, options in problem.classes.items():
        data = {field: getattr(options, field) for field in type(options).model_fields}
        gone = np.array([s == server for s in options.server])
        if gone.any():
            data["work"] = np.where(gone, np.maximum(options.column("work"), 1), options.column("work"))
        classes[name] = type(options)(**data)
    servers = {name: left[name] for name in problem.servers}
    return problem.with_parts(name=f"{problem.name} without {server}", servers=servers, classes=classes)


def solve_from(
    problem: Fleet,
    priced: Mapping[str, float] | None = None,
    *,
    engine: str = "numpy",
    jobs: int = 1,
    client: Any = None,
) -> Outcome:
    """Solve a fleet from the prices of a similar one: after a server has left, or a minute later.

    Parameters
    ----------
    problem : the fleet.
    priced : `prices` of the similar one; None begins with samples.
    engine, jobs, client : where passes run, see `qopt.fleet.engine.Engine`.

    Returns
    -------
    `Outcome`: plan, bound, the multipliers as witness, and in `details` how many passes it took. `qopt.certify` says
    what is true of it.
    """
    from qopt.fleet.methods.dual import climb, plan
    from qopt.fleet.methods.lagrangian import outcome

    problem = problem_of(Fleet, problem)
    clock = Clock(None)
    with Engine(tables(problem), shards(problem), engine, jobs=jobs, client=client) as running:
        grid = running.grid()
        start = None if priced is None else start_of(problem, grid, dict(priced))
        climbed = climb(running, clock=clock, start=start, known=grid)
        planned = plan(running, climbed, len(problem.requests), clock)
    return outcome(problem, climbed, planned, clock)
