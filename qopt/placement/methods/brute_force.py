"""`brute-force`: every operator, every way to let data move up. For small instances and as a yardstick."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.placement.costs import paid
from qopt.placement.limits import keeps_rows
from qopt.placement.methods.candidates import NO_OPERATOR, Candidate, candidates
from qopt.placement.plan import PlacementPlan, plan_of
from qopt.placement.problem import Placement
from qopt.placement.terms import kept_operations

MAX_PLANS = 300_000
"""Combinations of admissible tiers, of all operators together, that brute force is willing to look at."""


def too_large(problem: Placement) -> str | None:
    """Why a problem has too many plans, or None."""
    plans = 0.0
    for operator in problem.eligible:
        choices = problem.allowed[kept_operations(problem, operator)].sum(axis=1)
        plans += float(np.exp2(min(float(np.log2(choices).sum()), 1000.0))) if choices.all() else 0.0
        if plans > MAX_PLANS * (1.0 + 1e-9):
            return f"more than {MAX_PLANS} combinations to enumerate"
    return None


def rising(problem: Placement, candidate: Candidate) -> Iterator[list[int]]:
    """All labels that pins allow and along which data moves up, in lexicographic order, node 0 the raw input."""
    costs = candidate.costs
    orders = [(u, r) for u, readers in zip(costs.producer, costs.readers, strict=True) for r in readers]
    tiers = [[problem.birth], *([k for k, ok in enumerate(row) if ok] for row in candidate.own.allowed.tolist())]
    for labels in itertools.product(*tiers):
        if all(labels[u] <= labels[r] for u, r in orders):
            yield list(labels)


def solve(problem: Placement, options: Options) -> Outcome:
    """The best of all plans, as `qopt.formulations.placement` states them.

    Ties go to the most accurate operator, then to the first in lexicographic order.
    """
    clock = options.clock()
    best: PlacementPlan | None = None
    best_value, looked_at = math.inf, 0
    try:
        for candidate in candidates(problem, clock):
            costs, rows = candidate.costs, candidate.rows
            for labels in clock.watching(rising(problem, candidate)):
                looked_at += 1
                value = math.fsum(paid(costs, labels))
                if value < best_value and keeps_rows(costs, rows, labels):
                    best, best_value = plan_of(problem, candidate.own, labels[1:]), value
    except OutOfTime:
        return Outcome("time-limit", best, details={"plans": looked_at})
    if best is None:
        message = "" if problem.eligible else NO_OPERATOR
        return Outcome("infeasible", message=message, details={"plans": looked_at})
    return Outcome("optimal", best, best_value, details={"plans": looked_at})
