"""The knapsack under an allocation, as its certificate reads it: straight from the table, and by no method's code.

Columns are items, a format f and a pool p of P, in the order f P + p, and a column whose format is not on the menu
(ties taken into account) repeats the group's first format that is, in the same pool. A witness speaks of these
columns, and of the classes that stay when tied groups stand at the place of their first. What is fixed is one class
more, with one choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.allocation.problem import Allocation
from qopt.core.arrays import FloatArray
from qopt.core.display import Brief
from qopt.core.limits import limit_with_slack
from qopt.kernels import checker

HALF = 0.5
"""Between two whole numbers: where a budget in whole units is put, since the checker grants every limit a slack."""


@dataclass(frozen=True, repr=False)
class Reading(Brief):
    """Data of the knapsack.

    Attributes
    ----------
    cost : (c, K) of what is minimised.
    names, weight, limit : (R,) of each row its name, (c, K) numbers and what they may add up to.
    whole : (R,) whether the row is whole: its sums are exact, and its limit is one of them.
    ties : classes that take the same column.
    groups : how many classes are groups; one more is what is fixed.
    """

    cost: FloatArray
    names: tuple[str, ...]
    weight: tuple[FloatArray, ...]
    limit: tuple[float, ...]
    whole: tuple[bool, ...]
    ties: tuple[tuple[int, ...], ...]
    groups: int

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return int(self.cost.size) * (1 + len(self.weight))

    def exact(self, costly: bool = True) -> checker.Knapsack:
        """For the checker, which computes in whole numbers; without costs to ask whether anything keeps the limits.

        Raises
        ------
        checker.Refused
            Numbers beyond its range.
        """
        limits = [
            (limit + HALF) * (1.0 - 1e-12) if whole else limit
            for limit, whole in zip(self.limit, self.whole, strict=True)
        ]
        cost = self.cost if costly else np.zeros_like(self.cost)
        weights = [weight.tolist() for weight in self.weight]
        ties = [list(tie) for tie in self.ties]
        return checker.Knapsack({"cost": cost.tolist(), "weight": weights, "limit": limits, "ties": ties})

    def merged(self) -> tuple[FloatArray, list[FloatArray], list[float]]:
        """(m, K) cost, weights and what they may add up to (slack included), tied classes added up."""
        gone = np.array([g for tie in self.ties for g in tie[1:]], dtype=np.int64)
        into = np.array([tie[0] for tie in self.ties for _ in tie[1:]], dtype=np.int64)
        kept = np.ones(len(self.cost), dtype=bool)
        kept[gone] = False
        tables = []
        for table in (self.cost, *self.weight):
            summed = table.copy()
            np.add.at(summed, into, table[gone])
            tables.append(summed[kept])
        allowed = [x if whole else limit_with_slack(x) for x, whole in zip(self.limit, self.whole, strict=True)]
        return tables[0], tables[1:], allowed

    def objective(self, column: list[int]) -> Fraction:
        """The exact cost of a column for each class."""
        return sum((Fraction(float(self.cost[i, c])) for i, c in enumerate(column)), Fraction(0))


def read(problem: Allocation) -> Reading:
    """The knapsack of a problem; damage of pairs, and a limit on damage that has some, is left out."""
    n, k = problem.damage.shape
    pools = list(problem.pools.budgets) if problem.pools is not None else [""]
    ties = tuple(tuple(sorted(problem.place[name] for name in tie)) for tie in problem.ties)
    stands = np.tile(np.arange(k), (n, 1))
    on = np.isfinite(problem.damage)
    for tie in ties:
        on[list(tie)] = on[list(tie)].all(axis=0)
    stands = np.where(on, stands, np.argmax(on, axis=1)[:, None])
    extra = any(r.fixed != 0 for r in problem.resources.values())
    group = np.arange(n)[:, None]

    def spread(tables: list[FloatArray], fixed: float) -> FloatArray:
        out = np.empty((n + extra, k * len(pools)))
        for p, table in enumerate(tables):
            out[:n, p :: len(pools)] = table[group, stands]
        out[n:] = fixed
        return out

    def of(name: str) -> FloatArray:
        if name == "damage":
            return spread([problem.damage] * len(pools), 0.0)
        own = problem.pools.use.get(name, {}) if problem.pools is not None else {}
        return spread([own.get(pool, problem.resources[name].use) for pool in pools], problem.resources[name].fixed)

    rows = list(_rows(problem, of))
    return Reading(
        of(problem.minimise),
        tuple(name for name, *_ in rows),
        tuple(weight for _, weight, *_ in rows),
        tuple(float(math.floor(limit)) if whole else limit for *_, limit, whole in rows),
        tuple(whole for *_, whole in rows),
        ties,
        n,
    )


def _rows(problem: Allocation, table: Callable[[str], FloatArray]) -> Iterator[tuple[str, FloatArray, float, bool]]:
    """Name, weights and limit of every row, and whether it is whole."""
    if problem.damage_limit is not None and not problem.interactions:
        yield "damage", table("damage"), problem.damage_limit, False
    for name, resource in problem.resources.items():
        if resource.budget is not None:
            yield name, table(name), resource.budget, problem.whole[name]
    if problem.pools is not None:
        held = table(problem.pools.resource)
        count = len(problem.pools.budgets)
        for p, (pool, budget) in enumerate(problem.pools.budgets.items()):
            if budget is not None:
                weight = np.zeros_like(held)
                weight[:, p::count] = held[:, p::count]
                if len(held) > len(problem.groups):
                    weight[-1] = held[-1] if p == 0 else 0.0
                yield f"pool {pool}", weight, budget, problem.whole[problem.pools.resource]
