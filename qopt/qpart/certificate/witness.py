"""Checks a witness of a QPART plan: for each cut a proof that no choice of whole widths there is better.

A choice at a cut is a multiple-choice knapsack: one column for each item i, costs cost[i][c], noise[i][c] within a
limit, stored[i][c] within a memory. Its proof is a *tree* that divides the choices into leaves with multipliers, a list
of nodes in preorder:

``["split", i, columns]``
    The first subtree that follows restricts item i to these columns, the second to the rest of what was allowed.
``["leaf", a, lam, mu, nu_1, ...]``
    By Lagrange, every choice in the leaf that keeps all limits has
    ``a cost >= sum_i min_c (a cost + lam noise + mu stored + sum_r nu_r use_r)[i][c] - lam limit - mu memory
    - sum_r nu_r limit_r``, with one nu for each limit on time, energy, price and payload that the request gives, in
    this order. (What the cut uses of them whatever the widths is a last item of one choice.)
    With a = 1 the offset and this bound must reach the target; with a = 0 it must be positive: 0 > 0, so the leaf
    holds no feasible choice. A limit that is not there takes no multiplier but 0.

These are trees of `qopt.kernels.checker` for a knapsack of several rows, and it follows them: exact rationals,
the standard library, and limits with their slack. Whatever a witness contains, the answer is a `Judgement`, never an
exception.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from qopt.kernels import checker

FORMAT, VERSION = "qopt/qpart-witness", 1
MOST = Fraction(sys.float_info.max)


class Judgement(NamedTuple):
    """The answer: whether the proof holds, the least bound of its leaves (infinite: nothing feasible), and why not."""

    accepted: bool
    bound: float | None
    reason: str


Rows = Sequence[Sequence[float]]
Limit = tuple[Rows, float]
"""What items use of a limit at each choice, and the limit."""
KnapsackData = tuple[Any, ...]
"""cost, noise, limit, stored, memory, offset, and then a `Limit` for each limit on what the plan costs."""


def check_tree(
    cost: Rows,
    noise: Rows,
    limit: float,
    stored: Rows,
    memory: float,
    tree: object,
    target: Fraction | float,
    offset: float = 0.0,
    more: Sequence[Limit] = (),
) -> Judgement:
    """Check that every feasible choice costs at least `target`.

    Parameters
    ----------
    cost, noise, stored : a row for each item, a column for each choice.
    limit, memory : what noise and stored may add up to, before the slack that every limit has; infinite where there is
        no such row.
    tree : the untrusted proof.
    target : what offset + cost must reach, exactly; infinite claims that nothing is feasible.
    offset : added to every choice's cost.
    more : rows beside noise and memory, and their limits.
    """
    try:
        problem = _problem(cost, noise, limit, stored, memory, more)
    except checker.Refused as why:
        return Judgement(False, None, str(why))
    return _judged(problem, tree, target, offset)


def check_witness(
    knapsack: Callable[[int], KnapsackData],
    cuts: Collection[int],
    witness: object,
    target: Fraction | float,
    closed: Collection[int] = (),
) -> Judgement:
    """Check a witness: a tree for each cut, or a cut that needs none.

    Parameters
    ----------
    knapsack : data of the choice at a cut, as `check_tree` takes them.
    cuts : every admissible cut. One without a tree must be out at multiplier 0 or by its least noise or memory.
    witness : the untrusted proof.
    target : what every plan must cost at least.
    closed : cuts known to be out already; a tree that is there is checked all the same.
    """
    if type(witness) is not dict or witness.get("format") != FORMAT or type(witness.get("cuts")) is not dict:
        return Judgement(False, None, f"not an object of format {FORMAT} with cuts")
    if type(witness.get("version")) is not int or witness["version"] != VERSION:
        return Judgement(False, None, f"a version other than {VERSION}")
    trees, names = witness["cuts"], {str(p): p for p in cuts}
    if any(key not in names for key in trees):
        return Judgement(False, None, "a tree for a cut that is not admissible")
    least = math.inf
    for name, p in names.items():
        if name not in trees and p in closed:
            continue
        cost, noise, limit, stored, memory, offset, *more = knapsack(p)
        try:
            problem = _problem(cost, noise, limit, stored, memory, more)
        except checker.Refused as why:
            return Judgement(False, None, f"cut {p}: {why}")
        attempts = [trees[name]] if name in trees else _single_leaves(2 + len(more))
        verdicts = [_judged(problem, tree, target, offset) for tree in attempts]
        accepted = [v.bound for v in verdicts if v.accepted and v.bound is not None]
        if not accepted:
            why_not = verdicts[0].reason if name in trees else "no tree, and it is not out by itself"
            return Judgement(False, None, f"cut {p}: {why_not}")
        least = min(least, max(accepted))
    return Judgement(True, least, "")


def _single_leaves(rows: int) -> list[object]:
    """Trees of one leaf: the cost alone, and each row alone."""
    return [[["leaf", int(k == 0), *(int(k == r + 1) for r in range(rows))]] for k in range(rows + 1)]


def _problem(
    cost: Rows, noise: Rows, limit: float, stored: Rows, memory: float, more: Sequence[Limit]
) -> checker.Knapsack:
    """The knapsack of all rows; a row whose limit is infinite has none."""
    weights, limits = [noise, stored, *(use for use, _ in more)], [limit, memory, *(most for _, most in more)]
    return checker.Knapsack({"cost": cost, "weight": weights, "limit": [None if math.isinf(x) else x for x in limits]})


def _judged(problem: checker.Knapsack, tree: object, target: Fraction | float, offset: float) -> Judgement:
    """Whether a tree reaches the target."""
    try:
        found = checker.tree_bound(problem, tree)
    except checker.Refused as why:
        return Judgement(False, None, str(why))
    if found is None:
        return Judgement(True, math.inf, "")
    bound = Fraction(offset) + found
    if bound < target:
        return Judgement(False, None, f"its bound of {_downward(bound):.12g} does not reach {float(target):.12g}")
    return Judgement(True, _downward(bound), "")


def _downward(value: Fraction) -> float:
    """The largest float that is not above an exact value; minus infinity below all."""
    if abs(value) > MOST:
        return float(MOST) if value > 0 else -math.inf
    rounded = float(value)
    return rounded if rounded <= value else math.nextafter(rounded, -math.inf)
