"""Every plan of a small fleet, in Python's whole numbers, straight from its fields: shares no code with the package."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from qopt.fleet.problem import Fleet


def columns(data: dict[str, Any], row: int) -> list[tuple[int, int, dict[tuple[str, str], int]]]:
    """Option, cost and uses of what one request may take, its refusal first."""
    requests, names = data["requests"], list(data["classes"])
    options = data["classes"][names[requests["kind"][row]]]
    cell = list(data["cells"])[requests["cell"][row]]

    def of(field: str, place: int) -> int:
        return (options.get(field) or [0] * len(options["name"]))[place]

    up, down = ((requests.get(field) or [0] * len(requests["kind"]))[row] for field in ("up", "down"))
    found: list[tuple[int, int, dict[tuple[str, str], int]]] = [(0, requests["penalty"][row], {})]
    for o, server in enumerate(options["server"]):
        sent, received = of("up", o) * up, of("down", o) * down
        if requests.get("deadline") and of("time", o) + sent + received > requests["deadline"][row]:
            continue
        uses = {(cell, "up"): sent, (cell, "down"): received}
        if server is not None:
            uses |= {(server, "work"): of("work", o), (server, "memory"): of("memory", o)}
        found.append((o + 1, of("cost", o) + of("cost_up", o) * up + of("cost_down", o) * down, uses))
    return found


def optimum(problem: Fleet) -> int:
    """The least cost of all plans that keep the capacities."""
    data = problem.model_dump()
    capacity = {
        (name, field): limit
        for owners in (data["servers"], data["cells"])
        for name, limits in owners.items()
        for field, limit in limits.items()
        if limit is not None
    }
    counts = data["requests"].get("count") or [1] * len(data["requests"]["kind"])
    menus = [columns(data, row) for row, count in enumerate(counts) for _ in range(count)]
    best = sum(menu[0][1] for menu in menus)
    for choice in itertools.product(*menus):
        cost = sum(one[1] for one in choice)
        if cost >= best:
            continue
        load: dict[tuple[str, str], int] = {}
        for _, _, uses in choice:
            for key, amount in uses.items():
                load[key] = load.get(key, 0) + amount
        if all(load.get(key, 0) <= limit for key, limit in capacity.items()):
            best = cost
    return best


def small(seed: int) -> Fleet:
    """A random fleet of 2 to 6 requests with 1 to 4 options, 2 servers, a cell or two, and every kind of capacity."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    servers = {f"s{i}": {"work": int(rng.integers(0, 12)), "memory": int(rng.integers(0, 12))} for i in range(2)}
    cells = {f"c{i}": {"up": int(rng.integers(0, 20)), "down": int(rng.integers(0, 20))} for i in range(1 + seed % 2)}
    if seed % 5 == 0:
        servers["s0"]["work"] = None  # type: ignore[assignment]
    classes = {}
    for c in range(1 + seed % 2):
        where = [None if rng.random() < 0.3 else f"s{rng.integers(0, 2)}" for _ in range(k)]

        def drawn(most: int, where: list[str | None] = where, only_served: bool = False) -> list[int]:
            return [0 if only_served and s is None else int(rng.integers(0, most)) for s in where]

        classes[f"k{c}"] = {
            "name": [f"o{o}" for o in range(k)],
            "server": where,
            "cost": drawn(20),
            "cost_up": drawn(3),
            "cost_down": drawn(3),
            "work": drawn(6, only_served=True),
            "memory": drawn(6, only_served=True),
            "up": drawn(5),
            "down": drawn(5),
            "time": drawn(10),
        }
    requests: dict[str, Any] = {
        "kind": rng.integers(0, len(classes), n).tolist(),
        "cell": rng.integers(0, len(cells), n).tolist(),
        "penalty": rng.integers(5, 40, n).tolist(),
        "up": rng.integers(0, 4, n).tolist(),
        "down": rng.integers(0, 4, n).tolist(),
    }
    if seed % 3:
        requests["deadline"] = rng.integers(3, 30, n).tolist()
    if seed % 4 == 0:
        requests["count"] = [int(rng.integers(1, 3)) if row < 2 else 1 for row in range(n)]
    return Fleet(name=f"small-{seed}", servers=servers, cells=cells, classes=classes, requests=requests)  # type: ignore[arg-type]
