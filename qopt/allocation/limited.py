"""What an allocation can limit: damage, resources and pools; for fronts and for `qopt.explain`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from qopt.allocation.costs import breakdown
from qopt.allocation.items import Budget, Items, items
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import DAMAGE, FAR_OFF, Allocation
from qopt.core.clock import Clock
from qopt.core.limited import Least, Limit
from qopt.core.limits import SLACK
from qopt.core.solution import Solution
from qopt.kernels import mckp
from qopt.kernels.knapsack.prices import row_prices

POOL = "pool "
"""Begins the names of limits on pools."""


def limits(problem: Allocation) -> tuple[Limit, ...]:
    """Everything that can be limited, with what the problem states.

    Parameters
    ----------
    problem : an allocation.
    """
    found = []
    if problem.minimise != DAMAGE:
        damage = np.where(problem.menu, problem.damage, np.nan)
        varies = bool(np.any(np.nanmax(damage, axis=1) > np.nanmin(damage, axis=1))) or bool(problem.interactions)
        found.append(Limit(DAMAGE, problem.damage_limit, varies=varies, floor=-math.inf))
    for name, resource in problem.resources.items():
        if name == problem.minimise and resource.budget is None:
            continue
        low, high = problem.range_of(name)
        found.append(
            Limit(name, resource.budget, resource.unit, whole=problem.whole[name], varies=low < high, floor=low)
        )
    if problem.pools is not None:
        unit, whole = problem.resources[problem.pools.resource].unit, problem.whole[problem.pools.resource]
        found += [Limit(POOL + pool, budget, unit, whole=whole) for pool, budget in problem.pools.budgets.items()]
    return tuple(found)


def changed(problem: Allocation, values: Mapping[str, float | None]) -> Allocation:
    """The allocation with other limits.

    Parameters
    ----------
    problem : an allocation.
    values : by name; None takes a limit away.
    """
    changes: dict[str, object] = {}
    for name, value in values.items():
        if name == DAMAGE:
            changes["damage_limit"] = _most_damage(problem) if value is None else value
        elif name.startswith(POOL) and name not in problem.resources:
            changes.setdefault("pools", None)
        else:  # nothing uses more than the most; far more would be taken for another unit
            most = None if value is None else min(value, FAR_OFF * problem.range_of(name)[1])
            changes[f"resources.{name}.budget"] = most
    if "pools" in changes:
        assert problem.pools is not None
        budgets = {pool: values.get(POOL + pool, budget) for pool, budget in problem.pools.budgets.items()}
        changes["pools"] = {**problem.pools.model_dump(), "budgets": budgets}
    return problem.replace(changes) if changes else problem


def _most_damage(problem: Allocation) -> float:
    """More than any plan does."""
    most = [float(np.abs(problem.damage[np.isfinite(problem.damage)]).max(initial=0.0)) * len(problem.groups)]
    most += [float(np.abs(pair.damage[np.isfinite(pair.damage)]).max(initial=0.0)) for pair in problem.interactions]
    return min(2.0 * math.fsum(most) + 1.0, 1e300)


def used(problem: Allocation, plan: AllocationPlan) -> dict[str, float]:
    """What a plan uses, by name.

    Parameters
    ----------
    problem, plan : an allocation and a plan for it.
    """
    cost = breakdown(problem, plan)
    return {DAMAGE: cost.damage, **cost.resources, **{POOL + pool: held for pool, held in cost.pools.items()}}


def least(problem: Allocation, name: str, below: float | None, clock: Clock) -> Least | None:
    """The least that a plan uses of something, with all other limits kept: a knapsack. None with damage of pairs.

    Parameters
    ----------
    problem : an allocation.
    name : of what is to be small.
    below : objective that a plan must be better than; None for any.
    clock : of the call.
    """
    paired = (problem.minimise == DAMAGE and below is not None) or problem.damage_limit is not None
    if problem.interactions and paired:
        return None
    own, goal = with_row(problem, name)
    others = [budget for budget in own.budgets if budget.name != name]
    weights = [budget.use for budget in others]
    room = [budget.kernel_limit for budget in others]
    if below is not None:
        weights.append(own.cost)
        room.append(below - 2.0 * SLACK * abs(below))
    result = mckp.solve(
        goal.use,
        np.stack(weights) if weights else np.zeros_like(goal.use),
        np.array(room) if weights else math.inf,
        ties=own.ties or None,
        time_limit=clock.left,
    )
    if result.choice is None:
        return Least(None, proved=result.status == "infeasible")
    amount = used(problem, own.plan(result.choice))[name]
    return Least(amount, proved=result.status == "optimal")


def with_row(problem: Allocation, name: str) -> tuple[Items, Budget]:
    """The knapsack of a problem with a row for something, limited or not, and that row.

    Parameters
    ----------
    problem : an allocation.
    name : of a limit.
    """
    if name == DAMAGE:
        own = items(problem)
    elif name.startswith(POOL) and name not in problem.resources:
        assert problem.pools is not None
        most = problem.range_of(problem.pools.resource)[1]
        own = items(changed(problem, {name: most}))
    else:
        own = items(problem.with_budgets(**{name: problem.range_of(name)[1]}))
    return own, next(budget for budget in own.budgets if budget.name == name)


def multipliers(problem: Allocation, solution: Solution) -> dict[str, float]:
    """Of each limit in the linear relaxation of the knapsack; none with damage of pairs.

    Parameters
    ----------
    problem, solution : an allocation and its best plan.
    """
    del solution
    own = items(problem)
    if problem.interactions or not own.budgets:
        return {}
    prices = row_prices(own.cost, own.use, [budget.allowed for budget in own.budgets], own.ties)
    return {} if prices is None else dict(zip([b.name for b in own.budgets], prices.tolist(), strict=True))
