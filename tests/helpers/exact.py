"""The one test of feasibility, in rationals, and numbers of any size."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st


def allowed(limit: float) -> float:
    """What terms may add up to: the limit relaxed by 1e-12 of its size."""
    return limit * (1 + 1e-12 if limit >= 0 else 1 - 1e-12)


def total(terms: Any) -> Fraction:
    """What terms add up to, nothing rounded."""
    return sum(map(Fraction, terms), Fraction(0))


def within(terms: Any, limit: float) -> bool:
    """The exact test, in rationals."""
    return math.isinf(limit) or total(terms) <= Fraction(allowed(limit))


SEEDS = st.integers(0, 2**32 - 1)


def scattered(rng: np.random.Generator, n: int, decades: float) -> Any:
    return 10.0 ** rng.uniform(-decades, decades, n)
