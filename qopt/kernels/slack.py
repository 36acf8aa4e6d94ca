"""The slack of a limit, so that 0.1 + 0.2 <= 0.3 and K * (180 / K) <= 180 hold."""

from __future__ import annotations

SLACK = 1e-12
"""Relative: terms keep a limit if and only if ``math.fsum([*terms, -with_slack(limit)]) <= 0``."""


def with_slack(limit: float) -> float:
    """What terms may add up to; a negative limit is relaxed upwards too."""
    return limit * (1.0 + SLACK if limit >= 0 else 1.0 - SLACK)
