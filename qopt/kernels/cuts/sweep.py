"""A good dual of a minimum cut on ordered labels by messages: exact on trees, close on what networks look like.

Only for graphs that are about as deep as they are long, see `LARGEST_WIDTH`; others start from no flow.

One reading at a time: node a hands a share of its costs to node b as far as the tensor's weight lets it. With
costs c_r of a reader and room w_k on link k, the least cost of the reader given that the producer has label k is

    m_k = min(c_r(k), w_k + m_{k+1}),   m_{L-1} = c_r(L-1)

and moving f_k = m_k - m_{k+1} <= w_k (negative where the order binds) makes it the producer's own. From producer to
reader m_k = min(c_u(k), w_{k-1} + m_{k-1}) in the same way. Every move keeps a flow a flow, and a node that shares its
costs evenly among those on one side never makes the bound worse (Kolmogorov, PAMI 2006, on trees of any graph).
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from qopt.core.arrays import BoolArray, IntArray
from qopt.kernels.cuts.data import Tensors

LARGEST_WIDTH = 5
"""Operations side by side, on average, up to which messages pay: in wider graphs they leave long detours for what is
left, which maximum flows then take longer to find than all of it at once. Measured on the benchmark's networks (1.2
side by side) and random graphs (10) of 3000 operations: without messages, or with messages in
both, all four take twice as long together."""

NODES_BY_CLOCK = 64
"""Nodes between two looks at the clock: about a millisecond."""

LARGEST_MESSAGE, LARGEST_SPREAD = 2, 8
"""A message says no more than so many times a known labelling's cost; a node's costs differ by no more than so many.
What costs more than once is taken by no better labelling; the rest is room for shares, within 64 bits. Measured: half
of and twice either are as good."""


def sweep(
    tensors: Tensors, distinct: BoolArray, unary: IntArray, weight: IntArray, known: int, deadline: float | None = None
) -> IntArray:
    """Flow (readings, L-1) in whole units after messages towards the sources, then back towards the sinks.

    Parameters
    ----------
    tensors : m of them, with their readings.
    distinct : (readings,) which ones to use: not a node's reading of its own tensor, not the same one twice.
    unary : (n, L) costs in units, least 0 in every row.
    weight : (m, L-1) in units.
    known : cost of a labelling in units, at most 2^57.
    deadline : `time.perf_counter` at which it stops, with the flow so far; None for none.
    """
    n = len(unary)
    links = range(unary.shape[1] - 1)
    nothing = np.zeros((len(tensors.reader), len(links)), dtype=np.int64)
    producer, reader = tensors.producer[tensors.owner].tolist(), tensors.reader.tolist()
    outgoing: list[list[int]] = [[] for _ in range(n)]
    incoming: list[list[int]] = [[] for _ in range(n)]
    for e in np.flatnonzero(distinct).tolist():
        outgoing[producer[e]].append(e)
        incoming[reader[e]].append(e)
    order = _topological(outgoing, incoming, producer, reader)
    if n > LARGEST_WIDTH * _depth(order, incoming, producer):
        return nothing
    useful, limit = LARGEST_MESSAGE * known, LARGEST_SPREAD * known
    downwards = links[::-1]
    owner, cost = tensors.owner.tolist(), np.minimum(unary, useful).tolist()
    room, flow = weight.tolist(), nothing.tolist()

    def share(own: list[int], other: list[int], parts: int) -> list[int]:
        """What one message may carry: an even part, as far as the other node's costs stay within the limit."""
        most = min(own) // parts + max(min(useful, limit - max(other) + min(other)), 0)
        return [min(c // parts, most) for c in own]

    def apply(e: int, message: list[int], sign: int) -> None:
        """Move sign * (message[k] - message[k + 1]) on every link k from the reader to the producer."""
        used, spare, of_reader, of_producer = flow[e], room[owner[e]], cost[reader[e]], cost[producer[e]]
        for k in links:
            before = used[k]
            after = used[k] = before + sign * (message[k] - message[k + 1])
            if after > 0:
                spare[k] -= after
            if before > 0:
                spare[k] += before
            moved = sign * (message[0] - message[k + 1])
            of_reader[k + 1] += moved
            of_producer[k + 1] -= moved

    late = False
    for place, v in enumerate(reversed(order)):
        if place % NODES_BY_CLOCK == 0 and deadline is not None:
            late = late or time.perf_counter() > deadline
        if late:
            break
        for left, e in enumerate(incoming[v]):
            message = share(cost[v], cost[producer[e]], len(incoming[v]) - left)
            spare, used = room[owner[e]], flow[e]
            for k in downwards:
                message[k] = min(message[k], message[k + 1] + spare[k] - min(used[k], 0))
            apply(e, message, 1)
    for place, v in enumerate(order):
        if place % NODES_BY_CLOCK == 0 and deadline is not None:
            late = late or time.perf_counter() > deadline
        if late:
            break
        for left, e in enumerate(outgoing[v]):
            message = share(cost[v], cost[reader[e]], len(outgoing[v]) - left)
            spare, used = room[owner[e]], flow[e]
            for k in links:
                message[k + 1] = min(message[k + 1], message[k] + spare[k] - min(used[k], 0))
            apply(e, message, -1)
    return np.array(flow, dtype=np.int64).reshape(len(reader), len(links))


def _depth(order: list[int], incoming: list[list[int]], producer: list[int]) -> int:
    """Nodes on the longest way through the graph."""
    depth = [1] * len(order)
    for v in order:
        for e in incoming[v]:
            depth[v] = max(depth[v], depth[producer[e]] + 1)
    return max(depth)


def _topological(
    outgoing: list[list[int]], incoming: list[list[int]], producer: list[int], reader: list[int]
) -> list[int]:
    """Producers before readers; nodes on or behind a cycle come last, in any order."""
    if all(u <= r for u, r in zip(producer, reader, strict=True)):
        return list(range(len(incoming)))
    waiting = [len(edges) for edges in incoming]
    ready = deque(v for v, left in enumerate(waiting) if not left)
    order: list[int] = []
    while ready:
        v = ready.popleft()
        order.append(v)
        for e in outgoing[v]:
            waiting[reader[e]] -= 1
            if not waiting[reader[e]]:
                ready.append(reader[e])
    return order + [v for v, left in enumerate(waiting) if left]
