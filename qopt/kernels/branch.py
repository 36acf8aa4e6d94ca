"""Branch and bound for the multiple-choice knapsack that writes down its tree: solution and proof in one.

A node is a set of allowed items per class. Its Lagrangian bound is maximised over the multiplier; the
maximum is the linear relaxation over the node's items. Where the bound reaches the target the node is a
leaf. Otherwise items that are too dear at the multiplier leave, a class at a time, as leaves of their
own; then one class is split between the two items that tie at the multiplier, which cuts the relaxed
solution off on both sides.

The tree is a list in preorder: ``["split", i, [columns]]``, whose first subtree allows class i only
these columns and whose second the others, and ``["leaf", 1, multiplier, 0.0]``. Anyone can check it
without this file; `qopt.certificates.witness` does, in exact arithmetic.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.arrays import BoolArray, FloatArray
from qopt.kernels.incumbent import Incumbent

Node = list[Any]

TOLERANCE = 1e-13
"""Relative: a node is closed when its bound is within this of the incumbent, which is what sums round by."""


@dataclass(frozen=True)
class Search:
    """How a search ended.

    Attributes
    ----------
    tree : the proof; None if the search stopped early.
    bound : least bound of the nodes still open; infinite when complete.
    nodes : nodes looked at.
    """

    tree: list[Node] | None
    bound: float
    nodes: int

    @property
    def complete(self) -> bool:
        """Whether nothing is left open."""
        return self.tree is not None


def branch(
    cost: FloatArray,
    weight: FloatArray,
    capacity: float,
    incumbent: Incumbent,
    *,
    max_nodes: int,
    deadline: float | None = None,
    guess: float = 0.0,
) -> Search:
    """Search depth first; the best choice ends up in the incumbent, whose first value is the cutoff.

    Parameters
    ----------
    cost, weight : (n, k) finite, shifted so that sums round little.
    capacity : what weights may add up to, rounding allowed for.
    guess : multiplier to begin with.
    deadline : `time.perf_counter` at which to stop.
    """
    tree: list[Node] = []
    present = np.ones(cost.shape, dtype=bool)
    stack: list[tuple[BoolArray, float, float]] = [(present, guess, -math.inf)]
    looked_at = 0
    while stack:
        if looked_at >= max_nodes or (deadline is not None and time.perf_counter() > deadline):
            return Search(None, min(bound for _, _, bound in stack), looked_at)
        allowed, lam, _ = stack.pop()
        looked_at += 1
        masked = np.where(allowed, cost, np.inf)
        node = maximise(masked, weight, capacity, lam, incumbent)
        if node.bound >= _target(incumbent):
            tree.append(["leaf", 1, float(node.multiplier), 0.0])
            continue
        if node.split is None:
            # The relaxation's optimum is whole, yet the exact test refused it: rounding, not a proof.
            return Search(None, node.bound, looked_at)
        target = _target(incumbent)
        reduced = masked + node.multiplier * weight
        dropped = allowed & (node.bound + reduced - reduced.min(axis=1)[:, None] >= target)
        for row in np.flatnonzero(dropped.any(axis=1)):
            tree.append(["split", int(row), np.flatnonzero(dropped[row]).tolist()])
            tree.append(["leaf", 1, float(node.multiplier), 0.0])
        allowed &= ~dropped
        i, light = node.split
        first = allowed[i] & (weight[i] <= weight[i, light])
        rest = allowed[i] & ~first
        if not first.any() or not rest.any():  # the split is settled by what was dropped
            stack.append((allowed, node.multiplier, node.bound))
            continue
        tree.append(["split", int(i), np.flatnonzero(first).tolist()])
        other = allowed.copy()
        other[i] = rest
        allowed[i] = first
        stack.append((other, node.multiplier, node.bound))
        stack.append((allowed, node.multiplier, node.bound))
    return Search(tree, math.inf, looked_at)


def _target(incumbent: Incumbent) -> float:
    value = incumbent.value
    return value - TOLERANCE * abs(value) if math.isfinite(value) else value


@dataclass(frozen=True)
class Bounded:
    """A node's best Lagrangian bound.

    Attributes
    ----------
    bound, multiplier : the bound and where it is attained.
    split : (class, lighter item) of two items that tie there, in the class where they differ most in weight;
        None where no class does.
    """

    bound: float
    multiplier: float
    split: tuple[int, int] | None


def maximise(cost: FloatArray, weight: FloatArray, capacity: float, guess: float, incumbent: Incumbent) -> Bounded:
    """Maximise the Lagrangian dual of a node over the multiplier, or stop once it reaches the incumbent.

    The dual is concave and piecewise linear. A choice that is too heavy and one that fits are kept, each
    optimal at some multiplier; the next multiplier is where their lines cross. Every choice that fits is
    offered to the incumbent.

    Parameters
    ----------
    cost : (n, k), infinite for items that are not allowed.
    """
    rows = np.arange(len(cost))
    light = np.argmin(np.where(np.isfinite(cost), weight, np.inf), axis=1)
    c_lo, w_lo = float(cost[rows, light].sum()), float(weight[rows, light].sum())
    heavy = np.argmin(cost, axis=1)
    c_hi, w_hi = float(cost[rows, heavy].sum()), float(weight[rows, heavy].sum())
    if w_lo > capacity:
        return _ray(cost, weight, capacity, c_hi, w_lo, incumbent)
    if w_hi <= capacity:
        incumbent.offer(heavy)
        return Bounded(c_hi, 0.0, None)
    incumbent.offer_if_cheap(light, c_lo)
    best, best_lam = c_hi, 0.0
    lam = guess if guess > 0 else (c_lo - c_hi) / (w_hi - w_lo)
    for _ in range(200):
        reduced = cost + lam * weight
        pick = np.argmin(reduced, axis=1)
        c, w = float(cost[rows, pick].sum()), float(weight[rows, pick].sum())
        value = c + lam * (w - capacity)
        if value > best:
            best, best_lam = value, lam
            if best >= _target(incumbent):
                return Bounded(best, best_lam, None)
        if w > capacity:
            if w >= w_hi and c >= c_hi and lam != guess:
                break
            if w < w_hi or c < c_hi:
                heavy, c_hi, w_hi = pick, c, w
        else:
            incumbent.offer_if_cheap(pick, c)
            if w <= w_lo and c >= c_lo and lam != guess:
                break
            if w > w_lo or c < c_lo:
                light, c_lo, w_lo = pick, c, w
        crossing = (c_lo - c_hi) / (w_hi - w_lo)
        if crossing == lam or not crossing > 0:
            break
        lam = crossing
    differ = np.flatnonzero(light != heavy)
    if differ.size == 0:
        return Bounded(best, best_lam, None)
    spread = np.abs(weight[rows, heavy] - weight[rows, light])[differ]
    i = int(differ[np.argmax(spread)])
    item = light[i] if weight[i, light[i]] <= weight[i, heavy[i]] else heavy[i]
    return Bounded(best, best_lam, (i, int(item)))


def _ray(
    cost: FloatArray, weight: FloatArray, capacity: float, least_cost: float, least_weight: float, incumbent: Incumbent
) -> Bounded:
    """A node whose lightest items are too heavy: the bound grows without limit in the multiplier."""
    target = _target(incumbent)
    if not math.isfinite(target):
        return Bounded(math.inf, 0.0, None)
    excess = least_weight - capacity
    lam = 2.0 * (abs(target) + abs(least_cost)) / excess
    for _ in range(200):
        if not math.isfinite(lam):
            break
        value = float((cost + lam * weight).min(axis=1).sum()) - lam * capacity
        if value >= target:
            return Bounded(value, lam, None)
        lam *= 4.0
    return Bounded(-math.inf, 0.0, None)
