"""Numbers that lie on a grid: integers, halves, multiples of seven.

Where all costs are multiples of g, apart from an offset, no two objectives are nearer than g, so a lower bound may be
rounded up to the grid; and a limit on weights that lie on a grid may be rounded down to it. Both close
integer instances early. Everything is exact: what cannot be told exactly is no grid.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from qopt.core.arrays import FloatArray, IntArray

WHOLE = 2.0**53
"""Below this, floats hold every integer."""

SAMPLE, SMALL = 16, 4096
"""So many numbers are tried first, of at least so many: real-valued data are told apart at once."""


def steps(values: FloatArray) -> tuple[IntArray, int] | None:
    """Integers m and an exponent q with ``values = m 2^q`` exactly and |m| < 2^53; None where there are none.

    Parameters
    ----------
    values : of any shape, finite.
    """
    flat = values.ravel()
    for part in (flat,) if flat.size < SMALL else (flat[:SAMPLE], flat):
        mantissa, exponent = np.frexp(part)
        whole = np.abs(np.ldexp(mantissa, 53)).astype(np.int64)
        low = np.where(whole > 0, whole & -whole, 1).astype(np.float64)
        trailing = exponent - 53 + np.log2(low).astype(np.int64)
        used = whole > 0
        if not used.any():
            q = 0
            continue
        q = int(trailing[used].min())
        if int(exponent[used].max()) - q > 53:
            return None
    return np.ldexp(values, -q).astype(np.int64), q


def grain(values: FloatArray, scale: float) -> float:
    """Largest g of which all differences within a row are multiples; 0.0 where it is lost in the rounding of sums.

    Parameters
    ----------
    values : (n, k) finite.
    scale : size of the sums that are compared.
    """
    found = steps(values)
    if found is None:
        return 0.0
    whole, q = found
    common = int(np.gcd.reduce((whole - whole.min(axis=1, initial=2**62, keepdims=True)).ravel()))
    try:
        g = math.ldexp(common, q)
    except OverflowError:
        return 0.0
    return g if g > 1e-11 * scale else 0.0


def room(weight: FloatArray, allowed: float) -> float | None:
    """What weights may add up to beyond the least of each row, rounded down to their grid; None without a grid.

    Sums of the weights less their rows' least are then exact. Negative: not even the lightest fit.
    """
    found = steps(weight)
    if found is None:
        return None
    whole, q = found
    least = whole.min(axis=1, initial=2**62, keepdims=True)
    excess = whole - least
    common = int(np.gcd.reduce(excess.ravel()))
    if float(excess.max(axis=1, initial=0).astype(np.float64).sum()) >= WHOLE:
        return None
    unit = Fraction(2) ** q
    left = Fraction(allowed) / unit - sum(map(int, least.ravel()))
    units: Any = math.floor(left / common) * common if common else math.floor(left)
    try:
        return float(units * unit)
    except OverflowError:
        return math.inf if units > 0 else -math.inf
