"""What a unit of each row's limit is worth in the linear relaxation of a multiple-choice knapsack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.kernels.knapsack.rows_relaxation import Relaxation
from qopt.kernels.knapsack.ties import merge

RELIEF = 1e4
"""Price of breaking a row by all of its limit, in units of all costs together."""


def row_prices(
    cost: FloatArray, weight: FloatArray, limit: Sequence[float], ties: Sequence[Sequence[int]] | None = None
) -> FloatArray | None:
    """(R,) multipliers, >= 0: each row's dual value in the linear relaxation; None where HiGHS has none to offer.

    Any multipliers give a bound, ``sum_i min_c (cost + lambda weight) - lambda limit``, of which they are the slopes:
    whatever the limits become, no choice costs less than the bound at these less lambda times what they rise by.

    Parameters
    ----------
    cost : (n, k), a class a row, finite.
    weight : (R, n, k).
    limit : (R,) on the sums, finite.
    ties : groups of classes that take the same column.
    """
    tied = merge(None if not ties else [list(tie) for tie in ties], len(cost))
    c, w = tied.table(np.asarray(cost, dtype=np.float64)), tied.table(np.asarray(weight, dtype=np.float64))
    shifted = c - c.min(axis=1, initial=np.inf)[:, None]
    size = float(shifted.max(axis=1, initial=0.0).sum()) or 1.0
    floor = w.min(axis=2, initial=np.inf)
    # From the lightest items up, so that rows of large fixed parts are scaled by what is left to choose.
    room = np.asarray(limit, dtype=np.float64) - floor.sum(axis=1)
    unit = np.where(room > 0, room, np.maximum((w.max(axis=2) - floor).sum(axis=1), 1e-300))
    scaled = (w - floor[:, :, None]) / unit[:, None, None]
    program = Relaxation(shifted / size, scaled, RELIEF, None)
    found = program.multipliers(room / unit)
    return None if found is None else found * size / unit
