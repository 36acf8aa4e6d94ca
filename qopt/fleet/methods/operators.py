"""What operators do today, to compare with: requests are admitted in their order, by a rule that looks at one.

No published algorithm, but what is usual.

``own-best``      its cheapest option, as if it were alone; refused where that does not fit any more
``greedy``        the cheapest of its options that still fit
``least-loaded``  the server with the least load that can take it, and there its cheapest option that fits
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.fleet.arrays import Group, Tables, shards, tables
from qopt.fleet.near import lengths_of
from qopt.fleet.passes import airtimes
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet

ROWS = 2_000
"""Rows whose tables are made at a time."""


@dataclass(frozen=True, repr=False)
class Asked(Brief):
    """One row, as a rule sees it.

    Attributes
    ----------
    row, count : which, and how many requests it stands for.
    order : columns cheaper than the refusal, the cheapest first.
    uses : of each column of `order`, what it uses: (capacity, amount).
    server : of each, the slot of its server's work; -1 without one.
    """

    row: int
    count: int
    order: list[int]
    uses: list[list[tuple[int, int]]]
    server: list[int]


def asked(problem: Fleet, shared: Tables) -> Iterator[Asked]:
    """The rows of a problem in their order."""
    none = len(shared.resources)
    zero = np.zeros(none, dtype=np.int64)
    for shard in shards(problem, ROWS):
        found: dict[int, Asked] = {}
        for group in shard:
            for one in _of_group(group, shared, zero, none):
                found[one.row] = one
        for row in sorted(found):
            yield found[row]


def _of_group(group: Group, shared: Tables, zero: IntArray, none: int) -> Iterator[Asked]:
    menu = shared.menus[group.key]
    lengths = lengths_of(group, menu, zero, 0)
    order = np.argsort(lengths, axis=1, kind="stable")
    better = (lengths < lengths[:, :1]).sum(axis=1).tolist()
    amounts = np.einsum("na,osa->nos", airtimes(group).astype(np.int64), menu.use)
    slots = menu.slot.tolist()
    counts = group.counts.tolist()
    for i, row in enumerate(group.row.tolist()):
        columns = order[i, : better[i]].tolist()
        mine = amounts[i].tolist()
        uses = [[(k, a) for k, a in zip(slots[c - 1], mine[c - 1], strict=True) if k < none and a] for c in columns]
        yield Asked(row, counts[i], columns, uses, [slots[c - 1][0] if slots[c - 1][0] < none else -1 for c in columns])


def _fitting(uses: list[tuple[int, int]], room: list[int], count: int) -> int:
    """How many of some requests fit into what is left."""
    for k, amount in uses:
        count = min(count, room[k] // amount)
    return count


def _admitted(problem: Fleet, rule: str, clock: Clock) -> tuple[FleetPlan, bool]:
    """The plan of a rule, and whether it came to the end of the requests."""
    shared = tables(problem)
    capacity = shared.capacity.tolist()
    room = list(capacity)
    option = np.zeros(len(problem.requests), dtype=np.int64)
    splits: list[tuple[int, int, int]] = []
    for number, one in enumerate(asked(problem, shared)):
        if number % ROWS == 0 and clock.over:
            return FleetPlan(problem=problem.name, option=option, splits=tuple(splits)), False
        left, taken = one.count, []
        places: list[int] = list(range(len(one.order)))
        if rule == "own-best":
            places = places[:1]
        elif rule == "least-loaded":
            share = [room[s] / max(capacity[s], 1) if s >= 0 else -1.0 for s in one.server]
            places.sort(key=lambda j: -share[j])  # stable: of one server's, the cheapest first
        for j in places:
            fits = _fitting(one.uses[j], room, left)
            if fits:
                for k, amount in one.uses[j]:
                    room[k] -= fits * amount
                taken.append((one.order[j], fits))
                left -= fits
            if not left:
                break
        if left or not taken:  # a row may stand for none
            taken.append((0, left))
        taken.sort(key=lambda t: -t[1])
        option[one.row] = taken[0][0]
        splits += [(one.row, column, count) for column, count in taken[1:]]
    return FleetPlan(problem=problem.name, option=option, splits=tuple(splits)), True


def _outcome(problem: Fleet, rule: str, options: Options) -> Outcome:
    plan, done = _admitted(problem, rule, options.clock())
    return Outcome("heuristic" if done else "time-limit", plan)


def own_best(problem: Fleet, clock: Clock) -> FleetPlan:
    """Each request its own best, refused where that does not fit."""
    return _admitted(problem, "own-best", clock)[0]


def solve_own_best(problem: Fleet, options: Options) -> Outcome:
    """See `own_best`. Takes time_limit."""
    return _outcome(problem, "own-best", options)


def solve_greedy(problem: Fleet, options: Options) -> Outcome:
    """Each request the cheapest option that still fits. Takes time_limit."""
    return _outcome(problem, "greedy", options)


def solve_least_loaded(problem: Fleet, options: Options) -> Outcome:
    """Each request to the server with the least load. Takes time_limit."""
    return _outcome(problem, "least-loaded", options)
