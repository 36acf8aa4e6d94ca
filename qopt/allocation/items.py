"""An allocation as a multiple-choice knapsack on arrays: what methods and formulations share.

A class for each group, a column for each item, which is a format and the pool that holds it: column f P + p with P
pools. A column whose format is not on a group's menu (or not on that of a group tied to it) repeats the first format
that is, in the same pool, so that the table has no holes. Where something is fixed, one more class, with one choice,
stands at the end.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qopt.allocation.costs import keeps
from qopt.allocation.plan import AllocationPlan, places, plan_of
from qopt.allocation.problem import DAMAGE, Allocation
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.limits import SLACK, limit_with_slack


@dataclass(frozen=True, repr=False)
class Budget(Brief):
    """One row of the knapsack.

    Attributes
    ----------
    name : ``damage``, a resource, or ``pool`` and the pool's name.
    use : (classes, items) what each item takes.
    limit : on the sum, before any slack.
    whole : whether all is whole and counted to the last unit.
    """

    name: str
    use: FloatArray
    limit: float
    whole: bool

    @property
    def kernel_limit(self) -> float:
        """The limit as kernels take it, which add a slack: of whole numbers, half a unit above the last kept."""
        return (math.floor(self.limit) + 0.5) / (1.0 + SLACK) if self.whole else self.limit

    @property
    def allowed(self) -> float:
        """What a sum of floats may be, as solvers take it."""
        return float(math.floor(self.limit)) if self.whole else limit_with_slack(self.limit)


@dataclass(frozen=True, repr=False)
class Items(Brief):
    """The knapsack of a problem, without the damage of pairs.

    Attributes
    ----------
    problem : whose it is.
    cost : (classes, items) of what is minimised.
    budgets : rows with a limit.
    ties : classes that take the same column.
    allowed : (n, items) which columns are a group's own, ties taken into account.
    """

    problem: Allocation
    cost: FloatArray
    budgets: tuple[Budget, ...]
    ties: tuple[tuple[int, ...], ...]
    allowed: BoolArray

    @cached_property
    def use(self) -> FloatArray:
        """(R, classes, items)."""
        empty = np.zeros((0, *self.cost.shape))
        return np.stack([budget.use for budget in self.budgets]) if self.budgets else empty

    @property
    def pools(self) -> int:
        """How many pools there are."""
        return len(self.problem.pool_names)

    @cached_property
    def units(self) -> tuple[tuple[int, ...], ...]:
        """Groups that decide together: those of a tie, and the others alone, by their first."""
        first = {tie[0]: tie for tie in self.ties}
        tied = {g for tie in self.ties for g in tie}
        return tuple(first.get(g, (g,)) for g in range(len(self.allowed)) if g in first or g not in tied)

    @cached_property
    def members(self) -> tuple[IntArray, IntArray]:
        """Groups unit by unit, and how many each unit has."""
        sizes = np.array([len(unit) for unit in self.units], dtype=np.int64)
        return np.fromiter(itertools.chain.from_iterable(self.units), np.int64, int(sizes.sum())), sizes

    @cached_property
    def menus(self) -> list[IntArray]:
        """Columns that each unit may take."""
        return [np.flatnonzero(self.allowed[unit[0]]) for unit in self.units]

    def plan(self, choice: IntArray) -> AllocationPlan:
        """The plan of a choice, a column for each class; that of the last class counts for nothing."""
        n = len(self.allowed)
        formats, pools = np.divmod(choice[:n], self.pools)
        own = self.allowed[np.arange(n), choice[:n]]
        formats = np.where(own, formats, np.argmax(self.allowed, axis=1) // self.pools)
        return plan_of(self.problem, formats, pools)

    def choice(self, plan: AllocationPlan) -> IntArray:
        """(n,) columns of a plan."""
        formats, pools = places(self.problem, plan)
        return formats * self.pools + pools

    def column(self, choice: IntArray) -> IntArray:
        """(classes,) a choice for each group with the last class added, where there is one."""
        return np.append(choice, np.zeros(len(self.cost) - len(choice), dtype=np.int64))

    def broken(self, choice: IntArray) -> str | None:
        """The first budget that a choice for each group breaks by the exact test; None if it keeps all.

        Damage of pairs, where it is limited, is counted.
        """
        at, column = np.arange(len(self.cost)), self.column(choice)
        for budget in self.budgets:
            terms = budget.use[at, column].tolist()
            if budget.name == DAMAGE:
                terms += self.pair_terms(choice)
            if not keeps(terms, budget.limit, budget.whole):
                return budget.name
        return None

    def objective(self, choice: IntArray) -> float:
        """What is minimised, of a choice for each group."""
        terms = self.cost[np.arange(len(self.cost)), self.column(choice)].tolist()
        pairs = self.pair_terms(choice) if self.problem.minimise == DAMAGE else []
        return math.fsum([*terms, *pairs])

    def pair_terms(self, choice: IntArray) -> list[float]:
        """Damage of each pair, by a choice for each group."""
        formats = choice // self.pools
        return [
            float(pair.damage[tuple(formats[self.problem.place[name]] for name in pair.groups)])
            for pair in self.problem.interactions
        ]


def items(problem: Allocation) -> Items:
    """The knapsack of a problem; its pairs are left out."""
    pools = problem.pool_names
    ties = tuple(tuple(sorted(problem.place[name] for name in tie)) for tie in problem.ties)
    menu = problem.menu.copy()
    first = np.array([tie[0] for tie in ties for _ in tie[1:]], dtype=np.int64)
    other = np.array([g for tie in ties for g in tie[1:]], dtype=np.int64)
    np.logical_and.at(menu, first, menu[other])
    menu[other] = menu[first]
    filled = np.where(menu, np.arange(menu.shape[1]), np.argmax(menu, axis=1)[:, None])
    rows = np.arange(len(menu))[:, None]
    fixed = any(resource.fixed for resource in problem.resources.values())

    def table(name: str) -> FloatArray:
        """(classes, items) of damage or of a resource."""
        whole = problem.damage if name == DAMAGE else problem.resources[name].use
        own = {} if problem.pools is None else problem.pools.use.get(name, {})
        parts = [own.get(pool, whole)[rows, filled] for pool in pools]
        found: FloatArray = np.stack(parts, axis=2).reshape(len(menu), -1)
        last = 0.0 if name == DAMAGE else problem.resources[name].fixed
        return np.vstack([found, np.full((1, found.shape[1]), last)]) if fixed else found

    budgets = []
    if problem.damage_limit is not None:
        budgets.append(Budget(DAMAGE, table(DAMAGE), problem.damage_limit, False))
    for name, resource in problem.resources.items():
        if resource.budget is not None:
            budgets.append(Budget(name, table(name), resource.budget, problem.whole[name]))
    if problem.pools is not None:
        held = table(problem.pools.resource)
        lies = np.tile(np.arange(len(pools)), len(problem.formats))
        for p, (pool, budget) in enumerate(problem.pools.budgets.items()):
            if budget is not None:
                use = np.where(lies == p, held, 0.0)
                if fixed:
                    use[-1] = held[-1] if p == 0 else 0.0
                budgets.append(Budget(f"pool {pool}", use, budget, problem.whole[problem.pools.resource]))
    allowed = np.repeat(menu, len(pools), axis=1)
    return Items(problem, table(problem.minimise), tuple(budgets), ties, allowed)


def why_infeasible(own: Items) -> str:
    """A budget that even the lightest items break, in words; else that no plan keeps all of them."""
    for budget in own.budgets:
        least = math.fsum(
            [
                *(
                    float(budget.use[list(unit)][:, menu].sum(axis=0).min())
                    for unit, menu in zip(own.units, own.menus, strict=True)
                ),
                *budget.use[len(own.allowed) :, 0].tolist(),
            ]
        )
        if not keeps([least], budget.limit, False):
            hint = own.problem.other_units(budget.name, budget.limit) if budget.name in own.problem.resources else ""
            return (
                f"{budget.name}: the least that a plan takes is {least:.10g}, and {budget.limit:.10g} are allowed{hint}"
            )
    return "no plan keeps all budgets at once"
