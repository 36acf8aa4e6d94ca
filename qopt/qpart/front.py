"""The front of a request: the objective against noise, memory, time, energy, price or payload.

Where nothing but the accuracy limits a plan, the front over noise is a knapsack's of two criteria at each cut and the
staircase over all cuts (`qopt.kernels.mckp.front`). Everything else is traced point by point (`qopt.core.tracing`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.certificate import Certificate, Slack
from qopt.core.clock import ENDLESS, Clock
from qopt.core.front import Criterion, Front, FrontPoint, on_staircase
from qopt.core.limited import limit_named
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.tracing import check_range, trace
from qopt.kernels import mckp
from qopt.qpart.costs import breakdown
from qopt.qpart.limited import changed
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems

OBJECTIVE = Criterion("objective", "")


@dataclass(frozen=True)
class _AtCut:
    """The points of a cut: objectives, shares of the noise limit, and the columns of each."""

    own: Subproblem
    objective: FloatArray
    noise: FloatArray
    columns: Callable[[int], IntArray]


def front(
    problem: QPart | str | os.PathLike[str],
    *,
    against: str = "noise",
    low: float | None = None,
    high: float | None = None,
    clock: Clock = ENDLESS,
) -> Front:
    """All plans of whole bits that no other beats in the objective (Eq. 17) and in one other quantity, each proved.

    The limit on that quantity is set aside, everything else stays. A point's solution answers the request whose limit
    is what the point uses.

    Parameters
    ----------
    problem : a request, a bundled name or a path.
    against : ``noise`` (a share of what the accuracy level allows at the plan's cut: the request allows 1),
        ``memory`` [bit], ``time`` [s], ``energy`` [J], ``price``, or ``payload`` [bit] of Eq. 14.
    low, high : ends of the range of that quantity; by default all of it.
    clock : when it is over, the front holds what was found, with the gap that is left.

    Raises
    ------
    InputError
        Nothing is known by that name, plans do not differ in it, or the range is empty.
    """
    asked = problem_of(QPart, problem, named=True)
    limit = limit_named(asked, against)
    check_range(limit, low, high)
    free = changed(asked, {limit.name: None})
    table = subproblems(free)
    alone = limit.name == "noise" and all(
        math.isinf(row.limit) or row.slack for p in asked.admissible_cuts.tolist() for row in table.at(p).rows[1:]
    )
    if not alone:
        return trace(asked, limit, OBJECTIVE, low=low, high=high, clock=clock, name="plan")
    return _over_noise(asked, low, high, clock)


def _over_noise(problem: QPart, low: float | None, high: float | None, clock: Clock) -> Front:
    """The staircase over all cuts of each cut's front."""
    begun = time.perf_counter()
    table = subproblems(problem)
    found: list[_AtCut] = []
    gap, complete = 0.0, True
    most = math.inf if high is None else high
    for p in problem.admissible_cuts.tolist():
        if clock.over and found:  # of the other cuts nothing is known
            complete, gap = False, math.inf
            break
        own = table.at(p)
        if math.isinf(own.limit):
            found.append(_without_noise(own))
            continue
        kernel = mckp.front(own.cost, own.noise, most * own.limit if most < math.inf else most, time_limit=clock.left)
        complete &= kernel.complete
        gap = max(gap, kernel.gap)
        found.append(_AtCut(own, own.base + kernel.cost, _shares(kernel.weight, own.limit), kernel.choice))
    sizes = [len(each.noise) for each in found]
    noise, objective = (np.concatenate([getattr(each, n) for each in found]) for n in ("noise", "objective"))
    kept = [i for i in on_staircase(noise, objective) if math.isfinite(noise[i])]
    # What lies below the range may be the best within its low end: the heaviest such point stays.
    first = 0 if low is None else max((k for k, i in enumerate(kept) if noise[i] <= low), default=0)
    ends = np.cumsum(sizes)
    seconds = (time.perf_counter() - begun) / max(len(kept) - first, 1)
    points = []
    for k, i in enumerate(reversed(kept[first:])):
        cut = int(np.searchsorted(ends, i, side="right"))
        at = i - int(ends[cut]) + sizes[cut]
        points.append(_point(problem, found[cut], at, f"plan {k + 1}", seconds, None if complete else gap))
    notes = () if points else ("no plan is in the range",)
    criteria = (OBJECTIVE, Criterion("noise", ""))
    return Front(problem.name, criteria, tuple(points), complete=complete, gap=gap, notes=notes)


def _without_noise(own: Subproblem) -> _AtCut:
    """A cut that nothing makes noisy: its one point, every width the cheapest."""
    columns = np.argmin(own.cost, axis=1) if own.cost.size else np.zeros(0, dtype=np.int64)
    cost = math.fsum([own.base, *own.cost[np.arange(len(columns)), columns].tolist()])
    return _AtCut(own, np.array([cost]), np.zeros(1), lambda _: columns)


def _shares(noise: FloatArray, limit: float) -> FloatArray:
    """(P,) noise as shares of a limit."""
    found: FloatArray = noise / limit if limit > 0 else np.where(noise == 0, 0.0, np.inf)
    return found


def _point(problem: QPart, cut: _AtCut, at: int, name: str, seconds: float, gap: float | None) -> FrontPoint:
    """A point; its plan and solution are made when they are asked for. A gap says that it is not proved."""
    objective, noise, own = float(cut.objective[at]), float(cut.noise[at]), cut.own

    def planned() -> QPartPlan:
        return own.plan(own.widths_of(cut.columns(at)), "whole", problem.name)

    def make() -> Solution:
        plan = planned()
        bound = objective if gap is None else objective - gap * abs(objective)
        stopped: Literal["time-limit"] | None = None if gap is None else "time-limit"
        certificate = Certificate(
            bits="whole",
            feasible=True,
            objective=objective,
            cost=breakdown(problem, plan),
            constraints=(
                Slack("accuracy", noise * own.limit if noise else 0.0, noise * own.limit if noise else 0.0, True),
            ),
            bound=bound if math.isfinite(bound) else None,
            kind="enumeration" if gap is None else "lagrangian",
            proved=gap is None,
            stopped=stopped,
        )
        return Solution(
            problem=problem.name,
            method="front",
            solver=None,
            bits="whole",
            status="optimal" if gap is None else "time-limit",
            plan=plan,
            objective=objective,
            bound=certificate.bound,
            seconds=seconds,
            certificate=certificate,
            instance=changed(problem, {"noise": noise}),
        )

    values = {"objective": objective, "noise": noise}
    return FrontPoint(name, values, make, {"cut": own.cut}, gap is None, planned)
