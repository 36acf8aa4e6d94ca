"""A plan within moments, for calls under a time limit: the lightest formats, or the greedy walk where it is quick.

The lightest takes for each unit the item of the least share of the budgets, added up. Only plans in the exact test
count.
"""

from __future__ import annotations

import numpy as np

from qopt.allocation.items import items
from qopt.allocation.methods.greedy import greedy
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import Allocation
from qopt.allocation.units import units
from qopt.core.clock import Clock

QUICK = 20_000
"""Items of a table that the greedy walk takes in a fraction of a second; each of its moves looks at all of them."""


def objective(problem: Allocation, plan: AllocationPlan) -> float:
    """What a plan costs."""
    own = items(problem)
    return own.objective(own.choice(plan))


def first_plan(problem: Allocation, clock: Clock) -> AllocationPlan | None:
    """A plan that keeps all budgets; None if this rule finds none.

    Parameters
    ----------
    problem : the problem.
    clock : ends the greedy walk; the lightest plan is looked at whatever it says.

    Returns
    -------
    The cheaper of the lightest and the greedy plan.
    """
    table = items(problem)
    own = units(table)
    scale = own.scale
    share = (own.use / scale[:, None, None]).sum(axis=0) if len(own.limit) else own.cost
    lightest = own.choice(np.argmin(np.where(own.allowed, share, np.inf), axis=1))
    found = [lightest] if table.broken(lightest) is None else []
    if own.cost.size <= QUICK and not clock.over and (walked := greedy(own, clock)) is not None:
        found.append(walked)
    return table.plan(min(found, key=table.objective)) if found else None
