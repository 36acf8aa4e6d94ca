"""Certifies an allocation: what it weighs, whether it keeps every budget, and how far from optimal it can be at most.

Everything is recomputed from the problem and the plan; no method's code takes part. Budgets in whole units are compared
in whole numbers, others by the exact test that all limits share. The bound is that of
`qopt.allocation.certificate.bounds`, or with interactions that of `qopt.allocation.certificate.pairs`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from qopt.allocation.certificate import closing
from qopt.allocation.certificate.bounds import Bound, better, knapsack_bound, needed
from qopt.allocation.certificate.pairs import pairs_bound
from qopt.allocation.certificate.reading import read
from qopt.allocation.costs import breakdown, limits
from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.arguments import whole
from qopt.core.certificate import Certificate, Slack, WholeSlack
from qopt.core.clock import ENDLESS, Clock

IN_SOLVE: Mapping[str, object] = {}
"""Effort that `qopt.solve` asks for: the usual."""


def certify(
    problem: Allocation,
    plan: AllocationPlan | None,
    witness: object = None,
    *,
    labels: int = closing.LABELS,
    clock: Clock = ENDLESS,
) -> Certificate:
    """What is true of a plan, or of the claim that there is none.

    Parameters
    ----------
    problem : the problem.
    plan : the plan, or None to ask whether the problem is infeasible.
    witness : an untrusted proof.
    labels : partial sums that a proof of the certificate's own may make.
    clock : of the call: when it is over, what is not yet proved stays open.

    Raises
    ------
    InputError
        The plan does not fit the problem.
    """
    start = time.perf_counter()
    labels = whole("labels", labels, 0)
    cost = None if plan is None else breakdown(problem, plan)
    rows, notes = _constraints(problem, plan)
    feasible = plan is not None and all(row.holds for row in rows)
    objective = cost.objective if cost is not None and feasible else None
    bound = _bound(problem, objective, witness, labels, clock)
    value = bound.value
    if objective is not None and value is not None:
        if value == math.inf:
            notes = (*notes, "error: a plan is feasible where the proof says that there is none")
        value = min(value, Fraction(objective))  # above the plan, by rounding only
    proved = objective is not None and value is not None and value >= needed(objective)
    late = clock.over and not proved and value != math.inf
    if late:
        notes = (*notes, "the time limit is reached: there may be a better bound, and a better plan")
    return Certificate(
        bits=None,
        feasible=feasible,
        objective=None if cost is None else cost.objective,
        cost=cost,
        constraints=rows,
        violations=tuple(f"{row.name}: {row.text}" for row in rows if not row.holds),
        bound=None if value is None or value == math.inf else _downward(value),
        kind=bound.kind if value is not None else None,
        proved=proved,
        infeasible=value == math.inf,
        notes=(*notes, *bound.notes, *_loose(problem)),
        stopped="time-limit" if late else None,
        seconds=time.perf_counter() - start,
    )


def violations(problem: Allocation, plan: AllocationPlan) -> list[str]:
    """A line for each constraint that a plan breaks; empty for a feasible one."""
    return [f"{row.name}: {row.text}" for row in _constraints(problem, plan)[0] if not row.holds]


def _downward(value: Fraction | float) -> float:
    """The largest float that is not above an exact value."""
    rounded = float(value)
    return rounded if rounded <= value else math.nextafter(rounded, -math.inf)


def _loose(problem: Allocation) -> tuple[str, ...]:
    """Remarks on budgets that no plan can break: they may be in another unit."""
    found = []
    for name, resource in problem.resources.items():
        if resource.budget is not None and resource.budget >= (most := problem.range_of(name)[1]):
            hint = problem.other_units(name, resource.budget)
            found.append(
                f"budget {name} cannot bind: the heaviest formats take {most:.10g} of {resource.budget:.10g}{hint}"
            )
    return tuple(found)


CHEAP = 2_000
"""Entries of a table for which the clock is not asked: they are read in no time."""


def _bound(problem: Allocation, objective: float | None, witness: object, labels: int, clock: Clock) -> Bound:
    if clock.over and problem.damage.size > CHEAP:
        return Bound(_cheapest(problem), "cheapest")
    reading = read(problem)
    if not problem.interactions or problem.minimise != DAMAGE:
        # With pairs the limit on damage is left out, so what is proved holds of more plans than there are.
        found = knapsack_bound(reading, objective, witness, labels, clock)
    else:
        found = pairs_bound(problem, reading, objective, witness, labels, clock)
    return better(found, Bound(_cheapest(problem), "cheapest")) if clock.limit is not None else found


def _cheapest(problem: Allocation) -> Fraction:
    """What the cheapest format of every group costs, with the least damage of every pair: a bound in no time."""
    if problem.minimise != DAMAGE:
        least = problem.range_of(problem.minimise)[0]
    else:
        pairs = [float(pair.damage[np.isfinite(pair.damage)].min()) for pair in problem.interactions]
        least = math.fsum([*problem.damage.min(axis=1).tolist(), *pairs])
    return Fraction(math.nextafter(least, -math.inf))  # rounded once


def _constraints(problem: Allocation, plan: AllocationPlan | None) -> tuple[tuple[Slack, ...], tuple[str, ...]]:
    """Slack of every limit, and of ties."""
    if plan is None:
        return (), ()
    formats, pools = places(problem, plan)
    found: list[Slack] = []
    for row in limits(problem, formats, pools):
        kind = WholeSlack if row.whole else Slack
        name = row.name if row.name.startswith("pool ") or row.name == DAMAGE else f"budget {row.name}"
        found.append(kind(name, row.used, row.limit, row.holds))
    differ = 0
    for tie in problem.ties:
        at = [problem.place[name] for name in tie]
        differ += len({(int(formats[g]), int(pools[g])) for g in at}) > 1
    if problem.ties:
        found.append(Slack.whether("ties", differ))
    return tuple(found), ()
