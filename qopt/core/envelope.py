"""The best plan as a function of one parameter: a lower envelope of lines, for problems of every family.

Each plan's objective is affine in the parameter or in its inverse, so the best of all plans is piecewise such a line;
where the parameter is a limit the lines are level, and the envelope is a falling staircase.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief, number
from qopt.core.errors import InputError, shown
from qopt.core.html import InNotebooks, cut_rows, escaped, paragraph, table
from qopt.core.limits import limit_with_slack, within
from qopt.core.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-12
"""Relative: the ends of a range may have been inverted twice, and are met by values that were not."""


LINE = 90
"""Characters of a plan that are shown."""

LISTED = 12
"""Pieces that are listed when an envelope is printed."""


@dataclass(frozen=True)
class Line:
    """An objective ``intercept + slope * x``, where x is the parameter, or its inverse.

    Attributes
    ----------
    intercept : objective where x is 0.
    slope : objective for a unit of x.
    inverse : whether x is the inverse of the parameter.
    """

    intercept: float
    slope: float = 0.0
    inverse: bool = False

    def __call__(self, value: float) -> float:
        """The objective at a value of the parameter."""
        if not self.slope:
            return self.intercept
        return self.intercept + self.slope * (_inverse(value) if self.inverse else value)


@dataclass(frozen=True, eq=False, repr=False)
class Piece(Brief):
    """One plan is best from `start` to `stop`; or no plan is feasible there.

    Attributes
    ----------
    start, stop : ends of the range of the parameter.
    objective : its value as a function of the parameter; None where there is no plan.
    """

    start: float
    stop: float
    objective: Line | None
    _plan: Plan | Callable[[], Plan] | None = field(repr=False)

    @cached_property
    def plan(self) -> Any:
        """The plan, of the family's class, made when first asked for; None where there is none."""
        return self._plan() if callable(self._plan) else self._plan


@dataclass(frozen=True, eq=False, repr=False)
class Envelope(InNotebooks):
    """The best plan for every value of a parameter from `low` to `high`.

    Attributes
    ----------
    problem, parameter, unit : name of the problem, field that varies, and its unit (empty for a number).
    pieces : one for each range, ascending; together they cover the range from `low` to `high`.
    low, high : the range asked for.
    inverse : whether objectives are affine in the inverse of the parameter.
    limit : whether the parameter is a limit. A plan then holds from the value on that it uses itself, with the slack
        that every limit has; otherwise two plans are equally good where they meet, and the piece below counts there.
    solved : problems that were solved on the way; 0 where a table gave all plans.
    complete : whether every piece is best. Not so where the time limit was reached: then pieces are the best of the
        plans found by then, and where there is none one may exist.
    """

    problem: str
    parameter: str
    unit: str
    pieces: tuple[Piece, ...]
    low: float
    high: float
    inverse: bool = False
    limit: bool = False
    solved: int = 0
    complete: bool = True

    def __repr__(self) -> str:
        span = f"{number(self.low)} to {number(self.high)}"
        return f"Envelope({self.problem}, {self.axis} from {span}, {len(self.pieces)} pieces)"

    def __str__(self) -> str:
        shown = self.pieces if len(self.pieces) <= LISTED else self.pieces[: LISTED - 1]
        lines = [f"{self.problem}: the best plan by {self.axis}"]
        for piece in shown:
            none = "no plan" if self.complete else "no plan found"
            plan = none if piece.objective is None else str(piece.plan)
            lines.append(f"  {number(piece.start)} to {number(piece.stop)}: {plan[:LINE]}")
        if len(shown) < len(self.pieces):
            lines.append(f"  … {len(self.pieces) - len(shown)} more")
        if not self.complete:
            lines.append("  not whole: the search was stopped, other plans may be better")
        return "\n".join(lines)

    def _parts(self) -> str:
        rows = cut_rows([[str(k)] for k in range(len(self.pieces))])  # the plans of rows left out are not made
        shown = [self._row(int(row[0])) if row[0].isdigit() else row for row in rows]
        said = f"<p><strong>{escaped(self.problem)}</strong>: the best plan by {escaped(self.axis)}</p>"
        whole = "" if self.complete else paragraph("not whole: the search was stopped, other plans may be better")
        return said + table(("from", "to", "objective", "plan"), shown, left=(3,)) + whole

    def _row(self, k: int) -> tuple[str, str, str, str]:
        """A piece for people: its ends, the objective at both, and the plan."""
        piece = self.pieces[k]
        ends = number(piece.start), number(piece.stop)
        if piece.objective is None:
            return (*ends, "–", "no plan" if self.complete else "no plan found")
        values = list(dict.fromkeys(number(piece.objective(end)) for end in (piece.start, piece.stop)))
        return (*ends, " to ".join(values), str(piece.plan)[:LINE])

    def to_dataframe(self) -> pd.DataFrame:
        """A row for every piece: start, stop, intercept, slope, inverse, plan (its print; None where there is none).

        The objective is ``intercept + slope x``, x the parameter, or its inverse where ``inverse`` is true.
        """
        import pandas as pd

        rows = [
            {
                "start": piece.start,
                "stop": piece.stop,
                "intercept": math.nan if piece.objective is None else piece.objective.intercept,
                "slope": math.nan if piece.objective is None else piece.objective.slope,
                "inverse": self.inverse,
                "plan": None if piece.plan is None else str(piece.plan),
            }
            for piece in self.pieces
        ]
        return pd.DataFrame.from_records(rows)

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self.pieces)

    @property
    def feasible(self) -> bool:
        """Whether there is a plan for some value."""
        return any(piece.objective is not None for piece in self.pieces)

    @property
    def values(self) -> list[float]:
        """Values at which the best plan changes, ascending; where plans begin or end to exist included."""
        return [piece.stop for piece in self.pieces[:-1]]

    @property
    def points(self) -> list[tuple[float, float]]:
        """(start, objective there) of every piece with a plan, ascending: the steps of a staircase."""
        return [(piece.start, piece.objective(piece.start)) for piece in self.pieces if piece.objective is not None]

    @property
    def axis(self) -> str:
        """The parameter with its unit, as the label of an axis."""
        return f"{self.parameter} [{self.unit}]" if self.unit else self.parameter

    def at(self, value: float) -> Piece:
        """The piece that holds a value.

        Raises
        ------
        InputError
            It is no number in the range of the envelope.
        """
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise InputError(self.parameter, shown(value), "a number")
        self._inside(np.asarray(value, dtype=np.float64))
        return self.pieces[int(self._index(np.asarray([value], dtype=np.float64))[0])]

    def objective(self, value: float) -> float | None:
        """Least objective at a value; None where no plan is feasible."""
        line = self.at(value).objective
        return None if line is None else line(float(value))

    def objectives(self, values: Sequence[float] | FloatArray) -> FloatArray:
        """Least objectives at many values, an array of their shape; not a number where no plan is feasible."""
        given = np.asarray(values, dtype=np.float64)
        self._inside(given)
        lines = [piece.objective for piece in self.pieces]
        intercept = np.array([math.nan if line is None else line.intercept for line in lines])
        slope = np.array([0.0 if line is None else line.slope for line in lines])
        at = self._index(given.ravel()).reshape(given.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = 1.0 / given if self.inverse else given
            found: FloatArray = intercept[at] + np.where(slope[at] == 0.0, 0.0, slope[at] * x)
        return found

    def by(self, name: str) -> list[tuple[float, float, object]]:
        """(start, stop, decision): one attribute of the plans, neighbouring pieces that agree in it as one.

        Parameters
        ----------
        name : an attribute of the plans, such as ``cut``. The decision is None where there is no plan.

        Raises
        ------
        InputError
            The plans have no such attribute.
        """
        merged: list[tuple[float, float, object]] = []
        for piece in self.pieces:
            decision = None if piece.plan is None else getattr(piece.plan, name, self)
            if decision is self:
                known = ", ".join(type(piece.plan).model_fields)
                raise InputError("name", shown(name), f"an attribute of the plans: {known}")
            if merged and merged[-1][2] == decision:
                merged[-1] = (merged[-1][0], piece.stop, decision)
            else:
                merged.append((piece.start, piece.stop, decision))
        return merged

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON; an end at infinity is None."""
        return {
            "format": "qopt/envelope",
            "version": 1,
            "problem": self.problem,
            "parameter": self.parameter,
            "unit": self.unit,
            "inverse": self.inverse,
            "complete": self.complete,
            "pieces": [
                {
                    "start": piece.start,
                    "stop": piece.stop if math.isfinite(piece.stop) else None,
                    "intercept": None if piece.objective is None else piece.objective.intercept,
                    "slope": None if piece.objective is None else piece.objective.slope,
                    "plan": None if piece.plan is None else piece.plan.to_dict(),
                }
                for piece in self.pieces
            ],
        }

    def _index(self, values: FloatArray) -> IntArray:
        """(n,) piece of each value."""
        if not self.limit:
            return np.minimum(np.searchsorted(self._stops[:-1], values, side="left"), len(self.pieces) - 1)
        found = []
        for value in values.tolist():
            at = bisect.bisect_right(self._starts, limit_with_slack(value)) - 1
            while at > 0 and not within([self._starts[at]], value):
                at -= 1
            found.append(max(at, 0))
        return np.array(found, dtype=np.int64)

    @cached_property
    def _starts(self) -> list[float]:
        return [piece.start for piece in self.pieces]

    @cached_property
    def _stops(self) -> FloatArray:
        return np.array([piece.stop for piece in self.pieces])

    def _inside(self, values: FloatArray) -> None:
        """Refuse values outside the range."""
        good = (values >= self.low * (1 - ROUNDING)) & (values <= self.high * (1 + ROUNDING))
        if not good.all():
            bad = float(values[~good].flat[0])
            raise InputError(self.parameter, f"{bad:g}", f"a value from {self.low:g} to {self.high:g}")


def of_lines(
    lines: Sequence[tuple[Fraction | float, Fraction | float]],
    plans: Sequence[Plan | Callable[[], Plan]],
    *,
    problem: str,
    parameter: str,
    unit: str,
    low: float,
    high: float,
    inverse: bool = False,
    solved: int = 0,
    complete: bool = True,
) -> Envelope:
    """The envelope of plans whose objectives are lines.

    Parameters
    ----------
    lines, plans : intercept and slope of each plan in the parameter, or in its inverse, and the plan or what makes it
        when it is asked for; without any, nothing is feasible.
    problem, parameter, unit, low, high, inverse, solved, complete : as in `Envelope`; 0 <= low < high.
    """
    pieces = [Piece(low, high, None, None)]
    if lines:
        first, last = (_inverse(high), _inverse(low)) if inverse else (low, high)
        pieces = []
        for start, stop, i in lower_envelope(lines, first, last):
            ends = (_inverse(stop), _inverse(start)) if inverse else (start, stop)
            line = Line(float(lines[i][0]), float(lines[i][1]), inverse)
            pieces.append(Piece(ends[0], ends[1], line, plans[i]))
        if inverse:
            pieces.reverse()
    return Envelope(problem, parameter, unit, tuple(pieces), low, high, inverse, solved=solved, complete=complete)


def _inverse(value: float) -> float:
    """1 / value, with 0 and infinity as each other's inverse."""
    return 1.0 / value if value else math.inf


def lower_envelope(
    lines: Sequence[tuple[Fraction | float, Fraction | float]], low: float, high: float
) -> list[tuple[float, float, int]]:
    """Least of some lines ``intercept + slope x`` over low <= x <= high, as (start, stop, line).

    Of lines that are equal the first counts. In rational arithmetic, so that no piece is missed: O(n log n).
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
