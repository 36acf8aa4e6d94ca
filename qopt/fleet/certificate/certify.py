"""Certifies a fleet's plan: exact sums of cost and uses, and a bound from multipliers alone.

Everything is recomputed from the problem, the plan and the multipliers; no method's code takes part. Of small fleets
the certificate finds a proof by itself, with the knapsack kernel, or checks the tree that comes with the plan.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from fractions import Fraction

from qopt.core.arguments import whole
from qopt.core.certificate import Certificate, Slack, WholeSlack
from qopt.core.clock import ENDLESS, Clock
from qopt.fleet.certificate.bound import Refused, multipliers_bound, upward
from qopt.fleet.certificate.closing import LABELS, MOST_REQUESTS, closed, tree_value
from qopt.fleet.costs import breakdown, called, capacities
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet
from qopt.fleet.witness import FORMAT

IN_SOLVE: Mapping[str, object] = {}
"""Effort that `qopt.solve` asks for: the usual."""

TOLERANCE = Fraction(1, 10**9)
"""Share of the objective by which a bound may be below it and still prove it."""


def certify(
    problem: Fleet,
    plan: FleetPlan | None,
    witness: object = None,
    *,
    labels: int = LABELS,
    clock: Clock = ENDLESS,
) -> Certificate:
    """What is true of a plan; a fleet always has one, as all requests may be refused.

    Parameters
    ----------
    problem : the problem.
    plan : the plan, or None.
    witness : an untrusted proof: multipliers, or a tree.
    labels : partial choices that a proof of the certificate's own may look at.
    clock : of the call: when it is over, what is not yet proved stays open.

    Raises
    ------
    InputError
        The plan does not fit the problem.
    """
    start = time.perf_counter()
    labels = whole("labels", labels, 0)
    cost = None if plan is None else breakdown(problem, plan)
    rows: tuple[Slack, ...] = ()
    if cost is not None:
        rows = tuple(
            WholeSlack(called(name), cost.used[name], limit, cost.used[name] <= limit)
            for name, limit in capacities(problem).items()
        )
        rows = (Slack.whether("deadlines", cost.late), *rows)
    feasible = cost is not None and all(row.holds for row in rows)
    objective = cost.objective if cost is not None and feasible else None
    value, kind, notes, late = _bound(problem, objective, witness, labels, clock)
    wrong = objective is not None and value > objective  # sums are whole and exact: one of both is no proof
    if wrong:
        notes = (*notes, "error: a plan is cheaper than the proof says that any is")
    proved = not wrong and objective is not None and objective - value <= TOLERANCE * abs(objective)
    return Certificate(
        bits=None,
        feasible=feasible,
        objective=None if cost is None else float(cost.objective),
        cost=cost,
        constraints=rows,
        violations=tuple(f"{row.name}: {row.text}" for row in rows if not row.holds),
        bound=_downward(value),
        kind=kind,
        proved=proved,
        notes=notes,
        stopped="time-limit" if late and not proved else None,
        seconds=time.perf_counter() - start,
    )


def violations(problem: Fleet, plan: FleetPlan) -> list[str]:
    """A line for each constraint that a plan breaks; empty for a feasible one."""
    cost = breakdown(problem, plan)
    broken = [
        f"{called(k)}: {cost.used[k]} of {limit}" for k, limit in capacities(problem).items() if cost.used[k] > limit
    ]
    return [*([f"deadlines: {cost.late} requests are late"] if cost.late else []), *broken]


def _downward(value: Fraction) -> float:
    """The largest float that is not above an exact value."""
    rounded = float(value)
    return rounded if rounded <= value else math.nextafter(rounded, -math.inf)


def _bound(
    problem: Fleet, objective: int | None, witness: object, labels: int, clock: Clock
) -> tuple[Fraction, str, tuple[str, ...], bool]:
    """A bound, its kind, remarks, and whether the clock ended the search for a better one."""
    value, kind = Fraction(upward(multipliers_bound(problem, 0, {}))), "cheapest"
    notes: tuple[str, ...] = ()
    if isinstance(witness, Mapping) and witness.get("format") == FORMAT:
        try:
            if witness.get("kind") == "tree":
                found = tree_value(problem, witness.get("tree"), objective)
                given = "witness"
            else:
                found = multipliers_bound(problem, witness.get("shift"), witness.get("multipliers"))
                given = "lagrangian"
            if Fraction(upward(found)) > value:
                value, kind = Fraction(upward(found)), given
        except Refused as why:
            notes = (f"the witness is rejected: {why}",)
    elif witness is not None:
        notes = (f"the witness is rejected: not an object of format {FORMAT}",)
    reached = objective is not None and objective - value <= TOLERANCE * abs(objective)
    if objective is None or reached or problem.count > MOST_REQUESTS or not labels:
        return value, kind, notes, False
    if clock.over:
        return value, kind, notes, True
    better = closed(problem, labels, clock)
    if better is not None and better > value:
        value, kind = better, "witness"
    return value, kind, notes, clock.over
