"""`mckp`: a multiple-choice knapsack, solved exactly by our own kernel, with its tree as the proof."""

from __future__ import annotations

import numpy as np

from qopt.allocation.items import items, why_infeasible
from qopt.allocation.methods.packing import alike, by_packing
from qopt.allocation.problem import Allocation
from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.kernels import mckp
from qopt.kernels.knapsack.result import Result

KERNEL_RATE, ROWS_RATE = 600_000, 150_000
"""Weights that the kernel takes in and relaxes in a second, of one row and of several, before it asks the clock."""

FIRST_LABELS = 400_000
"""Partial sums that are tried without branching: those of the kernel's own first round."""

MOST_LABELS = 20_000_000
"""Partial choices that are looked at with several budgets: half a minute, after which there is a plan and a gap."""


def refuses(problem: Allocation) -> str | None:
    """Why a problem is no knapsack, or None."""
    return "the damage of pairs is quadratic, and it takes sums" if problem.interactions else None


def solve(problem: Allocation, options: Options) -> Outcome:
    """The best plan and a tree that proves it. Takes time_limit and gap."""
    clock, gap = options.clock(), options.gap or 0.0
    own = items(problem)
    packed, nothing = by_packing(own, clock) if alike(own) else (None, False)
    if nothing:
        return Outcome("infeasible", message="all pools together hold less than the lightest formats take")
    if packed is not None:
        plan = own.plan(packed)
        return Outcome(
            "optimal", plan, own.objective(own.choice(plan)), details={"rows": len(own.budgets), "packed": True}
        )
    weights = own.use if own.budgets else np.zeros((1, *own.cost.shape))
    limits = np.array([budget.kernel_limit for budget in own.budgets] or [np.inf])
    if not clock.affords(weights.size, KERNEL_RATE if len(weights) == 1 else ROWS_RATE):
        return Outcome("time-limit")
    found = _searched(own.cost, weights, limits, own.ties, gap, clock)
    details = {"rows": len(own.budgets), **found.details}
    witness = None
    if found.tree is not None:
        witness = {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": found.tree}
    if found.status == "infeasible":
        return Outcome("infeasible", witness=witness, message=why_infeasible(own), details=details)
    stopped = found.status == "limit"
    status: Status = "optimal"
    message = ""
    if stopped:
        status = "time-limit" if clock.over else "failed" if found.choice is None else "feasible"
        message = "" if clock.over else "the search stopped at the partial sums that it may keep"
    elif found.status == "within-gap" and found.objective != found.bound:
        status, message = ("feasible", f"stopped within a gap of {gap:g}") if gap else ("optimal", "")
    if found.choice is None:
        return Outcome(status, bound=found.bound, message=message, details=details)
    return Outcome(status, own.plan(found.choice), found.bound, witness, message, details)


def _searched(
    cost: FloatArray,
    weights: FloatArray,
    limits: FloatArray,
    ties: tuple[tuple[int, ...], ...],
    gap: float,
    clock: Clock,
) -> Result:
    """The kernel's answer. With one budget partial sums alone settle nearly all tables, and twice as fast."""
    if len(weights) == 1:
        first = mckp.solve(
            cost,
            weights,
            limits,
            ties=ties or None,
            gap=gap,
            time_limit=clock.left,
            branch_nodes=0,
            max_labels=FIRST_LABELS,
        )
        if first.status != "limit":
            return first
    most = None if len(weights) == 1 else MOST_LABELS
    return mckp.solve(cost, weights, limits, ties=ties or None, gap=gap, time_limit=clock.left, max_labels=most)
