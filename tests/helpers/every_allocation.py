"""Every plan of a small allocation, in rationals, straight from the tables: shares no code with the package."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

from qopt.allocation.problem import Allocation

Taken = tuple[tuple[int, int], ...]
"""Format and pool of each group, by index."""


def plans(problem: Allocation) -> Iterator[Taken]:
    """Every choice of formats on the menus and of pools that keeps the ties."""
    n, k = problem.damage.shape
    pools = 1 if problem.pools is None else len(problem.pools.budgets)
    tie_of = {name: t for t, tie in enumerate(problem.ties) for name in tie}
    free = [g for g, name in enumerate(problem.groups) if name not in tie_of]
    units = [[g] for g in free] + [[problem.groups.index(name) for name in tie] for tie in problem.ties]
    choices = [
        [(f, p) for f in range(k) if all(math.isfinite(problem.damage[g, f]) for g in unit) for p in range(pools)]
        for unit in units
    ]
    for combination in itertools.product(*choices):
        taken = [(0, 0)] * n
        for unit, item in zip(units, combination, strict=True):
            for g in unit:
                taken[g] = item
        yield tuple(taken)


def damage(problem: Allocation, taken: Taken) -> Fraction:
    """Of groups and pairs."""
    total = sum((Fraction(float(problem.damage[g, f])) for g, (f, _) in enumerate(taken)), Fraction(0))
    for pair in problem.interactions:
        first, second = (taken[problem.groups.index(name)][0] for name in pair.groups)
        total += Fraction(float(pair.damage[first, second]))
    return total


def used(problem: Allocation, name: str, taken: Taken, pool: int | None = None) -> Fraction:
    """Of a resource, in all or in one pool."""
    resource = problem.resources[name]
    total = Fraction(resource.fixed) if pool in (None, 0) else Fraction(0)
    for g, (f, p) in enumerate(taken):
        table = resource.use
        if problem.pools is not None:
            table = problem.pools.use.get(name, {}).get(list(problem.pools.budgets)[p], table)
        if pool in (None, p):
            total += Fraction(float(table[g, f]))
    return total


def keeps(problem: Allocation, taken: Taken) -> bool:
    """Every limit: of whole numbers to the last unit, of others with 1e-12 of slack."""

    def within(amount: Fraction, limit: float | None, whole: bool) -> bool:
        if limit is None:
            return True
        return amount <= (Fraction(limit) if whole else Fraction(limit * (1 + 1e-12 if limit >= 0 else 1 - 1e-12)))

    whole = {name: all(x == int(x) for x in r.use.ravel() if math.isfinite(x)) for name, r in problem.resources.items()}
    good = within(damage(problem, taken), problem.damage_limit, False)
    for name, resource in problem.resources.items():
        good = good and within(used(problem, name, taken), resource.budget, whole[name])
    if problem.pools is not None:
        held = problem.pools.resource
        for p, budget in enumerate(problem.pools.budgets.values()):
            good = good and within(used(problem, held, taken, p), budget, whole[held])
    return good


def least(problem: Allocation) -> Fraction | None:
    """The optimum; None if no plan keeps the limits."""
    best: Fraction | None = None
    for taken in plans(problem):
        value = damage(problem, taken) if problem.minimise == "damage" else used(problem, problem.minimise, taken)
        if (best is None or value < best) and keeps(problem, taken):
            best = value
    return best
