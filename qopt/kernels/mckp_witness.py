"""A proof that no choice of a multiple-choice knapsack is cheaper than a target.

Branch and bound that writes down its tree. A node is a set of allowed items per class; its Lagrangian
bound at a good multiplier either reaches the target, and the node is a leaf, or one class is split
between the two items that tie at the multiplier, which cuts the relaxed solution off in both halves.

The tree is a list in preorder: ``["split", i, [columns]]``, whose first subtree allows class i only
these columns and whose second the others, and ``["leaf", 1, multiplier, 0.0]``. Anyone can check it
without this file: `qopt.certificates.witness` does so in exact arithmetic with the standard library.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qopt.arrays import FloatArray
from qopt.kernels.mckp import SLACK

Node = list[Any]


def prove(cost: FloatArray, weight: FloatArray, limit: float, target: float, max_nodes: int = 20_000) -> list[Node] | None:
    """A tree that proves ``cost >= target`` for every choice within the limit; None if it gets too large.

    Parameters
    ----------
    cost, weight : (n, k) finite.
    limit : on the sum of weights (relative slack 1e-12).
    target : what no feasible choice may fall below. Leave a little room: the checker's arithmetic is exact.
    """
    n = len(cost)
    if n == 0:
        return None
    capacity = limit * (1.0 + SLACK)
    nodes: list[Node] = []
    root = np.ones(cost.shape, dtype=bool)
    # A node on the stack: allowed items, multiplier of the parent to start from.
    stack = [(root, 0.0)]
    while stack:
        allowed, guess = stack.pop()
        if len(nodes) + 2 * len(stack) > max_nodes:
            return None
        masked = np.where(allowed, cost, np.inf)
        bound, lam, split = _dual(masked, weight, capacity, guess, target)
        if bound >= target:
            nodes.append(["leaf", 1, lam, 0.0])
            continue
        if split is None:
            return None
        reduced = masked + lam * weight
        excess = reduced - reduced.min(axis=1)[:, None]
        dropped = allowed & (bound + excess >= target + 1e-15 * abs(target))
        crowded = np.flatnonzero(dropped.any(axis=1))
        # Items too dear at this multiplier leave one class at a time: each takes one leaf.
        if 4 * int(dropped.sum()) >= int(allowed.sum()) - n:
            for i in crowded:
                columns = np.flatnonzero(dropped[i])
                nodes.append(["split", int(i), columns.tolist()])
                nodes.append(["leaf", 1, lam, 0.0])
            allowed = allowed & ~dropped
        i, light = split
        first = allowed[i] & (weight[i] <= weight[i, light])
        rest = allowed[i] & ~first
        if not first.any() or not rest.any():
            stack.append((allowed, lam))
            continue
        nodes.append(["split", int(i), np.flatnonzero(first).tolist()])
        left, right = allowed.copy(), allowed
        left[i], right = first, allowed.copy()
        right[i] = rest
        stack.append((right, lam))
        stack.append((left, lam))
    return nodes


def _dual(
    cost: FloatArray, weight: FloatArray, capacity: float, guess: float, target: float
) -> tuple[float, float, tuple[int, int] | None]:
    """Maximise the Lagrangian dual over the multiplier, or stop once it reaches the target.

    Returns
    -------
    bound, multiplier, split : split is (class, item) of the lighter of two items that tie at the optimum in
        the class where they differ most in weight; None where the bound is exact (nothing to split).
    """
    rows = np.arange(len(cost))

    def at(lam: float) -> tuple[float, float, Any]:
        pick = np.argmin(cost + lam * weight, axis=1)
        c, w = float(cost[rows, pick].sum()), float(weight[rows, pick].sum())
        return c, w, pick

    c_hi, w_hi, pick_hi = at(0.0)  # heavy side: too much weight
    if w_hi <= capacity or c_hi >= target:
        return c_hi, 0.0, None
    lightest = np.argmin(np.where(np.isfinite(cost), weight, np.inf), axis=1)
    c_lo, w_lo, pick_lo = float(cost[rows, lightest].sum()), float(weight[rows, lightest].sum()), lightest
    if w_lo > capacity:  # nothing fits: a multiplier large enough exceeds any target
        lam = 2.0 * (abs(target) + abs(c_hi) + abs(c_lo)) / (w_lo - capacity)
        for _ in range(60):
            c, w, _ = at(lam)
            if c + lam * (w - capacity) >= target:
                return c + lam * (w - capacity), lam, None
            lam *= 4.0
        return -math.inf, 0.0, None
    best, best_lam = c_hi, 0.0
    lam = guess
    for _ in range(100):
        if lam > 0:
            c, w, pick = at(lam)
            value = c + lam * (w - capacity)
            if value > best:
                best, best_lam = value, lam
            if best >= target:
                return best, best_lam, None
            if w > capacity:
                if w < w_hi:
                    c_hi, w_hi, pick_hi = c, w, pick
            elif w > w_lo or (w == w_lo and c < c_lo):
                c_lo, w_lo, pick_lo = c, w, pick
        crossing = (c_lo - c_hi) / (w_hi - w_lo)
        if crossing == lam or crossing <= 0:
            break
        value = c_hi + crossing * (w_hi - capacity)
        lam = crossing
        if value <= best * (1 + 1e-15) if best > 0 else value <= best:
            break
    c, w, pick = at(lam) if lam > 0 else (c_hi, w_hi, pick_hi)
    value = c + lam * (w - capacity)
    if value > best:
        best, best_lam = value, lam
    differ = np.flatnonzero(pick_lo != pick_hi)
    if differ.size == 0:
        return best, best_lam, None
    spread = np.abs(weight[rows, pick_hi] - weight[rows, pick_lo])[differ]
    i = int(differ[np.argmax(spread)])
    light = pick_lo[i] if weight[i, pick_lo[i]] < weight[i, pick_hi[i]] else pick_hi[i]
    return best, best_lam, (i, int(light))
