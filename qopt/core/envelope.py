"""The lower envelope of lines, in rational arithmetic: which plan is best at which value of a parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction


def lower_envelope(
    lines: Sequence[tuple[Fraction | float, Fraction | float]], low: float, high: float
) -> list[tuple[float, float, int]]:
    """Least of some lines ``intercept + slope x`` over low <= x <= high, as (start, stop, line).

    Of lines that are equal the first counts.
    """
    exact = [(Fraction(a), Fraction(b)) for a, b in lines]
    order = sorted(range(len(lines)), key=lambda i: (-exact[i][1], exact[i][0], i))
    hull: list[int] = []

    def crossing(i: int, j: int) -> Fraction:
        return (exact[j][0] - exact[i][0]) / (exact[i][1] - exact[j][1])

    for i in order:
        if hull and exact[hull[-1]][1] == exact[i][1]:
            continue
        while hull and not _first_wins(exact, hull[-1], i, low):
            hull.pop()
        while len(hull) > 1 and crossing(hull[-1], i) <= crossing(hull[-2], hull[-1]):
            hull.pop()
        hull.append(i)
    pieces: list[tuple[float, float, int]] = []
    start: Fraction | float = Fraction(low)
    for k, i in enumerate(hull):
        stop: Fraction | float = crossing(i, hull[k + 1]) if k + 1 < len(hull) else math.inf
        if stop <= start:
            continue
        if start >= high:
            break
        pieces.append((float(start), float(min(stop, high)), i))
        start = stop
    return pieces


def _first_wins(exact: list[tuple[Fraction, Fraction]], i: int, j: int, low: float) -> bool:
    """Whether the steeper line i is below j somewhere at or above `low`."""
    x = Fraction(low)
    return exact[i][0] + exact[i][1] * x < exact[j][0] + exact[j][1] * x
