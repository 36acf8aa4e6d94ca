"""The one feasibility test: whether terms keep a limit, exactly, with the slack that every limit has.

A limit is relaxed upwards by 1e-12 of its size, so that 0.1 + 0.2 <= 0.3 and K * (180 / K) <= 180 hold. Problems,
kernels, methods and certificates all ask here; `qopt.kernels.checker`, which stands alone, repeats it in rationals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SLACK = 1e-12
"""Relative slack of a limit."""


def limit_with_slack(limit: float) -> float:
    """The number that terms may add up to: the limit and 1e-12 of its size, rounded once; upwards for negative ones."""
    return limit * (1.0 + SLACK if limit >= 0 else 1.0 - SLACK)


def within(terms: Iterable[float], limit: float) -> bool:
    """Whether terms keep a limit: their exact sum is at most `limit_with_slack`.

    `math.fsum` rounds correctly, so the sign of the sum is exact.
    """
    try:
        return math.fsum([*terms, -limit_with_slack(limit)]) <= 0.0
    except OverflowError:  # the terms alone exceed the largest float
        return False
