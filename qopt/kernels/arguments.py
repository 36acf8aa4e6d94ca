"""What the kernels take: arrays of numbers and the options that they share, checked in one place."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arguments import is_number, is_whole, whole
from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown
from qopt.kernels.tolerances import DIGITS

LARGEST = 1e300
"""Greater numbers are refused: sums and products of them leave the range of floats."""


WHOLE = 2.0**DIGITS
"""Floats hold every whole number up to this."""


def floats(name: str, values: object, allowed: str, found: str | None = None) -> FloatArray:
    """An array of floats of any shape; whole numbers that no float holds are refused, never rounded.

    Parameters
    ----------
    name : of the argument, for the message.
    values : an array, nested lists or a number.
    allowed, found : what is said of something that is no array of numbers; found None: what it looks like.

    Raises
    ------
    InputError
        No array of numbers; the whole number that a float does not hold.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "buifO":
            raise TypeError
        array = np.asarray(given, dtype=np.float64)
    except OverflowError:
        raise InputError(name, "a whole number of hundreds of digits", f"numbers up to {LARGEST:g}") from None
    except (TypeError, ValueError):
        raise InputError(name, shown(values) if found is None else found, allowed) from None
    if given is values and given.dtype.kind == "f" and given.dtype.itemsize <= array.itemsize:
        return array
    large = np.argwhere(np.abs(array) >= WHOLE)
    exact = np.asarray(values, dtype=object) if large.size else given
    for at in map(tuple, large.tolist()):
        _held("[".join((name, ", ".join(map(str, at)))) + "]" if at else name, exact[at])
    return array


def _held(name: str, value: object) -> None:
    """Refuse a whole number that no float holds."""
    if is_whole(value) and float(value) != int(value):
        raise InputError(name, f"{value}", "whole numbers that a float holds, as it does all up to 2^53")


def table(name: str, values: object, dimensions: str, *, infinite: bool = False) -> FloatArray:
    """An array of floats up to 1e300 in size.

    Parameters
    ----------
    name : of the argument, for the message.
    values : an array, or nested lists.
    dimensions : its axes in words, such as ``(n, k)``; their number is checked.
    infinite : whether +infinity may stand in it.

    Raises
    ------
    InputError
        Not such an array; the entry that is no number, or too large, or a whole number that no float holds.
    """
    axes = len(dimensions.strip("()").rstrip(",").split(","))
    array = floats(name, values, f"{dimensions} numbers", "rows of unequal length, or what is not a number")
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
    """A number up to 1e300 in size, or +infinity.

    Parameters
    ----------
    name : of the argument, for the message.
    value : what was given.
    allowed : what the message says is.

    Raises
    ------
    InputError
        No such number, or a whole number that no float holds.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not is_number(value) or not (-LARGEST <= value <= LARGEST or value == math.inf):
        raise InputError(name, shown(value), allowed)
    _held(name, value)
    return float(value)


def check_options(upper: object, gap: object, time_limit: object, **counts: object) -> None:
    """Raise what is wrong with the options of a search.

    Parameters
    ----------
    upper : a number, or infinity.
    gap : finite, >= 0.
    time_limit : seconds >= 0, or None.
    counts : whole numbers >= 0, or None, by name.

    Raises
    ------
    InputError
        The first that is not what it may be.
    """
    number("upper", upper)
    if not is_number(gap) or not 0 <= gap < math.inf:
        raise InputError("gap", shown(gap), "a finite number >= 0")
    if time_limit is not None and (not is_number(time_limit) or not time_limit >= 0):
        raise InputError("time_limit", shown(time_limit), "seconds >= 0, or None")
    for name, value in counts.items():
        if value is not None:
            whole(name, value, 0)
