"""Two halves of a network of about equal weight size: the study's partitioning (Algorithm 2), over down-sets.

A *down-set* is a set of operations that holds, with each operation, all that it is made of: what can run first. The
study cuts at a connection between blocks, or through all branches of a block: not where one branch is nothing but the
block's input, handed on (section 4.5.4). There the halves would share a tensor, one that operations of the first half
read and the second half needs too. So of all down-sets those come into question that share fewest tensors, none as a
rule, and of these the one for which the bytes of the halves differ least; of equal differences the largest, because
the algorithm goes backwards and replaces its point only by a better one. A group that must stay together is not cut.

Sums are exact and ties go by the operations' names, so the order in which operations are listed changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from qopt.core.arrays import BoolArray
from qopt.placement.terms import Terms

MOST = 20_000
"""Down-sets that are looked at, all of them. Of networks with more, those that lead along two orders of the operations:
by depth, and as deep as possible at once; ties by name."""


def first_half(own: Terms) -> BoolArray | None:
    """(n,) which operations are in the first half; None if the network cannot be cut."""
    n = len(own.names)
    rank = {name: i for i, name in enumerate(sorted(own.names))}
    bit = [1 << rank[name] for name in own.names]
    reads = [(flow.producer - 1, [r - 1 for r in flow.readers]) for flow in own.flows]
    edges = [(u, r) for u, readers in reads if u >= 0 for r in readers]
    groups = [[v - 1 for v in group] for group in own.together]
    weigh = _Weigh(own, bit)
    # Where every tensor's readers stay together, nothing is shared.
    for whole in ([*groups, *(readers for _, readers in reads)], groups):
        parts = _parts(n, edges, whole)
        if len(parts) > 1:
            best = max(_down_sets(parts, edges, bit), key=weigh)
            return np.array([bool(best & b) for b in bit])
    return None


class _Weigh:
    """How good a down-set is, a mask of bits: the greater the better."""

    def __init__(self, own: Terms, bit: Sequence[int]) -> None:
        self.all = sum(bit)
        self.bytes = [(b, Fraction(w)) for b, w in zip(bit, own.memory.tolist(), strict=True) if w]
        self.total = sum((w for _, w in self.bytes), Fraction(0))
        masks = [(sum(bit[v - 1] for v in nodes), max(size)) for nodes, size in own.shared]
        self.shared = [(mask, Fraction(size)) for mask, size in masks]
        self.readers = [sum(bit[r - 1] for r in flow.readers) for flow in own.flows if len(flow.readers) > 1]

    def __call__(self, mask: int) -> tuple[int, Fraction, int, int]:
        rest = self.all & ~mask
        tensors = sum(bool(readers & mask) and bool(readers & rest) for readers in self.readers)
        apart = 2 * sum((w for b, w in self.bytes if b & mask), Fraction(0)) - self.total
        apart += sum((size * (bool(m & mask) - bool(m & rest)) for m, size in self.shared), Fraction(0))
        return -tensors, -abs(apart), mask.bit_count(), mask


def _parts(n: int, edges: Sequence[tuple[int, int]], whole: Sequence[Sequence[int]]) -> list[list[int]]:
    """Sets of operations that no down-set cuts: what must stay whole, and what a circle of these binds together."""
    after: list[list[int]] = [[] for _ in range(n)]
    for u, v in edges:
        after[u].append(v)
    for group in whole:
        for u, v in zip(group, [*group[1:], group[0]], strict=True):
            if u != v:
                after[u].append(v)
    return _strongly_connected(after)


def _strongly_connected(after: list[list[int]]) -> list[list[int]]:
    """Strongly connected components (Tarjan 1972), without recursion."""
    n = len(after)
    index, low, on_stack = [-1] * n, [0] * n, [False] * n
    stack: list[int] = []
    found: list[list[int]] = []
    count = 0
    for root in range(n):
        if index[root] >= 0:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = count
        count += 1
        stack.append(root)
        on_stack[root] = True
        while work:
            v, rest = work[-1]
            w = next(rest, None)
            if w is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[v])
                if low[v] == index[v]:
                    part = []
                    while True:
                        u = stack.pop()
                        on_stack[u] = False
                        part.append(u)
                        if u == v:
                            break
                    found.append(part)
            elif index[w] < 0:
                index[w] = low[w] = count
                count += 1
                stack.append(w)
                on_stack[w] = True
                work.append((w, iter(after[w])))
            elif on_stack[w]:
                low[v] = min(low[v], index[w])
    return found


def _down_sets(parts: list[list[int]], edges: Sequence[tuple[int, int]], bit: Sequence[int]) -> Iterator[int]:
    """Down-sets of the parts as masks, neither empty nor whole: all, or of too many those of two orders."""
    part_of = {v: p for p, members in enumerate(parts) for v in members}
    masks = [sum(bit[v] for v in members) for members in parts]
    before: list[set[int]] = [set() for _ in parts]
    for u, v in edges:
        if part_of[u] != part_of[v]:
            before[part_of[v]].add(part_of[u])
    needs = [sum(masks[p] for p in needed) for needed in before]
    whole = sum(masks)
    known, waiting = {0}, [0]
    while waiting and len(known) <= MOST:
        mask = waiting.pop()
        for p, own in enumerate(masks):
            larger = mask | own
            if not mask & own and needs[p] & mask == needs[p] and larger not in known:
                known.add(larger)
                waiting.append(larger)
    if len(known) <= MOST:
        yield from known - {0, whole}
        return
    for order in (_by_depth(before, masks), _at_once(before, masks)):
        mask = 0
        for p in order[:-1]:
            mask |= masks[p]
            yield mask


def _by_depth(before: list[set[int]], masks: list[int]) -> list[int]:
    """Parts in an order in which they can run, by the longest way to each; ties by name."""
    depth: dict[int, int] = {}
    for p in _at_once(before, masks):
        depth[p] = max((depth[q] + 1 for q in before[p]), default=0)
    return sorted(depth, key=lambda p: (depth[p], masks[p]))


def _at_once(before: list[set[int]], masks: list[int]) -> list[int]:
    """Parts in an order in which they can run, each as soon as it can; of several what became free last, by name."""
    behind: list[list[int]] = [[] for _ in before]
    for p, needed in enumerate(before):
        for q in needed:
            behind[q].append(p)
    missing = [len(needed) for needed in before]
    ready = [(0, masks[p], p) for p, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        _, _, p = heapq.heappop(ready)
        order.append(p)
        for q in behind[p]:
            missing[q] -= 1
            if not missing[q]:
                heapq.heappush(ready, (-len(order), masks[q], q))
    return order
