"""Requests near ties: those whose choice may change when multipliers change a little."""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.fleet.arrays import Group, Menu, Shard, Tables, blocks
from qopt.fleet.passes import BLOCK, airtimes, reduced

MIX, MASK = 2654435761, 2**32 - 1
"""Knuth's multiplicative hash: which rows are in a sample depends on their numbers alone, not on shards."""


def lengths_of(group: Group, menu: Menu, lam: IntArray, shift: int) -> FloatArray:
    """(n, O + 1) reduced costs times 2^shift, the refusal's first."""
    found = np.empty((len(group), len(menu) + 1))
    found[:, 0] = group.penalty * 2.0**shift
    found[:, 1:] = reduced(group, menu, lam, shift, airtimes(group))
    return found


def margins(shard: Shard, tables: Tables, lam: IntArray, shift: int) -> FloatArray:
    """How much worse, times 2^shift, the second-best column of each request is; infinite where there is one only."""
    found = []
    for group in blocks(shard, BLOCK):
        two = np.partition(lengths_of(group, tables.menus[group.key], lam, shift), 1, axis=1)[:, :2]
        found.append(two[:, 1] - two[:, 0])
    return np.concatenate(found)


def near(shard: Shard, tables: Tables, lam: IntArray, shift: int, margin: float) -> list[Group]:
    """The requests of a shard whose second-best column is worse by no more than a margin."""
    found = []
    for group in blocks(shard, BLOCK):
        two = np.partition(lengths_of(group, tables.menus[group.key], lam, shift), 1, axis=1)[:, :2]
        closely = (two[:, 1] < np.inf) & (two[:, 1] - two[:, 0] <= margin)  # not those without a choice
        at = np.flatnonzero(closely & (group.counts > 0))
        if len(at):
            found.append(group.take(at))
    return found


def sample(shard: Shard, share: float) -> Shard:
    """About that share of a shard's rows, drawn by their numbers."""
    if share >= 1.0:
        return shard
    found = []
    for group in shard:
        at = np.flatnonzero(((group.row * MIX) & MASK) < share * MASK)
        if len(at):
            found.append(group.take(at))
    return tuple(found)
