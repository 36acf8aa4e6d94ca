"""Random allocations: groups of unlike size and sensitivity, formats from two bits up. Drawn, not measured.

What is asked is checked, what chance decides is drawn in a fixed order, and the problem is put together from both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.arguments import real, whole
from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.draws import drawn_head, log_uniform
from qopt.core.errors import InputError, shown

RESOURCES = ("bytes", "bops", "latency", "energy")
"""Names of resources, as many as are asked for; bytes and bit operations are whole."""

OVERHEAD = 16
"""Bytes that the scales of a group take in every format."""


def allocation(
    groups: int,
    *,
    seed: int,
    formats: int = 4,
    resources: int = 1,
    pools: int = 1,
    ties: float = 0.0,
    menus: float = 1.0,
    interactions: float = 0.0,
    tightness: float = 0.5,
    minimise: str = DAMAGE,
    spread: float = 2.0,
    name: str | None = None,
) -> Allocation:
    """A random allocation.

    Parameters
    ----------
    groups : how many.
    seed : the same seed and options give the same problem.
    formats : how many on a full menu; widths rise from 2 bits on.
    resources : 1 to 4: bytes, bit operations, latency, energy.
    pools : 1 to 4; with several, bytes lie in one of them, and what takes time takes more in the later ones.
    ties : share of groups tied to the one before.
    menus : share of formats that are on a menu; one always is.
    interactions : share of pairs of groups that interact.
    tightness : where each budget stands between the least and the most that plans use, 0 to 1.
    minimise : ``damage``, or the name of a resource; the limit on damage then stands there.
    spread : decades over which sizes and sensitivities reach.
    name : by default it says size, seed and options.

    Raises
    ------
    InputError
        An option out of its range.
    """
    options = {
        "seed": seed,
        "formats": formats,
        "resources": resources,
        "pools": pools,
        "ties": ties,
        "menus": menus,
        "interactions": interactions,
        "tightness": tightness,
        "minimise": minimise,
        "spread": spread,
    }
    asked = _Asked(
        groups=whole("groups", groups, 1, 100_000),
        seed=whole("seed", seed, 0),
        formats=whole("formats", formats, 1, 1000),
        resources=whole("resources", resources, 1, len(RESOURCES)),
        pools=whole("pools", pools, 1, 4),
        ties=real("ties", ties, 0, 1),
        menus=real("menus", menus, 0, 1),
        interactions=real("interactions", interactions, 0, 1),
        tightness=real("tightness", tightness, 0, 1),
        minimise=minimise,
        spread=real("spread", spread, 0, 100),
    )
    if minimise not in (DAMAGE, *asked.names):
        raise InputError("minimise", shown(minimise), ", ".join((DAMAGE, *asked.names)))
    return Allocation(**drawn_head(allocation, groups, options, name), **_assembled(asked, _draw(asked)))


@dataclass(frozen=True)
class _Asked:
    """What was asked for, checked."""

    groups: int
    seed: int
    formats: int
    resources: int
    pools: int
    ties: float
    menus: float
    interactions: float
    tightness: float
    minimise: str
    spread: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the resources."""
        return RESOURCES[: self.resources]


@dataclass(frozen=True)
class _Drawn:
    """What chance decides.

    Attributes
    ----------
    damage : (n, k).
    menu : (n, k) which formats are on which menu.
    use : tables by resource.
    tied : (n,) whether a group is tied to the one before.
    pairs : groups, and damage of their formats.
    """

    damage: FloatArray
    menu: BoolArray
    use: dict[str, FloatArray]
    tied: BoolArray
    pairs: list[tuple[int, int, FloatArray]]


def _draw(asked: _Asked) -> _Drawn:
    """All draws. Their order is part of what a seed means."""
    rng = np.random.default_rng(asked.seed)
    n, k = asked.groups, asked.formats
    bits = np.linspace(2.0, 2.0 + 1.5 * (k - 1), k)
    parameters = np.rint(log_uniform(rng, asked.spread, 1e4, n))
    macs = parameters * np.rint(log_uniform(rng, asked.spread, 10.0, n))
    sensitivity = log_uniform(rng, asked.spread, 1.0, n)
    # Falls by about 4 a bit; formats of one width differ from group to group.
    damage = np.outer(sensitivity, 4.0 ** (2.0 - bits)) * rng.uniform(0.5, 1.5, (n, k))
    use = {
        "bytes": np.ceil(np.outer(parameters, bits) / 8.0) + OVERHEAD,
        "bops": np.rint(np.outer(macs, bits**2)),
        "latency": 1e-3 + np.outer(macs, bits) * rng.uniform(0.5, 1.5, (n, k)) * 1e-8,
        "energy": np.outer(macs, bits) * rng.uniform(0.9, 1.1, (n, k)) * 1e-9,
    }
    menu = rng.random((n, k)) < asked.menus
    menu[np.arange(n), rng.integers(0, k, n)] = True
    tied = rng.random(n) < asked.ties
    tied[0] = False
    pairs = []
    for g in range(n) if asked.interactions else ():  # these draws come last: without pairs nobody misses them
        for h in range(g + 1, n):
            if rng.random() < asked.interactions:
                scale = 0.3 * math.sqrt(float(sensitivity[g] * sensitivity[h]))
                table = scale * np.outer(2.0 ** (2.0 - bits), 2.0 ** (2.0 - bits)) * rng.uniform(-0.5, 1.0, (k, k))
                pairs.append((g, h, table))
    return _Drawn(damage, menu, {name: use[name] for name in asked.names}, tied, pairs)


def _ties(names: list[str], tied: BoolArray) -> list[list[str]]:
    """Runs of groups that are tied to the one before."""
    runs: list[list[str]] = []
    for name, joined in zip(names, tied.tolist(), strict=True):
        if joined:
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run for run in runs if len(run) > 1]


def _assembled(asked: _Asked, drawn: _Drawn) -> dict[str, Any]:
    """The problem but for its name and source."""
    names = [f"group{i}" for i in range(1, asked.groups + 1)]
    menu = drawn.menu.copy()
    ties = _ties(names, drawn.tied)
    place = {name: g for g, name in enumerate(names)}
    for tie in ties:  # a common format is left
        members = [place[name] for name in tie]
        menu[members] |= menu[members[0]]
    damage = np.where(menu, drawn.damage, np.inf)
    units = {"bytes": "B", "bops": "bit operations", "latency": "s", "energy": "J"}
    resources = {}
    for name, use in drawn.use.items():
        least, most = np.where(menu, use, np.inf).min(axis=1).sum(), np.where(menu, use, 0.0).max(axis=1).sum()
        budget: float | None = float(least + asked.tightness * (most - least))
        if name in ("bytes", "bops") and budget is not None:
            budget = math.floor(budget)
        if name == asked.minimise:
            budget = None
        resources[name] = {"use": np.where(menu, use, np.inf), "budget": budget, "unit": units[name]}
    low = float(np.where(menu, drawn.damage, np.inf).min(axis=1).sum())
    high = float(np.where(menu, drawn.damage, 0.0).max(axis=1).sum())
    # Damage falls steeply: half of the way in its logarithm is half of the way in bits.
    limit = low * (high / low) ** asked.tightness if low > 0 else high
    interactions = [{"groups": [names[g], names[h]], "damage": table} for g, h, table in drawn.pairs]
    return {
        "description": "A random allocation: sizes and damage are drawn, not measured.",
        "groups": names,
        "formats": [f"format{i}" for i in range(1, asked.formats + 1)],
        "damage": damage,
        "resources": resources,
        "minimise": asked.minimise,
        "damage_limit": None if asked.minimise == DAMAGE else limit,
        "ties": ties,
        "pools": _pools(asked, drawn, menu),
        "interactions": interactions,
    }


def _pools(asked: _Asked, drawn: _Drawn, menu: BoolArray) -> dict[str, Any] | None:
    """Pools that hold, one after the other, half of what is left of the heaviest plan; the last has no limit."""
    if asked.pools == 1:
        return None
    most = float(np.where(menu, drawn.use["bytes"], 0.0).max(axis=1).sum())
    names = [f"pool{p}" for p in range(1, asked.pools + 1)]
    budgets = {
        name: None if p == asked.pools - 1 else math.floor(most / 2.0 ** (p + 2)) for p, name in enumerate(names)
    }
    slower = {
        resource: {pool: np.where(menu, use * (1.0 + p), np.inf) for p, pool in enumerate(names) if p}
        for resource, use in drawn.use.items()
        if resource in ("latency", "energy")
    }
    return {"resource": "bytes", "budgets": budgets, "use": slower}
