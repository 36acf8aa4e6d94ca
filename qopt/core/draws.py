"""Random numbers with names, and arguments of generators that are checked."""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.errors import InputError, shown


def whole(name: str, value: object, lo: int, hi: int) -> int:
    """A whole number in [lo, hi]."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not lo <= value <= hi:
        raise InputError(name, shown(value), f"a whole number from {lo} to {hi}")
    return int(value)


def real(name: str, value: object, lo: float, hi: float, *, above: bool = False) -> float:
    """A real number in [lo, hi], or in (lo, hi] where it must be `above` lo."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not (lo < value if above else lo <= value) or not value <= hi:  # type: ignore[operator]
        raise InputError(name, shown(value), f"a number {'>' if above else '>='} {lo:g} and <= {hi:g}")
    return float(value)  # type: ignore[arg-type]


def log_uniform(rng: np.random.Generator, decades: float, middle: float, size: int) -> FloatArray:
    """Numbers whose logarithm is uniform, `decades` wide around `middle`."""
    return middle * 10.0 ** rng.uniform(-decades / 2, decades / 2, size)
