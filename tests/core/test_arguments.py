"""What counts as a number, in one place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from qopt.core.arguments import is_number, is_whole, plain, real, whole
from qopt.core.errors import InputError
from qopt.core.method import Options

WHOLE = [0, -3, 10**400, np.int8(5), np.int64(5), np.uint64(5)]
BROKEN = [0.5, math.inf, math.nan, np.float32(2.0), np.float64(2.0)]
NEITHER: list[Any] = [True, np.bool_(False), "1", None, 1j, np.complex128(1), [1], np.array(1), np.array([1, 2])]


def test_numbers_and_whole_numbers() -> None:
    assert all(is_number(value) and is_whole(value) for value in WHOLE)
    assert all(is_number(value) and not is_whole(value) for value in BROKEN)
    assert not any(is_number(value) or is_whole(value) for value in NEITHER)


@pytest.mark.parametrize("value", [*NEITHER, *BROKEN, -1, 8, 10**400])
def test_whole_refuses_in_one_line(value: Any) -> None:
    with pytest.raises(InputError, match=r"^n: found .*; allowed: a whole number from 0 to 7$"):
        whole("n", value, 0, 7)


def test_whole_without_an_upper_end() -> None:
    assert whole("n", 10**30, 1) == 10**30
    found = whole("n", np.int8(7), 0, 7)
    assert (found, type(found)) == (7, int)
    with pytest.raises(InputError, match=r"^n: found 0; allowed: a whole number >= 1$"):
        whole("n", 0, 1)


@pytest.mark.parametrize("value", [*NEITHER, -0.1, math.nan, math.inf])
def test_real_refuses_in_one_line(value: Any) -> None:
    with pytest.raises(InputError, match=r"^x: found .*; allowed: a number >= 0 and <= 1$"):
        real("x", value, 0, 1)


def test_real_above_its_lower_end() -> None:
    assert real("x", np.float32(0.5), 0, 1, above=True) == 0.5
    with pytest.raises(InputError, match=r"^x: found 0; allowed: a number > 0 and <= 1$"):
        real("x", 0, 0, 1, above=True)


def test_options_hold_python_numbers() -> None:
    options = Options(time_limit=np.float64(1.5), threads=np.int64(2), seed=np.uint8(3))  # type: ignore[arg-type]
    assert [type(x) for x in (options.time_limit, options.threads, options.seed)] == [float, int, int]
    assert plain("text") == "text"
