"""Outer models of a dual function: the least of the lines known, its maximiser or a ray along which it grows.

    maximise theta  subject to  theta <= cost_i + lam (used_i - room) for every line i,  lam >= 0

With one limit the maximiser is where two lines cross; with several HiGHS solves the linear program, keeping its
basis from one line to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief

LONGEST = 1e305
"""Multipliers that make paths as long as this are not tried: a thousandth of the greatest float, so that no sum or
product of them is beyond it."""


@dataclass(repr=False)
class Cuts(Brief):
    """Paths and their lines.

    Attributes
    ----------
    paths : their steps.
    cost, used : (N,) and (N, r) sums.
    """

    paths: list[IntArray] = field(default_factory=list)
    cost: FloatArray = field(default_factory=lambda: np.zeros(0))
    used: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, path: IntArray, cost: float, used: FloatArray) -> None:
        """One more.

        Parameters
        ----------
        path : steps of a path: states of the layers, or arcs.
        cost : (n, k) a class a row, or costs by element.
        used : resources by row.
        """
        self.paths = [*self.paths, path]
        self.cost = np.append(self.cost, cost)
        self.used = used[None] if len(self.paths) == 1 else np.vstack((self.used, used))

    def take(self, index: IntArray | list[int]) -> Cuts:
        """Some of them.

        Parameters
        ----------
        index : which ones.
        """
        where = np.asarray(index, dtype=np.int64)
        return Cuts([self.paths[i] for i in where], self.cost[where], self.used[where])


class OuterModel:
    """Maximises outer models over the same limits, one after another.

    Parameters
    ----------
    room : (r,) limits.
    cost_unit, units : sizes of costs and (r,) of resources, by which the linear program is scaled.
    """

    def __init__(self, room: FloatArray, cost_unit: float, units: FloatArray) -> None:
        self.room = room
        self.cost_unit, self.units = _power(cost_unit), np.array([_power(float(unit)) for unit in units])
        self._solver: Any = None
        self._rows: FloatArray = np.zeros((0, len(room)))

    def maximise(self, cuts: Cuts) -> tuple[float, FloatArray, bool]:
        """Maximum, multipliers (r,), False; or for a model without one: 0, a ray, True.

        Parameters
        ----------
        cuts : known lines.
        """
        excess = cuts.used - self.room
        if len(self.room) == 1:
            return _crossing(cuts.cost, excess[:, 0])
        return self._program(cuts, excess)

    def _program(self, cuts: Cuts, excess: FloatArray) -> tuple[float, FloatArray, bool]:
        import highspy

        known = len(self._rows)
        if self._solver is None or not np.array_equal(self._rows, cuts.used[:known]):
            known = 0
            self._clear()
        h, columns = self._solver, np.arange(1 + len(self.room), dtype=np.int32)
        for line, cost in zip(excess[known:], cuts.cost[known:], strict=True):
            row = np.concatenate(([1.0], -line / self.units))
            h.addRow(-highspy.kHighsInf, float(cost) / self.cost_unit, len(row), columns, row)
        self._rows = cuts.used
        h.run()
        status = h.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            x = np.maximum(np.array(h.getSolution().col_value)[1:], 0.0)
            with np.errstate(over="ignore", invalid="ignore"):
                lam: FloatArray = x * (self.cost_unit / self.units)
                return float(np.min(cuts.cost + excess @ lam)), lam, False
        _, found, direction = h.getPrimalRay()
        # Of a ray only the direction counts: divided by the least unit it cannot grow out of range.
        shares = self.units.min() / self.units
        ray = np.maximum(direction[1:], 0.0) * shares if found else np.zeros(len(self.room))
        return 0.0, ray, True

    def _clear(self) -> None:
        import highspy

        if self._solver is None:
            self._solver = highspy.Highs()
            # No presolve: what it reduces away has neither basis nor ray. A refused option shows in the answers
            # only as slower or looser multipliers, and any multipliers give a valid bound.
            for name, value in (("output_flag", False), ("presolve", "off"), ("threads", 1)):
                self._solver.setOptionValue(name, value)
        h, size = self._solver, 1 + len(self.room)
        h.clearModel()
        lower = np.zeros(size)
        lower[0] = -highspy.kHighsInf
        h.addVars(size, lower, np.full(size, highspy.kHighsInf))
        h.changeColCost(0, -1.0)


def _crossing(cost: FloatArray, excess: FloatArray) -> tuple[float, FloatArray, bool]:
    """Maximum over lam >= 0 of the least of cost + lam excess."""
    light, heavy = np.flatnonzero(excess <= 0), np.flatnonzero(excess > 0)
    if light.size == 0:
        return 0.0, np.ones(1), True
    with np.errstate(over="ignore"):
        candidates = (cost[light, None] - cost[heavy]) / (excess[heavy] - excess[light, None])
        usable = (candidates > 0) & (candidates * np.abs(excess).max() < LONGEST)
    candidates = np.append(candidates[usable], 0.0)
    values = (cost[:, None] + excess[:, None] * candidates).min(axis=0)
    best = int(np.argmax(values))
    return float(values[best]), candidates[best : best + 1], False


def _power(size: float) -> float:
    """Power of two of about a size; 1 for 0."""
    return math.ldexp(1.0, math.frexp(size)[1]) if size > 0 else 1.0
