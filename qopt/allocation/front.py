"""The front of an allocation: what is minimised against any resource, damage or pool.

With one resource and no other limit it is a knapsack's of two criteria: whole from its lists of sums, or where these
grow beyond what is kept, an epsilon-front (`qopt.kernels.knapsack.epsilon`). With other limits, pools or pairs it is
traced point by point (`qopt.core.tracing`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qopt.allocation.costs import breakdown
from qopt.allocation.items import Budget, Items
from qopt.allocation.limited import changed, limits, with_row
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.arguments import real
from qopt.core.arrays import FloatArray, IntArray
from qopt.core.certificate import Certificate, Slack
from qopt.core.clock import ENDLESS, Clock
from qopt.core.errors import InputError, shown
from qopt.core.front import Criterion, Front, FrontPoint, on_staircase
from qopt.core.limited import Limit, limit_named
from qopt.core.reading import problem_of
from qopt.core.solution import Solution
from qopt.core.tracing import check_range, trace
from qopt.kernels import mckp
from qopt.kernels.knapsack.epsilon import epsilon_front

LABELS = 3_000_000
"""Partial sums of a whole front that are kept before an epsilon-front takes its place: some 30 MB and seconds."""

EPSILON = 1e-3
"""Of an epsilon-front where none is asked for."""


def front(
    problem: Allocation | str | os.PathLike[str],
    *,
    against: str | None = None,
    low: float | None = None,
    high: float | None = None,
    epsilon: float | None = None,
    epsilon0: float | None = None,
    clock: Clock = ENDLESS,
) -> Front:
    """All plans that no other beats in what is minimised and in one other quantity; or few that stand for all.

    The limit on that quantity is set aside, everything else stays. A point's solution answers the problem whose limit
    is what the point uses.

    Parameters
    ----------
    problem : an allocation, a bundled name or a path.
    against : a resource, ``damage`` where a resource is minimised, or ``pool`` and the name of a pool; by default the
        first of these.
    low, high : ends of the range of that quantity; by default all of it.
    epsilon, epsilon0 : for every plan of cost c a point of no more use and of cost (1 + epsilon) c + epsilon0 or less,
        epsilon0 in the unit of what is minimised (by default a tenth of epsilon of the costs' range, since costs
        reach 0). Without them the front is whole, and where it has too many points, one with an epsilon of 1e-3.
    clock : when it is over, the front holds what was found, with the gap that is left.

    Raises
    ------
    InputError
        Nothing is known by that name, plans do not differ in it, or the range or the share is none.
    """
    asked = problem_of(Allocation, problem, named=True)
    if against is None:
        against = next((limit.name for limit in limits(asked) if limit.name != asked.minimise), "")
    limit = limit_named(asked, against)
    if limit.name == asked.minimise:
        raise InputError("against", shown(against), "something else than what is minimised")
    check_range(limit, low, high)
    if epsilon is not None:
        real("epsilon", epsilon, 0.0, 1.0, above=True)
    if epsilon0 is not None:
        real("epsilon0", epsilon0, 0.0, 1e300)
    unit = "" if asked.minimise == DAMAGE else asked.resources[asked.minimise].unit
    objective = Criterion(asked.minimise, unit)
    own, row = with_row(asked, limit.name)
    if len(own.budgets) > 1 or asked.interactions or asked.pools is not None:
        if epsilon is not None:
            raise InputError("epsilon", shown(epsilon), "nothing beside other limits, pools or pairs: points are exact")
        return trace(asked, limit, objective, low=low, high=high, clock=clock, name="plan")
    most = math.inf if high is None else Budget(row.name, row.use, high, row.whole).kernel_limit
    begun = time.perf_counter()
    ties = own.ties or None
    if epsilon is None:
        whole = mckp.front(own.cost, row.use, most, ties=ties, time_limit=clock.left, max_labels=LABELS)
        if whole.complete or clock.over:
            found = _Found(whole.weight, whole.cost, whole.cost if whole.complete else None, whole.choice)
            return _front(asked, limit, objective, own, found, low, whole.complete, whole.gap, None, begun)
    share = EPSILON if epsilon is None else epsilon
    eps0 = 0.1 * share * float(np.ptp(own.cost, axis=1).sum()) if epsilon0 is None else epsilon0
    few = epsilon_front(own.cost, row.use, most, eps=share, eps0=eps0, ties=ties, time_limit=clock.left)
    found = _Found(few.weight, few.cost, few.bound, few.choice)
    proved = (share, eps0) if few.proved else None
    return _front(asked, limit, objective, own, found, low, False, few.gap, proved, begun)


@dataclass(frozen=True)
class _Found:
    """A kernel's points: weights, costs, bounds up to the next point where they are known, and the columns of each."""

    weight: FloatArray
    cost: FloatArray
    bound: FloatArray | None
    choice: Callable[[int], IntArray]


def _front(
    problem: Allocation,
    limit: Limit,
    objective: Criterion,
    own: Items,
    found: _Found,
    low: float | None,
    complete: bool,
    gap: float,
    proved: tuple[float, float] | None,
    begun: float,
) -> Front:
    """A kernel's points as a front, lightest last."""
    kept = on_staircase(found.weight, found.cost) if complete else list(range(len(found.weight)))
    # What lies below the range may be the best within its low end: the heaviest such point stays.
    first = 0 if low is None else max((k for k, i in enumerate(kept) if found.weight[i] <= low), default=0)
    kept = kept[first:]
    seconds = (time.perf_counter() - begun) / max(len(kept), 1)
    points = []
    for k, i in enumerate(reversed(kept)):
        bound = None if found.bound is None else float(found.bound[i])
        points.append(_point(problem, limit, objective, own, found, i, f"plan {k + 1}", bound, seconds))
    bounds: tuple[tuple[float, float], ...] = ()
    if not complete and found.bound is not None:
        bounds = tuple(zip(found.weight[kept].tolist(), found.bound[kept].tolist(), strict=True))
    notes = () if points else ("no plan is in the range",)
    criteria = (objective, Criterion(limit.name, limit.unit))
    return Front(problem.name, criteria, tuple(points), (), complete, gap, proved, bounds, notes)


def _point(
    problem: Allocation,
    limit: Limit,
    objective: Criterion,
    own: Items,
    found: _Found,
    at: int,
    name: str,
    bound: float | None,
    seconds: float,
) -> FrontPoint:
    """A point; its plan and solution are made when they are asked for."""
    use, cost = float(found.weight[at]), float(found.cost[at])
    sure = bound is not None and bound >= cost

    def planned() -> AllocationPlan:
        return own.plan(found.choice(at))

    def make() -> Solution:
        plan = planned()
        name = limit.name if limit.name == DAMAGE else f"budget {limit.name}"
        certificate = Certificate(
            bits=None,
            feasible=True,
            objective=cost,
            cost=breakdown(problem, plan),
            constraints=(Slack(name, use, use, True),),
            bound=bound,
            kind=None if bound is None else "enumeration",
            proved=sure,
        )
        return Solution(
            problem=problem.name,
            method="front",
            solver=None,
            bits=None,
            status="optimal" if sure else "feasible",
            plan=plan,
            objective=cost,
            bound=bound,
            seconds=seconds,
            certificate=certificate,
            instance=changed(problem, {limit.name: use}),
        )

    return FrontPoint(name, {objective.name: cost, limit.name: use}, make, {}, sure, planned)
