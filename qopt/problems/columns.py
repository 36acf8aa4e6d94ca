"""Columns of numbers: the array types that problems are made of.

A network of 100 000 layers is a handful of arrays, not 100 000 objects. Every column is checked
number by number when a problem is made, and is read-only afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from qopt.errors import shown

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]


def complaint(where: str, found: str, allowed: str) -> PydanticCustomError:
    """An error that `qopt.problems.complaints` renders as ``field + where: found …; allowed: …``."""
    return PydanticCustomError("qopt", "{found}", {"where": where, "found": found, "allowed": allowed})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _first_offender(value: Any, where: str, ndim: int, ok: Callable[[float], bool]) -> tuple[str, Any] | None:
    """Path and value of the first entry that is not an admissible number."""
    if ndim == 0:
        try:
            good = _is_number(value) and ok(float(value))
        except OverflowError:
            good = False
        return None if good else (where, value)
    if not isinstance(value, list | tuple | np.ndarray):
        return where, value
    for i, entry in enumerate(value):
        bad = _first_offender(entry, f"{where}[{i}]", ndim - 1, ok)
        if bad:
            return bad
    return None


def _has_only_numbers(value: Any, ndim: int) -> bool:
    """Whether a nested list holds nothing but int and float (bool is neither)."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuf"
    if ndim == 1:
        return set(map(type, value)) <= {int, float, np.float64, np.int64}
    return all(_has_only_numbers(row, ndim - 1) for row in value)


def _column(
    ndim: int, allowed: str, ok: Callable[[FloatArray], Any], *, whole: bool = False, null: float | None = None
) -> Callable[[Any], Any]:
    """A validator that turns nested lists into a read-only array, or names the first bad entry.

    `ok` is applied to a whole array (fast) and, only when something is wrong, entry by entry. With
    `null`, an entry None stands for that number.
    """
    dtype = np.int64 if whole else np.float64

    def entry_ok(x: float) -> bool:
        with np.errstate(invalid="ignore"):
            return bool(ok(np.float64(x))) and (not whole or x == math.floor(x))  # type: ignore[arg-type]

    def validate(value: Any) -> Any:
        if not isinstance(value, list | tuple | np.ndarray):
            raise complaint("", shown(value), f"a list of {allowed}")
        original = value
        if null is not None and not isinstance(value, np.ndarray):

            def fill(v: Any, depth: int) -> Any:
                if depth == 0:
                    return null if v is None else v
                return [fill(w, depth - 1) for w in v] if isinstance(v, list | tuple) else v

            value = fill(value, ndim)
        try:
            clean = _has_only_numbers(value, ndim)
            array = np.asarray(value, dtype=np.float64) if clean else None
        except (TypeError, ValueError, OverflowError):
            array = None
        if array is None or array.ndim != ndim:
            bad = _first_offender(value, "", ndim, entry_ok)
            if bad:
                raise complaint(bad[0], shown(bad[1]), allowed)
            raise complaint("", f"rows of unequal length in {shown(original, 30)}", f"rows of equal length of {allowed}")
        with np.errstate(invalid="ignore"):
            good = np.all(ok(array)) and (not whole or np.all(array == np.floor(array)))
        if not good:
            bad = _first_offender(array.tolist(), "", ndim, entry_ok)
            assert bad is not None
            raise complaint(bad[0], shown(bad[1]), allowed)
        result = array.astype(dtype)
        result.flags.writeable = False
        return result

    return validate


def _plain(array: Any) -> Any:
    """Lists for JSON: whole numbers without a decimal point, infinity as null."""

    def plain(x: Any) -> Any:
        if isinstance(x, list):
            return [plain(y) for y in x]
        if isinstance(x, float):
            if math.isinf(x):
                return None
            return int(x) if x.is_integer() and abs(x) < 2**53 else x
        return x

    return plain(array.tolist())


def _type(ndim: int, item: dict[str, Any], validator: Callable[[Any], Any], base: Any) -> Any:
    schema: dict[str, Any] = item
    for _ in range(ndim):
        schema = {"type": "array", "items": schema}
    return Annotated[
        base, BeforeValidator(validator), PlainSerializer(_plain), WithJsonSchema(schema)
    ]


def _amount(a: FloatArray) -> Any:
    return np.isfinite(a) & (a >= 0)


def _amount_or_infinite(a: FloatArray) -> Any:
    return a > 0


def _width(a: FloatArray) -> Any:
    return np.isfinite(a) & (a >= 1) & (a <= 32)


def _share(a: FloatArray) -> Any:
    return (a > 0) & (a <= 1)


_NUMBER = {"type": "number", "minimum": 0}
_COUNT = {"type": "integer", "minimum": 0}

Amounts = _type(1, _NUMBER, _column(1, "finite numbers >= 0", _amount), np.ndarray)
AmountRows = _type(2, _NUMBER, _column(2, "finite numbers >= 0", _amount), np.ndarray)
Counts = _type(1, _COUNT, _column(1, "whole numbers >= 0", _amount, whole=True), np.ndarray)
Widths = _type(
    1,
    {"type": "integer", "minimum": 1, "maximum": 32},
    _column(1, "whole numbers from 1 to 32", _width, whole=True),
    np.ndarray,
)
Shares = _type(
    1,
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    _column(1, "accuracy losses in (0, 1]", _share),
    np.ndarray,
)
RobustnessRows = _type(
    2,
    {"type": ["number", "null"], "exclusiveMinimum": 0},
    _column(2, "numbers > 0, or null where the loss is never reached", _amount_or_infinite, null=math.inf),
    np.ndarray,
)
