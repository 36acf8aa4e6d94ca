"""A front: plans of which none is better than another in every respect, each with its proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qopt.core.display import Brief, number
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
    solution : the plan with its certificate, for the problem that this point answers.
    facts : what else a table shows, such as the tiers used.
    """

    name: str
    values: Mapping[str, float | None]
    solution: Solution
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def plan(self) -> Any:
        """The plan, of the family's class; None where the point has none."""
        return self.solution.plan

    @property
    def proved(self) -> bool:
        """Whether the certificate proves that nothing better answers the point's problem, or that nothing does."""
        return self.solution.certificate.proved or self.solution.certificate.infeasible

    @property
    def row(self) -> dict[str, object]:
        """The point as a row of a table."""
        return {"name": self.name, **self.values, **self.facts, "proved": self.proved}


@dataclass(frozen=True, eq=False, repr=False)
class Front:
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
    """

    problem: str
    criteria: tuple[Criterion, ...]
    points: tuple[FrontPoint, ...]
    dominated: tuple[FrontPoint, ...] = ()
    complete: bool = True

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
        if not self.complete:
            lines.append("  not whole: the time limit is reached")
        return "\n".join(lines)

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

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return {
            "format": "qopt/front",
            "version": 1,
            "problem": self.problem,
            "complete": self.complete,
            "criteria": [{"name": c.name, "unit": c.unit, "sense": c.sense} for c in self.criteria],
            "points": [{**point.row, "plan": point.plan.to_dict()} for point in self.points],
            "dominated": [point.row for point in self.dominated],
        }


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
