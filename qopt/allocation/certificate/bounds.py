"""Lower bounds on every plan of an allocation without pairs, each from the table and a proof that is checked here.

One budget: the best multiplier, and where it leaves a gap an enumeration of what may still be better
(`qopt.allocation.certificate.closing`). Several budgets, or an enumeration that got too large: a tree of multipliers,
the witness's or one that the kernel finds when it is asked here, checked in exact arithmetic either way
(`qopt.kernels.checker`). A witness is

    {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": [...]}

and its tree is that of a kernel's witness of kind "mckp" for the columns of `qopt.allocation.certificate.reading`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qopt.allocation.certificate import closing
from qopt.allocation.certificate.reading import Reading
from qopt.core.arrays import FloatArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.kernels import mckp
from qopt.kernels.checker import Refused, tree_bound
from qopt.kernels.knapsack.result import Result

TOLERANCE = 1e-9
"""`proved` allows this share of the objective."""

SEARCHED = 100_000
"""Partial choices that the kernel may look at where it is asked here: about a second."""

EXACT_RATE = 100_000
"""Numbers of a table that are taken into exact arithmetic, and a tree's leaf with them, in a second: that cannot be
stopped, and is not begun where there is less time."""

FORMAT, VERSION = "qopt/allocation-witness", 1


@dataclass(frozen=True, repr=False)
class Bound(Brief):
    """What was proved.

    Attributes
    ----------
    value : every plan costs at least so much, exactly; infinite: there is no plan; None: nothing is proved.
    kind : of the proof.
    notes : remarks.
    """

    value: Fraction | float | None = None
    kind: str | None = None
    notes: tuple[str, ...] = ()


def needed(objective: float) -> Fraction:
    """What a bound must reach to prove an objective."""
    return Fraction(objective) - Fraction(TOLERANCE) * abs(Fraction(objective))


def witness_part(witness: object, kind: str, field: str) -> tuple[object, tuple[str, ...]]:
    """What a witness of some kind says in a field; None, and why, where it is no such witness."""
    if witness is None:
        return None, ()
    if not isinstance(witness, dict) or witness.get("format") != FORMAT:
        return None, (f"witness rejected: not an object of format {FORMAT}",)
    if type(witness.get("version")) is not int or witness["version"] != VERSION:
        return None, (f"witness rejected: a version other than {VERSION}",)
    if witness.get("kind") != kind or field not in witness:
        return None, (f"witness rejected: not of kind {kind} with {field}",)
    return witness[field], ()


def relaxations(reading: Reading) -> list[Reading]:
    """Knapsacks of one row that every plan keeps too: each row alone, and all pools together."""
    found = [
        Reading(reading.cost, (name,), (weight,), (limit,), (whole,), reading.ties, reading.groups)
        for name, weight, limit, whole in zip(reading.names, reading.weight, reading.limit, reading.whole, strict=True)
    ]
    if not found:
        return [reading]
    pools = [r for r, name in enumerate(reading.names) if name.startswith("pool ")]
    if len(pools) > 1 and all(reading.whole[r] for r in pools):  # whole, so that the sums are exact
        weight = np.add.reduce([reading.weight[r] for r in pools])
        grid = int(np.gcd.reduce(weight[: reading.groups].astype(np.int64).ravel())) or 1
        limit = 0.0
        for r in pools:  # what lies in a pool beside the fixed is a multiple of the grid, in each pool for itself
            fixed = float(reading.weight[r][reading.groups :, 0].sum())
            limit += fixed + (reading.limit[r] - fixed) // grid * grid
        found.append(Reading(reading.cost, ("all pools",), (weight,), (limit,), (True,), reading.ties, reading.groups))
    return found


def broken_alone(reading: Reading, clock: Clock) -> Bound | None:
    """That there is no plan, where one row alone shows it; None also where the clock is over before all are seen."""
    for relaxed in relaxations(reading):
        if clock.over:
            return None
        heavy = too_heavy(relaxed)
        if heavy is not None:
            return Bound(math.inf, "lagrangian", (f"even the lightest formats break {heavy}",))
    return None


def too_heavy(reading: Reading) -> str | None:
    """A row that even the lightest items break, exactly; None if each alone can be kept."""
    _, merged, allowed = reading.merged()
    for name, weight, summed, limit in zip(reading.names, reading.weight, merged, allowed, strict=True):
        rounding = float(np.abs(weight).max(axis=1).sum()) * (len(weight) + 8) * closing.EPSILON
        least = float(summed.min(axis=1).sum())
        if abs(least - limit) > rounding:
            if least > limit:
                return name
            continue
        exact = sum((_lightest(weight, group) for group in _groups(reading)), Fraction(0))
        if exact > Fraction(limit):
            return name
    return None


def _lightest(weight: FloatArray, group: tuple[int, ...]) -> Fraction:
    """The least that tied classes weigh together."""
    rows = [list(map(Fraction, weight[g].tolist())) for g in group]
    return min(sum(column, Fraction(0)) for column in zip(*rows, strict=True))


def knapsack_bound(
    reading: Reading, objective: float | None, witness: object, labels: int, clock: Clock, costly: bool = True
) -> Bound:
    """The best bound that is proved within an effort.

    Parameters
    ----------
    objective : what the bound should reach; None: any bound, and above all whether there is no plan.
    witness : untrusted.
    labels : sums that a proof of our own may make.
    costly : whether costs count; without them only the claim that there is no plan.
    """
    heavy = broken_alone(reading, clock)
    if heavy is not None:
        return heavy
    notes: tuple[str, ...] = ()
    best = Bound()
    if costly:
        for relaxed in relaxations(reading):
            if clock.over:
                return best
            best = better(best, _one_row(relaxed, objective, labels, clock))
            if objective is not None and _reaches(best, objective):
                return best
        if len(reading.weight) == 0 or (len(reading.weight) == 1 and objective is None):
            return best
    tree, notes = witness_part(witness, "tree", "tree")
    if tree is not None and clock.affords(reading.size, EXACT_RATE):
        try:
            target = None if objective is None else needed(objective)
            found = tree_bound(reading.exact(costly), tree, target)
            value: Fraction | float = math.inf if found is None else found
            if costly or found is None:
                best = better(best, Bound(value, "witness" if _nodes(tree) > 1 else "lagrangian"))
        except Refused as why:
            notes = (f"witness rejected: {why}",)
    if objective is None or not _reaches(best, objective):
        best = better(best, _searched(reading, labels, clock, costly))
    return Bound(best.value, best.kind, notes)


def _nodes(tree: object) -> int:
    return len(tree) if isinstance(tree, list) else 0


def _reaches(bound: Bound, objective: float) -> bool:
    return bound.value is not None and bound.value >= needed(objective)


def better(first: Bound, second: Bound) -> Bound:
    """The higher of two bounds."""
    if second.value is None or (first.value is not None and first.value >= second.value):
        return first
    return second


def _one_row(reading: Reading, objective: float | None, labels: int, clock: Clock) -> Bound:
    """Without a row the least of every class; with one its multiplier, then what enumeration adds."""
    cost, weights, allowed = reading.merged()
    if not weights:
        least = sum((_lightest(reading.cost, group) for group in _groups(reading)), Fraction(0))
        return Bound(least, "enumeration")
    weight, limit = weights[0], allowed[0]
    with np.errstate(over="ignore", invalid="ignore"):
        dual = closing.best_multiplier(cost, weight, limit)
        if not math.isfinite(dual.bound):
            return Bound()
        root = Bound(Fraction(dual.bound), "lagrangian")
        if objective is None or _reaches(root, objective):
            return root
        deadline = None if clock.left is None else time.perf_counter() + clock.left
        found = closing.enumerate_below(
            cost, weight, limit, objective, dual, exact=reading.whole[0], labels=labels, deadline=deadline
        )
    if not found.complete or not math.isfinite(found.bound):
        return root
    return better(root, Bound(Fraction(found.bound), "enumeration"))


def _groups(reading: Reading) -> list[tuple[int, ...]]:
    tied = {g for tie in reading.ties for g in tie}
    return [*reading.ties, *((g,) for g in range(len(reading.cost)) if g not in tied)]


def _searched(reading: Reading, labels: int, clock: Clock, costly: bool) -> Bound:
    """What the kernel finds when it is asked here; its tree is checked as a stranger's would be."""
    if not reading.weight or not clock.affords(reading.size, EXACT_RATE):
        return Bound()
    found = _asked(reading, labels, clock, costly, 0.0)
    lp_bound = found.details.get("lp_bound")
    if found.tree is None and costly and found.objective and isinstance(lp_bound, float) and not clock.over:
        # Too large: the relaxation's own leaf, which a search that may stop at its gap hands back.
        gap = 1.01 * abs(found.objective - lp_bound) / abs(found.objective) + TOLERANCE
        found = _asked(reading, labels, clock, costly, gap)
    if found.tree is None or (not costly and found.status != "infeasible"):
        return Bound()
    target = None if found.objective is None else needed(found.objective)
    try:
        value = tree_bound(reading.exact(costly), found.tree, target)
    except Refused:
        return Bound()
    return Bound(math.inf if value is None else value, "witness" if len(found.tree) > 1 else "lagrangian")


def _asked(reading: Reading, labels: int, clock: Clock, costly: bool, gap: float) -> Result:
    limit = [(x + 0.5) * (1.0 - 1e-12) if whole else x for x, whole in zip(reading.limit, reading.whole, strict=True)]
    cost = reading.cost if costly else np.zeros_like(reading.cost)
    try:
        return mckp.solve(
            cost,
            np.stack(reading.weight),
            np.array(limit),
            ties=[list(tie) for tie in reading.ties] or None,
            gap=gap,
            time_limit=None if clock.left is None else max(clock.left - reading.size / EXACT_RATE, 0.0),
            max_labels=min(labels, SEARCHED),
        )
    except InputError:  # numbers beyond the kernel's range
        return Result("limit")
