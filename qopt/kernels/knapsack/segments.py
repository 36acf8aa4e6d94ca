"""Choices of a knapsack between two supported points, by how much more than the segment's line they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.kernels.knapsack.relaxation import Steps
from qopt.kernels.tolerances import EPSILON

MOST_LABELS = 2_000_000
"""Sums made at once in one enumeration."""

FEW = 64
"""Up to so many labels none is worth removing."""

ROUNDINGS = 16.0
"""Of a reduced cost and its sums, generously."""

NOTHING = np.zeros((0, 2), dtype=np.int64)
"""Changed of a choice: classes and items, none."""


@dataclass
class Labels:
    """Choices of one segment by rising weight above its begin, costs from there on, and how they were made."""

    weight: FloatArray
    cost: FloatArray
    places: IntArray
    history: list[tuple[IntArray, IntArray]]
    classes: list[int]
    items: list[IntArray]

    def moved(self, at: int) -> IntArray:
        """(M, 2) classes and items of a choice that are not those of the segment's begin."""
        label, found = int(self.places[at]), []
        for (parent, item), i, own in zip(self.history[::-1], self.classes[::-1], self.items[::-1], strict=True):
            taken = int(item[label])
            if taken:
                found.append((i, int(own[taken])))
            label = int(parent[label])
        return np.array(found, dtype=np.int64).reshape(-1, 2)


class Part:
    """The knapsack with some classes fixed: its supported points.

    Parameters
    ----------
    c, w : (m, k) costs and weights.
    steps : hull steps of the free classes, and the items at which all classes begin.
    free : (m,) which classes are not fixed.
    """

    def __init__(self, c: FloatArray, w: FloatArray, steps: Steps, free: BoolArray) -> None:
        self.steps, self.free = steps, free
        rows = np.arange(len(c))
        self.weight = math.fsum(w[rows, steps.start]) + np.concatenate(([0.0], np.cumsum(steps.load)))
        self.cost = math.fsum(c[rows, steps.start]) - np.concatenate(([0.0], np.cumsum(steps.gain)))

    def fixed(self, c: FloatArray, w: FloatArray, i: int, item: int) -> Part:
        """The part with one more class fixed."""
        kept = self.steps.owner != i
        start = self.steps.start.copy()
        start[i] = item
        old = self.steps
        steps = Steps(old.owner[kept], old.item[kept], old.gain[kept], old.load[kept], old.slope[kept], start)
        free = self.free.copy()
        free[i] = False
        return Part(c, w, steps, free)

    def chosen(self, taken: int, moved: IntArray) -> IntArray:
        """(m,) columns after some hull steps, and what is changed of them."""
        found = self.steps.start.copy()
        found[self.steps.owner[:taken]] = self.steps.item[:taken]
        found[moved[:, 0]] = moved[:, 1]
        return found


class Segment:
    """What lies between two supported points of a part.

    Parameters
    ----------
    c, w : (m, k) costs and weights.
    present : (m, k) items that no other of their class beats.
    part : the part.
    at : how many steps are taken where the segment begins.
    """

    def __init__(self, c: FloatArray, w: FloatArray, present: BoolArray, part: Part, at: int) -> None:
        self.slope = float(part.steps.slope[at])
        self.base = part.chosen(at, NOTHING)
        rows = np.arange(len(c))
        self.load = w - w[rows, self.base][:, None]
        own = np.maximum(c - c[rows, self.base][:, None] + self.slope * self.load, 0.0)
        self.reduced = np.where(present & part.free[:, None], own, np.inf)
        self.reduced[rows, self.base] = np.inf

    def enumerated(self, end: float, depth: float, blunt: float) -> tuple[Labels | None, int]:
        """Choices that stand for all of reduced cost up to a depth that are below `end`; and the sums made.

        For each such choice there is one of no more weight that costs more by `blunt` at most. None where there are
        more sums than may be.
        """
        near = self.reduced <= depth
        classes = np.flatnonzero(near.any(axis=1)).tolist()
        # Classes of small weights first: lists grow with what their classes can tell apart.
        classes.sort(key=lambda i: float(np.abs(self.load[i][near[i]]).max()))
        items = [np.concatenate(([self.base[i]], np.flatnonzero(near[i]))) for i in classes]
        reduced = [np.concatenate(([0.0], self.reduced[i, own[1:]])) for i, own in zip(classes, items, strict=True)]
        loads = [self.load[i, own] for i, own in zip(classes, items, strict=True)]
        low, high = [0.0], [0.0]
        for entry in loads[::-1]:
            low.append(low[-1] + float(entry.min()))
            high.append(high[-1] + float(entry.max()))
        edge = EPSILON * ROUNDINGS * (abs(low[-1]) + abs(high[-1]) + end)
        r, x, made, blunted = np.zeros(1), np.zeros(1), 1, 0.0
        share = blunt / max(len(classes), 1)
        history = []
        for step, (add_r, add_x) in enumerate(zip(reduced, loads, strict=True)):
            size = len(r)
            if size * len(add_r) > MOST_LABELS:
                return None, made
            all_r, all_x = (add_r[:, None] + r).ravel(), (add_x[:, None] + x).ravel()
            left = len(loads) - step - 1
            keep = np.flatnonzero(
                (all_r <= depth + blunted) & (all_x + low[left] <= end + edge) & (all_x + high[left] >= -edge)
            )
            if len(keep) > FEW:
                keep = keep[non_dominated(all_x[keep], all_r[keep] - self.slope * all_x[keep], share)]
                blunted += share
            r, x = all_r[keep], all_x[keep]
            history.append((keep % size, keep // size))
            made += len(all_r)
        cost = r - self.slope * x
        inside = np.flatnonzero((x >= -edge) & (x <= end + edge))
        order = inside[non_dominated(x[inside], cost[inside])]
        return Labels(x[order], cost[order], order, history, classes, items), made


def non_dominated(x: FloatArray, cost: FloatArray, share: float = 0.0) -> IntArray:
    """Places of the pairs that no other is as good as, by rising x; of those within a share in cost only the first."""
    order = np.lexsort((cost, x))
    if not len(order):
        return order
    before = np.minimum.accumulate(cost[order])
    found: IntArray = order[np.concatenate(([True], cost[order][1:] < before[:-1]))]
    if share > 0.0:
        step = np.floor(cost[found] / share)
        found = found[np.concatenate(([True], step[1:] != step[:-1]))]
    return found
