"""Numbers of any range, made fit for sums and products of floats.

Costs and weights less the least of their class, all >= 0, may lie 600 decades apart: 1e300 stands for "never" beside
1e-9, or data are hostile. A slope of two such numbers leaves the range of floats, and a hull built on it is wrong.
What costs more than a known choice, and what is heavier than the limit leaves room for, is taken by no better choice,
so it may count as a little less, yet too much; and what is lost beside these in any sum may count as 0. Both only
lower the bounds, so that what they prove is proved. A far cheaper choice makes both bounds tighter: then all is done
again, and as each time takes hundreds of binary digits of the two thousand there are, that ends.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.kernels.arguments import LARGEST

DIGITS_APART = 400
"""Binary digits between the greatest and the least of a table up to which nothing is done: products and quotients of
two such tables stay within the range of floats, 1022 digits either way."""

FAR_CHEAPER = 300
"""Binary digits by which a choice is cheaper than the scale when it makes a new one worth while: what counted as 0 is
then still a hundred digits below it."""


def is_wide(values: FloatArray) -> bool:
    """Whether numbers >= 0 lie too far apart for floats, 0 left aside.

    Parameters
    ----------
    values : numbers, finite.
    """
    top = float(values.max(initial=0.0))
    return bool(np.any((values > 0) & (values < math.ldexp(top, -DIGITS_APART))))


def tamed(values: FloatArray, most: float) -> FloatArray:
    """Numbers >= 0 with what is above `most` only a little above it, and what is lost beside that as 0.

    Parameters
    ----------
    values : of any shape, returned as they are where they do not lie far apart.
    most : >= 0, what a number may be to matter; infinite where nothing is known.
    """
    if not is_wide(values):
        return values
    if most <= 0:  # whatever is above 0 is too much, the least as well
        return np.where(values > 0, values[values > 0].min(), 0.0)
    ceiling = min(2.0 * most, float(values.max()))
    clipped = np.minimum(values, ceiling)
    return np.where(clipped < math.ldexp(ceiling, -DIGITS_APART), 0.0, clipped)


def far_cheaper(value: float, scale: float) -> bool:
    """Whether a choice of this cost asks for a new scale.

    Parameters
    ----------
    value : a number in the search's unit.
    scale : the cost that the data were scaled to.
    """
    return value < math.ldexp(scale, -FAR_CHEAPER)


def shifted_exponent(value: float, digits: int) -> float:
    """value * 2^digits, held within +-1e300 where it leaves the range of floats; infinite numbers stay so.

    Parameters
    ----------
    value : a number in the search's unit.
    digits : binary digits to move by.
    """
    if math.isinf(value):
        return value
    try:
        return math.ldexp(value, digits)
    except OverflowError:
        return math.copysign(LARGEST, value)
