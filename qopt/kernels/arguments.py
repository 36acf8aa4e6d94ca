"""What the kernels take: arrays of numbers and the options that they share, checked in one place."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arguments import is_number, whole
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown

LARGEST = 1e300
"""Greater numbers are refused: sums and products of them leave the range of floats."""


def table(name: str, values: object, dimensions: str, *, infinite: bool = False) -> FloatArray:
    """An array of floats up to 1e300 in size.

    Parameters
    ----------
    dimensions : its axes in words, such as ``(n, k)``; their number is checked.
    infinite : whether +infinity may stand in it.

    Raises
    ------
    InputError
        Not such an array; the entry that is no number, or too large.
    """
    axes = len(dimensions.strip("()").rstrip(",").split(","))
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(name, "rows of unequal length, or what is not a number", f"{dimensions} numbers") from None
    if array.ndim != axes:
        raise InputError(name, f"shape {array.shape}", f"{dimensions} numbers")
    good = np.abs(array) <= LARGEST
    if infinite:
        good |= array == np.inf
    if not good.all():
        at = tuple(np.argwhere(~good)[0].tolist())
        allowed = f"finite numbers up to {LARGEST:g}" + (", or inf" if infinite else "")
        raise InputError(f"{name}[{', '.join(map(str, at))}]", f"{array[at]}", allowed)
    return array


def number(name: str, value: object, allowed: str = "a number; inf for none") -> float:
    """A number up to 1e300 in size, or +infinity."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not is_number(value) or not (-LARGEST <= value <= LARGEST or value == math.inf):
        raise InputError(name, shown(value), allowed)
    return float(value)


def check_options(upper: object, gap: object, time_limit: object, **counts: object) -> None:
    """Raise what is wrong with the options of a search; those in `counts` are whole numbers >= 0, or None."""
    number("upper", upper)
    if not is_number(gap) or not 0 <= gap < math.inf:
        raise InputError("gap", shown(gap), "a finite number >= 0")
    if time_limit is not None and (not is_number(time_limit) or not time_limit >= 0):
        raise InputError("time_limit", shown(time_limit), "seconds >= 0, or None")
    for name, value in counts.items():
        if value is not None:
            whole(name, value, 0)
