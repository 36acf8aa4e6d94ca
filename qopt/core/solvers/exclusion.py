"""Solve, put the point to the exact test, cut it off where it breaks a limit, solve again.

A solver's tolerance lets a point break a limit and look better than the optimum. Such a point is left out by a row that
no feasible point breaks, so what the solver proves of the rest stays true of the problem, and its bound too. The loop
ends: each round cuts off at least the integer point that it met, of which there are finitely many, so no point comes
twice. One that does come back, against its row, ends the loop, as does the clock or the round `most`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.solution import Status

ROUNDS = 1_000
"""Times that a solver is asked, at most. Points that break a limit are rare: so many of them are a fault."""

Point = TypeVar("Point")
"""An integer point as the method reads it, plan or labels; points are compared by ``==``."""


@dataclass(frozen=True, repr=False)
class Round(Brief, Generic[Point]):
    """What a solver said in one round.

    Attributes
    ----------
    status : why it stopped.
    point : its point, rounded to whole numbers; None if it has none.
    bound : its lower bound on the objective; None if it has none.
    nodes : that it searched; None where it does not say.
    message : one line for the user.
    """

    status: Status
    point: Point | None = None
    bound: float | None = None
    nodes: int | None = None
    message: str = ""


@dataclass(frozen=True, repr=False)
class Found(Round[Point]):
    """How the loop ended, its status the last answer's or the loop's own reason.

    Attributes
    ----------
    point : keeps all limits in the exact test; None if there is none.
    bound : the last that the solver gave.
    nodes : of all rounds that say.
    rounds : how often the solver was asked.
    """

    rounds: int = 0


def solve_and_exclude(
    solve: Callable[[], Round[Point]],
    broken: Callable[[Point], str | None],
    exclude: Callable[[Point], None],
    *,
    clock: Clock,
    most: int = ROUNDS,
) -> Found[Point]:
    """Ask a solver until its point keeps the limits, it has no point left, or there is a reason to stop.

    Parameters
    ----------
    solve : asks the solver once, with what is left of the clock.
    broken : the limit that a point breaks in the exact test, in words; None if it keeps all.
    exclude : cuts off a point that breaks a limit, and no point that keeps all.
    clock : stops the loop with status ``time-limit`` after a round whose point breaks a limit.
    most : rounds; more end with status ``failed``.
    """
    nodes: int | None = None
    bound: float | None = None
    seen: list[Point] = []
    for rounds in count(1):
        said = solve()
        nodes = said.nodes if nodes is None else nodes + (said.nodes or 0)
        bound = bound if said.bound is None else said.bound
        point, status, message = said.point, said.status, said.message
        limit = None if point is None else broken(point)
        if point is None or limit is None:
            break
        point_breaks = f"the solver's point breaks {limit}"
        if clock.over or status != "optimal":
            status, message = "time-limit" if clock.over else status, point_breaks
        elif point in seen:
            status, message = "failed", f"{point_breaks}, and was cut off before"
        elif rounds == most:
            status, message = "failed", f"{most} points of the solver break {limit}"
        else:
            seen.append(point)
            exclude(point)
            continue
        point = None
        break
    return Found(status, point, bound, nodes, message, rounds)
