"""Multipliers of several budget rows: the dual of the linear relaxation, solved again and again by HiGHS.

A multiplier is only advice. Every bound built on it is computed anew by `qopt.kernels.knapsack.rows_core`, so
that nothing hangs on a solver's tolerances.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray

SMALLEST_VALUE = 1e-12
"""HiGHS takes smaller coefficients for 0. Rows are scaled to about 1, and a multiplier is only advice; its own 1e-9
would lose the weights of many bits, which fall by 4 with each."""

LEAST_SECONDS = 1e-3
"""For a program near the deadline: HiGHS reads 0 seconds as nothing to do and forgets its basis."""


class Relaxation:
    """Linear relaxation over some classes, kept in HiGHS so that a new right-hand side starts from the last basis.

    One more column relieves all rows at a high price. The program is then never infeasible: where the classes
    left cannot keep the rows, the multipliers grow until their bound passes every possible cost.

    Parameters
    ----------
    cost : (m, k), infinite for items that are not there.
    weight : (R, m, k), rows scaled to about 1.
    penalty : price of relief, far above any cost.
    deadline : `time.perf_counter` at which to stop.

    Attributes
    ----------
    interrupted : the last program ran out of time; asked again, HiGHS goes on from there.
    """

    def __init__(self, cost: FloatArray, weight: FloatArray, penalty: float, deadline: float | None) -> None:
        import highspy

        rows, m = weight.shape[0], len(cost)
        at, item = np.nonzero(np.isfinite(cost))
        columns = len(at)
        index = np.empty((columns, rows + 1), dtype=np.int32)
        index[:, :rows], index[:, rows] = np.arange(rows), rows + at
        value = np.ones((columns, rows + 1))
        value[:, :rows] = weight[:, at, item].T
        starts = np.append(np.arange(columns + 1) * (rows + 1), columns * (rows + 1) + rows)
        self._solver: Any = highspy.Highs()
        for name, setting in (
            ("output_flag", False),
            ("presolve", "off"),
            ("solver", "simplex"),
            ("parallel", "off"),
            ("small_matrix_value", SMALLEST_VALUE),
        ):
            self._solver.setOptionValue(name, setting)
        self._index = np.arange(rows + m, dtype=np.int32)
        self._lower = np.concatenate((np.full(rows, -np.inf), np.ones(m)))
        self._upper = np.ones(rows + m)
        status = self._solver.passModel(
            columns + 1,
            rows + m,
            int(starts[-1]),
            int(highspy.MatrixFormat.kColwise),
            int(highspy.ObjSense.kMinimize),
            0.0,
            np.append(cost[at, item], penalty),
            np.zeros(columns + 1),
            np.full(columns + 1, np.inf),
            self._lower,
            self._upper,
            starts.astype(np.int32),
            np.append(index.ravel(), np.arange(rows, dtype=np.int32)),
            np.append(value.ravel(), np.full(rows, -1.0)),
            np.zeros(columns + 1, dtype=np.int32),
        )
        self._usable = status != highspy.HighsStatus.kError
        self._rows, self._deadline = rows, deadline
        self._time_limit = highspy.HighsModelStatus.kTimeLimit
        self.programs, self.interrupted = 0, False

    def multipliers(self, capacity: FloatArray, first: int = 0, share: float = 1.0) -> FloatArray | None:
        """(R,) optimal multipliers for classes ``first``, ``first + 1``, ...; None where HiGHS has none to offer.

        HiGHS may take a `share` of the time that is left.

        Parameters
        ----------
        capacity : what weights may add up to.
        first : the first class that is left.
        share : of the time that is left.
        """
        if not self._usable:
            return None
        rows = self._rows
        self._upper[:rows] = capacity
        self._upper[rows:] = np.arange(len(self._upper) - rows) >= first
        self._lower[rows:] = self._upper[rows:]
        self._solver.changeRowsBounds(len(self._index), self._index, self._lower, self._upper)
        if self._deadline is not None:  # HiGHS counts all its runs
            left = max(share * (self._deadline - time.perf_counter()), LEAST_SECONDS)
            self._solver.setOptionValue("time_limit", self._solver.getRunTime() + left)
        self._solver.run()
        self.programs += 1
        self.interrupted = self._solver.getModelStatus() == self._time_limit
        solution = self._solver.getSolution()
        dual = -np.array(solution.row_dual[:rows])
        if not solution.dual_valid or len(dual) != rows or not np.all(np.isfinite(dual)):
            return None
        found: FloatArray = np.maximum(dual, 0.0)
        return found
