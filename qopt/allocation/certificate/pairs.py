"""Lower bounds where pairs interact: the dual of the linearised problem, checked in exact arithmetic.

With x[g, f] whether group g takes format f and y[p, f, e] whether pair p = (g, h) takes formats f and e,

    minimise  sum d x + sum D y   subject to   sum_f x[g, f] = 1,   budgets on x,
              sum_e y[p, f, e] = x[g, f],   sum_f y[p, f, e] = x[h, e],   y >= 0.

For any multipliers lam_r >= 0 of the budgets and any mu of the marginals, every plan costs at least

    sum_g min_f (d + sum_r lam_r use_r + sum of g's mu)[g, f]  +  sum_p min_{f, e} (D[p, f, e] - mu_p1[f] - mu_p2[e])
        -  sum_r lam_r budget_r,

and at its maximum this is the linear relaxation's value, by duality. Multipliers come as a witness

    {"format": "qopt/allocation-witness", "version": 1, "kind": "pairs",
     "multipliers": {"rows": {name of a limit: lam}, "pairs": [[[mu_p1 by format], [mu_p2 by format]], ...]}}

with a pair of lists for each of the problem's interactions, in their order. Whoever made them, the bound is computed
here. A few plans are enumerated instead.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

from qopt.allocation.certificate.bounds import EXACT_RATE, Bound, broken_alone, knapsack_bound, needed, witness_part
from qopt.allocation.certificate.reading import Reading
from qopt.allocation.problem import Allocation
from qopt.core.clock import Clock
from qopt.core.limits import limit_with_slack

ENUMERATED = 20_000
"""Plans that are looked at one by one, where there are no more."""

LARGEST = 1e300
"""Greater multipliers are refused."""


def pairs_bound(
    problem: Allocation, reading: Reading, objective: float | None, witness: object, labels: int, clock: Clock
) -> Bound:
    """The best bound on every plan's damage; infinite where the budgets alone leave no plan."""
    heavy = broken_alone(reading, clock)
    if heavy is not None:
        return heavy
    pairs = len(problem.interactions) * len(problem.formats) ** 2
    if not clock.affords(reading.size + 4 * pairs, EXACT_RATE):
        return Bound()
    given, notes = witness_part(witness, "pairs", "multipliers") if objective is not None else (None, ())
    rows, duals = _multipliers(problem, reading, given)
    if given is not None and rows is None:
        notes = ("witness rejected: multipliers that are not numbers, one list for each side of each pair",)
    best = Bound(_dual(problem, reading, rows or {}, duals), "lp-dual", notes)
    if objective is not None and best.value is not None and best.value >= needed(objective):
        return best
    exact = _least_of_all(problem, reading, clock)
    if exact is not None:
        return Bound(exact, "enumeration", notes)
    if objective is None:
        none = knapsack_bound(reading, None, witness, labels, clock, costly=False)
        if none.value == math.inf:
            return none
    return best


def _multipliers(
    problem: Allocation, reading: Reading, given: object
) -> tuple[dict[str, Fraction] | None, list[tuple[list[Fraction], list[Fraction]]]]:
    """Multipliers as exact numbers: those given where they are some, else zeros (rows None)."""
    k = len(problem.formats)
    zeros = [([Fraction(0)] * k, [Fraction(0)] * k) for _ in problem.interactions]
    match given:
        case {"rows": dict() as rows, "pairs": list() as pairs} if len(pairs) == len(zeros):
            pass
        case _:
            return None, zeros
    numbers = [x for pair in pairs if isinstance(pair, list) for side in pair if isinstance(side, list) for x in side]
    shaped = all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(side, list) and len(side) == k for side in pair)
        for pair in pairs
    )
    good = all(type(x) in (int, float) and abs(x) <= LARGEST for x in [*numbers, *rows.values()])
    if not shaped or not good or any(x < 0 for x in rows.values()) or not set(rows) <= set(reading.names):
        return None, zeros
    exact = [(list(map(Fraction, first)), list(map(Fraction, second))) for first, second in pairs]
    return {name: Fraction(x) for name, x in rows.items()}, exact


def _dual(
    problem: Allocation,
    reading: Reading,
    rows: dict[str, Fraction],
    duals: list[tuple[list[Fraction], list[Fraction]]],
) -> Fraction:
    """The bound of some multipliers, exactly."""
    pools = reading.cost.shape[1] // len(problem.formats)
    price = [list(map(Fraction, row)) for row in reading.cost.tolist()]
    paid = Fraction(0)
    for name, weight, limit, whole in zip(reading.names, reading.weight, reading.limit, reading.whole, strict=True):
        lam = rows.get(name, Fraction(0))
        if lam:
            paid += lam * Fraction(limit if whole else limit_with_slack(limit))
            for at, row in enumerate(weight.tolist()):
                price[at] = [p + lam * Fraction(w) for p, w in zip(price[at], row, strict=True)]
    total = -paid
    stands, together = _standing(problem, reading), {g: t for t, tie in enumerate(reading.ties) for g in tie}
    for pair, sides in zip(problem.interactions, duals, strict=True):
        first, second = (problem.place[name] for name in pair.groups)
        values = pair.damage.tolist()
        if first in together and together[first] == together.get(second):  # one format for both: no pair at all
            own = [Fraction(values[f][f]) for f in stands[first]]
            price[first] = [p + own[c // pools] for c, p in enumerate(price[first])]
            continue
        for g, side in zip((first, second), sides, strict=True):
            price[g] = [p + side[stands[g][c // pools]] for c, p in enumerate(price[g])]
        total += min(
            Fraction(values[f][e]) - sides[0][f] - sides[1][e]
            for f in sorted(set(stands[first]))
            for e in sorted(set(stands[second]))
        )
    tied = {g for tie in reading.ties for g in tie}
    for group in [*reading.ties, *((g,) for g in range(len(price)) if g not in tied)]:
        total += min(sum(column, Fraction(0)) for column in zip(*(price[g] for g in group), strict=True))
    return total


def _standing(problem: Allocation, reading: Reading) -> list[list[int]]:
    """The format behind each format's column of every group: itself, or the first on its menu."""
    on = np.isfinite(problem.damage)
    for tie in reading.ties:
        on[list(tie)] = on[list(tie)].all(axis=0)
    found: list[list[int]] = np.where(on, np.arange(on.shape[1]), np.argmax(on, axis=1)[:, None]).tolist()
    return found


def _least_of_all(problem: Allocation, reading: Reading, clock: Clock) -> Fraction | float | None:
    """The least damage of all plans, exactly, each looked at; infinite if none keeps the budgets.

    None if there are too many, or no time for all.
    """
    k, n = len(problem.formats), len(problem.groups)
    pools = reading.cost.shape[1] // k
    tied = {g for tie in reading.ties for g in tie}
    units = [*reading.ties, *((g,) for g in range(n) if g not in tied)]
    menus, stands = [], _standing(problem, reading)
    for unit in units:
        formats = sorted(set(stands[unit[0]]))
        menus.append([f * pools + p for f in formats for p in range(pools)])
    if math.prod(len(menu) for menu in menus) > ENUMERATED:
        return None
    cost = [list(map(Fraction, row)) for row in reading.cost.tolist()]
    weights = [[list(map(Fraction, row)) for row in weight.tolist()] for weight in reading.weight]
    allowed = [
        Fraction(x if whole else limit_with_slack(x)) for x, whole in zip(reading.limit, reading.whole, strict=True)
    ]
    pairs = [
        (problem.place[first], problem.place[second], [list(map(_exact, row)) for row in pair.damage.tolist()])
        for pair in problem.interactions
        for first, second in [pair.groups]
    ]
    best: Fraction | float = math.inf
    for taken in itertools.product(*menus):
        if clock.over:
            return None
        column = [0] * len(reading.cost)
        for unit, c in zip(units, taken, strict=True):
            for g in unit:
                column[g] = c
        if any(sum(w[i][c] for i, c in enumerate(column)) > x for w, x in zip(weights, allowed, strict=True)):
            continue
        value = sum((cost[i][c] for i, c in enumerate(column)), Fraction(0))
        value += sum((table[column[a] // pools][column[b] // pools] for a, b, table in pairs), Fraction(0))
        best = min(best, value)
    return best


def _exact(value: float) -> Fraction:
    return Fraction(value) if math.isfinite(value) else Fraction(0)
