"""The master of the level bundle method: a linear program in HiGHS that grows by cuts.

The dual function is a sum over groups, L(lam) = sum_g L_g(lam) - lam C, and each pass gives a plane above each L_g: a
cut of its own for every group, so few passes tell the model much. Two programs on the same rows:

    upper    maximise  sum_g theta_g - lam C            the model's largest value: no multipliers in the box reach more
    level    minimise  sum_k |lam_k - centre_k|          the nearest point where the model reaches a level
             subject to the model >= level

    theta_g <= cost_gi + load_gi lam  for every plan i of group g;  low <= lam <= high
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.solvers.highs import SolverError

SIZE = 1e4
"""The scaled value of the whole dual function, about: HiGHS's tolerances are then a 1e-11th of it."""


class Master:
    """Cuts of a dual function, and where its model is highest or reaches a level.

    Parameters
    ----------
    groups : how many.
    capacity : (K,) as multipliers weigh them.
    low, high : (K,) the box of the multipliers.
    total : size of the dual function, by which costs are divided.
    """

    def __init__(self, groups: int, capacity: FloatArray, low: FloatArray, high: FloatArray, total: float) -> None:
        import highspy

        self.groups, self.k = groups, len(capacity)
        self.scale = SIZE / max(total, 1.0)
        # lam_k = unit_k mu_k: of size 1 where what a whole capacity is worth is of the size of all costs.
        self.unit = total / np.maximum(capacity, 1.0)
        self.weight = capacity * self.unit * self.scale
        self.h = h = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("primal_feasibility_tolerance", 1e-9),
            ("dual_feasibility_tolerance", 1e-9),
            ("small_matrix_value", 1e-12),
        ):
            if h.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise SolverError(f"HiGHS refuses {name} = {value!r}")
        n = 2 * self.k + groups
        infinite = np.full(groups, highspy.kHighsInf)
        self.low, self.high = low / self.unit, high / self.unit
        lower = np.concatenate((self.low, -infinite, np.zeros(self.k)))
        upper = np.concatenate((self.high, infinite, np.full(self.k, highspy.kHighsInf)))
        h.addVars(n, lower, upper)
        self.columns = np.arange(n, dtype=np.int32)
        self.upper_cost = np.concatenate((self.weight, -np.ones(groups), np.zeros(self.k)))
        self.level_cost = np.concatenate((np.zeros(self.k + groups), np.ones(self.k)))
        for k in range(self.k):  # |mu_k - centre_k| <= d_k
            for sign in (1.0, -1.0):
                self._row(-highspy.kHighsInf, highspy.kHighsInf, [k, self.k + groups + k], [sign, -1.0])
        level = [*range(self.k), *range(self.k, self.k + groups)]
        self._row(-highspy.kHighsInf, highspy.kHighsInf, level, [*(-self.weight).tolist(), *[1.0] * groups])
        self.seen: set[tuple[int, bytes]] = set()

    def _row(self, low: float, high: float, columns: list[int], values: list[float]) -> None:
        self.h.addRow(low, high, len(columns), np.array(columns, dtype=np.int32), np.array(values, dtype=np.float64))

    def box(self, low: FloatArray, high: FloatArray) -> None:
        """Allow other multipliers."""
        self.low, self.high = low / self.unit, high / self.unit
        self.h.changeColsBounds(self.k, self.columns[: self.k], self.low, self.high)

    def cut(self, group: int, cost: int, load: IntArray) -> bool:
        """Add a plan of a group; whether it is a new one."""
        import highspy

        key = (group, np.append(load, cost).tobytes())
        if key in self.seen:
            return False
        self.seen.add(key)
        at = np.flatnonzero(load)
        values = -(load[at] * self.unit[at] * self.scale)
        columns = [*at.tolist(), self.k + group]
        self._row(-highspy.kHighsInf, cost * self.scale, columns, [*values.tolist(), 1.0])
        return True

    def upper(self) -> tuple[float, FloatArray] | None:
        """The model's largest value in the box and where it is; None where HiGHS does not solve it."""
        import highspy

        self.h.changeColsCost(len(self.columns), self.columns, self.upper_cost)
        self.h.changeRowBounds(2 * self.k, -highspy.kHighsInf, highspy.kHighsInf)
        found = self._solve()
        return None if found is None else (-found[0] / self.scale, found[1])

    def level(self, value: float, centre: FloatArray) -> FloatArray | None:
        """The point nearest to a centre at which the model reaches a value."""
        import highspy

        near = centre / self.unit
        for k in range(self.k):
            self.h.changeRowBounds(2 * k, -highspy.kHighsInf, float(near[k]))
            self.h.changeRowBounds(2 * k + 1, -highspy.kHighsInf, -float(near[k]))
        self.h.changeColsCost(len(self.columns), self.columns, self.level_cost)
        self.h.changeRowBounds(2 * self.k, value * self.scale, highspy.kHighsInf)
        found = self._solve()
        for k in range(2 * self.k):
            self.h.changeRowBounds(k, -highspy.kHighsInf, highspy.kHighsInf)
        return None if found is None else found[1]

    def _solve(self) -> tuple[float, FloatArray] | None:
        import highspy

        self.h.run()
        if self.h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            self.h.clearSolver()
            self.h.run()
            if self.h.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                return None
        x: Any = np.array(self.h.getSolution().col_value)
        return float(self.h.getInfo().objective_function_value), np.clip(x[: self.k], self.low, self.high) * self.unit
