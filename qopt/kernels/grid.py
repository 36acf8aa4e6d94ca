"""Numbers that lie on a grid: integers, halves, multiples of seven.

Where all costs are multiples of g, apart from an offset, no two objectives are nearer than g, so a lower bound may be
rounded up to the grid; and a limit on weights that lie on a grid may be rounded down to it. Both close
integer instances early. Everything is exact: what cannot be told exactly is no grid.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.kernels.tolerances import DIGITS

WHOLE = 2.0**DIGITS
"""Below this, floats hold every integer."""

SAMPLE, SMALL = 16, 4096
"""So many numbers are tried first, of at least so many: real-valued data, sixteen of which are on no common grid, are
told apart at once, and below 4096 numbers trying all takes no longer."""

ABOVE_ALL = 2**62
"""More than any of the integers here, which are below 2^53."""

FINEST = 1e-11
"""Share of the sums that are compared: a grid with a finer step is none. A hundred times what sums round by
(`tolerances.SUM_ROUNDING`), so that a tenth of a step is still ten times that."""


def steps(values: FloatArray) -> tuple[IntArray, int] | None:
    """Integers m and an exponent q with ``values = m 2^q`` exactly and |m| < 2^53; None where there are none.

    Parameters
    ----------
    values : of any shape, finite.
    """
    flat = values.ravel()
    some = flat[:SAMPLE]
    if (np.trunc(some) == some).all() and float(np.abs(flat).max(initial=0.0)) < WHOLE:
        given = values.astype(np.int64)
        if (given == values).all():
            bits = int(np.bitwise_or.reduce(given, axis=None))
            q = (bits & -bits).bit_length() - 1 if bits else 0
            return given >> q, q
    for part in (flat,) if flat.size < SMALL else (flat[:SAMPLE], flat):
        mantissa, exponent = np.frexp(part)
        whole = np.abs(np.ldexp(mantissa, DIGITS)).astype(np.int64)
        low = np.where(whole > 0, whole & -whole, 1).astype(np.float64)
        trailing = exponent - DIGITS + np.log2(low).astype(np.int64)
        used = whole > 0
        if not used.any():
            q = 0
            continue
        q = int(trailing[used].min())
        if int(exponent[used].max()) - q > DIGITS:
            return None
    return np.ldexp(values, -q).astype(np.int64), q


def grain(values: FloatArray, scale: float) -> float:
    """Largest g of which all differences within a row are multiples; 0.0 where it is lost in the rounding of sums.

    Parameters
    ----------
    values : (n, k) finite.
    scale : size of the sums that are compared.
    """
    return grain_of(steps(values), scale)


def grain_of(found: tuple[IntArray, int] | None, scale: float) -> float:
    """`grain` of what `steps` found.

    Parameters
    ----------
    found : of (n, k) numbers.
    scale : size of the sums that are compared.
    """
    if found is None:
        return 0.0
    whole, q = found
    common = int(np.gcd.reduce(whole - whole.min(axis=1, initial=ABOVE_ALL, keepdims=True), axis=None))
    try:
        g = math.ldexp(common, q)
    except OverflowError:
        return 0.0
    return g if g > FINEST * scale else 0.0


def room(weight: FloatArray, allowed: float) -> float | None:
    """What weights may add up to beyond the least of each row, rounded down to their grid; None without a grid.

    Sums of the weights less their rows' least are then exact. Negative: not even the lightest fit.

    Parameters
    ----------
    weight : of the same shape, or (R, n, k).
    allowed : mask of the elements that may be used.
    """
    return room_of(steps(weight), allowed)


def room_of(found: tuple[IntArray, int] | None, allowed: float) -> float | None:
    """`room` of what `steps` found.

    Parameters
    ----------
    found : of (n, k) weights.
    allowed : what they may add up to.
    """
    if found is None:
        return None
    whole, q = found
    least = whole.min(axis=1, initial=ABOVE_ALL, keepdims=True)
    excess = whole - least
    common = int(np.gcd.reduce(excess, axis=None))
    if float(excess.max(axis=1, initial=0).astype(np.float64).sum()) >= WHOLE:
        return None
    unit = Fraction(2) ** q
    left = math.floor(Fraction(allowed) / unit if q else allowed) - sum(least.ravel().tolist())
    units = left // common * common if common else left
    if not q:
        return float(units)
    try:
        return float(units * unit)
    except OverflowError:
        return math.inf if units > 0 else -math.inf
