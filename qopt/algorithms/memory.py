"""A cut with limited device memory, by knapsacks with a single limit.

The price of a layer's weights and the memory they take are both proportional to their number. So once the
widths of everything else are fixed, the cheapest plan is also the leanest: it is enough to minimise storage
for each combination of the other widths, at most 16 for a chain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from qopt.algorithms.method import Clock
from qopt.arrays import FloatArray, IntArray
from qopt.kernels import mckp
from qopt.kernels.branch import Node
from qopt.problems.terms import limit_with_slack, within
from qopt.segments import Segment


def at_cut(segment: Segment, upper: float, clock: Clock) -> mckp.Result:
    """Cheapest whole widths at a cut; only those cheaper than `upper` (bits' part of the objective) are of interest."""
    result = mckp.solve(segment.cost, segment.noise, segment.limit, upper=upper, time_limit=clock.left)
    if result.choice is None or fits_memory(segment, result.choice):
        return result
    best = mckp.Result("cutoff", bound=upper) if math.isfinite(upper) else mckp.Result("infeasible")
    stored = segment.stored[:, None] * segment.bits
    for others, widths in _combinations(segment):
        if clock.over:
            return mckp.Result("limit", best.choice, best.objective, result.bound)
        if float(segment.cost[others, widths].sum()) >= upper:
            continue
        leanest = mckp.solve(
            _fixed(stored, others, widths), _fixed(segment.noise, others, widths), segment.limit, time_limit=clock.left
        )
        if leanest.choice is None:
            continue
        choice = leanest.choice.copy()
        choice[others] = widths
        value = math.fsum(segment.cost[np.arange(len(choice)), choice])
        if value < upper and fits_memory(segment, choice):
            upper = value
            best = mckp.Result("optimal", choice, value, value)
    return best


def tree_at_cut(segment: Segment, target: float, max_nodes: int) -> list[Node] | None:
    """A tree which shows that no plan at a cut has bits cheaper than a target; None if it gets too large.

    By noise alone where that suffices; otherwise, for every combination of the widths that do not follow
    storage, the rest is too dear or too large for the memory.
    """
    plain = mckp.solve(segment.cost, segment.noise, segment.limit, upper=target, branch_nodes=max_nodes, max_labels=0)
    if plain.choice is None:
        return plain.tree
    if math.isinf(segment.memory):
        return None
    stored = segment.stored[:, None] * segment.bits
    last = len(segment.bits) - 1
    beyond = limit_with_slack(segment.memory) * (1.0 + 1e-12)
    tree: list[Node] = []
    for others, widths in _combinations(segment):
        # Preorder: a tensor is split when those behind it in the order begin anew; its last width needs none.
        for depth, (i, j) in enumerate(zip(others, widths, strict=True)):
            if j < last and not any(widths[depth + 1 :]):
                tree.append(["split", int(i), [int(j)]])
        noise = _fixed(segment.noise, others, widths)
        left = max_nodes - len(tree)
        subtree = mckp.prove(_fixed(segment.cost, others, widths), noise, segment.limit, target, left)
        if subtree is None:
            lean = mckp.prove(_fixed(stored, others, widths), noise, segment.limit, beyond, left)
            subtree = lean and [_beyond_memory(node) for node in lean]
        if subtree is None:
            return None
        tree += subtree
    return tree if len(tree) <= max_nodes else None


def fits_memory(segment: Segment, choice: IntArray) -> bool:
    """The exact test of the memory limit."""
    return math.isinf(segment.memory) or within(segment.stored * segment.bits[choice], segment.memory)


def _combinations(segment: Segment) -> Iterator[tuple[IntArray, IntArray]]:
    """Tensors whose price does not follow storage (activations, a tied pair), and all columns for them in turn."""
    free = (segment.stored == 0) & (segment.price > 0)
    if segment.tied:
        free[segment.cut - 1] = True
    others = np.flatnonzero(free)
    for widths in np.ndindex(*(len(segment.bits),) * len(others)):
        yield others, np.array(widths, dtype=np.int64)


def _beyond_memory(node: Node) -> Node:
    """A leaf about least storage, read as: storage exceeds the memory."""
    return ["leaf", 0, node[2], 1.0] if node[0] == "leaf" and node[1] == 1 else node


def _fixed(array: FloatArray, others: IntArray, widths: IntArray) -> FloatArray:
    """An (n, k) array in which some tensors have the value of one width at every width."""
    fixed = array.copy()
    fixed[others] = array[others, widths][:, None]
    return fixed
