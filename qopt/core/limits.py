"""The one feasibility test: whether terms keep a limit, exactly, with the slack that every limit has.

A limit is relaxed upwards by 1e-12 of its size, so that 0.1 + 0.2 <= 0.3 and K * (180 / K) <= 180 hold. Problems,
kernels, methods and certificates all ask here; `qopt.kernels.checker`, which stands alone, repeats it in rationals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from qopt.core.arrays import FloatArray

SLACK = 1e-12
"""Relative slack of a limit."""


def limit_with_slack(limit: float) -> float:
    """The number that terms may add up to: the limit and 1e-12 of its size, rounded once; upwards for negative ones."""
    return limit * (1.0 + SLACK if limit >= 0 else 1.0 - SLACK)


def limits_with_slack(limits: FloatArray) -> FloatArray:
    """`limit_with_slack` of every entry, to the last bit. One number keeps a limit if it is at most this."""
    relaxed: FloatArray = limits * np.where(limits >= 0, 1.0 + SLACK, 1.0 - SLACK)
    return relaxed


def limit_below(amount: float) -> float:
    """A limit just below an amount > 0, so that the amount breaks it in spite of the slack."""
    return amount * (1.0 - 2.0 * SLACK)


def within(terms: Iterable[float], limit: float) -> bool:
    """Whether terms keep a limit: their exact sum is at most `limit_with_slack`.

    `math.fsum` rounds correctly, so the sign of the sum is exact.
    """
    try:
        return math.fsum([*terms, -limit_with_slack(limit)]) <= 0.0
    except OverflowError:  # the terms alone exceed the largest float
        return False


def sum_within(terms: FloatArray, limit: float) -> bool:
    """`within` for an array, with the same answer: terms are added up exactly only where a rounded sum cannot tell.

    In whatever order n floats are added, the sum is off by less than n 2^-53 of the sum of their sizes.
    """
    total, size = float(terms.sum()), float(np.abs(terms).sum())
    allowed = limit_with_slack(limit)
    if abs(total - allowed) > len(terms) * 2.0**-52 * size:
        return total < allowed
    return within(terms.tolist(), limit)
