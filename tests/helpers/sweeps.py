"""How much of a long check `make test` takes; `make test-all` takes all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings

quick = False
"""Whether the sweeps are left out of this run: `conftest.py` says it before any test is read."""


def few(count: int) -> int:
    """So many rounds of a check, or what they come to; a fifth of them where the sweeps are left out."""
    return -(-count // 5) if quick else count


def examples(count: int) -> settings:
    """So many examples of a property; a fifth of them where the sweeps are left out."""
    return settings(max_examples=few(count))


def swept(cases: Iterable[Any], which: Callable[[Any], bool]) -> list[Any]:
    """Values of a parameter (tuples: of several), some marked `sweep`: more of the same check, or long ones."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.sweep) if which(case) else case
        for case in cases
    ]
