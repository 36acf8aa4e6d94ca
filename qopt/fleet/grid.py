"""Multipliers on a grid, so that every sum is exact: whole numbers over 2^shift.

Costs and uses are whole, and cost 2^shift + lam use stays below 2^53: floats hold it exactly, in whatever order it is
made. Then the bound of a vector of multipliers does not depend on the engine, and needs no directed rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.fleet.arrays import SLOTS, Shard, Tables

FINEST = 30
"""Binary digits of a multiplier behind the point, at most."""

ROOM = 2**51
"""A cost times 2^shift is below a 64th of it, and what a multiplier adds in one of four slots at most half."""


@dataclass(frozen=True, repr=False)
class Grid(Brief):
    """Which multipliers there are.

    Attributes
    ----------
    shift : they are whole numbers over 2^shift.
    most : (K,) the largest of each, as a whole number.
    """

    shift: int
    most: IntArray

    def rounded(self, multipliers: FloatArray) -> IntArray:
        """(K,) the nearest to `multipliers` on the grid, as whole numbers."""
        scaled = np.rint(np.clip(np.nan_to_num(multipliers), 0.0, None) * 2.0**self.shift)
        found: IntArray = np.minimum(scaled, self.most.astype(float)).astype(np.int64)
        return found

    def value(self, lam: IntArray) -> FloatArray:
        """(K,) multipliers `lam`, whole numbers on the grid, as floats, exactly."""
        found: FloatArray = lam / 2.0**self.shift
        return found


def extremes(shard: Shard, tables: Tables) -> tuple[int, IntArray]:
    """The largest cost or penalty in a shard, and (K + 1,) the largest use of each capacity."""
    cost, use = 0, np.zeros(len(tables.resources) + 1, dtype=np.int64)
    for group in shard:
        menu = tables.menus[group.key]
        airtime = np.array([1, int(group.up.max()), int(group.down.max())], dtype=np.int64)
        cost = max(cost, int((menu.cost @ airtime).max()), int(group.penalty.max()))
        np.maximum.at(use, menu.slot.ravel(), (menu.use @ airtime).reshape(len(menu) * SLOTS))
    return cost, use


def grid(found: list[tuple[int, IntArray]]) -> Grid:
    """The grid of a problem, from the `extremes` of its shards."""
    cost = max(c for c, _ in found)
    use = np.max([u for _, u in found], axis=0)[:-1]
    shift = max(0, min(FINEST, (ROOM // (128 * max(cost, 1))).bit_length() - 1))
    return Grid(shift, ROOM // 2 // np.maximum(use, 1))
