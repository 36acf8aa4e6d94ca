"""Pools that differ in nothing but where things lie: formats first, as if they were one pool, then a packing.

Whatever the packing, all pools together hold what the groups take, so the best formats within the sum of the pools'
budgets are a bound; if they can be packed, they are the optimum. Filling a pool is a subset sum, solved exactly on sets
of reachable sums, one bit for each.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.allocation.items import Items
from qopt.allocation.problem import DAMAGE
from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.kernels import mckp

MOST_BITS = 2**31
"""Bits of all sets of reachable sums together: 256 MB."""


def alike(own: Items) -> bool:
    """Whether all limits are those of pools, in whole units, and nothing else depends on the pool."""
    pools, problem = own.problem.pools, own.problem
    if pools is None or problem.minimise != DAMAGE or not problem.whole[pools.resource]:
        return False
    names = {f"pool {name}" for name in pools.budgets}
    return {budget.name for budget in own.budgets} == names


def by_packing(own: Items, clock: Clock) -> tuple[IntArray | None, bool]:
    """(classes,) columns of the best plan, and whether there is none.

    No columns where the formats are not proved best for one pool, or do not pack: then another method must decide.
    """
    rows = {budget.name: budget for budget in own.budgets}
    pools = [rows[f"pool {name}"] for name in own.problem.pool_names]
    held = np.add.reduce([row.use for row in pools])[:, :: own.pools]
    groups = len(own.allowed)
    grid = int(np.gcd.reduce(held[:groups].astype(np.int64).ravel())) or 1
    fixed = [int(row.use[groups:, 0].sum()) for row in pools]
    # What lies in a pool beside the fixed is a multiple of the grid, in each pool for itself.
    rooms = [(math.floor(row.limit) - taken) // grid * grid for row, taken in zip(pools, fixed, strict=True)]
    limit = (sum(rooms) + sum(fixed) + 0.5) / (1.0 + 1e-12)
    found = mckp.solve(own.cost[:, :: own.pools], held, limit, ties=own.ties or None, time_limit=clock.left)
    if found.choice is None or found.status not in ("optimal", "within-gap", "optimal-by-solver"):
        return None, found.status == "infeasible"
    sizes = [sum(int(held[g, found.choice[g]]) for g in unit) for unit in own.units]
    lies = pack(sizes, rooms)
    if lies is None:
        return None, False
    column = found.choice * own.pools
    for unit, p in zip(own.units, lies, strict=True):
        column[list(unit)] += p
    return column, False


def pack(sizes: list[int], rooms: list[int]) -> list[int] | None:
    """A place for each size, none fuller than its room; None if filling one place after the other leaves too much.

    With two places that is exact: None then means that there is no packing, or that it would take too much memory.
    """
    lies = [len(rooms) - 1] * len(sizes)
    left = list(range(len(sizes)))
    for p, room in enumerate(rooms[:-1]):
        inside = fullest([sizes[i] for i in left], room)
        if inside is None:
            return None
        for at in inside:
            lies[left[at]] = p
        taken = set(inside)
        left = [i for at, i in enumerate(left) if at not in taken]
    return lies if sum(sizes[i] for i in left) <= rooms[-1] else None


def fullest(sizes: list[int], room: int) -> list[int] | None:
    """Which sizes fill a room best, by index; None where it has none, or where sums take too much memory."""
    if room < 0:
        return None
    unit = math.gcd(*sizes) or 1
    most = room // unit
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    reach, total, bits = [1], 0, 0  # bit s: some of the smallest sizes add up to s units
    mask = (1 << (most + 1)) - 1
    for i in order:
        step = sizes[i] // unit
        total = min(total + step, most)
        bits += total
        if bits > MOST_BITS:
            return None
        reach.append(reach[-1] | ((reach[-1] << step) & mask if step <= most else 0))
    target = reach[-1].bit_length() - 1
    inside = []
    for k in range(len(order) - 1, -1, -1):
        if not reach[k] >> target & 1:
            inside.append(order[k])
            target -= sizes[order[k]] // unit
    return inside
