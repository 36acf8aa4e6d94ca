"""The s-t network of a minimum cut on ordered labels, and maximum flows on its residual capacities.

Nodes: s, t, x_{v,k} = [label_v > k] (on the side of s where it is 1), and for every tensor with several readers and
every link the greatest of its readers' x. Edges carry a capacity each way, so the residual network of any flow has the
same edges:

    s - x_{v,0} - ... - x_{v,L-2} - t      forwards unary[v, l], backwards infinite (labels are monotone in k)
    x_{r,k} - x_{u,k}                      forwards what a single reader pays, backwards infinite (label_u <= label_r)
    x_{r,k} - greatest - x_{u,k}           forwards infinite, then the weight: paid once, whoever reads

Two tensors may join the same two nodes; the second goes through a copy of the reader's x, so that edges are
distinct and each tensor knows its own flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.kernels.cuts.contraction import Arcs, contracted_flow
from qopt.kernels.cuts.data import Tensors

INFINITE = 1 << 62
"""Units that no flow reaches."""

FLOW_BITS = 29
"""Capacities handed to scipy, 32-bit there; a residual capacity is up to twice as large."""

LARGEST_WEIGHTS = 16
"""Times what the dearest tensor weighs: more than what flows over any arc, as a rule."""

SOURCE, SINK = 0, 1


@dataclass(repr=False)
class State(Brief):
    """Flow of each reading in units: `direct` on the edge from reader to producer, `shared` through the greatest.

    Attributes
    ----------
    weight : (m, L-1) in units.
    direct, shared : (readings, L-1), shared >= 0.
    """

    weight: IntArray
    direct: IntArray
    shared: IntArray

    @property
    def total(self) -> IntArray:
        """The dual f of every reading."""
        return self.direct + self.shared


class Network:
    """Edges of the cut network of n nodes and L labels; the capacities come with each call.

    Parameters
    ----------
    tensors : m of them, with their readings.
    n, labels : numbers of nodes and of labels, L >= 2.

    Attributes
    ----------
    nodes : of the network, s and t included.
    tail, head : (edges,) ends of each edge.
    x : (n, L-1) network node of x_{v,k} = [label_v > k].
    distinct : (readings,) whether a reading counts: no second one of the same tensor by the same node, none of its own.
    used : (u,) the readings that do.
    shared : (h,) tensors of several readers, whose weight is paid once through the greatest of the readers' x.
    sharers : (q,) places in `used` of the readings of those tensors.
    alone : (u,) whether a reading is its tensor's only one, which pays the weight on its own edge.
    copied : (p,) places in `used` of readings that go through a copy of the reader's x, as another tensor joins the
        same two nodes.
    """

    def __init__(self, tensors: Tensors, n: int, labels: int) -> None:
        self.tensors, self.n, self.labels = tensors, n, labels
        owner, reader = tensors.owner, tensors.reader
        producer = tensors.producer[owner]
        _, first = np.unique(owner * n + reader, return_index=True)
        self.distinct = np.zeros(len(reader), dtype=bool)
        self.distinct[first] = True
        self.distinct &= reader != producer
        self.used = np.flatnonzero(self.distinct)
        owner, reader, producer = owner[self.used], reader[self.used], producer[self.used]
        count = np.bincount(owner, minlength=len(tensors.producer))
        several = (count > 1) & np.any(tensors.weight > 0, axis=1)
        self.sharers, self.shared = np.flatnonzero(several[owner]), np.flatnonzero(several)
        self.alone = ~several[owner]

        links = labels - 1
        places = np.full((n, labels + 1), SINK)
        places[:, 0] = SOURCE
        places[:, 1:-1] = 2 + np.arange(n * links).reshape(n, links)
        self.x = places[:, 1:-1]
        self.nodes = 2 + n * links
        greatest = np.zeros((len(several), links), dtype=np.int64)
        greatest[self.shared] = self._more(len(self.shared), links)
        pair = np.minimum(reader, producer) * n + np.maximum(reader, producer)
        _, first = np.unique(pair, return_index=True)
        again = np.ones(len(pair), dtype=bool)
        again[first] = False
        self.copied = np.flatnonzero(again)
        end = self.x[reader]
        end[self.copied] = self._more(len(self.copied), links)
        edges = [
            (places[:, :-1], places[:, 1:]),
            (end, self.x[producer]),
            (end[self.copied], self.x[reader[self.copied]]),
            (self.x[reader[self.sharers]], greatest[owner[self.sharers]]),
            (greatest[self.shared], self.x[tensors.producer[self.shared]]),
        ]
        self.blocks = [(tail.shape, tail.size) for tail, _ in edges]
        self.tail = np.concatenate([tail.ravel() for tail, _ in edges])
        self.head = np.concatenate([head.ravel() for _, head in edges])
        # Both directions of every edge in the order of compressed rows.
        source, target = np.concatenate([self.tail, self.head]), np.concatenate([self.head, self.tail])
        self.order = np.lexsort((target, source))
        self.indices = target[self.order].astype(np.int32)
        self.indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=self.nodes))]).astype(np.int32)
        self.place = np.empty_like(self.order)
        self.place[self.order] = np.arange(len(self.order))
        self.arcs = Arcs(
            nodes=self.nodes,
            indptr=self.indptr,
            indices=self.indices,
            tail=source[self.order],
        )
        self.pushed = False
        """Whether a flow was pushed: little is open then."""

    def _more(self, rows: int, links: int) -> IntArray:
        new = self.nodes + np.arange(rows * links).reshape(rows, links)
        self.nodes += rows * links
        return new

    def least(self, forbidden: BoolArray, closed: BoolArray) -> tuple[IntArray | None, FloatArray]:
        """Least feasible labels, or None and a ray: one unit along a path of infinite arcs from s to t.

        Parameters
        ----------
        forbidden : (n, L) labels that may not be taken.
        closed : (m, L-1) links that a tensor may not cross.
        """
        ray = np.zeros((len(self.tensors.reader), self.labels - 1))
        reached, before = self._reach(self._infinite(forbidden, closed), SOURCE)
        if not reached[SINK]:
            return self.labels_of(reached), ray
        edge_flow = np.zeros(len(self.tail))
        node = SINK
        while node != SOURCE:
            previous = int(before[node])
            row = self.indices[self.indptr[previous] : self.indptr[previous + 1]]
            arc = int(self.order[self.indptr[previous] + np.searchsorted(row, node)])
            edge_flow[arc % len(self.tail)] = 1.0 if arc < len(self.tail) else -1.0
            node = previous
        return None, self.reading_flow(edge_flow).astype(np.float64)

    def greatest(self, forbidden: BoolArray, closed: BoolArray) -> IntArray:
        """Greatest feasible labels, where there are any.

        Parameters
        ----------
        forbidden : (n, L) labels that may not be taken.
        closed : (m, L-1) links that a tensor may not cross.

        Returns
        -------
        (n,) labels.
        """
        forwards, backwards = np.split(self._infinite(forbidden, closed), 2)
        reached, _ = self._reach(np.concatenate([backwards, forwards]), SINK)
        return self.labels_of(~reached)

    def reading_flow(self, moved: np.ndarray) -> np.ndarray:
        """(readings, L-1) flow of every reading, from (edges,) what flows over each edge, forwards less backwards.

        Parameters
        ----------
        moved : (edges,) flow, forwards less backwards.
        """
        _, direct, _, shared, _ = self._split(moved)
        flow = np.zeros((len(self.tensors.reader), self.labels - 1), dtype=moved.dtype)
        flow[self.used] = direct
        flow[self.used[self.sharers]] += shared
        return flow

    def start(self, weight: IntArray, flow: IntArray) -> State:
        """State of a flow that keeps sum_j max(f, 0) <= weight.

        Parameters
        ----------
        weight : of the same shape, or (R, n, k).
        flow : (readings, L-1) in units.
        """
        alone = np.zeros(len(flow), dtype=bool)
        alone[self.used] = self.alone
        direct = np.where(alone[:, None], flow, np.minimum(flow, 0))
        return State(weight, direct, flow - direct)

    def push(self, state: State, unary: IntArray, gap: int) -> IntArray | None:
        """Add a maximum flow of scaled residual capacities to a state; labels of its minimum cut, None for none.

        No flow is larger than the gap, so an arc with more than that is as good as infinite, and never cut.

        Parameters
        ----------
        state : flow so far, changed in place.
        unary : (n, L) costs of labels.
        gap : that is open, in units.
        """
        capacity = self._residual(state, unary)
        contracted = contracted_flow(self.arcs, capacity[self.order], gap, SOURCE, SINK) if self.pushed else None
        self.pushed = True
        if contracted is not None:
            over, side = contracted
            moved = over[self.place]
            moved = moved[: len(self.tail)] - moved[len(self.tail) :]
            labels: IntArray | None = self.labels_of(side)
        else:
            moved, labels = self._scaled_flow(state, capacity, gap)
        _, direct, _, shared, _ = self._split(moved)
        state.direct[self.used] += direct
        state.shared[self.used[self.sharers]] += shared
        return labels

    def _scaled_flow(self, state: State, capacity: IntArray, gap: int) -> tuple[IntArray, IntArray | None]:
        """(edges,) a maximum flow of scaled capacities, and the labels of its cut, None where that is none.

        The unit is made for what a tensor weighs, not for all that may flow: arcs of more are as good as infinite, as a
        rule, and where one is cut all the same the cut is of no use.
        """
        finite = state.weight[state.weight < INFINITE]
        most = min(gap, LARGEST_WEIGHTS * int(finite.max(initial=0)) or gap)
        shift = max(0, most.bit_length() - FLOW_BITS)
        scaled = (np.minimum(capacity, most + (1 << shift)) >> shift)[self.order].astype(np.int32)
        graph = csr_array((scaled, self.indices, self.indptr), shape=(self.nodes, self.nodes))
        flow = maximum_flow(graph, SOURCE, SINK).flow.data
        left = np.empty(len(self.order), dtype=bool)
        left[self.order] = scaled > flow
        reached, _ = self._reach(left, SOURCE)
        moved = flow[self.place[: len(self.tail)]].astype(np.int64) << shift
        if most < gap:
            tail, head = np.concatenate([self.tail, self.head]), np.concatenate([self.head, self.tail])
            if np.any((capacity > most) & reached[tail] & ~reached[head]):
                return moved, None
        return moved, self.labels_of(reached)

    def _residual(self, state: State, unary: IntArray) -> IntArray:
        """Capacities of all edges forwards, then of all edges backwards."""
        owner = self.tensors.owner[self.used]
        back = np.full(unary.shape, INFINITE)
        back[:, 0] = back[:, -1] = 0
        direct = _left(np.where(self.alone[:, None], state.weight[owner], 0), state.direct[self.used])
        shared = state.shared[self.used[self.sharers]]
        taken = np.zeros_like(state.weight)
        np.add.at(taken, owner[self.sharers], shared)
        taken = taken[self.shared]
        copied = np.full((len(self.copied), self.labels - 1), INFINITE)
        forwards = (unary, direct, copied, np.full(shared.shape, INFINITE), _left(state.weight[self.shared], taken))
        backwards = (back, np.full(direct.shape, INFINITE), copied, shared, taken)
        return np.concatenate([block.ravel() for block in (*forwards, *backwards)])

    def _infinite(self, forbidden: BoolArray, closed: BoolArray) -> BoolArray:
        """Which arcs, forwards then backwards, can never be cut."""
        unary = np.where(forbidden, INFINITE, 0)
        nothing = np.zeros((len(self.tensors.reader), self.labels - 1), dtype=np.int64)
        empty = State(np.where(closed, INFINITE, 0), nothing, nothing)
        infinite: BoolArray = self._residual(empty, unary) == INFINITE
        return infinite

    def _reach(self, open_arcs: BoolArray, root: int) -> tuple[BoolArray, IntArray]:
        """Nodes that open arcs lead to, and the node before each."""
        kept = open_arcs[self.order]
        indptr = np.concatenate([[0], np.cumsum(kept)])[self.indptr].astype(np.int32)
        data = np.ones(int(indptr[-1]), dtype=np.int8)
        graph = csr_array((data, self.indices[kept], indptr), shape=(self.nodes, self.nodes))
        visited, before = breadth_first_order(graph, root)
        reached = np.zeros(self.nodes, dtype=bool)
        reached[visited] = True
        return reached, before.astype(np.int64)

    def labels_of(self, side: BoolArray) -> IntArray:
        """(n,) labels of a cut, from (nodes,) whether a node is on the side of s.

        Parameters
        ----------
        side : (nodes,) whether a node is on the side of s.
        """
        labels: IntArray = side[self.x].sum(axis=1)
        return labels

    def _split(self, values: np.ndarray) -> list[np.ndarray]:
        """Values of all edges by kind of edge."""
        ends = np.cumsum([size for _, size in self.blocks])[:-1]
        return [part.reshape(shape) for part, (shape, _) in zip(np.split(values, ends), self.blocks, strict=True)]


def _left(weight: IntArray, taken: IntArray) -> IntArray:
    left: IntArray = np.where(weight == INFINITE, INFINITE, weight - taken)
    return left
