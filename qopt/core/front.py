"""A front: plans of which none is better than another in every respect, each with its proof."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qopt.core.arrays import FloatArray
from qopt.core.certificate import SAME
from qopt.core.display import Brief, number
from qopt.core.errors import InputError, shown
from qopt.core.files import write_text
from qopt.core.html import InNotebooks, cut_rows, escaped, paragraph, table
from qopt.core.limits import SLACK
from qopt.core.solution import Solution

if TYPE_CHECKING:
    import pandas as pd


LISTED = 12
"""Points that are listed when a front is printed."""


@dataclass(frozen=True)
class Criterion:
    """One of the quantities that a front weighs against each other.

    Attributes
    ----------
    name, unit : what it is, and its unit (empty for a number).
    sense : whether less or more is better.
    """

    name: str
    unit: str
    sense: Literal["min", "max"] = "min"


@dataclass(frozen=True, eq=False, repr=False)
class FrontPoint(Brief):
    """One plan and what it reaches.

    Attributes
    ----------
    name : what distinguishes it, such as its operator.
    values : by name of criterion; None where there is no plan.
    made : the plan with its certificate, for the problem that this point answers, or what makes it when it is asked
        for.
    facts : what else a table shows, such as the tiers used.
    known : whether the point is proved; None where its certificate is to say so.
    planned : makes the plan alone, where that is less work than the whole solution.
    """

    name: str
    values: Mapping[str, float | None]
    made: Solution | Callable[[], Solution] = field(repr=False)
    facts: Mapping[str, object] = field(default_factory=dict)
    known: bool | None = None
    planned: Callable[[], Any] | None = field(default=None, repr=False)

    @cached_property
    def solution(self) -> Solution:
        """The plan with its certificate, for the problem that this point answers."""
        return self.made() if callable(self.made) else self.made

    @cached_property
    def plan(self) -> Any:
        """The plan, of the family's class; None where the point has none."""
        return self.solution.plan if self.planned is None else self.planned()

    @property
    def proved(self) -> bool:
        """Whether the certificate proves that nothing better answers the point's problem, or that nothing does."""
        if self.known is not None:
            return self.known
        return self.solution.certificate.proved or self.solution.certificate.infeasible

    @property
    def row(self) -> dict[str, object]:
        """The point as a row of a table."""
        return {"name": self.name, **self.values, **self.facts, "proved": self.proved}


@dataclass(frozen=True, eq=False, repr=False)
class Front(InNotebooks):
    """Non-dominated plans of one problem.

    Attributes
    ----------
    problem : its name.
    criteria : what is weighed against each other.
    points : those that no other point is at least as good as in all criteria and better in one; in the order of the
        first criterion, the best first.
    dominated : all candidates off the front, and those without a plan, in the same order.
    complete : whether all candidates were looked at to the end. Not so where the time limit was reached: then others
        may belong to the front, and points may be better.
    gap : of a front of two criteria, how far the point that a limit allows may be above the best plan within that
        limit, as a share of its objective: 0 for a whole front, infinite where nothing is known of some limit, None
        where nobody said it.
    epsilon : of an epsilon-front (eps, eps0): for every true point (c, w) a point here of weight w or less and of cost
        (1 + eps) c + eps0 or less, proved; None where none was asked for, or it is not proved.
    bounds : steps (x, y), ascending in x: within a limit from x to the next x no plan costs less than y, proved; none
        where the points are their own.
    notes : a line for each remark.
    """

    problem: str
    criteria: tuple[Criterion, ...]
    points: tuple[FrontPoint, ...]
    dominated: tuple[FrontPoint, ...] = ()
    complete: bool = True
    gap: float | None = None
    epsilon: tuple[float, float] | None = None
    bounds: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names = " and ".join(c.name for c in self.criteria)
        return f"Front({self.problem}, {names}, {len(self.points)} points, {len(self.dominated)} dominated)"

    def __str__(self) -> str:
        shown = self.points if len(self.points) <= LISTED else self.points[: LISTED - 1]
        names = [f"{c.name} [{c.unit}]" if c.unit else c.name for c in self.criteria]
        lines = [f"{self.problem}: front of {' and '.join(names)}"]
        for point in shown:
            values = ", ".join(number(point.values[c.name]) for c in self.criteria)
            lines.append(f"  {point.name}: {values}{', proved' if point.proved else ''}")
        if len(shown) < len(self.points):
            lines.append(f"  … {len(self.points) - len(shown)} more")
        return "\n".join([*lines, *(f"  {note}" for note in (*self.reserves, *self.notes))])

    @property
    def reserves(self) -> list[str]:
        """What is not known of the whole front, in words; empty where all is."""
        if self.epsilon is not None:
            eps, eps0 = self.epsilon
            return [f"an epsilon-front: no plan within a point's limit costs less by {eps:g} of it and {eps0:g}"]
        if self.complete:
            return []
        return ["not whole: the search was stopped" + ("" if self.gap is None else f"; gap left {number(self.gap, 3)}")]

    def _parts(self) -> str:
        units = {c.name: f"{c.name} [{c.unit}]" if c.unit else c.name for c in self.criteria}
        head = self.columns
        shown = cut_rows([[_cell(point.row.get(name)) for name in head] for point in self.points])
        left = [k for k, name in enumerate(head) if name not in units]
        said = f"<p><strong>{escaped(self.problem)}</strong>: front of {escaped(' and '.join(units.values()))}</p>"
        notes = "".join(map(paragraph, (*self.reserves, *self.notes)))
        return said + table([units.get(name, name) for name in head], shown, left=left) + notes

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[FrontPoint]:
        return iter(self.points)

    @property
    def proved(self) -> bool:
        """Whether every point is proved, those off the front included, and there is no other."""
        return self.complete and all(point.proved for point in (*self.points, *self.dominated))

    def curve(self, x: str, y: str) -> tuple[list[float], list[float]]:
        """Two criteria of the points on the front, ascending in the first: what a picture draws.

        Parameters
        ----------
        x, y : names of two criteria.

        Returns
        -------
        A list of the values of each, in the criteria's units.
        """
        pairs = sorted((point.values[x] or 0.0, point.values[y] or 0.0) for point in self.points)
        return [a for a, _ in pairs], [b for _, b in pairs]

    def to_dataframe(self) -> pd.DataFrame:
        """A row for every point, ``on_front`` telling those of the front from the others."""
        import pandas as pd

        rows = [{**point.row, "on_front": True} for point in self.points]
        rows += [{**point.row, "on_front": False} for point in self.dominated]
        return pd.DataFrame.from_records(rows)

    @property
    def columns(self) -> list[str]:
        """Names of the columns of a table of the points."""
        rows = [point.row for point in (*self.points[:1], *self.dominated[:1])]
        return list(dict.fromkeys(name for row in rows for name in row))

    def to_csv(self) -> str:
        """A table of the points on the front for spreadsheets, a row each."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        names = self.columns
        table.writerow(names)
        for point in self.points:
            row = point.row
            table.writerow(["" if row.get(name) is None else row[name] for name in names])
        return text.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file: a table (``.csv``), or all there is with the plans (``.json``).

        Parameters
        ----------
        path : of the file; its ending says which.

        Raises
        ------
        InputError
            Another ending, or a path that cannot be written.
        """
        ending = os.path.splitext(os.fspath(path))[1].lower()
        if ending not in (".csv", ".json"):
            raise InputError("path", shown(os.fspath(path)), "a name that ends in .csv or .json")
        text = self.to_csv() if ending == ".csv" else json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        write_text(path, text)

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON; an infinite gap is None."""
        return {
            "format": "qopt/front",
            "version": 1,
            "problem": self.problem,
            "complete": self.complete,
            "gap": None if self.gap is None or self.gap == float("inf") else self.gap,
            "epsilon": None if self.epsilon is None else list(self.epsilon),
            "bounds": [list(step) for step in self.bounds],
            "notes": list(self.notes),
            "criteria": [{"name": c.name, "unit": c.unit, "sense": c.sense} for c in self.criteria],
            "points": [{**point.row, "plan": point.plan.to_dict()} for point in self.points],
            "dominated": [point.row for point in self.dominated],
        }


def _cell(value: object) -> str:
    """A value of a row for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else "–" if value is None else str(value)


def on_staircase(x: Sequence[float] | FloatArray, y: Sequence[float] | FloatArray) -> list[int]:
    """Places of the pairs that no other is as good as in both, by rising x; of equal ones the first.

    Values of y that differ by 1e-12 of themselves or less are sums of the same numbers in another order: equal. So are
    values of x: a limit at the smaller one admits the larger, by the slack that limits have.

    Parameters
    ----------
    x, y : (n,) of each pair; less is better in both.
    """
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    order = np.lexsort((up, across))
    sorted_up = up[order]
    before = np.concatenate(([np.inf], np.minimum.accumulate(sorted_up)[:-1])) if len(order) else sorted_up
    finite = np.isfinite(sorted_up)
    fall = np.where(finite, before, 0.0) - np.where(finite, sorted_up, 0.0)
    kept = order[finite & (fall > SAME * np.abs(np.where(finite, sorted_up, 0.0)))]
    places = across[kept]
    apart = np.append(places[1:] - places[:-1] > SLACK * np.abs(places[:-1]), True)[: len(kept)]
    found: list[int] = kept[apart].tolist()
    return found


def front_of(
    problem: str, criteria: tuple[Criterion, ...], candidates: list[FrontPoint], complete: bool = True
) -> Front:
    """Candidates divided into those on the front and the others; equal ones are both on it."""
    signs = {c.name: 1.0 if c.sense == "min" else -1.0 for c in criteria}

    def losses(point: FrontPoint) -> tuple[float, ...] | None:
        reached = [point.values[name] for name in signs]
        if point.plan is None or any(value is None for value in reached):
            return None
        return tuple(sign * value for sign, value in zip(signs.values(), reached, strict=True) if value is not None)

    known = [losses(point) for point in candidates]

    def beaten(own: tuple[float, ...] | None) -> bool:
        """No plan, or another is as good in all respects and better in one."""
        return own is None or any(
            other is not None and other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for other in known
        )

    def order(i: int) -> tuple[bool, tuple[float, ...], int]:
        return known[i] is None, known[i] or (), i

    placed = sorted(range(len(candidates)), key=order)
    on = tuple(candidates[i] for i in placed if not beaten(known[i]))
    off = tuple(candidates[i] for i in placed if beaten(known[i]))
    return Front(problem, criteria, on, off, complete)
