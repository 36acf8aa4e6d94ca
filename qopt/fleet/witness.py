"""The witness of a fleet's bound: multipliers alone. Anyone recomputes what they prove in one pass."""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import IntArray
from qopt.fleet.arrays import tables
from qopt.fleet.grid import Grid
from qopt.fleet.problem import Fleet

FORMAT = "qopt/fleet-witness"


def multipliers(problem: Fleet, lam: IntArray, grid: Grid) -> dict[str, object]:
    """A witness: whole numbers over 2^shift, by the path of the capacity that each is a price of.

    Parameters
    ----------
    problem : the problem.
    lam : (K,) on the grid.
    grid : of the multipliers.
    """
    priced = zip(tables(problem).resources, lam.tolist(), strict=True)
    return {
        "format": FORMAT,
        "version": 1,
        "kind": "multipliers",
        "shift": grid.shift,
        "multipliers": {resource.field: m for resource, m in priced if m},
    }


def prices(problem: Fleet, witness: dict[str, object] | None) -> dict[str, float]:
    """What one more unit of each capacity is worth, by the path of its field, in cost; 0 for those that do not bind.

    Of time that is a second and of memory a byte, by the problem's units. A price is a subgradient of the bound: what
    the optimum changes by at most, for the first of many requests.

    Parameters
    ----------
    problem : the problem.
    witness : `Solution.witness` of a method that has multipliers.
    """
    found: dict[str, float] = {}
    given = (witness or {}).get("multipliers")
    shift = (witness or {}).get("shift")
    held = given if isinstance(given, dict) else {}
    scale = 2.0**-shift if isinstance(shift, int) else 1.0
    for resource in tables(problem).resources:
        unit = float(getattr(problem.units, resource.unit))
        found[resource.field] = float(held.get(resource.field, 0)) * scale / unit
    return found


def start_of(problem: Fleet, grid: Grid, priced: dict[str, float]) -> IntArray:
    """(K,) multipliers on a problem's grid, from prices of a similar one; 0 where there was no such capacity.

    Parameters
    ----------
    problem : the problem.
    grid : of its multipliers.
    priced : as `prices` gives them.
    """
    values = [
        priced.get(resource.field, 0.0) * float(getattr(problem.units, resource.unit))
        for resource in tables(problem).resources
    ]
    return grid.rounded(np.array(values))
