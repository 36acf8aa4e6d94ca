"""What a maximum flow still has to move when little is open: between the parts that no cut can part any more.

No flow is larger than the gap that is open. Two nodes that arcs of more residual capacity than that join, there and
back, are on the same side of every minimum cut: they become one. What flows into such a part is led through it along
two trees, to a root and from it, whose arcs have room for twice the gap. As a rule two parts are left, with the source
and with the sink, and whatever crosses from one to the other is filled to the last unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, maximum_flow

from qopt.core.arrays import BoolArray, IntArray, SmallArray
from qopt.core.display import Brief

BITS = 28
"""Capacities handed to scipy, 32-bit there; a residual capacity is up to twice as large."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Arcs(Brief):
    """Arcs of a network in the order of compressed rows.

    Attributes
    ----------
    nodes : of the network.
    indptr, indices : compressed rows.
    tail : of each arc.
    """

    nodes: int
    indptr: SmallArray
    indices: SmallArray
    tail: IntArray

    def some(self, kept: BoolArray) -> csr_array:
        """The graph of some arcs.

        Parameters
        ----------
        kept : (arcs,) which ones.
        """
        indptr = np.concatenate(([0], np.cumsum(kept)))[self.indptr].astype(np.int32)
        data = np.ones(int(indptr[-1]), dtype=np.int8)
        return csr_array((data, self.indices[kept], indptr), shape=(self.nodes, self.nodes))


def contracted_flow(
    arcs: Arcs, capacity: IntArray, gap: int, source: int, sink: int
) -> tuple[IntArray, BoolArray] | None:
    """A maximum flow of residual capacities, rounded down to the 2^28th of the gap, and the source's side of its cut.

    Parameters
    ----------
    arcs : of the network.
    capacity : (arcs,) residual capacities.
    gap : what a flow is at most.
    source, sink : of the flow.

    Returns
    -------
    (arcs,) what flows over each, >= 0, and (nodes,) whether a node is on the source's side; None where contraction
    leaves more than half of the nodes.
    """
    strong = capacity > 2 * gap
    count, named = connected_components(arcs.some(strong), directed=True, connection="strong")
    part: IntArray = named.astype(np.int64)
    if 2 * count > arcs.nodes or part[source] == part[sink]:
        return None
    crossing = np.flatnonzero((capacity > 0) & (part[arcs.tail] != part[arcs.indices]))
    key = part[arcs.tail[crossing]] * count + part[arcs.indices[crossing]]
    order = np.argsort(key, kind="stable")
    crossing, key = crossing[order], key[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    room = np.minimum(capacity[crossing], gap + 1)
    total = np.minimum(np.add.reduceat(room, begins), gap + 1) if begins.size else room
    sent, side = _between(key[begins], total, gap, count, int(part[source]), int(part[sink]))
    # Arcs that join the same two parts are filled one after the other.
    before = np.cumsum(room) - room
    before -= np.repeat(before[begins], np.diff(np.append(begins, len(key))))
    shares = np.repeat(sent, np.diff(np.append(begins, len(key))))
    flow = np.zeros(len(capacity), dtype=np.int64)
    flow[crossing] = np.clip(shares - before, 0, room)
    excess = np.zeros(arcs.nodes, dtype=np.int64)
    np.add.at(excess, arcs.indices[crossing], flow[crossing])
    np.add.at(excess, arcs.tail[crossing], -flow[crossing])
    _through(arcs, strong & (part[arcs.tail] == part[arcs.indices]), part, excess, (source, sink), flow)
    return flow, side[part]


def _between(
    key: IntArray, total: IntArray, gap: int, count: int, source: int, sink: int
) -> tuple[IntArray, BoolArray]:
    """What flows between parts, an entry a key (tail * count + head), and which parts are on the source's side."""
    side = np.zeros(count, dtype=bool)
    if count == 2:
        side[source] = True
        return np.where(key == source * 2 + sink, total, 0), side
    shift = max(0, gap.bit_length() - BITS)
    tail, head = np.divmod(key, count)
    scaled = (np.minimum(total, gap + (1 << shift)) >> shift).astype(np.int32)
    indptr = np.searchsorted(tail, np.arange(count + 1)).astype(np.int32)
    graph = csr_array((scaled, head.astype(np.int32), indptr), shape=(count, count))
    found = csr_array(maximum_flow(graph, source, sink).flow)
    keys = np.repeat(np.arange(count), np.diff(found.indptr)) * count + found.indices
    moved = found.data[np.searchsorted(keys, key)].astype(np.int64)
    # What is left of an arc, and of what flows against it.
    left = csr_array(graph - found)
    left.data = (left.data > 0).astype(np.int8)
    left.eliminate_zeros()
    side[breadth_first_order(left, source, return_predecessors=False)] = True
    return np.maximum(moved, 0) << shift, side


def _through(
    arcs: Arcs, inner: BoolArray, part: IntArray, excess: IntArray, ends: tuple[int, int], flow: IntArray
) -> None:
    """Lead what is too much at some nodes to the root of their part, and from there to where it is missing."""
    _, roots = np.unique(part, return_index=True)
    for end in ends:
        roots[part[end]] = end
    within = arcs.some(inner)
    virtual = arcs.nodes
    towards = _hung(csr_array(within.T.tocsr()), roots)
    for graph, amount, out in ((towards, np.maximum(excess, 0), False), (_hung(within, roots), -excess, True)):
        visited, before = breadth_first_order(graph, virtual)
        load = np.append(np.maximum(amount, 0), 0).tolist()
        above = before.tolist()
        for v in reversed(visited[1:].tolist()):
            load[above[v]] += load[v]
        taken = visited[1:]
        taken = taken[(before[taken] != virtual) & (np.array(load)[taken] > 0)]
        pairs = (before[taken], taken) if out else (taken, before[taken])
        flow[_places(arcs, *pairs)] += np.array(load, dtype=np.int64)[taken]


def _hung(graph: csr_array, roots: IntArray) -> csr_array:
    """A graph with one more node, from which an arc leads to each root."""
    indptr = np.append(graph.indptr, graph.indptr[-1] + len(roots)).astype(np.int32)
    indices = np.concatenate((graph.indices, roots)).astype(np.int32)
    size = graph.shape[0] + 1
    return csr_array((np.ones(len(indices), dtype=np.int8), indices, indptr), shape=(size, size))


def _places(arcs: Arcs, tail: IntArray, head: IntArray) -> IntArray:
    """Places of the arcs from some nodes to others."""
    nodes = np.int64(arcs.nodes)
    return np.searchsorted(arcs.tail * nodes + arcs.indices, tail.astype(np.int64) * nodes + head)
