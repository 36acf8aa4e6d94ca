"""Columns of numbers: the array types that problems are made of.

A network of 100 000 layers is a handful of arrays, not 100 000 objects. Every column is checked
number by number when a problem is made, and is read-only afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from qopt.core.arguments import NUMBERS, is_number
from qopt.core.arrays import AnyArray, BoolArray, FloatArray
from qopt.core.errors import shown


def complaint(where: str, found: str, allowed: str) -> PydanticCustomError:
    """An error that `qopt.core.complaints` renders as ``field + where: found …; allowed: …``."""
    return PydanticCustomError("qopt", "{found}", {"where": where, "found": found, "allowed": allowed})


def _first_offender(
    value: object, where: str, ndim: int, ok: Callable[[float], bool]
) -> tuple[str, object, int] | None:
    """Path and value of the first entry that is not admissible, and of how many dimensions it should be."""
    if ndim == 0:
        try:
            good = is_number(value) and ok(float(value))
        except OverflowError:
            good = False
        return None if good else (where, value, 0)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return where, value, ndim
    for i, entry in enumerate(value):
        bad = _first_offender(entry, f"{where}[{i}]", ndim - 1, ok)
        if bad:
            return bad
    return None


def _has_only_numbers(value: object, ndim: int) -> bool:
    """Whether a nested list holds nothing but int and float (bool is neither)."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuf"
    if not isinstance(value, Iterable):
        return False
    if ndim == 1:
        return all(t is not bool and issubclass(t, NUMBERS) for t in set(map(type, value)))
    return all(_has_only_numbers(row, ndim - 1) for row in value)


def _column(
    ndim: int,
    number: str,
    numbers: str,
    ok: Callable[[FloatArray], BoolArray],
    *,
    whole: bool = False,
    null: float | None = None,
    ranged: bool = False,
) -> Callable[[object], AnyArray]:
    """A validator that turns nested lists into a read-only array, or names the first bad entry.

    `ok` is applied to a whole array (fast) and, only when something is wrong, entry by entry; `number` and
    `numbers` say in words what it admits. With `null`, an entry None stands for that number; `ranged` ones besides
    are 0, infinite, or of ordinary size.
    """
    dtype = np.int64 if whole else np.float64
    allowed = [number, f"a list of {numbers}", f"a list of rows of {numbers}"]
    if ndim == 2:
        allowed[1] = f"a row of {numbers}"

    def entry_ok(x: float) -> bool:
        with np.errstate(invalid="ignore"):
            return bool(ok(np.float64(x))) and (not whole or x == math.floor(x))  # type: ignore[arg-type]

    def fill(v: object, depth: int) -> object:
        if depth == 0:
            return null if v is None else v
        return [fill(w, depth - 1) for w in v] if isinstance(v, list | tuple) else v

    def complain(value: Any) -> PydanticCustomError:
        bad = _first_offender(value, "", ndim, entry_ok)
        if bad:
            return complaint(bad[0], shown(bad[1]), allowed[bad[2]])
        lengths = sorted({len(row) for row in value})
        found = f"rows of {lengths[0]} and of {lengths[-1]} entries" if lengths else "no rows"
        return complaint("", found, f"at least one row, all of equal length, of {numbers}")

    def validate(value: object) -> AnyArray:
        if not isinstance(value, list | tuple | np.ndarray):
            raise complaint("", shown(value), allowed[ndim])
        filled = value if null is None or isinstance(value, np.ndarray) else fill(value, ndim)
        try:
            array = np.asarray(filled, dtype=np.float64) if _has_only_numbers(filled, ndim) else None
        except (TypeError, ValueError, OverflowError):
            array = None
        if array is None or array.ndim != ndim:
            raise complain(filled)
        with np.errstate(invalid="ignore"):
            good = np.all(ok(array)) and (not whole or np.all(array == np.floor(array)))
        if not good:
            raise complain(filled)
        if ranged and not np.all(_ordinary(array)):
            bad = _first_offender(filled, "", ndim, lambda x: bool(_ordinary(np.float64(x))))
            assert bad is not None
            raise complaint(bad[0], shown(bad[1]), f"0, or {RANGE}")
        result: AnyArray = (array + 0.0).astype(dtype)  # no -0.0, whose inverse is -inf
        result.flags.writeable = False
        return result

    return validate


def _plain(array: AnyArray) -> object:
    """Lists for JSON: whole numbers without a decimal point, infinity as null."""

    def plain(x: object) -> object:
        if isinstance(x, list):
            return [plain(y) for y in x]
        if isinstance(x, float):
            if math.isinf(x):
                return None
            return int(x) if x.is_integer() and abs(x) < 2**53 else x
        return x

    return plain(array.tolist())


def _type(ndim: int, item: dict[str, object], validator: Callable[[object], AnyArray]) -> Any:
    schema = item
    for _ in range(ndim):
        schema = {"type": "array", "items": schema}
    return Annotated[np.ndarray, BeforeValidator(validator), PlainSerializer(_plain), WithJsonSchema(schema)]


def _number_or(
    number: str, ok: Callable[[float], object], column: Callable[[object], AnyArray]
) -> Callable[[object], object]:
    """A validator that takes one number, or what `column` takes."""

    def validate(value: object) -> object:
        if isinstance(value, list | tuple | np.ndarray):
            return column(value)
        if not is_number(value) or _first_offender(value, "", 0, lambda x: bool(ok(x))):
            raise complaint("", shown(value), f"{number}, or a list of them")
        return float(value) + 0.0

    return validate


def _plain_either(value: object) -> object:
    return _plain(value) if isinstance(value, np.ndarray) else value


def _amount(a: FloatArray) -> BoolArray:
    return np.isfinite(a) & (a >= 0)


LEAST, MOST = 1e-100, 1e100
"""Sizes of physical quantities: far beyond what has a meaning, and products of three of them are still floats."""

RANGE = f"a number from {LEAST:g} to {MOST:g}"


def _ordinary(a: Any) -> Any:
    return (a == 0) | ((a >= LEAST) & (a <= MOST)) | np.isinf(a)


def in_range(value: float) -> float:
    """A quantity >= 0 as it is, if it is of ordinary size."""
    if not _ordinary(value):
        raise complaint("", shown(value), f"0, or {RANGE}")
    return value


def positive_in_range(value: float) -> float:
    """A quantity > 0 as it is, if it is of ordinary size."""
    if not _ordinary(value):
        raise complaint("", shown(value), RANGE)
    return value


def unsigned(value: float) -> float:
    """0.0 for -0.0."""
    return value + 0.0


def not_free(value: object) -> object:
    """A rate as it is; an infinite one is refused in words that say what does instead."""
    if is_number(value) and value == math.inf:
        raise complaint("", "inf", f"{RANGE}; the largest is as good as free")
    return value


def no_limit(value: object) -> object:
    """A limit as it is; an infinite one is none."""
    return None if is_number(value) and value == math.inf else value


def _moderate(a: Any) -> Any:
    return np.abs(a) <= 1e300


def _count(a: FloatArray) -> BoolArray:
    return (a >= 0) & (a <= 2.0**53)


def _amount_or_infinite(a: FloatArray) -> BoolArray:
    return a > 0


def _entry_or_absent(a: FloatArray) -> BoolArray:
    found: BoolArray = (np.abs(a) <= 1e300) | (a == math.inf)
    return found


def _amount_or_absent(a: FloatArray) -> BoolArray:
    found: BoolArray = (a >= 0) & ((a <= 1e300) | (a == math.inf))
    return found


def _width(a: FloatArray) -> BoolArray:
    return (a >= 1) & (a <= 64)


def _share(a: FloatArray) -> BoolArray:
    return (a > 0) & (a <= 1)


_NUMBER = {"type": "number", "minimum": 0}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**53}
_WIDTH = {"type": "integer", "minimum": 1, "maximum": 64}
_SHARE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_NUMBER_OR_NULL: dict[str, object] = {"type": ["number", "null"]}
_AMOUNT_OR_NULL = {"type": ["number", "null"], "minimum": 0}
_POSITIVE_OR_NULL = {"type": ["number", "null"], "exclusiveMinimum": 0}

_MODERATE_WORDS = ("a number up to 1e300", "numbers up to 1e300")
_AMOUNT_WORDS = ("a finite number >= 0", "finite numbers >= 0")
_REACHED = "null where the loss is never reached"

Amounts = _type(1, _NUMBER, _column(1, *_AMOUNT_WORDS, _amount))
Quantities = _type(1, _NUMBER, _column(1, *_AMOUNT_WORDS, _amount, ranged=True))
QuantityRows = _type(2, _NUMBER, _column(2, *_AMOUNT_WORDS, _amount, ranged=True))
Series = Annotated[
    float | AnyArray,
    BeforeValidator(_number_or(_MODERATE_WORDS[0], _moderate, _column(1, *_MODERATE_WORDS, _moderate))),
    PlainSerializer(_plain_either),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}),
]
"""One number for every epoch, or a list with one number an epoch."""
AmountOrRows = Annotated[
    float | AnyArray,
    BeforeValidator(
        _number_or("a finite number >= 0", lambda x: 0 <= x < math.inf, _column(2, *_AMOUNT_WORDS, _amount))
    ),
    PlainSerializer(_plain_either),
    WithJsonSchema({"anyOf": [_NUMBER, {"type": "array", "items": {"type": "array", "items": _NUMBER}}]}),
]
"""One number for every pair, or a matrix with one number a pair."""
Counts = _type(
    1,
    _COUNT,
    _column(1, "a whole number from 0 to 2^53", "whole numbers >= 0", _count, whole=True),
)
Widths = _type(
    1,
    _WIDTH,
    _column(1, "a whole number from 1 to 64", "whole numbers from 1 to 64", _width, whole=True),
)
Shares = _type(1, _SHARE, _column(1, "an accuracy loss in (0, 1]", "accuracy losses in (0, 1]", _share))
RobustnessRows = _type(
    2,
    _POSITIVE_OR_NULL,
    _column(
        2,
        f"a number > 0, or {_REACHED}",
        f"numbers > 0, or {_REACHED}",
        _amount_or_infinite,
        null=math.inf,
        ranged=True,
    ),
)
Robustness = _type(
    1,
    _POSITIVE_OR_NULL,
    _column(
        1,
        f"a number > 0, or {_REACHED}",
        f"numbers > 0, or {_REACHED}",
        _amount_or_infinite,
        null=math.inf,
        ranged=True,
    ),
)
_ABSENT = "null where there is none"
TableRows = _type(
    2,
    _NUMBER_OR_NULL,
    _column(
        2, f"{_MODERATE_WORDS[0]}, or {_ABSENT}", f"{_MODERATE_WORDS[1]}, or {_ABSENT}", _entry_or_absent, null=math.inf
    ),
)
"""Numbers of either sign; an entry that is not there is null in files and infinite here."""
AmountTable = _type(
    2,
    _AMOUNT_OR_NULL,
    _column(2, f"a number >= 0, or {_ABSENT}", f"numbers >= 0, or {_ABSENT}", _amount_or_absent, null=math.inf),
)
"""The same for amounts."""
QuantityTable = _type(
    2,
    _AMOUNT_OR_NULL,
    _column(
        2,
        f"a number >= 0, or {_ABSENT}",
        f"numbers >= 0, or {_ABSENT}",
        _amount_or_absent,
        null=math.inf,
        ranged=True,
    ),
)
"""The same for physical quantities."""
