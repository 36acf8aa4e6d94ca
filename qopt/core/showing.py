"""What a page shows of a family: sliders that move along its best plans, strips that draw a plan, and pictures.

A family names a module (`Family.showing`) with these functions; each may be missing.

    sliders(problem) -> list[Slider]
        what can be moved, the most telling first
    changed(problem, name, value) -> Problem
        the problem with another value of what a slider of some solves moves
    strips(problem, plan) -> list[Strip]
        the plan as rows of coloured runs: the layers by where they run, tensors by their width
    pictures(problem, solution) -> list[Picture]
        what to draw of a solved problem; a picture that would be too large or take too long is not among them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from qopt.core.limited import limits_of

if TYPE_CHECKING:
    from qopt.core.problem import Problem


NOTHING = "–"
"""The group of places at which nothing is decided."""


@dataclass(frozen=True)
class Slider:
    """A quantity on which the best plan depends.

    Attributes
    ----------
    call : ``breakpoints`` for the envelope of a parameter, ``front`` for the front against a limit; ``solves`` where no
        exact curve is known and some values are solved, each by itself.
    name : of the parameter or the limit, as that function takes it.
    words : what it is, for people.
    now : its value in the problem; None where it has none.
    values : list of those that are solved, ascending.
    """

    call: Literal["breakpoints", "front", "solves"]
    name: str
    words: str
    now: float | None = None
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Strip:
    """A row of a plan, from left to right: what stands there, and how often in a row.

    Attributes
    ----------
    name : of the row, such as ``layers``.
    runs : (group, count) in order.
    """

    name: str
    runs: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, name: str, groups: Iterable[str]) -> Strip:
        """The row of one group after the other.

        Parameters
        ----------
        name : of the row.
        groups : one for each place.
        """
        return cls(name, tuple((group, sum(1 for _ in run)) for group, run in groupby(groups)))


@dataclass(frozen=True)
class Picture:
    """Something to draw.

    Attributes
    ----------
    caption : what it shows, a sentence.
    draw : makes the picture on matplotlib's axes of its own and returns them.
    """

    caption: str
    draw: Callable[[], Any]


def limit_sliders(problem: Problem, *besides: str) -> list[Slider]:
    """A slider for each limit that a problem states and in which plans differ.

    Parameters
    ----------
    problem : of a family whose limits are known.
    besides : names of limits that have a slider of another kind.
    """
    return [
        Slider("front", limit.name, limit.label, limit.value)
        for limit in limits_of(problem)
        if limit.value is not None and limit.varies and limit.name not in besides
    ]
