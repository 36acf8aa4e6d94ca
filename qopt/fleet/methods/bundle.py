"""The level bundle method: multipliers that maximise a fleet's dual function in a box.

Each round asks the master (`qopt.fleet.methods.master`) how much the model of the cuts reaches at most, and takes the
point nearest to the best one so far where it reaches a level between that and what is known: a pass there gives a cut
for every group. It ends where the model promises no more than a share of what is known, after some rounds, or by the
clock. Whatever ends it, every pass's value is a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.fleet.arrays import Key, Tables
from qopt.fleet.grid import Grid
from qopt.fleet.methods.master import Master
from qopt.fleet.passes import Sums

LEVEL = 0.3
"""Where the level lies between the best value and the model's: nearer to the first, so that steps stay short."""

WIDER = 4
"""Times its width by which the box grows on the sides where the best multipliers lie on its edge."""

Evaluate = Callable[[IntArray], dict[Key, Sums]]
"""A pass over all requests at multipliers on the grid."""


@dataclass(frozen=True, repr=False)
class Dual(Brief):
    """What is known of a dual function.

    Attributes
    ----------
    lam : (K,) the best multipliers, whole numbers on the grid.
    value : of the dual function there: no plan costs less.
    model : what the last model reaches at most in the last box.
    passes : how many were made.
    """

    lam: IntArray
    value: Fraction
    model: float
    passes: int


def value_of(
    sums: dict[Key, Sums], tables: Tables, lam: IntArray, grid: Grid, capacity: FloatArray | IntArray
) -> tuple[Fraction, IntArray]:
    """The dual function at multipliers, and (K,) the load of its plan: J + lam (load - C), exactly."""
    load, cost = np.zeros(len(tables.resources), dtype=np.int64), 0
    for key, part in sums.items():
        menu = tables.menus[key]
        cost += part.cost(menu)
        load += part.load(menu, len(load))
    over = sum(
        int(m) * (int(u) - Fraction(c)) for m, u, c in zip(lam.tolist(), load.tolist(), capacity.tolist(), strict=True)
    )
    return cost + Fraction(over) / (1 << grid.shift), load


def maximise(
    evaluate: Evaluate,
    tables: Tables,
    grid: Grid,
    capacity: FloatArray | IntArray,
    centre: IntArray,
    low: IntArray,
    high: IntArray,
    *,
    gap: float,
    rounds: int,
    clock: Clock,
) -> Dual:
    """Climb the dual function in a box, from a centre in it.

    Parameters
    ----------
    evaluate : a pass.
    tables, grid : of the problem.
    capacity : (K,) capacities; fractions of them where `evaluate` looks at a sample.
    centre, low, high : (K,) multipliers on the grid; the box is widened where the best lie on its edge.
    gap : share of the value by which the model may still promise more.
    rounds : passes at most.
    clock : ends it after the pass that runs.
    """
    sums = evaluate(centre)
    best, value, passes = centre, value_of(sums, tables, centre, grid, capacity)[0], 1
    place = {key: g for g, key in enumerate(sums)}
    total = max(float(abs(value)), 1.0)
    master = Master(len(place), np.asarray(capacity, dtype=float), grid.value(low), grid.value(high), total)

    def cut(found: dict[Key, Sums]) -> bool:
        new = [
            master.cut(place[key], part.cost(tables.menus[key]), part.load(tables.menus[key], len(centre)))
            for key, part in found.items()
        ]
        return any(new)

    cut(sums)
    model = float("inf")
    while passes < rounds and not clock.over:
        upper = master.upper()
        if upper is None:
            break
        model = min(model, max(upper[0], float(value)))
        if model - float(value) <= gap * max(abs(float(value)), 1.0):
            edge = ((best <= low) & (low > 0)) | ((best >= high) & (high < grid.most))
            if not edge.any():
                break
            wide = WIDER * (high - low)
            low = np.where(edge, np.maximum(low - wide, 0), low)
            high = np.where(edge, np.minimum(high + wide, grid.most), high)
            master.box(grid.value(low), grid.value(high))
            model = float("inf")
            continue
        wanted = float(value) + LEVEL * (model - float(value))
        point = master.level(wanted, grid.value(best))
        lam = np.clip(grid.rounded(upper[1] if point is None else point), low, high)
        sums = evaluate(lam)
        passes += 1
        reached = value_of(sums, tables, lam, grid, capacity)[0]
        new = cut(sums)
        if reached > value:
            best, value = lam, reached
        elif not new:
            break
    return Dual(best, value, model, passes)
