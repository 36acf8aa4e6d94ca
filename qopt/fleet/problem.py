"""Fleet: many requests on shared servers and links, each with one option of its class.

Requests come in classes (a network at an accuracy level). A class has a table of options, each a server (or none: all
on the device), a cut and widths, as QPART's offline table lists them; what an option costs and uses is affine in the
request's airtime for a unit of data, as Eq. 17 is in 1/r. With o_r the option of request r, J its cost and u_k its use
of capacity k (seconds and memory of a server, airtime of a cell up and down):

    minimise  sum_r J[r, o_r]  subject to  sum_r u_k[r, o_r] <= C_k  for every capacity k

    J[r, o] = cost + cost_up up_r + cost_down down_r                      what the option costs
    u       = work, memory (of its server);  bits_up up_r, bits_down down_r (of the request's cell)
    time    = time + bits_up up_r + bits_down down_r <= deadline_r        else the option is not on the menu

Refusing is an option of every request, at its penalty and without use: there is always a plan.

All numbers are whole, in units that the problem states, and exact from then on: whatever adds them up, in whatever
order and on whatever machine, comes to the same sums. Rounding happens where a problem is made (`qopt.fleet.requests`,
`qopt.bridges.options`), upwards for what is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from qopt.core.arrays import IntArray
from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import Counts, complaint
from qopt.core.errors import shown
from qopt.core.problem import Frozen, Positive, Problem

Name = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Names = tuple[Name, ...]


def _whole(value: object) -> object:
    """A whole number that is written 4.0 as 4."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=2**53, strict=True)]
Limit = Whole | None
"""None is no limit."""

MOST_OPTIONS = 250
"""Options of a class: a choice fits into a byte."""

PRODUCT = 2**44
"""Cost and uses of one request, at most, in their units: with multipliers they stay below 2^53."""


class Units(Frozen):
    """What one of each whole number is worth; 1 where they are abstract.

    Attributes
    ----------
    time : seconds.
    data : bits.
    memory : bytes.
    """

    time: Positive = 1.0
    data: Positive = 1.0
    memory: Positive = 1.0


class Server(Frozen):
    """What all requests together may take of a server.

    Attributes
    ----------
    work : time units of computing; null for no limit.
    memory : memory units; null for no limit.
    """

    work: Limit = None
    memory: Limit = None


class Cell(Frozen):
    """What all requests of a cell together may take of its links.

    Attributes
    ----------
    up, down : time units of airtime in either direction; null for no limit.
    """

    up: Limit = None
    down: Limit = None


class Options(Frozen):
    """The options of a class: columns, an entry each.

    Attributes
    ----------
    name : (O,) of each option, such as ``cut 3 on edge-1``.
    server : (O,) which server computes; null for none.
    cost : (O,) what it costs whatever the link.
    cost_up, cost_down : (O,) what it costs more for each unit of the request's airtime (`Requests.up`,
        `Requests.down`).
    work, memory : (O,) what it uses of its server, in units of time and of bytes; 0 without one.
    up, down : (O,) data units that it sends in either direction.
    time : (O,) units of some seconds that it takes besides sending.
    """

    name: Annotated[Names, Field(min_length=1, max_length=MOST_OPTIONS)]
    server: tuple[Name | None, ...]
    cost: Counts
    cost_up: Counts | None = None
    cost_down: Counts | None = None
    work: Counts | None = None
    memory: Counts | None = None
    up: Counts | None = None
    down: Counts | None = None
    time: Counts | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        again = twice(self.name)
        if again is not None:
            raise complaint(".name", f"{shown(again)} twice", "names that differ")
        for field in ("server", *AMOUNTS):
            check_length(f".{field}", getattr(self, field), len(self.name), "option")
        for field in ("work", "memory"):
            used = self.column(field)
            for o, server in enumerate(self.server):
                if server is None and used[o]:
                    raise complaint(f".{field}[{o}]", str(used[o]), "0 where server is null")
        return self

    def column(self, name: str) -> IntArray:
        """(O,) the column of a `name` of amounts; zeros where it is left out."""
        found: IntArray | None = getattr(self, name)
        return np.zeros(len(self.name), dtype=np.int64) if found is None else found


AMOUNTS = ("cost", "cost_up", "cost_down", "work", "memory", "up", "down", "time")
"""Columns of amounts of a class's options."""


class Requests(Frozen):
    """Who asks: columns, a row for each request or for several that are alike.

    Attributes
    ----------
    kind : (n,) its class, the place of its name among the problem's classes, from 0.
    cell : (n,) its cell, likewise.
    penalty : (n,) what refusing it costs.
    up, down : (n,) time units of airtime for a data unit in either direction; 0 where a link costs nothing.
    deadline : (n,) time units; none given is none.
    count : (n,) how many requests the row stands for; 1 by default.
    """

    kind: Counts
    cell: Counts
    penalty: Counts
    up: Counts | None = None
    down: Counts | None = None
    deadline: Counts | None = None
    count: Counts | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(self.kind):
            raise complaint(".kind", "no request", "at least one")
        for field in ("cell", "penalty", "up", "down", "deadline", "count"):
            check_length(f".{field}", getattr(self, field), len(self.kind), "request")
        return self

    def __len__(self) -> int:
        return len(self.kind)

    def column(self, name: str) -> IntArray | None:
        """(n,) the column of a `name`, None where it is left out."""
        found: IntArray | None = getattr(self, name)
        return found


class Fleet(Problem):
    """Minimise the cost of all requests within the capacities of servers and cells, one option each or a refusal.

    Attributes
    ----------
    units : what the whole numbers are worth.
    servers, cells : capacities, by name.
    classes : tables of options, by name.
    requests : who asks.
    """

    format: Literal["qopt/fleet"] = "qopt/fleet"
    version: Literal[1] = 1
    units: Units = Units()
    servers: dict[Name, Server] = Field(default={})
    cells: Annotated[dict[Name, Cell], Field(min_length=1, max_length=100_000)]
    classes: Annotated[dict[Name, Options], Field(min_length=1, max_length=100_000)]
    requests: Requests

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_servers(self.servers, self.classes)
        known = {"kind": (len(self.classes), "a class"), "cell": (len(self.cells), "a cell")}
        for field, (count, what) in known.items():
            column: IntArray = getattr(self.requests, field)
            if column.max() >= count:
                at = int(np.argmax(column >= count))
                raise complaint(f".requests.{field}[{at}]", str(column[at]), f"the place of {what}, 0 to {count - 1}")
        _check_sizes(self)
        return self

    def summary(self) -> list[str]:
        """How many ask, of how many classes, and what they share."""
        limits = sum(x is not None for s in self.servers.values() for x in (s.work, s.memory))
        limits += sum(x is not None for c in self.cells.values() for x in (c.up, c.down))
        asked, rows = self.count, len(self.requests)
        head = _some(asked, "request") + (f" in {rows} rows" if asked != rows else "")
        return [
            f"{head} of {_some(len(self.classes), 'class')}",
            ", ".join((_some(len(self.servers), "server"), _some(len(self.cells), "cell"), _some(limits, "capacity"))),
        ]

    @property
    def layers(self) -> int:
        """How many rows of requests there are."""
        return len(self.requests)

    @property
    def count(self) -> int:
        """How many requests there are."""
        return len(self.requests) if self.requests.count is None else int(self.requests.count.sum())

    def with_parts(self, **parts: Any) -> Self:
        """A copy with other servers, cells, classes or requests; faster than `replace` where there are many requests.

        Parameters
        ----------
        parts : fields and their new values.
        """
        data: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**data, "best_known": None, **parts})


def _some(count: int, noun: str) -> str:
    """``1 class``, ``2 classes``."""
    plural = {"class": "classes", "capacity": "capacities"}.get(noun, f"{noun}s")
    return f"{count} {noun if count == 1 else plural}"


def _check_servers(servers: Mapping[str, Server], classes: Mapping[str, Options]) -> None:
    """Refuse options on a server that there is not: of all `classes`, whose servers must be among `servers`."""
    for name, options in classes.items():
        for o, server in enumerate(options.server):
            if server is not None and server not in servers:
                raise unknown(f".classes.{name}.server[{o}]", server, tuple(servers), "a server, or null")


def _check_sizes(problem: Fleet) -> None:
    """Refuse numbers whose products and sums leave the range in which they are exact."""
    requests, count = problem.requests, problem.count
    if not 0 < count <= MOST_REQUESTS:
        raise complaint(".requests.count", f"{count} requests", f"1 to {MOST_REQUESTS}")
    allowed = min(PRODUCT, 2**62 // count)
    words = f"at most {allowed}, so that {count} of them add up exactly: coarser units"
    up, down = (1 if (c := requests.column(name)) is None else max(1, int(c.max())) for name in ("up", "down"))
    for name, options in problem.classes.items():
        columns = {field: options.column(field).tolist() for field in AMOUNTS}
        rows = zip(*columns.values(), strict=True)
        for o, (cost, cost_up, cost_down, work, memory, sent, received, time) in enumerate(rows):
            sizes = {
                "cost": cost + cost_up * up + cost_down * down,
                "work": work,
                "memory": memory,
                "time": time + sent * up + received * down,
            }
            for field, size in sizes.items():
                if size > allowed:
                    raise complaint(f".classes.{name}.{field}[{o}]", f"up to {size} of one request", words)
    for name in ("penalty", "up", "down"):
        column = requests.column(name)
        if column is not None and int(column.max()) > allowed:
            at = int(np.argmax(column))
            raise complaint(f".requests.{name}[{at}]", str(int(column[at])), words)


MOST_REQUESTS = 2 * 10**9
"""Requests of one problem: sums of costs and uses stay far below 2^63 where each is of ordinary size."""
