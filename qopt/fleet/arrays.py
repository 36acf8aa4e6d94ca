"""A fleet as arrays: tables of options by class and cell, and shards of requests that lie in groups.

Requests of one class in one cell are a *group*. Cost, uses and time of its options are affine in the request's airtime
(1, up, down), so a group's options are a handful of coefficients whatever the number of its requests, and of a request
only its airtime, deadline, penalty and count are kept. Column 0 is the refusal, column o the o-th option, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.display import Brief
from qopt.fleet.costs import called
from qopt.fleet.problem import Fleet, Options, Requests

SLOTS = 4
"""Capacities that an option uses at most: work and memory of its server, airtime of its cell up and down."""

SHARD = 250_000
"""Rows of a shard, about: a few times a second's work."""

Key = tuple[int, int]
"""A group: class and cell."""


@dataclass(frozen=True, repr=False)
class Resource(Brief):
    """One capacity.

    Attributes
    ----------
    name : such as ``work of edge-1`` or ``airtime up in cell-2``.
    field : path of its capacity in the problem.
    capacity : in units.
    unit : name of the field of the problem's units that says what one is worth.
    """

    name: str
    field: str
    capacity: int
    unit: str


@dataclass(frozen=True, repr=False)
class Menu(Brief):
    """Options of a group, in whole numbers; the last axis is (1, up, down).

    Attributes
    ----------
    cost : (O, 3) what each costs.
    time : (O, 3) units of some seconds that each takes, sending included.
    use : (O, 4, 3) what each uses in each of its slots.
    slot : (O, 4) which capacity a slot is; the number of capacities for one without a limit.
    """

    cost: IntArray
    time: IntArray
    use: IntArray
    slot: IntArray

    def __len__(self) -> int:
        return len(self.cost)


@dataclass(frozen=True, repr=False)
class Tables(Brief):
    """What all shards share.

    Attributes
    ----------
    resources : capacities, in the order of all vectors of multipliers and loads.
    menus : by group.
    """

    resources: tuple[Resource, ...]
    menus: dict[Key, Menu]

    @cached_property
    def capacity(self) -> IntArray:
        """(K,) capacities."""
        return np.array([r.capacity for r in self.resources], dtype=np.int64)


@dataclass(frozen=True, repr=False)
class Group(Brief):
    """Requests of one class in one cell.

    Attributes
    ----------
    key : class and cell.
    row : (n,) their rows in the problem.
    up, down : (n,) airtime for a data unit.
    deadline : (n,) or None.
    penalty : (n,).
    count : (n,) or None where each stands for itself.
    """

    key: Key
    row: IntArray
    up: IntArray
    down: IntArray
    deadline: IntArray | None
    penalty: IntArray
    count: IntArray | None

    def __len__(self) -> int:
        return len(self.row)

    def take(self, at: IntArray | slice) -> Group:
        """Some of its requests."""

        def of(column: IntArray | None) -> IntArray | None:
            return None if column is None else column[at]

        return Group(
            self.key, self.row[at], self.up[at], self.down[at], of(self.deadline), self.penalty[at], of(self.count)
        )

    @property
    def counts(self) -> IntArray:
        """(n,) how many requests each row stands for."""
        return np.ones(len(self), dtype=np.int64) if self.count is None else self.count


Shard = tuple[Group, ...]


def tables(problem: Fleet) -> Tables:
    """What all shards of a problem share."""
    resources: list[Resource] = []
    slot_of: dict[tuple[str, str], int] = {}

    def add(kind: str, owner: str, field: str, capacity: int | None, unit: str) -> None:
        if capacity is not None:
            slot_of[owner, field] = len(resources)
            path = f"{kind}.{owner}.{field}"
            resources.append(Resource(called(path), path, capacity, unit))

    for name, server in problem.servers.items():
        add("servers", name, "work", server.work, "time")
        add("servers", name, "memory", server.memory, "memory")
    servers = dict(slot_of)
    cells = []
    for name, cell in problem.cells.items():
        slot_of.clear()
        add("cells", name, "up", cell.up, "time")
        add("cells", name, "down", cell.down, "time")
        cells.append((slot_of.get((name, "up")), slot_of.get((name, "down"))))
    none = len(resources)
    menus = {}
    present = np.unique(problem.requests.kind * len(cells) + problem.requests.cell)
    bases = [_menu(options, servers, none) for options in problem.classes.values()]
    for key in present.tolist():
        k, q = divmod(key, len(cells))
        base = bases[k]
        slot = base.slot.copy()
        slot[:, 2:] = [none if s is None else s for s in cells[q]]
        menus[k, q] = Menu(base.cost, base.time, base.use, slot)
    return Tables(tuple(resources), menus)


def _menu(options: Options, servers: dict[tuple[str, str], int], none: int) -> Menu:
    """A class's options, with the slots of its servers and none of a cell yet."""
    count, of = len(options.name), options.column
    use = np.zeros((count, SLOTS, 3), dtype=np.int64)
    use[:, 0, 0], use[:, 1, 0] = of("work"), of("memory")
    use[:, 2, 1], use[:, 3, 2] = of("up"), of("down")
    slot = np.full((count, SLOTS), none, dtype=np.int64)
    for o, server in enumerate(options.server):
        if server is not None:
            slot[o, :2] = servers.get((server, "work"), none), servers.get((server, "memory"), none)
    cost = np.stack((of("cost"), of("cost_up"), of("cost_down")), axis=1)
    return Menu(cost, np.stack((of("time"), of("up"), of("down")), axis=1), use, slot)


def shards(problem: Fleet, rows: int = SHARD) -> list[Shard]:
    """The requests of a problem, in its order, some rows a shard, in groups."""
    return [shard_of(problem.requests, slice(begin, begin + rows)) for begin in range(0, len(problem.requests), rows)]


def shard_of(requests: Requests, rows: slice) -> Shard:
    """Some rows of requests as groups."""
    kind, cell = requests.kind[rows], requests.cell[rows]
    begin = rows.start or 0
    order = np.lexsort((cell, kind)).astype(np.int64)
    ends = np.flatnonzero((np.diff(kind[order]) != 0) | (np.diff(cell[order]) != 0)) + 1
    zeros = np.zeros(len(kind), dtype=np.int64)

    def column(name: str) -> IntArray | None:
        found = requests.column(name)
        return None if found is None else found[rows]

    up, down = (zeros if (c := column(name)) is None else c for name in ("up", "down"))
    deadline, penalty, count = column("deadline"), requests.penalty[rows], column("count")
    groups = []
    for part in np.split(order, ends):
        groups.append(
            Group(
                key=(int(kind[part[0]]), int(cell[part[0]])),
                row=part + begin,
                up=up[part],
                down=down[part],
                deadline=None if deadline is None else deadline[part],
                penalty=penalty[part],
                count=None if count is None else count[part],
            )
        )
    return tuple(groups)


def blocks(shard: Shard, rows: int) -> Iterator[Group]:
    """Groups of a shard, at most so many rows at a time: what fits into a processor's cache."""
    for group in shard:
        for begin in range(0, len(group), rows):
            yield group if len(group) <= rows else group.take(slice(begin, begin + rows))
