"""One limit of a fixed-cut subproblem: noise, memory, time, energy, price or payload, all alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.limits import limit_with_slack, within

HAIR = 2e-12
"""Shares below this are out of the range of solvers."""

LEAST_ROOM = 1e-6
"""Share of a limit in which the room that a cut leaves is measured, where it leaves less."""

SURELY = 1e-9
"""Share by which the most that a limit can be asked for must be below it to leave it out: far beyond rounding."""


class Row(NamedTuple):
    """A limit: ``fixed + sum use[i, c_i] <= limit``.

    Attributes
    ----------
    name : accuracy, memory, time, energy, price or payload.
    use : (n, k) what items use at each width.
    fixed : what the cut uses whatever the widths.
    limit : what it allows, slack not included; infinite for none.
    """

    name: str
    use: FloatArray
    fixed: float
    limit: float

    def keeps(self, columns: IntArray) -> bool:
        """The exact test, for the columns of whole widths.

        Parameters
        ----------
        columns : (n,) index of the width of each item.
        """
        return math.isinf(self.limit) or within(
            [self.fixed, *self.use[np.arange(len(columns)), columns].tolist()], self.limit
        )

    def scaled(self, terms: FloatArray) -> tuple[FloatArray, float]:
        """Terms of a row for a solver, and what they may add up to: shares of what the cut leaves of the limit.

        Shares too small for a solver count for nothing, and a room that is nothing but rounding for a hair of it: the
        exact test judges its points.

        Parameters
        ----------
        terms : what some items use.
        """
        allowed = limit_with_slack(self.limit)
        room = allowed - self.fixed
        unit = max(room, LEAST_ROOM * allowed) or 1.0
        shares = terms / unit
        part = room / unit
        return np.where(shares < HAIR, 0.0, shares), HAIR if abs(part) < HAIR else part

    @property
    def slack(self) -> bool:
        """Whether no choice can break it, whatever its rounding."""
        most = self.fixed + float(self.use.max(axis=1, initial=0.0).sum())
        return most <= self.limit * (1.0 - SURELY)
