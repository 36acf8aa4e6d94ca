"""Lower bounds for placements: minimum cuts, each proved by a flow in exact arithmetic.

Without limits on memory and latency one operator's problem is a minimum cut, and a flow proves it
(`qopt.kernels.checker`, class Cut). Limits enter by Lagrange multipliers, which is still a minimum cut; where
its bound falls short, the tiers of an operation are divided, and each part has its own. So the proof for an operator is
a tree, a list of nodes in preorder:

    ["split", operation, tiers]     first subtree: the operation runs on one of these tiers; second: on another
    ["leaf" or "part", share, multipliers, labels, flow]
                                    share 1: the bound of the relaxed costs; share 0: nothing keeps the limits
                                    multipliers: {name of a row: number >= 0}; `qopt.placement.rows.Limit.named`
                                    labels, flow: as in the kernel's witness of kind "cut", node 0 the raw input;
                                    of a "part" for what is left of the network (`qopt.placement.narrow`)
    ["plan"]                        every operation has one tier left: that plan's cost, if it keeps the limits

The last is for plans that break a limit by less than the rounding of a flow: they are put to the exact test.
A whole witness is {"format": "qopt/placement-witness", "version": 1, "operators": {name: tree}} with a tree for every
operator that reaches the accuracy target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.errors import QoptError
from qopt.core.limits import limit_with_slack
from qopt.kernels import mincut
from qopt.kernels.arguments import LARGEST
from qopt.kernels.checker import GAP, check
from qopt.kernels.cuts.data import Tensor
from qopt.placement.costs import CHECK_RATE, Labelling, paid
from qopt.placement.narrow import followed, part_of
from qopt.placement.problem import Placement
from qopt.placement.rows import Limit, narrowed, relaxed
from qopt.placement.terms import Terms

ENUMERATED = 5_000
"""Plans of one operator that the certificate looks at itself, where limits leave a gap and no witness closes it."""

LEAST, MOST = 1e-290, 1e300
"""Sizes of relaxed costs, other than 0, whose rounding `relaxed` covers."""

MAX_NODES = 200_000
"""Nodes of a tree that are looked at."""


class WitnessRefused(QoptError):
    """What is wrong with a witness, in a line."""


def cut_instance(costs: Labelling) -> dict[str, object]:
    """Costs of labels as an instance file of the kernel; null is what is forbidden."""

    def plain(rows: FloatArray) -> list[list[float | None]]:
        return [[None if math.isinf(x) else x for x in row] for row in rows.tolist()]

    tensors = zip(costs.producer, costs.readers, plain(costs.weight), strict=True)
    return {
        "format": "qopt/kernel-instance",
        "version": 1,
        "kind": "cut",
        "labels": costs.unary.shape[1],
        "unary": plain(costs.unary),
        "tensors": [[u, list(readers), weights] for u, readers, weights in tensors],
    }


def leaf_bound(
    costs: Labelling,
    rows: tuple[Limit, ...],
    share: float,
    multipliers: list[float],
    labels: object,
    flow: object,
    gap: float = GAP,
) -> Fraction | float:
    """What the flow of one leaf proves: a lower bound on every plan's cost, infinite where there is no plan.

    A flow that falls short of its labels' cost by more than the gap is refused.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        priced = relaxed(costs, rows, multipliers, share)
    for given, found in ((costs.unary, priced.unary), (costs.weight, priced.weight)):
        # Beyond these, rounding is no longer relative: an infinite entry would read as forbidden.
        entries = np.abs(found[np.isfinite(given)])
        if not np.all((entries == 0.0) | ((entries >= LEAST) & (entries <= MOST))):
            raise WitnessRefused(f"multipliers that make costs below {LEAST:g} or above {MOST:g}")
    instance = cut_instance(priced)
    witness = {"format": "qopt/kernel-witness", "version": 1, "kind": "cut", "labels": labels, "flow": flow}
    verdict = check(instance, witness, gap=gap)
    if not verdict.accepted:
        raise WitnessRefused(verdict.reason)
    if verdict.bound is None:
        return math.inf
    limit = sum(
        (Fraction(m) * Fraction(limit_with_slack(row.limit)) for m, row in zip(multipliers, rows, strict=True)),
        Fraction(0),
    )
    bound: Fraction = verdict.bound - limit
    if share == 0:
        if bound <= 0:
            raise WitnessRefused("a leaf of share 0 that proves nothing")
        return math.inf
    return bound


def tree_bound(
    problem: Placement, own: Terms, costs: Labelling, rows: tuple[Limit, ...], tree: object, clock: Clock = ENDLESS
) -> Fraction | float:
    """What a tree proves of one operator.

    Raises
    ------
    WitnessRefused
        It is not a proof.
    OutOfTime
        There is no time to follow it to its end.
    """
    if not isinstance(tree, list) or len(tree) > MAX_NODES:
        raise WitnessRefused(f"the tree is not a list of at most {MAX_NODES} nodes")
    node = {name: v for v, name in enumerate(own.names, start=1)}
    number = {name: k for k, name in enumerate(problem.tier_names)}
    waiting: list[BoolArray] = [np.ones(costs.unary.shape, dtype=bool)]
    least: Fraction | float = math.inf
    for entry in tree:
        if not waiting:
            raise WitnessRefused("the tree goes on after its end")
        here = waiting.pop()
        match entry:
            case ["split", str() as name, list() as tiers] if name in node:
                inside = np.isin(np.arange(len(number)), [_known(number, tier) for tier in tiers])
                first, second = here.copy(), here.copy()
                first[node[name]] &= inside
                second[node[name]] &= ~inside
                waiting += [second, first]
            case [("leaf" | "part") as kind, (0 | 1) as share, dict() as given, labels, flow] if type(share) is int:
                singles, multipliers = _multiplied(rows, given)
                if kind == "part":
                    here = followed(costs, here)
                    if not here.any(axis=1).all():  # nothing is left
                        continue
                part, singles = narrowed(costs, singles, here)
                if kind == "part":
                    left = part_of(part, singles)
                    part, singles = left.costs, left.rows
                _afford(part, clock)
                bound = leaf_bound(part, singles, float(share), multipliers, labels, flow)
                least = bound if bound < least else least
            case ["plan"]:
                part = replace(costs, unary=np.where(followed(costs, here), costs.unary, np.inf))
                least = min(least, _last_plan(part, rows))
            case _:
                raise WitnessRefused("a node that is neither a split nor a leaf")
    if waiting:
        raise WitnessRefused("the tree ends early")
    return least


def _multiplied(rows: tuple[Limit, ...], given: dict[str, object]) -> tuple[tuple[Limit, ...], list[float]]:
    """The single rows that a leaf names, and their multipliers."""
    singles: list[Limit] = []
    multipliers: list[float] = []
    for name, value in given.items():
        row = next((found for limit in rows if (found := limit.named(name)) is not None), None)
        if row is None or type(value) not in (int, float) or not 0 <= value <= 1e300:  # type: ignore[operator]
            known = ", ".join(limit.name for limit in rows) or "none"
            raise WitnessRefused(f"a multiplier that is not a number >= 0 of one of {known}")
        singles.append(row)
        multipliers.append(float(value))  # type: ignore[arg-type]
    return tuple(singles), multipliers


def _last_plan(costs: Labelling, rows: tuple[Limit, ...]) -> Fraction | float:
    """Cost of the only labels that are left; infinite where there are none or they break something."""
    left = np.isfinite(costs.unary)
    if np.any(left.sum(axis=1) > 1):
        raise WitnessRefused("a leaf of one plan where more are left")
    return _value(costs, rows, np.argmax(left, axis=1).tolist()) if left.any(axis=1).all() else math.inf


def _afford(costs: Labelling, clock: Clock) -> None:
    """Raise `OutOfTime` where there is no time to check a flow."""
    if not clock.affords(costs.size, CHECK_RATE):
        raise OutOfTime("there is no time to check a flow")


def _known(number: dict[str, int], tier: object) -> int:
    if not isinstance(tier, str) or tier not in number:
        raise WitnessRefused("a split with an unknown tier")
    return number[tier]


def cheap_bound(costs: Labelling) -> Fraction:
    """What every operation costs on its cheapest tier, and no tensor anything: a bound in no time."""
    least = costs.unary.min(axis=1)
    total = math.fsum(least[np.isfinite(least)].tolist())  # rounded once
    return Fraction(math.nextafter(total, -math.inf))


def own_bound(costs: Labelling, rows: tuple[Limit, ...], clock: Clock = ENDLESS) -> Fraction | float | None:
    """A bound without a witness: the minimum cut without limits, and whether a limit alone rules out all plans.

    The kernel finds the flows; each is checked as a stranger's would be. None: no flow was accepted. Raises `OutOfTime`
    where there is no time for the first; later ones are left out.
    """
    rows = tuple(row.member(0, (-1,) * len(row.groups)) for row in rows)
    costs, rows = narrowed(costs, rows, np.isfinite(costs.unary))
    tests = [(1.0, [0.0] * len(rows))]
    tests += [(0.0, [1.0 if row is other else 0.0 for other in rows]) for row in rows]
    stored = [1.0 if row.name != "latency" else 0.0 for row in rows]
    if sum(stored) == costs.unary.shape[1] > 1:
        tests.append((0.0, stored))
    bound: Fraction | float | None = None
    for share, multipliers in tests:
        try:
            _afford(costs, clock)
        except OutOfTime:
            if bound is None:
                raise
            break
        left = clock.left  # a flow that is broken off is one, and proves less
        spare = None if left is None else max(left - costs.size / CHECK_RATE, 0.0)
        found = mincut.solve(*_kernel(relaxed(costs, rows, multipliers, share)), time_limit=spare)
        proof = found.witness()
        try:
            gap = LARGEST if found.late else GAP
            proved = leaf_bound(costs, rows, share, multipliers, proof["labels"], proof["flow"], gap)
        except WitnessRefused:
            continue
        bound = proved if bound is None else max(bound, proved)
    return bound


def least_of_all(
    costs: Labelling, rows: tuple[Limit, ...], most: int = ENUMERATED, clock: Clock = ENDLESS
) -> Fraction | float | None:
    """The cheapest labels that keep the limits, by looking at all; infinite if none do, None if there are too many.

    Raises `OutOfTime` where there is no time for all.
    """
    n = len(costs.unary)
    below: list[list[int]] = [[] for _ in range(n)]
    for u, readers in zip(costs.producer, costs.readers, strict=True):
        for r in readers:
            if u < r:  # groups have orders backwards too: checked on whole labellings
                below[r].append(u)
    allowed = [np.flatnonzero(row).tolist() for row in np.isfinite(costs.unary)]
    labellings: list[list[int]] = [[]]
    for v in range(n):
        clock.check()
        labellings = [[*at, k] for at in labellings for k in allowed[v] if all(at[u] <= k for u in below[v])]
        if len(labellings) > most:  # every one of them can go on: with the last tier, unless a pin forbids it
            return None
    return min((_value(costs, rows, at) for at in clock.watching(labellings)), default=math.inf)


def _value(costs: Labelling, rows: tuple[Limit, ...], at: list[int]) -> Fraction | float:
    """Cost of labels; infinite where they break an order or a limit."""
    for u, readers in zip(costs.producer, costs.readers, strict=True):
        if any(at[r] < at[u] for r in readers):
            return math.inf
    cost = math.fsum(paid(costs, at))
    if cost == math.inf or not all(row.keeps(costs, at) for row in rows):
        return math.inf
    return Fraction(cost)


def _kernel(costs: Labelling) -> tuple[FloatArray, Sequence[Tensor]]:
    return costs.unary, costs.rows
