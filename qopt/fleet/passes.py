"""One pass over a shard at some multipliers: the cheapest option of every request, and what all of them add up to.

    min over o of  2^s J[r, o] + lam u[r, o]     refusal among them; of equals the first, refusal before options

In a group this is a matrix product, (n, 3) airtimes by (3, O) coefficients, exact in floats (`qopt.fleet.grid`). What a
pass hands back are whole sums by group, so shards add up to the same in any order and on any engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.fleet.arrays import Group, Key, Menu, Shard, Tables, blocks

BLOCK = 8_192
"""Rows at a time: their reduced costs stay in a processor's cache."""


@dataclass(frozen=True, repr=False)
class Sums(Brief):
    """What the requests of a group add up to, each with the option that it takes.

    Attributes
    ----------
    taken : (O + 1, 3) sums of (1, up, down) over the requests that take each column; column 0 is the refusal.
    penalty : penalties of those refused.
    """

    taken: IntArray
    penalty: int

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.taken + other.taken, self.penalty + other.penalty)

    def cost(self, menu: Menu) -> int:
        """What they cost, with the options of their `menu`."""
        return int((menu.cost * self.taken[1:]).sum()) + self.penalty

    def load(self, menu: Menu, capacities: int) -> IntArray:
        """(K,) what they use of each of so many `capacities`, with the options of their `menu`."""
        used = (menu.use * self.taken[1:, None, :]).sum(axis=2)
        load = np.zeros(capacities + 1, dtype=np.int64)
        np.add.at(load, menu.slot, used)
        return load[:-1]


def coefficients(menu: Menu, lam: IntArray, shift: int) -> IntArray:
    """(O, 3) reduced cost of each option in (1, up, down), times 2^shift."""
    priced = np.append(lam, 0)[menu.slot]
    found: IntArray = (menu.cost << shift) + (priced[:, :, None] * menu.use).sum(axis=1)
    return found


def airtimes(group: Group) -> FloatArray:
    """(n, 3) 1, up and down of each request."""
    found = np.empty((len(group), 3))
    found[:, 0], found[:, 1], found[:, 2] = 1.0, group.up, group.down
    return found


def late(group: Group, menu: Menu, airtime: FloatArray) -> BoolArray | None:
    """(n, O) which options miss the deadline; None where there is none."""
    if group.deadline is None:
        return None
    found: BoolArray = (airtime @ menu.time.T.astype(float)) > group.deadline[:, None]
    return found


def reduced(group: Group, menu: Menu, lam: IntArray, shift: int, airtime: FloatArray) -> FloatArray:
    """(n, O) reduced costs times 2^shift; infinite where the deadline is missed."""
    found: FloatArray = airtime @ coefficients(menu, lam, shift).T.astype(float)
    missed = late(group, menu, airtime)
    if missed is not None:
        np.putmask(found, missed, np.inf)
    return found


def choose(group: Group, menu: Menu, lam: IntArray, shift: int, airtime: FloatArray) -> IntArray:
    """(n,) the column that each request takes."""
    lengths = reduced(group, menu, lam, shift, airtime)
    best = lengths.argmin(axis=1)
    least = lengths[np.arange(len(best)), best]
    return np.where(least < group.penalty * 2.0**shift, best + 1, 0)


def total(choice: IntArray, columns: int, weights: IntArray | None) -> IntArray:
    """(O + 1,) whole numbers added up by the column taken, exactly."""
    if weights is None:
        return np.bincount(choice, minlength=columns)
    if int(weights.max(initial=0)) * len(weights) < 2**53:
        return np.bincount(choice, weights=weights, minlength=columns).astype(np.int64)
    found = np.zeros(columns, dtype=np.int64)
    np.add.at(found, choice, weights)
    return found


def sums_of(group: Group, choice: IntArray, options: int) -> Sums:
    """What requests add up to, each with its column."""
    refused = choice == 0
    parts: tuple[IntArray | None, ...]
    if group.count is None:
        parts = (None, group.up, group.down)
        penalty = int(group.penalty[refused].sum())
    else:
        parts = (group.count, group.up * group.count, group.down * group.count)
        penalty = int((group.penalty * group.count)[refused].sum())
    return Sums(np.stack([total(choice, options + 1, part) for part in parts], axis=1), penalty)


def dual_pass(shard: Shard, tables: Tables, lam: IntArray, shift: int) -> dict[Key, Sums]:
    """What each group of a shard adds up to at some multipliers."""
    found: dict[Key, Sums] = {}
    for group in blocks(shard, BLOCK):
        menu = tables.menus[group.key]
        sums = sums_of(group, choose(group, menu, lam, shift, airtimes(group)), len(menu))
        found[group.key] = found[group.key] + sums if group.key in found else sums
    return found


def merged(parts: Iterable[dict[Key, Sums]]) -> dict[Key, Sums]:
    """The sums of several shards, in the order of the groups."""
    found: dict[Key, Sums] = {}
    for part in parts:
        for key, sums in part.items():
            found[key] = found[key] + sums if key in found else sums
    return dict(sorted(found.items()))


def choices(shard: Shard, tables: Tables, lam: IntArray, shift: int) -> tuple[IntArray, IntArray]:
    """Rows of a shard and the column that each takes, as bytes."""
    rows, taken = [], []
    for group in blocks(shard, BLOCK):
        rows.append(group.row)
        taken.append(choose(group, tables.menus[group.key], lam, shift, airtimes(group)).astype(np.uint8))
    return np.concatenate(rows), np.concatenate(taken)
