"""How much of a long check `make test` takes; `make test-all` takes all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import settings

quick = False
"""Whether the sweeps are left out of this run: `conftest.py` says it before any test is read."""


MOST = 3
"""Cases of one test that run where the sweeps are left out: the first, the last, and what lies evenly between."""


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


def spread(names: list[str], most: int = MOST) -> list[int]:
    """Positions of the cases that stand for all of their test: at most so many of each, evenly spread.

    Parameters
    ----------
    names : of all tests, as ``file::test[case]``.
    most : of the cases of a test, at least 2.
    """
    cases: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        cases.setdefault(name.split("[")[0], []).append(at)
    kept = []
    for group in cases.values():
        last = len(group) - 1
        kept += group if last < most else [group[round(k * last / (most - 1))] for k in range(most)]
    return sorted(kept)
