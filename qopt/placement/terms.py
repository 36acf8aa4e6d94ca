"""The network that an operator makes of a graph: kept operations, their seconds and bytes, the tensors between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.display import Brief
from qopt.placement.problem import Operator, Placement


class Flow(NamedTuple):
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
class Reads(Brief):
    """Who writes and who reads m tensors, as arrays: readers of one after those of the other.

    Attributes
    ----------
    producer : (m,) nodes.
    reader : (sum of all readers,) nodes.
    start : (m,) where each tensor's readers begin; every tensor has one.
    """

    producer: IntArray
    reader: IntArray
    start: IntArray

    @classmethod
    def of(cls, producer: Sequence[int], readers: Sequence[Sequence[int]]) -> Reads:
        """From lists: the producer of each tensor, and the readers of each, at least one."""
        count = np.fromiter(map(len, readers), dtype=np.int64, count=len(readers))
        flat = np.fromiter(itertools.chain.from_iterable(readers), dtype=np.int64, count=int(count.sum()))
        return cls(np.array(producer, dtype=np.int64), flat, np.cumsum(count) - count)

    def reach(self, labels: IntArray) -> tuple[IntArray, IntArray]:
        """(m,) tier of each tensor's producer, and the highest of its readers'; `labels` are the tiers of all nodes."""
        return labels[self.producer], np.maximum.reduceat(labels[self.reader], self.start)

    def crossed(self, labels: IntArray, links: int) -> BoolArray:
        """(m, links) which links each tensor crosses, where `labels` are the tiers of all nodes."""
        low, high = self.reach(labels)
        link = np.arange(links)
        found: BoolArray = (low[:, None] <= link) & (link < high[:, None])
        return found


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

    @cached_property
    def reads(self) -> Reads:
        """The flows as arrays."""
        return Reads.of([flow.producer for flow in self.flows], [flow.readers for flow in self.flows])

    @property
    def weight_size(self) -> float:
        """Bytes of all weights."""
        return float(self.memory.sum())


def kept_operations(problem: Placement, operator: Operator) -> IntArray:
    """Positions of the operations that an operator keeps, ascending."""
    skipped = {problem.graph.place[name] for name in operator.skips}
    return np.array([i for i in range(len(problem.graph)) if i not in skipped], dtype=np.int64)


def kept_weights(problem: Placement, operator: Operator) -> FloatArray:
    """(n,) bytes of weights of the operations that an operator keeps."""
    of_all = problem.graph.weights * operator.weight_factor if operator.weights is None else operator.weights
    found: FloatArray = of_all[kept_operations(problem, operator)]
    return found


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
    known: Terms | None = problem.worked_out.get(("terms", operator.name))
    if known is not None and known.operator is operator:
        return known
    found = _terms(problem, operator)
    problem.worked_out["terms", operator.name] = found
    return found


def _terms(problem: Placement, operator: Operator) -> Terms:
    graph = problem.graph
    kept = kept_operations(problem, operator)
    sizes = [t.size for t in graph.tensors]
    bits = [s * operator.tensor_factor for s in sizes] if operator.tensors is None else operator.tensors.tolist()
    node = np.zeros(len(graph), dtype=np.int64)  # 0 is none
    node[kept] = np.arange(1, len(kept) + 1)
    number = node.tolist()
    groups = [tuple(number[graph.place[n]] for n in group if number[graph.place[n]]) for group in graph.together]
    found = Terms(
        operator=operator,
        names=tuple([graph.operations[i] for i in kept.tolist()]),
        time=seconds(problem, operator)[kept],
        memory=kept_weights(problem, operator),
        allowed=problem.allowed[kept],
        flows=_flows(problem, operator, number, bits),
        private=problem.input.private,
        together=tuple(group for group in groups if len(group) > 1),
        output=None if problem.output is None else number[graph.place[problem.output.operation]],
    )
    for column in (found.time, found.memory, found.allowed):
        column.flags.writeable = False
    return found


def _flows(problem: Placement, operator: Operator, node: list[int], bits: list[float]) -> tuple[Flow, ...]:
    """What is sent between the nodes; `node` numbers the operations that are kept, and is 0 for the others."""
    graph = problem.graph
    # Tensor -1, the last here, is the raw input. Readers of skipped operations are found from the last to the first.
    readers: list[tuple[int, ...]] = [*graph.reads, tuple(sorted(graph.place[name] for name in problem.input.readers))]
    skipped = sorted({graph.place[name] for name in operator.skips}, reverse=True)
    if skipped:
        gone = set(skipped)
        reading: dict[int, list[int]] = {i: [] for i in skipped}
        written: dict[int, list[int]] = {i: [] for i in skipped}
        for t, of in enumerate(readers):
            for i in of:
                if i in gone:
                    reading[i].append(t)
        for t, i in enumerate(graph.writes):
            if i in gone:
                written[i].append(t)
        for i in skipped:
            behind = {r for t in written[i] for r in readers[t]}
            for t in reading[i]:
                readers[t] = tuple(sorted(({*readers[t]} - {i}) | behind))
    flows = [Flow(0, tuple([node[i] for i in readers[-1]]), problem.input.size)]
    for producer, of, size in zip(graph.writes, readers, bits, strict=False):  # without the raw input
        if of and node[producer]:
            to = (node[of[0]],) if len(of) == 1 else tuple([node[i] for i in of])
            flows.append(Flow(node[producer], to, float(size)))
    return tuple(flows)
