"""A proof of an allocation that `qopt.kernels.checker` takes: the knapsack as its certificate reads it, and a tree."""

from __future__ import annotations

import math

import numpy as np

from qopt.allocation.certificate.certify import violations
from qopt.allocation.certificate.reading import HALF, read
from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import Allocation
from qopt.core.errors import InputError
from qopt.kernels.parts import knapsack_part
from qopt.kernels.parts import proof as whole


def proof(problem: Allocation, plan: AllocationPlan | None, gap: float) -> dict[str, object]:
    """The proof that nothing is better than a plan, or (plan None) that no plan keeps the budgets.

    Parameters
    ----------
    problem : the problem, without interactions: pairs are no knapsack.
    plan : a plan that keeps all budgets, or None.
    gap : share of its cost by which something may be cheaper.

    Returns
    -------
    An object of format ``qopt/kernel-proof``.

    Raises
    ------
    InputError
        Interactions, a plan of another problem or one that breaks a budget, or no tree is found.
    """
    if problem.interactions:
        raise InputError("problem", "interactions between groups", "a problem without: the checker knows no pairs")
    reading, choice, upper = read(problem), None, math.inf
    if plan is not None:
        broken = violations(problem, plan)
        if broken:
            raise InputError("plan", broken[0], "a plan that keeps all limits of this problem")
        formats, pools = places(problem, plan)
        count = 1 if problem.pools is None else len(problem.pools.budgets)
        choice = [*(formats * count + pools).tolist(), *[0] * (len(reading.cost) - reading.groups)]
        upper = float(reading.objective(choice))
    limit = [(x + HALF) * (1.0 - 1e-12) if w else x for x, w in zip(reading.limit, reading.whole, strict=True)]
    weight = np.stack(reading.weight) if reading.weight else np.zeros((0, *reading.cost.shape))
    ties = [list(tie) for tie in reading.ties] or None
    return whole([knapsack_part(reading.cost, weight, np.array(limit), choice, upper, gap, ties)])
