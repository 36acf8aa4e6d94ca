"""Data as solvers with fixed tolerances like them.

Solvers judge feasibility and gaps by absolute tolerances of about 1e-6 and drop small coefficients, so real data are
scaled to about 1 before they are handed over: what an expert user would do. Integers stay integers, because solvers
round bounds on their grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

GRID = 2.0**40
"""CP-SAT takes integers only: real costs and weights become multiples of a 2^-40th of their scale."""


def integral(*arrays: Any) -> bool:
    """Whether all numbers are integers."""
    return all(bool(np.all(np.asarray(a) == np.rint(a))) for a in arrays)


def rows_of(weight: Array, limit: Array) -> tuple[Array, Array]:
    """Weights (R, n, k) and limits (R,), of one row too."""
    return weight.reshape(-1, *weight.shape[-2:]), np.atleast_1d(limit).astype(float)


def to_one(cost: Array, weight: Array, limit: Array) -> tuple[Array, Array, Array]:
    """Real data (n, k), (R, n, k) and (R,) with limits of 1 and a mean cost of 1; integers as they are."""
    if integral(cost, weight, limit):
        return cost, weight, limit
    scale = np.where(limit == 0, 1.0, limit)
    return cost / (float(np.abs(cost).mean()) or 1.0), weight / scale[:, None, None], limit / scale


def to_integers(cost: Array, weight: Array, limit: Array) -> tuple[Array, Array, Array]:
    """Integer data whose feasible points are feasible: weights are rounded up, no limit is below its multiple.

    Items that alone exceed a limit keep a weight above it, so that nothing overflows. Shapes as in `to_one`.
    """
    if integral(cost, weight, limit):
        return cost.astype(np.int64), weight.astype(np.int64), limit.astype(np.int64)
    span = float((cost.max(axis=-1) - cost.min(axis=-1)).sum()) or 1.0
    shifted = weight - weight.min(axis=-1, keepdims=True)
    room = limit - weight.min(axis=-1).sum(axis=-1)
    if np.any(room <= 0):
        raise ValueError("the lightest choice does not fit: nothing to scale by")
    heavy = np.minimum(np.ceil(shifted / room[:, None, None] * GRID), GRID + 1)
    return np.rint(cost / span * GRID).astype(np.int64), heavy.astype(np.int64), np.full(len(room), int(GRID))
