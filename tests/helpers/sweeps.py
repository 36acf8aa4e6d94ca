"""Which of many instances `make test` takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def swept(cases: Iterable[Any], which: Callable[[Any], bool]) -> list[Any]:
    """Values of a parameter (tuples: of several), some marked `sweep`: more of the same check, or long ones."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.sweep) if which(case) else case
        for case in cases
    ]
