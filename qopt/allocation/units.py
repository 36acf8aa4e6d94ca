"""What decides together as one class each: an allocation for methods that walk from choice to choice, pairs included.

Tied groups are one unit, whose numbers are sums over its groups; what is fixed is taken off the limits. Sums here are
rounded, so whatever comes out is put to the exact test of `qopt.allocation.items`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.allocation.items import Items
from qopt.allocation.problem import DAMAGE
from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief

LEAST = 1e-100
"""Share of the largest use below which a limit measures nothing: the ratio would be beyond all numbers."""


@dataclass(frozen=True, repr=False)
class Pair(Brief):
    """Damage of two units together: (items, items), by the first's item and the second's."""

    first: int
    second: int
    damage: FloatArray


@dataclass(frozen=True, repr=False)
class Units(Brief):
    """A choice of one item for each unit.

    Attributes
    ----------
    own : the items they come from.
    cost : (u, K) of what is minimised; infinite where an item is not on the unit's menu.
    use : (R, u, K) of each budget; 0 where an item is not on the menu.
    limit : (R,) what each row may add up to, what is fixed taken off.
    constant : fixed part of what is minimised.
    pairs : damage of pairs, which counts in the cost, or in the row of a limit on damage.
    """

    own: Items
    cost: FloatArray
    use: FloatArray
    limit: FloatArray
    constant: float
    pairs: tuple[Pair, ...]

    @property
    def allowed(self) -> BoolArray:
        """(u, K)."""
        found: BoolArray = np.isfinite(self.cost)
        return found

    @property
    def damage_row(self) -> int | None:
        """The row that limits damage; None if damage is minimised."""
        names = [budget.name for budget in self.own.budgets]
        return names.index(DAMAGE) if DAMAGE in names else None

    @property
    def scale(self) -> FloatArray:
        """(R,) what heuristics measure a row by: its limit, or where that is next to nothing the largest use."""
        largest = np.abs(self.use).max(axis=(1, 2), initial=0.0)
        found: FloatArray = np.where(self.limit > LEAST * largest, self.limit, np.where(largest > 0, largest, 1.0))
        return found

    def choice(self, taken: IntArray) -> IntArray:
        """(n,) item of each group, from one for each unit."""
        found = np.zeros(len(self.own.allowed), dtype=np.int64)
        members, sizes = self.own.members
        found[members] = np.repeat(taken, sizes)
        return found

    def marginal(self, taken: IntArray) -> tuple[FloatArray, FloatArray]:
        """(u, K) cost and (R, u, K) use of each item while the other units keep theirs."""
        if not self.pairs:
            return self.cost, self.use
        damage = np.zeros(self.cost.shape)
        for pair in self.pairs:
            damage[pair.first] += pair.damage[:, taken[pair.second]]
            damage[pair.second] += pair.damage[taken[pair.first]]
        row = self.damage_row
        if row is None:
            return self.cost + damage, self.use
        use = self.use.copy()
        use[row] += damage
        return self.cost, use

    def totals(self, taken: IntArray) -> tuple[float, FloatArray]:
        """Cost and (R,) use of a choice."""
        at = np.arange(len(taken))
        cost, used = float(self.cost[at, taken].sum()), self.use[:, at, taken].sum(axis=1)
        damage = sum(float(p.damage[taken[p.first], taken[p.second]]) for p in self.pairs)
        if self.damage_row is None:
            return self.constant + cost + damage, used
        used[self.damage_row] += damage
        return self.constant + cost, used


def units(own: Items) -> Units:
    """The units of a problem's items."""
    problem, groups = own.problem, len(own.allowed)
    members, sizes = own.members
    unit_of = np.empty(len(members), dtype=np.int64)
    unit_of[members] = np.repeat(np.arange(len(sizes)), sizes)
    first_of = np.cumsum(sizes) - sizes
    allowed = own.allowed[members[first_of]]
    cost = np.add.reduceat(own.cost[members], first_of, axis=0)
    use = np.add.reduceat(own.use[:, members], first_of, axis=1) if own.budgets else np.zeros((0, *cost.shape))
    fixed = own.use[:, groups:, 0].sum(axis=1)
    limit = np.array([budget.allowed for budget in own.budgets]) - fixed
    pairs = []
    for pair in problem.interactions:
        first, second = (int(unit_of[problem.place[name]]) for name in pair.groups)
        table = np.where(np.isfinite(pair.damage), pair.damage, 0.0).repeat(own.pools, axis=0).repeat(own.pools, axis=1)
        if first != second:
            pairs.append(Pair(first, second, table))
        elif problem.minimise == DAMAGE:
            cost[first] += np.diagonal(table)
        else:
            use[0, first] += np.diagonal(table)
    cost = np.where(allowed, cost, np.inf)
    constant = float(own.cost[groups:, 0].sum())
    return Units(own, cost, np.where(allowed, use, 0.0), limit, constant, tuple(pairs))
