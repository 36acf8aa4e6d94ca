"""The network that an operator makes of a graph: kept operations, their seconds and bytes, the tensors between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.placement.problem import Operator, Placement


@dataclass(frozen=True, repr=False)
class Flow(Brief):
    """A tensor between nodes: who writes it, who reads it, its bits. Node 0 is the raw input, i the i-th operation.

    Attributes
    ----------
    producer, readers : a node, and a node for each reader.
    bits : of the tensor, without overhead.
    """

    producer: int
    readers: tuple[int, ...]
    bits: float


@dataclass(frozen=True, repr=False)
class Terms(Brief):
    """One operator's network of n kept operations, nodes 1..n; node 0 is the raw input.

    Attributes
    ----------
    operator : the one that these are of.
    names : (n,) of the kept operations.
    time : (n, tiers) seconds of each on each tier.
    memory : (n,) bytes of weights.
    allowed : (n, tiers) where each may run.
    flows : one for each tensor sent, the raw input first (mean size).
    private : the raw input may cross no link.
    together : lists of nodes that run on one tier.
    output : node of the output's operation, None without an output that returns.
    """

    operator: Operator
    names: tuple[str, ...]
    time: FloatArray
    memory: FloatArray
    allowed: BoolArray
    flows: tuple[Flow, ...]
    private: bool
    together: tuple[tuple[int, ...], ...]
    output: int | None

    @property
    def weight_size(self) -> float:
        """Bytes of all weights."""
        return float(self.memory.sum())


def kept_operations(problem: Placement, operator: Operator) -> IntArray:
    """Positions of the operations that an operator keeps, ascending."""
    skipped = {problem.graph.place[name] for name in operator.skips}
    return np.array([i for i in range(len(problem.graph)) if i not in skipped], dtype=np.int64)


def seconds(problem: Placement, operator: Operator) -> FloatArray:
    """(operations, tiers) seconds: the operator's table, the graph's for pre- and post-processing, or work / speed."""
    if operator.time is not None:
        table: FloatArray = operator.time
        return table
    graph = problem.graph
    speeds = [t.speed or np.inf for t in problem.tiers] if operator.speeds is None else operator.speeds
    with np.errstate(over="ignore"):  # costs that are not finite are refused where they are summed
        found: FloatArray = graph.work[:, None] / np.asarray(speeds)
    for name, column in graph.time.items():
        found[graph.place[name]] = column
    return found


def terms(problem: Placement, operator: Operator) -> Terms:
    """What an operator makes of the problem's graph.

    A skipped operation passes its inputs on: whoever read its outputs reads what it read.
    """
    graph = problem.graph
    kept = kept_operations(problem, operator)
    node = {int(i): k for k, i in enumerate(kept, start=1)}
    of_weights = graph.weights * operator.weight_factor if operator.weights is None else operator.weights
    sizes = [t.size for t in graph.tensors]
    bits = [s * operator.tensor_factor for s in sizes] if operator.tensors is None else operator.tensors.tolist()

    # Tensor -1 is the raw input. Readers are kept operations, found through skipped ones from the last to the first.
    readers: dict[int, set[int]] = {-1: {graph.place[name] for name in problem.input.readers}}
    readers |= {t: {graph.place[name] for name in tensor.readers} for t, tensor in enumerate(graph.tensors)}
    written: dict[int, list[int]] = {}
    for t, tensor in enumerate(graph.tensors):
        written.setdefault(graph.place[tensor.producer], []).append(t)
    skipped = sorted({graph.place[name] for name in operator.skips}, reverse=True)
    for i in skipped:
        behind: set[int] = set().union(*(readers[t] for t in written.get(i, [])))
        for found in readers.values():
            if i in found:
                found.discard(i)
                found |= behind
    flows = [Flow(0, tuple(sorted(node[i] for i in readers[-1])), problem.input.size)]
    for t, tensor in enumerate(graph.tensors):
        producer = graph.place[tensor.producer]
        if producer in node and readers[t]:
            flows.append(Flow(node[producer], tuple(sorted(node[i] for i in readers[t])), float(bits[t])))
    groups = [tuple(node[graph.place[n]] for n in group if graph.place[n] in node) for group in graph.together]
    return Terms(
        operator=operator,
        names=tuple(graph.operations[i] for i in kept),
        time=seconds(problem, operator)[kept],
        memory=of_weights[kept],
        allowed=problem.allowed[kept],
        flows=tuple(flows),
        private=problem.input.private,
        together=tuple(group for group in groups if len(group) > 1),
        output=None if problem.output is None else node[graph.place[problem.output.operation]],
    )
