"""From the core's vertex to a plan: whole numbers, then moves of single requests into the room that is left.

What the vertex splits begins refused, so that the plan keeps all capacities from the start. Then the request whose move
saves most, among those that fit, moves, until none does. What the plan loses against the bound is the room that stays
empty, at its price, and the lengths of what is taken: both are small where many requests near ties use little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.solvers.highs import SolverError, solve_milp
from qopt.fleet.methods.core import Items

WHOLE = 1e-6
"""How near to a whole number the vertex must be."""

MOVES = 20_000
"""Moves of single requests, at most."""


@dataclass(frozen=True, repr=False)
class Rounded(Brief):
    """A rounding of the core.

    Attributes
    ----------
    x : (m,) how many requests take each item.
    room : (K,) what is left of the capacities, >= 0.
    """

    x: IntArray
    room: IntArray


def split_rows(own: Items, x: FloatArray) -> BoolArray:
    """(R,) which requests the vertex splits."""
    apart = np.abs(x - np.rint(x)) > WHOLE
    found = np.zeros(len(own.row), dtype=bool)
    found[own.of[apart]] = True
    return found


def rounded(own: Items, x: FloatArray, left: IntArray, clock: Clock) -> Rounded | None:
    """Whole numbers near a vertex, and improved by single moves.

    Parameters
    ----------
    own : items; the refusal is among those of each split request.
    x : (m,) the vertex.
    left : (K,) capacities less what others use.
    clock : ends the improvement.

    Returns
    -------
    None where even so the capacities do not hold: the core is too small.
    """
    whole = np.floor(x + WHOLE).astype(np.int64)
    missing = own.count - np.bincount(own.of, weights=whole, minlength=len(own.row)).astype(np.int64)
    refusal = np.full(len(own.row), -1, dtype=np.int64)
    at = np.flatnonzero(own.column == 0)
    refusal[own.of[at]] = at
    fallback = np.where(refusal >= 0, refusal, own.first)
    np.add.at(whole, fallback, missing)
    room = left - own.use.T @ whole
    if (room < 0).any() and not _relieved(own, whole, room, refusal):
        return None
    return improved(own, whole, room, clock)


def _relieved(own: Items, whole: IntArray, room: IntArray, refusal: IntArray) -> bool:
    """Refuse requests until all capacities hold: what floats left above them. Whether they do."""
    for item in np.argsort(own.length, kind="stable")[::-1].tolist():
        if (room >= 0).all():
            return True
        other = int(refusal[own.of[item]])
        if whole[item] and other >= 0 and (own.use[item] > 0)[room < 0].any():
            whole[item] -= 1
            whole[other] += 1
            room += own.use[item]
    return bool((room >= 0).all())


def improved(own: Items, whole: IntArray, room: IntArray, clock: Clock) -> Rounded:
    """Move one request after the other, the one that saves most first, while something fits."""
    best = np.full(len(own.row), -1, dtype=np.int64)
    order = np.argsort(whole, kind="stable")
    best[own.of[order]] = order  # the item that most of a row's requests take
    starts = np.argsort(own.of, kind="stable")
    ends = np.searchsorted(own.of[starts], np.arange(len(own.row) + 1))
    change = own.use - own.use[best[own.of]]
    saving = own.cost[best[own.of]] - own.cost
    for _ in range(MOVES):
        fits = np.flatnonzero((saving > 0) & (whole[best[own.of]] > 0))
        fits = fits[(change[fits] <= room).all(axis=1)]
        if not len(fits) or clock.over:
            break
        item = int(fits[np.argmax(saving[fits])])
        r = int(own.of[item])
        whole[best[r]] -= 1
        whole[item] += 1
        room = room - change[item]
        mine = starts[ends[r] : ends[r + 1]]
        best[r] = item if not whole[mine].max() > whole[item] else mine[int(np.argmax(whole[mine]))]
        change[mine] = own.use[mine] - own.use[best[r]]
        saving[mine] = own.cost[best[r]] - own.cost[mine]
    return Rounded(whole, room)


EACH = 15
"""Requests of the smallest moves that the integer program gets for each capacity, besides those that are split."""

NODES = 1
"""Nodes of the integer program: its root's heuristics do the work, and a limit in nodes stops alike everywhere."""


def polished(own: Items, begun: Rounded, left: IntArray, lam: FloatArray, split: BoolArray, clock: Clock) -> Rounded:
    """A better rounding by an integer program over few requests: those split, and those whose moves are smallest.

        minimise  sum length x + lam room     one item each;  use x + room = what the others leave

    Parameters
    ----------
    own : items.
    begun : the rounding to begin with.
    left : (K,) capacities less what others use.
    lam : (K,) multipliers of which the lengths are.
    split : (R,) which requests the vertex split.
    clock : of the call.
    """
    rows = np.flatnonzero(split | _smallest(own, lam))
    if not len(rows) or clock.over:
        return begun
    inside = np.zeros(len(own.row), dtype=bool)
    inside[rows] = True
    loss = float(own.length @ begun.x + lam @ begun.room)
    # An item whose length is more than all that the rounding loses is in no better plan.
    at = np.flatnonzero(inside[own.of] & ((own.length <= loss) | (begun.x > 0)))
    place = np.cumsum(inside) - 1
    room = left - own.use[~inside[own.of]].T @ begun.x[~inside[own.of]]
    m, capacities = len(at), own.use.shape[1]
    scale = np.maximum(own.use[at].max(axis=0, initial=0), 1).astype(float)
    money = loss / 1e3 or 1.0
    i, k = np.nonzero(own.use[at])
    entries = np.concatenate((np.ones(m), (own.use[at] / scale)[i, k], np.ones(capacities)))
    row = np.concatenate((place[own.of[at]], len(rows) + k, len(rows) + np.arange(capacities)))
    column = np.concatenate((np.arange(m), i, m + np.arange(capacities)))
    matrix = csr_array(coo_array((entries, (row, column)), shape=(len(rows) + capacities, m + capacities)))
    sides = np.concatenate((own.count[rows], room / scale))
    try:
        said = solve_milp(
            np.concatenate((own.length[at], lam * scale)) / money,
            matrix,
            sides,
            sides,
            np.concatenate((own.count[own.of[at]], np.full(capacities, np.inf))),
            np.arange(m + capacities) < m,
            time_limit=clock.left,
            threads=1,
            start=np.concatenate((begun.x[at], begun.room / scale)),
            most_nodes=NODES,
        )
    except SolverError:
        return begun
    if said.x is None:
        return begun
    x = begun.x.copy()
    x[at] = np.rint(said.x[:m]).astype(np.int64)
    empty = left - own.use.T @ x
    whole = np.bincount(own.of, weights=x, minlength=len(own.row)) == own.count
    if (empty < 0).any() or (x < 0).any() or not whole.all():
        return begun
    better = improved(own, x, empty, clock)
    return better if int(own.cost @ better.x) < int(own.cost @ begun.x) else begun


def _smallest(own: Items, lam: FloatArray) -> BoolArray:
    """(R,) requests of which another item than the best moves some capacity least, at its price; some of each."""
    found = np.zeros(len(own.row), dtype=bool)
    first = own.first[own.of]
    apart = np.abs(own.use - own.use[first])
    size = apart @ lam + own.length
    size[first == np.arange(len(first))] = np.inf
    order = np.argsort(size, kind="stable")
    order = order[np.isfinite(size[order])]
    for k in range(own.use.shape[1]):
        touching = own.of[order[apart[order, k] > 0]]
        _, at = np.unique(touching, return_index=True)
        found[touching[np.sort(at)[:EACH]]] = True
    return found
