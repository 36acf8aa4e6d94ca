"""Random fleets: classes of networks, servers of unlike speed, cells, requests of unlike rates. Drawn, not measured.

What is asked is checked, what chance decides is drawn in a fixed order, and the problem is put together from both.
Capacities are a share of what all requests would like, each its own best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.draws import drawn_head, log_uniform
from qopt.core.errors import InputError, shown
from qopt.fleet.arrays import shards, tables
from qopt.fleet.passes import dual_pass, merged
from qopt.fleet.problem import Cell, Fleet, Options, Requests, Server, Units

TIME, DATA, MEMORY = 1e-6, 8000.0, 1e6
"""Units: a microsecond, a kilobyte in bits, a megabyte in bytes. Costs are in millionths."""

WIDTHS = (2, 4, 6, 8)
"""Bit-widths of what is sent."""

LEVELS = (0.005, 0.01, 0.02, 0.05)
"""Accuracy losses that classes allow, in turn."""


def fleet(
    requests: int,
    *,
    seed: int,
    classes: int = 4,
    options: int = 20,
    servers: int = 10,
    cells: int = 10,
    load: float = 0.7,
    memory: bool = False,
    deadlines: bool = True,
    rows: int | None = None,
    name: str | None = None,
) -> Fleet:
    """A random fleet.

    Parameters
    ----------
    requests : how many.
    seed : the same seed and options give the same problem.
    classes : networks, each at an accuracy level.
    options : of each class; the first runs on the device alone.
    servers, cells : how many of each; every server has a limit on its work, every cell on airtime up and down.
    load : capacities as a share of what all requests would like.
    memory : whether servers have a limit on memory too.
    deadlines : whether requests have deadlines.
    rows : how many rows stand for the requests, with counts; by default a row each.
    name : by default it says size, seed and options.

    Raises
    ------
    InputError
        An option out of its range.
    """
    given = {
        "seed": seed,
        "classes": classes,
        "options": options,
        "servers": servers,
        "cells": cells,
        "load": load,
        "memory": memory,
        "deadlines": deadlines,
        "rows": rows,
    }
    for flag, value in (("memory", memory), ("deadlines", deadlines)):
        if not isinstance(value, bool):
            raise InputError(flag, shown(value), "true or false")
    asked = _Asked(
        requests=whole("requests", requests, 1, 100_000_000),
        seed=whole("seed", seed, 0),
        classes=whole("classes", classes, 1, 1000),
        options=whole("options", options, 1, 200),
        servers=whole("servers", servers, 0, 1000),
        cells=whole("cells", cells, 1, 1000),
        load=real("load", load, 0, 100),
        memory=memory,
        deadlines=deadlines,
        rows=requests if rows is None else whole("rows", rows, 1, requests),
    )
    rng = np.random.default_rng(asked.seed)
    tables_of = [_draw_class(asked, rng, k) for k in range(asked.classes)]
    drawn = Fleet(
        **drawn_head(fleet, requests, given, name),
        description="A random fleet: networks, rates and capacities are drawn, not measured. Costs in millionths.",
        units=Units(time=TIME, data=DATA, memory=MEMORY),
        servers={f"server{s + 1}": Server(work=2**53, memory=2**53) for s in range(asked.servers)},
        cells={f"cell{q + 1}": Cell(up=2**53, down=2**53) for q in range(asked.cells)},
        classes={f"network{k + 1}": Options(**columns) for k, columns in enumerate(tables_of)},
        requests=_draw_requests(asked, rng),
    )
    speed = rng.uniform(0.5, 1.5, max(asked.servers, 1))
    return drawn.with_parts(**_capacities(asked, drawn, speed / speed.sum()))


@dataclass(frozen=True)
class _Asked:
    """What was asked for, checked."""

    requests: int
    seed: int
    classes: int
    options: int
    servers: int
    cells: int
    load: float
    memory: bool
    deadlines: bool
    rows: int


def _draw_class(asked: _Asked, rng: np.random.Generator, k: int) -> dict[str, Any]:
    """Columns of a class's options: all on the device, then cuts and widths on servers, drawn."""
    count = asked.options
    on_device, on_server = 0.4 * float(log_uniform(rng, 0.6, 1.0, 1)[0]), 0.02 * float(log_uniform(rng, 0.6, 1.0, 1)[0])
    sent = 400.0 * float(log_uniform(rng, 0.8, 1.0, 1)[0])
    layers = 12
    share = np.sort(rng.uniform(0.0, 1.0, layers))
    carried = np.sort(rng.uniform(0.02, 1.0, layers))[::-1]
    cut, width = rng.integers(0, layers, count), rng.integers(0, len(WIDTHS), count)
    at = rng.permutation(np.arange(count) % max(asked.servers, 1))
    slow = rng.uniform(0.7, 1.4, max(asked.servers, 1))
    local = np.full(count, asked.servers == 0)
    local[0] = True
    bits = np.array(WIDTHS)[width]
    device = np.where(local, on_device, on_device * share[cut]) * (0.7 + 0.3 * bits / 8.0)
    work = np.where(local, 0.0, on_server * (1.0 - share[cut]) * slow[at])
    up = np.where(local, 0.0, sent * carried[cut] * bits / 8.0)
    down = np.where(local, 0.0, rng.uniform(1.0, 40.0, count))
    worse = rng.uniform(0.0, 0.02, count) * (8 - bits)  # what a coarser width costs in accuracy

    def names(o: int) -> str:
        return (
            "device"
            if o == 0
            else f"{o}: " + ("device" if local[o] else f"cut {cut[o]}, {bits[o]} bits, server{at[o] + 1}")
        )

    return {
        "name": tuple(names(o) for o in range(count)),
        "server": tuple(None if local[o] else f"server{at[o] + 1}" for o in range(count)),
        "cost": _rounded(1e6 * (2.0 * device + work + worse) + 1e4 * k),
        "cost_up": _rounded(1.5 * up),
        "cost_down": _rounded(1.0 * down),
        "work": _upwards(work / TIME),
        "memory": _upwards(np.where(local, 0.0, rng.uniform(1.0, 50.0, count))),
        "up": _upwards(up),
        "down": _upwards(down),
        "time": _upwards((device + work) / TIME),
    }


def _rounded(values: FloatArray) -> IntArray:
    return np.rint(values).astype(np.int64)


def _upwards(values: FloatArray) -> IntArray:
    return np.ceil(values).astype(np.int64)


def _draw_requests(asked: _Asked, rng: np.random.Generator) -> Requests:
    """Columns of the requests; rates spread over a decade, downwards the faster."""
    n = asked.rows
    up = DATA / log_uniform(rng, 1.0, 2e7, n)
    down = DATA / log_uniform(rng, 1.0, 6e7, n)
    kind, cell = rng.integers(0, asked.classes, n), rng.integers(0, asked.cells, n)
    penalty = rng.integers(1_500_000, 4_000_000, n)
    deadline = rng.integers(300_000, 2_000_000, n)
    count = None
    if n < asked.requests:
        count = rng.multinomial(asked.requests - n, np.full(n, 1.0 / n)) + 1
    return Requests(
        kind=kind,
        cell=cell,
        penalty=penalty,
        up=_upwards(up / TIME),
        down=_upwards(down / TIME),
        deadline=deadline if asked.deadlines else None,
        count=count,
    )


def _capacities(asked: _Asked, drawn: Fleet, share: FloatArray) -> dict[str, Any]:
    """Servers and cells with a share of what all would like; servers divide the work among them."""
    shared = tables(drawn)
    none = np.zeros(len(shared.resources), dtype=np.int64)
    sums = merged(dual_pass(shard, shared, none, 0) for shard in shards(drawn))
    load = sum((s.load(shared.menus[key], len(none)) for key, s in sums.items()), none)
    used = {resource.field: int(x) for resource, x in zip(shared.resources, load, strict=True)}
    total = {f: sum(used[f"servers.{s}.{f}"] for s in drawn.servers) for f in ("work", "memory")}
    servers = {
        name: Server(
            work=int(asked.load * total["work"] * part),
            memory=int(asked.load * total["memory"] * part) if asked.memory else None,
        )
        for name, part in zip(drawn.servers, share.tolist(), strict=False)
    }
    cells = {
        name: Cell(up=int(asked.load * used[f"cells.{name}.up"]), down=int(asked.load * used[f"cells.{name}.down"]))
        for name in drawn.cells
    }
    return {"servers": servers, "cells": cells}
