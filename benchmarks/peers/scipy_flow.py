"""The placement as a maximum flow of SciPy, as a user would write it, with costs rounded to 32-bit integers."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from answer import Answer
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

Array = np.ndarray[Any, Any]

LARGEST = 2**30
"""Stands for infinity: twice it still fits, which is what a residual capacity may reach."""


def version() -> str:
    """Which SciPy this is."""
    return f"scipy {metadata.version('scipy')}"


def cut(unary: Array, producer: Array, starts: Array, readers: Array, price: Array, **_: float) -> Answer:
    """Node (v, l) is on the source's side where v stands above tier l. SciPy has no time limit, gap or threads.

    Edges of infinite capacity lead from what implies to what is implied: (v, l + 1) to (v, l), producer to reader,
    reader to the tensor's node (t, l), whose edge to the producer's node costs the price.
    """
    n, links = unary.shape[0], unary.shape[1] - 1
    tensor = np.repeat(np.arange(len(producer)), np.diff(starts))
    x, a = np.arange(n * links).reshape(n, links), n * links + np.arange(len(producer) * links).reshape(-1, links)
    source = n * links + a.size
    sink, nodes = source + 1, source + 2
    everywhere = np.isfinite(unary).all(axis=0)  # the cheapest single tier: what no sum in an optimum exceeds
    scale = 2.0**29 / float(unary[:, everywhere].sum(axis=0).min())
    tiers = np.minimum(np.where(np.isfinite(unary), np.rint(unary * scale), LARGEST), LARGEST)
    endless = np.int64(LARGEST)
    edges: list[tuple[Array, Array, Array]] = []
    chain = np.column_stack([np.full(n, source), x, np.full(n, sink)])
    for tier in range(
        links + 1
    ):  # cut between (v, tier - 1) on the source's side and (v, tier) on the sink's: v on tier
        edges.append((chain[:, tier], chain[:, tier + 1], tiers[:, tier]))
    for made, implied in ((x[:, 1:], x[:, :-1]), (x[producer[tensor]], x[readers]), (x[readers], a[tensor])):
        edges.append((made.ravel(), implied.ravel(), np.full(made.size, endless)))
    edges.append((a.ravel(), x[producer].ravel(), np.rint(price * scale).ravel()))
    tail, head, capacity = (np.concatenate([e[i] for e in edges]) for i in range(3))
    graph = csr_array(coo_array((capacity.astype(np.int32), (tail, head)), shape=(nodes, nodes)))
    flow = maximum_flow(graph, source, sink).flow
    residual = csr_array(graph - flow)
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = np.zeros(nodes, dtype=bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    return Answer("maximum flow", True, reached[: n * links].reshape(n, links).sum(axis=1).tolist())
