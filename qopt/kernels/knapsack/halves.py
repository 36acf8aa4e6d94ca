"""Good choices where many fit nearly: some classes in two halves, all sums of each, and the best pair of them.

E. Horowitz and S. Sahni, Computing partitions with applications to the knapsack problem, Journal of the ACM 21 (1974).
Of the classes that a relaxation is least sure of, a few are drawn; all others stay as they are. Two lists of some
10^5 sums are as good as 10^10 choices: over real numbers, where no two sums are equal, one of them fills the limit
nearly to the last digit.
"""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.knapsack.incumbent import Incumbent

ITEMS = 4
"""Of a class: those of least reduced cost."""

SUMS = 1 << 18
"""Of each half: 2 MB an array, some hundredths of a second."""

JITTER = 2.0
"""Logarithm of the factor by which the order of the classes is shaken, so that each round has others."""


def pair_up(
    incumbent: Incumbent, reduced: FloatArray, present: BoolArray, center: IntArray, rng: np.random.Generator
) -> None:
    """One round; what is better ends up in the incumbent.

    Parameters
    ----------
    incumbent : the best choice so far.
    reduced : (n, k) reduced costs.
    present : (n, k) mask of the items that may be taken.
    center : (n,) the choice that is changed.
    rng : draws the classes.
    """
    priced = np.where(present, reduced, np.inf)
    order = np.argsort(priced, axis=1, kind="stable")[:, :ITEMS]
    left = np.minimum(present.sum(axis=1), ITEMS)
    several = np.flatnonzero(left > 1)
    if several.size < 2:
        return
    second = priced[several, order[several, 1]]
    doubt = second + 1e-9 * (float(second.max()) or 1.0)
    several = several[np.argsort(np.log(doubt) + rng.uniform(0.0, JITTER, len(several)), kind="stable")]
    halves: list[list[int]] = [[], []]
    sizes = [1, 1]
    for nth, i in enumerate(several.tolist()):
        side = nth % 2
        if sizes[side] * int(left[i]) > SUMS:
            break
        halves[side].append(i)
        sizes[side] *= int(left[i])
    c, w = incumbent.c, incumbent.w
    others = np.ones(len(c), dtype=bool)
    others[halves[0] + halves[1]] = False
    rest = np.flatnonzero(others)
    base_c, base_w = float(c[rest, center[rest]].sum()), float(w[rest, center[rest]].sum())
    (one_c, one_w), (two_c, two_w) = (_sums(c, w, order, left, half) for half in halves)
    by_weight = np.argsort(two_w, kind="stable")
    sorted_w, sorted_c = two_w[by_weight], two_c[by_weight]
    cheapest = np.minimum.accumulate(sorted_c)
    # Twice the margin off: what is offered is not refused for rounding.
    room = incumbent.capacity - 2.0 * incumbent.margin - base_w
    first = np.argsort(one_w, kind="stable")
    at = np.searchsorted(sorted_w, room - one_w[first], side="right") - 1
    total = np.where(at >= 0, one_c[first] + cheapest[np.maximum(at, 0)], np.inf)
    best = int(np.argmin(total))
    if not base_c + total[best] < incumbent.value:
        return
    place = int(at[best])
    partner = int(np.flatnonzero(sorted_c[: place + 1] == cheapest[place])[0])
    choice = center.copy()
    for half, number in zip(halves, (int(first[best]), int(by_weight[partner])), strict=True):
        for i in reversed(half):
            number, option = divmod(number, int(left[i]))
            choice[i] = order[i, option]
    incumbent.offer_if_cheap(choice, -np.inf)


def _sums(c: FloatArray, w: FloatArray, order: IntArray, left: IntArray, half: list[int]) -> tuple[FloatArray, ...]:
    """Costs and weights of all choices in some classes; the last class's option changes fastest."""
    cost, weight = np.zeros(1), np.zeros(1)
    for i in half:
        items = order[i, : left[i]]
        cost = (cost[:, None] + c[i, items]).ravel()
        weight = (weight[:, None] + w[i, items]).ravel()
    return cost, weight
