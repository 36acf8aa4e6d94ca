"""A placement's labels where some nodes may take some tiers only: what follows, and a smaller instance of the rest.

Branching and its certificate ask the same question of the same part of a problem. Data moves up, so that an operation
above a link keeps those that read it above; an operation with one tier left has a known cost, and all of one tier are
one node. What is left is a minimum cut among the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.placement.costs import Labelling
from qopt.placement.rows import Limit

ROUNDS = 20
"""Times that what follows is followed: groups, circles of orders, may need several."""


def followed(costs: Labelling, allowed: BoolArray) -> BoolArray:
    """Tiers that nodes may take if the data is to move up, of those that are allowed; none where nothing is left.

    Parameters
    ----------
    allowed : (nodes, tiers).
    """
    tiers = allowed.shape[1]
    both = allowed & np.isfinite(costs.unary)
    powers = np.array([1 << k for k in range(tiers)], dtype=object)  # Python's whole numbers, of any size
    masks: list[int] = (both.astype(object) @ powers).tolist()
    pairs = list(zip(costs.producer, costs.readers, strict=True))
    backwards = pairs[::-1]
    for _ in range(ROUNDS):
        before = list(masks)
        for u, readers in pairs:
            keep = -(masks[u] & -masks[u])  # from the lowest tier of the producer up
            for r in readers:
                masks[r] &= keep
        for u, readers in backwards:
            most = min((masks[r].bit_length() for r in readers), default=tiers)
            masks[u] &= (1 << most) - 1
        if masks == before:
            break
    found: BoolArray = (np.array(masks, dtype=object)[:, None] & powers).astype(bool)
    return found


@dataclass(frozen=True, repr=False)
class Part(Brief):
    """Costs and single rows of the nodes that are free, and one node for each tier on which others stand.

    Attributes
    ----------
    costs, rows : of the smaller instance.
    node : (nodes,) the node there of each here.
    """

    costs: Labelling
    rows: tuple[Limit, ...]
    node: IntArray

    def lifted(self, labels: IntArray) -> IntArray:
        """Labels of all nodes from those of the smaller instance."""
        found: IntArray = labels[self.node]
        return found


def part_of(costs: Labelling, rows: Sequence[Limit]) -> Part:
    """The smaller instance of costs with forbidden tiers; never dearer than the plans it is of.

    Parameters
    ----------
    costs : as `qopt.placement.rows.narrowed` gives them.
    rows : single ones, likewise.
    """
    count = np.isfinite(costs.unary).sum(axis=1)
    stands = np.where(count == 1, np.argmax(np.isfinite(costs.unary), axis=1), -1)
    known = sorted(set(stands[stands >= 0].tolist()))
    place = {tier: i for i, tier in enumerate(known)}
    free = np.flatnonzero(stands < 0)
    node = np.empty(len(stands), dtype=np.int64)
    node[free] = len(known) + np.arange(len(free))
    for tier, i in place.items():
        node[stands == tier] = i
    number, tier_of = node.tolist(), stands.tolist()
    kept, settled = [], []  # tensors that matter, and those of which the links are known
    producer: list[int] = []
    readers: list[tuple[int, ...]] = []
    for t, (u, of) in enumerate(zip(costs.producer, costs.readers, strict=True)):
        ends = [tier_of[r] for r in of]
        if tier_of[u] >= 0 and min(ends, default=0) >= tier_of[u]:
            first, last = tier_of[u], max(ends)
            if np.isfinite(costs.weight[t, first:last]).all():
                settled.append((t, first, last))
                continue
        kept.append(t)
        producer.append(number[u])
        readers.append(tuple(dict.fromkeys(number[r] for r in of)))

    def smaller(unary: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        own = np.full((len(known) + len(free), unary.shape[1]), np.inf)
        own[len(known) :] = unary[free]
        sent = [x for t, first, last in settled for x in weight[t, first:last].tolist()]
        for tier, i in place.items():
            terms = unary[stands == tier, tier].tolist()
            own[i, tier] = _downward([*terms, *sent] if number[0] == i else terms)
        return own, weight[kept]

    unary, weight = smaller(costs.unary, costs.weight)
    closed = np.isinf(unary)
    parts = []
    for row in rows:
        use, carried = smaller(row.unary, row.weight)
        parts.append(replace(row, unary=np.where(closed, 0.0, use), weight=carried, extra=np.zeros(0)))
    return Part(Labelling(unary, tuple(producer), tuple(readers), weight), tuple(parts), node)


def _downward(terms: list[float]) -> float:
    """The largest float that is not above the exact sum of numbers >= 0."""
    total = math.fsum(terms)
    return total if math.fsum([*terms, -total]) >= 0 else math.nextafter(total, -math.inf)
