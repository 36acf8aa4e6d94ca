"""What counts as a number, and arguments that are checked: one line where they are not what is allowed."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from qopt.core.errors import InputError, shown

NUMBERS = (int, float, np.integer, np.floating)
"""Types of a real number, Python's and numpy's. Python's bool is a subclass of int and no number."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a real number: no bool, no text, no array. It may be infinite or not a number (NaN)."""
    return isinstance(value, NUMBERS) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is of a type of whole numbers; 2.0 and True are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole(name: str, value: object, lo: int, hi: int | None = None) -> int:
    """A whole number in [lo, hi]; without `hi`, from lo on."""
    if not is_whole(value) or value < lo or (hi is not None and value > hi):
        raise InputError(name, shown(value), "a whole number " + (f">= {lo}" if hi is None else f"from {lo} to {hi}"))
    return int(value)


def real(name: str, value: object, lo: float, hi: float, *, above: bool = False) -> float:
    """A real number in [lo, hi], or in (lo, hi] where it must be `above` lo."""
    if not is_number(value) or not (lo < value if above else lo <= value) or not value <= hi:
        raise InputError(name, shown(value), f"a number {'>' if above else '>='} {lo:g} and <= {hi:g}")
    return float(value)


def plain(value: object) -> object:
    """A numpy scalar as Python's own number; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def check_time_limit(time_limit: object) -> None:
    """Refuse a time limit that is none."""
    if time_limit is not None and not (is_number(time_limit) and 0 <= time_limit < float("inf")):
        raise InputError("time_limit", shown(time_limit), "seconds >= 0")
