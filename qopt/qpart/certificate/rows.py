"""Cuts with limits on time, energy, price or payload: several multipliers at once, and trees that a kernel finds.

Any multipliers lam_r >= 0 give a bound, ``base + sum_i min_c (cost + sum_r lam_r use_r)[i, c] - sum_r lam_r limit_r``.
Good ones are the duals of the linear relaxation. Where they leave a gap, the knapsack kernel is asked for a tree, which
is checked in exact arithmetic as a stranger's would be (`qopt.qpart.certificate.witness`): the kernel's word counts for
nothing.
"""

from __future__ import annotations

import math
import time
from fractions import Fraction

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.core.limits import limit_with_slack, within
from qopt.kernels import mckp
from qopt.kernels.knapsack.result import Result
from qopt.kernels.knapsack.rows_relaxation import Relaxation
from qopt.qpart.certificate.cuts import Cut, CutTable
from qopt.qpart.certificate.witness import check_tree

EPS = 2.0**-52

SEARCHED = 300_000
"""Partial choices that the kernel may look at for one cut: some seconds at most."""


class Answer(Brief):
    """What a kernel's tree proved of a cut.

    Attributes
    ----------
    proved : whether the tree shows that nothing below the target is there.
    choice : (n,) columns of a choice below the target that keeps all limits, if one was found.
    """

    def __init__(self, proved: bool, choice: IntArray | None = None) -> None:
        self.proved, self.choice = proved, choice


def may_bind(cut: Cut) -> bool:
    """Whether any limit on what a plan costs can be broken at a cut."""
    return any(row.fixed + float(row.use.max(axis=1, initial=0.0).sum()) > row.limit * (1.0 - 1e-9) for row in cut.more)


PENALTY = 1e3
"""Price of breaking a limit in the relaxation, as a multiple of what all items cost at the most."""


def relaxation_bound(cut: Cut, clock: Clock) -> float:
    """The Lagrangian bound (base excluded) at the multipliers of the linear relaxation, rounding subtracted.

    Minus infinity where the relaxation gives none.

    Parameters
    ----------
    cut : in whole bits.
    clock : which the relaxation keeps.
    """
    n, k = cut.cost.shape
    rows = [(use.ravel(), room) for use, room in _rows(cut) if math.isfinite(room)]
    if not rows or n == 0 or not all(np.all(np.isfinite(use)) for use, _ in rows):
        return -math.inf
    weight, room = np.stack([use for use, _ in rows]), np.array([room for _, room in rows])
    scale = np.maximum(np.abs(room), weight.max(axis=1))
    scale[scale == 0] = 1.0
    unit = float(np.abs(cut.cost).max()) or 1.0
    deadline = None if clock.left is None else time.perf_counter() + clock.left
    scaled = (weight / scale[:, None]).reshape(-1, n, k)
    found = Relaxation(cut.cost / unit, scaled, PENALTY * n, deadline).multipliers(room / scale)
    if found is None:
        return -math.inf
    lam = found * unit / scale
    least = (cut.cost + np.tensordot(lam, weight.reshape(-1, n, k), 1)).min(axis=1)
    paid = lam * room
    if not (np.all(np.isfinite(least)) and np.all(np.isfinite(paid))):
        return -math.inf
    gained, due = float(np.abs(least).sum()), float(np.abs(paid).sum())
    rounding = (24 + 2 * math.log2(n + 1) + len(lam)) * EPS * (gained + due)
    return math.fsum([*least.tolist(), *(-paid).tolist()]) - rounding


def _rows(cut: Cut) -> list[tuple[FloatArray, float]]:
    """Every limit of a cut: what items use, and what is left for them."""
    assert cut.noise is not None
    rows = [(cut.noise, cut.limit), (cut.storage, cut.memory)]
    # What is left is rounded: a hair more of it keeps the bound one.
    for row in cut.more:
        allowed = limit_with_slack(row.limit)
        rows.append((row.use, allowed - row.fixed + 2 * EPS * (abs(allowed) + row.fixed)))
    return rows


def search_below(table: CutTable, p: int, target: Fraction | None, labels: int, clock: Clock) -> Answer:
    """Look for a choice at a cut below a target, or prove by a tree that there is none.

    Parameters
    ----------
    p : the cut.
    target : objective that a plan must be below to be of interest; None: any plan is.
    labels : partial choices that may be looked at.
    """
    cost, noise, limit, stored, memory, offset, *more = table.knapsack(p)
    weights = np.array([noise, stored, *(use for use, _ in more)])
    limits = np.array([limit, memory, *(most for _, most in more)])
    asked = np.array(cost) if target is not None else np.zeros_like(np.array(cost))
    upper = math.inf if target is None else _upwards(target - Fraction(offset))
    try:
        found = mckp.solve(
            asked,
            weights,
            limits,
            upper=upper,
            on_grid=False,
            time_limit=clock.left,
            max_labels=min(labels, SEARCHED),
        )
    except InputError:  # numbers beyond the kernel's range
        found = Result("limit")
    clock.check()
    if found.choice is not None:
        cut = table.at(p)
        choice = found.choice[: cut.price.size]
        return Answer(False, choice if keeps_all(cut, choice) else None)
    if found.tree is None:
        return Answer(False)
    goal: Fraction | float = math.inf if target is None else target
    return Answer(check_tree(cost, noise, limit, stored, memory, found.tree, goal, offset, more).accepted)


def _upwards(value: Fraction) -> float:
    """The least float that is not below an exact value."""
    rounded = float(value)
    return rounded if rounded >= value else math.nextafter(rounded, math.inf)


def keeps_all(cut: Cut, choice: IntArray) -> bool:
    """Whether a choice of columns passes the exact test of every limit.

    Parameters
    ----------
    choice : (n,) columns.
    """
    assert cut.noise is not None
    each = np.arange(cut.price.size)
    for use, allowed in ((cut.noise, cut.limit), (cut.storage, cut.memory)):
        if math.isfinite(allowed) and math.fsum([*use[each, choice].tolist(), -allowed]) > 0:
            return False
    return all(within([row.fixed, *row.use[each, choice].tolist()], row.limit) for row in cut.more)
