"""A cut with limited device memory, by knapsacks with a single limit.

The price of a layer's weights and the memory they take are both proportional to their number. So once the
widths of everything else are fixed, the cheapest plan is also the leanest: it is enough to minimise storage
for each combination of the other widths, 16 at most for a chain. Multipliers of both limits leave few of
the combinations to look at.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qopt.algorithms.method import Clock
from qopt.arrays import FloatArray, IntArray
from qopt.kernels import mckp
from qopt.kernels.branch import Node
from qopt.problems.terms import limit_with_slack
from qopt.segments import Segment


def at_cut(segment: Segment, upper: float, clock: Clock) -> mckp.Result:
    """Cheapest whole widths at a cut; only those cheaper than `upper` (bits' part of the objective) are of interest."""
    plain = mckp.solve(segment.cost, segment.noise, segment.limit, upper=upper, time_limit=clock.left)
    if plain.choice is None or segment.keeps_memory(plain.choice):
        return plain
    best = mckp.Result("cutoff", bound=upper) if math.isfinite(upper) else mckp.Result("infeasible")
    leanest = mckp.solve(segment.storage, segment.noise, segment.limit, time_limit=clock.left)
    if leanest.status == "optimal" and leanest.choice is not None and not segment.keeps_memory(leanest.choice):
        return best
    priced = _priced(segment)
    for bound, widths in priced.combinations(upper):
        if bound >= upper:
            break
        found = None if clock.over else leanest_at(segment, priced.others, widths, clock.left)
        if found is None or found.status == "limit":
            return mckp.Result("limit", best.choice, best.objective, min(bound, upper))
        if found.choice is None:
            continue
        value = math.fsum(segment.cost[np.arange(len(found.choice)), found.choice])
        if value < upper and segment.keeps_memory(found.choice):
            upper = value
            best = mckp.Result("optimal", found.choice, value, value)
    return best


def tree_at_cut(segment: Segment, target: float, max_nodes: int, clock: Clock) -> list[Node] | None:
    """A tree which shows that no plan at a cut has bits cheaper than a target; None if it gets too large.

    By noise alone, or by storage alone, where that suffices. Otherwise the columns that multipliers of both
    limits rule out leave, and for every combination of the others the rest is too dear or too large.
    """
    plain = mckp.prove(segment.cost, segment.noise, segment.limit, target, max_nodes)
    if plain is not None:
        return [_of_two_rows(node) for node in plain]
    if math.isinf(segment.memory):
        return None
    stored = segment.storage
    beyond = limit_with_slack(segment.memory) * (1.0 + 1e-12)
    lean = mckp.prove(stored, segment.noise, segment.limit, beyond, max_nodes)
    if lean is not None:
        return [_beyond_memory(node) for node in lean]
    priced = _priced(segment)
    out: Node = ["leaf", 1, priced.lam, priced.mu]
    if priced.bound >= target:
        return [out]
    kept = priced.columns(target)
    tree: list[Node] = []
    for i, columns in zip(priced.others, kept, strict=True):
        dropped = np.setdiff1d(np.arange(len(segment.bits)), columns)
        if dropped.size:
            tree += [["split", int(i), dropped.tolist()], out]
    lengths = [len(columns) for columns in kept]
    for index in np.ndindex(*lengths):
        # Preorder: a tensor is split when those behind it in the order begin anew; its last column needs none.
        for depth, (i, columns, j) in enumerate(zip(priced.others, kept, index, strict=True)):
            if j < len(columns) - 1 and not any(index[depth + 1 :]):
                tree.append(["split", int(i), [int(columns[j])]])
        if len(tree) > max_nodes or clock.over:
            return None
        widths = np.array([columns[j] for columns, j in zip(kept, index, strict=True)], dtype=np.int64)
        noise = _fixed(segment.noise, priced.others, widths)
        left = max_nodes - len(tree)
        subtree = mckp.prove(_fixed(segment.cost, priced.others, widths), noise, segment.limit, target, left)
        if subtree is None:
            lean = mckp.prove(_fixed(stored, priced.others, widths), noise, segment.limit, beyond, left)
            subtree = lean and [_beyond_memory(node) for node in lean]
        if subtree is None:
            return None
        tree += [_of_two_rows(node) for node in subtree]
    return tree


def leanest_at(segment: Segment, others: IntArray, widths: IntArray, time_limit: float | None = None) -> mckp.Result:
    """The plan that stores least, some items' columns being given; its objective is the storage."""
    stored, noise = _fixed(segment.storage, others, widths), _fixed(segment.noise, others, widths)
    found = mckp.solve(stored, noise, segment.limit, time_limit=time_limit)
    if found.choice is not None:
        found.choice[others] = widths
    return found


@dataclass(frozen=True)
class _Priced:
    """Multipliers of noise and memory, their bound, and what each column of the `others` adds to it.

    `others` are the items whose price does not follow storage: activations, and weights tied to one.
    """

    others: IntArray
    lam: float
    mu: float
    bound: float
    excess: FloatArray

    def columns(self, target: float) -> list[IntArray]:
        """Columns of each of the others that a plan below the target may have, least excess first."""
        return [
            np.array([j for j in np.argsort(row, kind="stable") if self.bound + row[j] < target], dtype=np.int64)
            for row in self.excess
        ]

    def combinations(self, target: float) -> Iterator[tuple[float, IntArray]]:
        """Lower bounds and combinations of such columns, least bound first, made as they are asked for."""
        kept = self.columns(target)
        if not all(len(columns) for columns in kept):
            return
        steps = [self.excess[i, columns] for i, columns in enumerate(kept)]

        def bound(index: tuple[int, ...]) -> float:
            return self.bound + math.fsum(float(row[j]) for row, j in zip(steps, index, strict=True))

        first = (0,) * len(kept)
        heap, seen = [(bound(first), first)], {first}
        while heap:
            value, index = heapq.heappop(heap)
            yield value, np.array([columns[j] for columns, j in zip(kept, index, strict=True)], dtype=np.int64)
            for i, j in enumerate(index):
                following = (*index[:i], j + 1, *index[i + 1 :])
                if j + 1 < len(kept[i]) and following not in seen:
                    seen.add(following)
                    heapq.heappush(heap, (bound(following), following))


def _priced(segment: Segment) -> _Priced:
    """Multipliers that make the two-limit Lagrangian bound large: bisection over the price of memory.

    Any multipliers give a valid bound; it is recomputed for those returned.
    """
    others = segment.uploads[segment.price[segment.uploads] > 0]
    stored = segment.storage

    def value(mu: float) -> tuple[float, float, FloatArray]:
        dear = segment.cost + mu * stored
        lam = mckp.multiplier(dear, segment.noise, segment.limit)
        reduced = dear + lam * segment.noise
        least = reduced.min(axis=1)
        bound = float(least.sum()) - lam * limit_with_slack(segment.limit) - mu * limit_with_slack(segment.memory)
        return bound, lam, reduced - least[:, None]

    low, high = 0.0, max(float(segment.price.sum()), 1e-300) / max(float(segment.stored.sum()), 1e-300)
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    while high < 1e300 and value(2.0 * high)[0] > value(high)[0]:
        high *= 2.0
    high *= 2.0
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if value(left)[0] >= value(right)[0]:
            high = right
        else:
            low = left
    bound, lam, excess = value(0.5 * (low + high))
    return _Priced(others, lam, 0.5 * (low + high), bound, excess[others])


def _of_two_rows(node: Node) -> Node:
    """A leaf of one row, read as a leaf of two."""
    return [*node, 0.0] if node[0] == "leaf" and len(node) == 3 else node


def _beyond_memory(node: Node) -> Node:
    """A leaf about least storage, read as: storage exceeds the memory."""
    return ["leaf", 0, node[2], float(node[1])] if node[0] == "leaf" else node


def _fixed(array: FloatArray, others: IntArray, widths: IntArray) -> FloatArray:
    """An (n, k) array in which some tensors have the value of one width at every width."""
    fixed = array.copy()
    fixed[others] = array[others, widths][:, None]
    return fixed
