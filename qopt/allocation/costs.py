"""What an allocation costs: damage, and every resource, in all and in each pool."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qopt.allocation.plan import AllocationPlan, places
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.arrays import IntArray
from qopt.core.display import Brief
from qopt.core.limits import within


@dataclass(frozen=True, repr=False)
class Row(Brief):
    """One limit, and the terms of a plan that count against it.

    Attributes
    ----------
    name : ``damage``, a resource, or ``pool`` and the pool's name.
    terms : what each group takes, and what is fixed.
    limit : as the problem states it.
    whole : whether all is whole, so that the sum and the limit are compared to the last unit.
    """

    name: str
    terms: tuple[float, ...]
    limit: float
    whole: bool

    @property
    def used(self) -> float:
        """The sum, rounded once."""
        return total(self.terms, self.whole)

    @property
    def holds(self) -> bool:
        """The exact test."""
        return keeps(self.terms, self.limit, self.whole)


def total(terms: Iterable[float], whole: bool) -> float:
    """A sum: of whole numbers exactly, of others rounded once."""
    return float(sum(map(int, terms))) if whole else math.fsum(terms)


def keeps(terms: Iterable[float], limit: float, whole: bool) -> bool:
    """Whether terms keep a limit: to the last unit where all is whole, else with the slack of every limit."""
    return sum(map(int, terms)) <= math.floor(limit) if whole else within(terms, limit)


@dataclass(frozen=True, repr=False)
class AllocationCost(Brief):
    """Damage and resources of a plan.

    Attributes
    ----------
    damage : sum over groups and pairs.
    resources : what is used of each in all, what is fixed included.
    pools : what each pool holds; empty without pools.
    objective : what is minimised.
    """

    equations: ClassVar[str] = "recomputed from the table, group by group"

    damage: float
    resources: dict[str, float]
    pools: dict[str, float]
    objective: float

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return dict(self.__dict__)


def damage_terms(problem: Allocation, formats: IntArray) -> list[float]:
    """Damage of each group and of each pair under formats by index."""
    found: list[float] = problem.damage[np.arange(len(formats)), formats].tolist()
    for pair in problem.interactions:
        first, second = (formats[problem.place[name]] for name in pair.groups)
        found.append(float(pair.damage[first, second]))
    return found


def resource_terms(problem: Allocation, name: str, formats: IntArray, pools: IntArray) -> list[float]:
    """What each group takes of a resource, and what is fixed."""
    resource, rows = problem.resources[name], np.arange(len(formats))
    used = resource.use[rows, formats]
    if problem.pools is not None:
        for p, pool in enumerate(problem.pool_names):
            own = problem.pools.use.get(name, {}).get(pool)
            if own is not None:
                used = np.where(pools == p, own[rows, formats], used)
    return [*used.tolist(), resource.fixed]


def limits(problem: Allocation, formats: IntArray, pools: IntArray) -> list[Row]:
    """Every limit of the problem with the terms of a plan, whose formats and pools are given by index."""
    rows = []
    if problem.damage_limit is not None:
        rows.append(Row(DAMAGE, tuple(damage_terms(problem, formats)), problem.damage_limit, False))
    for name, resource in problem.resources.items():
        if resource.budget is not None:
            terms = resource_terms(problem, name, formats, pools)
            rows.append(Row(name, tuple(terms), resource.budget, problem.whole[name]))
    if problem.pools is not None:
        for (pool, budget), terms in zip(
            problem.pools.budgets.items(), pool_terms(problem, formats, pools), strict=True
        ):
            if budget is not None:
                rows.append(Row(f"pool {pool}", tuple(terms), budget, problem.whole[problem.pools.resource]))
    return rows


def pool_terms(problem: Allocation, formats: IntArray, pools: IntArray) -> list[list[float]]:
    """What each pool holds of each group, and what is fixed, in the first; no list without pools."""
    if problem.pools is None:
        return []
    terms = np.array(resource_terms(problem, problem.pools.resource, formats, pools))
    lies = np.append(pools, 0)
    return [np.where(lies == p, terms, 0.0).tolist() for p in range(len(problem.pool_names))]


def breakdown(problem: Allocation, plan: AllocationPlan) -> AllocationCost:
    """What a plan costs.

    Raises
    ------
    InputError
        The plan does not fit the problem.
    """
    formats, pools = places(problem, plan)
    damage = math.fsum(damage_terms(problem, formats))
    used = {
        name: total(resource_terms(problem, name, formats, pools), problem.whole[name]) for name in problem.resources
    }
    held = {}
    if problem.pools is not None:
        whole = problem.whole[problem.pools.resource]
        sums = [total(terms, whole) for terms in pool_terms(problem, formats, pools)]
        held = dict(zip(problem.pool_names, sums, strict=True))
    return AllocationCost(damage, used, held, damage if problem.minimise == DAMAGE else used[problem.minimise])
