"""`mckp`: a small fleet as a multiple-choice knapsack with a row for each capacity, with the kernel's tree as proof."""

from __future__ import annotations

import numpy as np

from qopt.core.method import Options
from qopt.core.solution import Outcome, stopped
from qopt.fleet.problem import Fleet
from qopt.fleet.units import too_many, units
from qopt.fleet.witness import FORMAT
from qopt.kernels import mckp

MOST = 60
"""Requests up to which the kernel is the usual method; beyond, the gap of multipliers is what can be had."""

MOST_LABELS = 5_000_000
"""Partial choices that are looked at: some seconds."""


def refuses(problem: Fleet) -> str | None:
    """Why a problem is beyond the kernel, or None."""
    return f"more than {MOST} requests" if problem.count > MOST else too_many(problem)


def solve(problem: Fleet, options: Options) -> Outcome:
    """The best plan and a tree that proves it. Takes time_limit and gap."""
    clock, own, gap = options.clock(), units(problem), options.gap or 0.0
    weights = own.use.astype(float) if len(own.use) else np.zeros((1, *own.cost.shape))
    limits = own.kernel_limit if len(own.use) else np.array([np.inf])
    found = mckp.solve(own.cost.astype(float), weights, limits, gap=gap, time_limit=clock.left, max_labels=MOST_LABELS)
    details = {"rows": len(own.limit), **found.details}
    if found.choice is None:
        return Outcome(stopped(clock, None), bound=found.bound, details=details)
    witness = None
    if found.tree is not None:
        witness = {"format": FORMAT, "version": 1, "kind": "tree", "tree": found.tree}
    plan = own.plan(problem, np.asarray(found.choice))
    if found.status == "limit":
        message = "" if clock.over else "the search stopped at the partial choices that it may look at"
        return Outcome(stopped(clock, plan), plan, found.bound, witness, message, details)
    within = found.status == "within-gap" and gap and found.objective != found.bound
    return Outcome(
        "feasible" if within else "optimal", plan, found.bound, witness, f"within {gap:g}" if within else "", details
    )
