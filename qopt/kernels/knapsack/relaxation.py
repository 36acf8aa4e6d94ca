"""Linear relaxation of the multiple-choice knapsack: lower hulls and the greedy of slopes.

    minimise sum_i cost[i, c_i]  subject to  sum_i weight[i, c_i] <= limit,  one item c_i per class

The relaxation replaces every class by the lower convex hull of its items. Starting from the lightest
item everywhere, hull steps are taken in the order of cost saved per unit of weight until the limit is
reached; the slope of the step that breaks it is the optimal multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief


def undominated(cost: FloatArray, weight: FloatArray) -> BoolArray:
    """(n, k) mask of items that no other item of the class beats in cost and weight.

    Items of infinite cost are absent. Of equal items the first stays.

    Parameters
    ----------
    cost : (n, k) a class a row, or costs by element.
    weight : of the same shape, or (R, n, k).
    """
    flat, _, _, keep = _staircases(cost, weight)
    mask = np.zeros(cost.shape, dtype=bool)
    mask.ravel()[flat[keep]] = True
    return mask


def _staircases(cost: FloatArray, weight: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, BoolArray]:
    """Of (n, k) items in the order of their weight: place in the table, cost, weight, and whether none beats them."""
    n, k = cost.shape
    flat = np.lexsort((cost, weight), axis=-1)
    flat += np.arange(0, n * k, k)[:, None]
    sorted_cost = cost.ravel()[flat]
    best_before = np.minimum.accumulate(sorted_cost, axis=1)
    keep = sorted_cost < np.inf
    keep[:, 1:] &= sorted_cost[:, 1:] < best_before[:, :-1]
    return flat, sorted_cost, weight.ravel()[flat], keep


@dataclass(frozen=True, repr=False)
class Steps(Brief):
    """Hull steps of all classes, dearest saving per weight first.

    Attributes
    ----------
    owner : (m,) class of each step.
    item : (m,) item that the step leads to.
    gain, load : (m,) cost saved and weight added.
    slope : (m,) gain / load, descending.
    start : (n,) lightest item of each class, where the steps begin.
    """

    owner: IntArray
    item: IntArray
    gain: FloatArray
    load: FloatArray
    slope: FloatArray
    start: IntArray


def frontier(cost: FloatArray, weight: FloatArray) -> tuple[BoolArray, Steps]:
    """`undominated` and `hull_steps` of these, at once.

    Parameters
    ----------
    cost, weight : (n, k), with an item of finite cost in every row.
    """
    flat, sorted_cost, sorted_weight, keep = _staircases(cost, weight)
    mask = np.zeros(cost.shape, dtype=bool)
    kept = flat[keep]
    mask.ravel()[kept] = True
    k = cost.shape[1]
    owner = kept // k if k else kept
    return mask, _hulls(owner, kept - owner * k, sorted_cost[keep], sorted_weight[keep], flat[:, 0] % max(k, 1))


def hull_steps(cost: FloatArray, weight: FloatArray, present: BoolArray) -> Steps:
    """Lower hull of every class, as one list of steps sorted by slope.

    Parameters
    ----------
    present : (n, k) mask without dominated items, as `undominated` gives it, and without empty classes.
    cost : (n, k) a class a row, or costs by element.
    weight : of the same shape, or (R, n, k).
    """
    order = np.argsort(np.where(present, weight, np.inf), axis=1, kind="stable")
    owner, at = np.nonzero(np.arange(cost.shape[1]) < present.sum(axis=1)[:, None])
    item = order[owner, at]
    return _hulls(owner, item, cost[owner, item], weight[owner, item], order[:, 0])


def _hulls(owner: IntArray, item: IntArray, c: FloatArray, w: FloatArray, start: IntArray) -> Steps:
    """Steps of items by class, each class's in the order of rising weight and falling cost."""
    # An item on or above the line between its neighbours is on no lower hull; take such out until there is none.
    while True:
        rise, run = c[1:] - c[:-1], w[1:] - w[:-1]
        same = owner[1:] == owner[:-1]
        above = rise[:-1] * run[1:] >= rise[1:] * run[:-1]
        above &= same[1:]
        above &= same[:-1]
        out = np.flatnonzero(above)
        if not out.size:
            break
        keep = np.ones(len(owner), dtype=bool)
        keep[out + 1] = False
        owner, item, c, w = owner[keep], item[keep], c[keep], w[keep]
    step = np.flatnonzero(same)
    gain, load = -rise[step], run[step]
    slope = gain / load
    # Stable: steps of one class keep their order where slopes tie by rounding.
    steepest = np.argsort(-slope, kind="stable")
    step = step[steepest]
    return Steps(owner[step], item[step + 1], gain[steepest], load[steepest], slope[steepest], start)


def no_steps(cost: FloatArray, weight: FloatArray) -> Steps:
    """The lightest item of each class, the cheapest of these, and no way on: for where there is no time for more.

    Parameters
    ----------
    cost : (n, k) a class a row, or costs by element.
    weight : of the same shape, or (R, n, k).
    """
    none, zero = np.zeros(0, dtype=np.int64), np.zeros(0)
    lightest = weight == weight.min(axis=1, initial=np.inf)[:, None]
    return Steps(none, none, zero, zero, zero, np.argmin(np.where(lightest, cost, np.inf), axis=1))


@dataclass(frozen=True, repr=False)
class Relaxation(Brief):
    """Linear relaxation at one limit.

    Attributes
    ----------
    bound : its optimum (the Lagrangian bound at `multiplier`).
    multiplier : of the limit, >= 0.
    choice : (n,) the greedy's items before the breaking step, feasible.
    """

    bound: float
    multiplier: float
    choice: IntArray


def relax(cost: FloatArray, weight: FloatArray, steps: Steps, capacity: float) -> Relaxation:
    """Greedy of slopes up to a capacity that the lightest items keep.

    Parameters
    ----------
    capacity : limit, at least the weight of ``steps.start``.
    cost : (n, k) a class a row, or costs by element.
    weight : (n, k), likewise.
    """
    rows = np.arange(len(cost))
    base_cost = float(cost[rows, steps.start].sum())
    room = capacity - float(weight[rows, steps.start].sum())
    used = np.cumsum(steps.load)
    taken = int(np.searchsorted(used, room, side="right"))
    choice = steps.start.copy()
    # Steps of a class come in hull order, so the last assignment is the farthest step taken.
    choice[steps.owner[:taken]] = steps.item[:taken]
    bound = base_cost - float(steps.gain[:taken].sum())
    multiplier = 0.0
    if taken < len(steps.gain):
        multiplier = float(steps.slope[taken])
        left = room - (float(used[taken - 1]) if taken else 0.0)
        bound -= multiplier * max(left, 0.0)
    return Relaxation(bound, multiplier, choice)
