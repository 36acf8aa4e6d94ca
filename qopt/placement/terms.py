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
from qopt.placement.parts import Operator, Output
from qopt.placement.problem import Placement


class Flow(NamedTuple):
    """A tensor between nodes: who writes it, who reads it, its bits. Node 0 is the raw input, i the i-th operation.

    Node 0 stands on the lowest tier where an input is born; an input that is born higher crosses what is below for
    nothing, and its readers are kept above.

    Attributes
    ----------
    producer, readers : a node, and a node for each reader.
    bits : of the tensor, without overhead; of the smallest that it may be where that depends on its producer's tier.
    first : the first link that it crosses at a cost.
    private : whether it may cross no link.
    by_tier : (tiers,) bits by its producer's tier, where they depend on it.
    """

    producer: int
    readers: tuple[int, ...]
    bits: float
    first: int = 0
    private: bool = False
    by_tier: tuple[float, ...] | None = None

    def written(self, tier: int) -> float:
        """Bits of what is written on a tier."""
        return self.bits if self.by_tier is None else self.by_tier[tier]


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
    memory : (n,) bytes of weights of its own; of a mixture on the tier where they are largest.
    stored : (n, tiers) the same on each tier.
    shared : nodes that read weights together, and their bytes on each tier.
    scratch : (n,) bytes of each while it runs.
    allowed : (n, tiers) where each may run.
    flows : one for each tensor sent, the raw inputs first (mean sizes).
    raw_sizes : bits of each raw input that is read, at each size.
    largest : bits of each flow at its largest, of every size of the input and tier of its producer.
    together : lists of nodes that run on one tier.
    outputs : outputs that return, each with the node of its operation.
    """

    operator: Operator
    names: tuple[str, ...]
    time: FloatArray
    memory: FloatArray
    stored: FloatArray
    shared: tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]
    scratch: FloatArray
    allowed: BoolArray
    flows: tuple[Flow, ...]
    raw_sizes: tuple[tuple[float, ...], ...]
    largest: tuple[float, ...]
    together: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, Output], ...]

    @cached_property
    def reads(self) -> Reads:
        """The flows as arrays."""
        return Reads.of([flow.producer for flow in self.flows], [flow.readers for flow in self.flows])

    @cached_property
    def steps(self) -> tuple[IntArray, IntArray]:
        """(m,) steps of the listed order, 1..n, at which each flow comes to be and is read last; raw inputs from 1."""
        last = np.maximum.reduceat(self.reads.reader, self.reads.start)
        return np.maximum(self.reads.producer, 1), last

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Nodes that write nothing that is read; data moves up, so the highest tier of all is that of one of them."""
        writing = {flow.producer for flow in self.flows}
        return tuple(v for v in range(1, len(self.names) + 1) if v not in writing)

    @property
    def weight_size(self) -> float:
        """Bytes of all weights, shared ones once."""
        return float(self.memory.sum()) + sum(max(size) for _, size in self.shared)

    @property
    def raw(self) -> tuple[Flow, ...]:
        """The flows of the raw inputs."""
        return tuple(itertools.takewhile(lambda flow: flow.producer == 0, self.flows))


def kept_operations(problem: Placement, operator: Operator) -> IntArray:
    """Positions of the operations that an operator keeps, ascending."""
    skipped = {problem.graph.place[name] for name in operator.skips}
    return np.array([i for i in range(len(problem.graph)) if i not in skipped], dtype=np.int64)


def kept_weights(problem: Placement, operator: Operator) -> FloatArray:
    """(n,) bytes of weights of the operations that an operator keeps; of a mixture at their largest."""
    found: FloatArray = _stored(problem, operator)[kept_operations(problem, operator)].max(axis=1)
    return found


def _parts(problem: Placement, operator: Operator) -> tuple[list[Operator], dict[int, Operator]]:
    """The operators that treat what runs on each tier, and those of single operations, by position."""
    if not operator.mixed:
        return [operator] * len(problem.tiers), {}
    of_tier = [problem.operator(operator.tiers[name]) for name in problem.tier_names]
    return of_tier, {problem.graph.place[name]: problem.operator(o) for name, o in operator.operations.items()}


def _stored(problem: Placement, operator: Operator) -> FloatArray:
    """(operations, tiers) bytes of weights."""

    def of(part: Operator) -> FloatArray:
        found: FloatArray = problem.graph.weights * part.weight_factor if part.weights is None else part.weights
        return found

    of_tier, of_operation = _parts(problem, operator)
    found = np.column_stack([of(part) for part in of_tier])
    for v, part in of_operation.items():
        found[v] = of(part)[v]
    return found


def seconds(problem: Placement, operator: Operator, case: int | None = None) -> FloatArray:
    """(operations, tiers) seconds: the operator's table, the graph's for pre- and post-processing, or work / speed.

    Parameters
    ----------
    case : index of a size of the input; None for the mean.
    """
    if operator.mixed:
        of_tier, of_operation = _parts(problem, operator)
        table = np.column_stack([seconds(problem, part, case)[:, k] for k, part in enumerate(of_tier)])
        for v, part in of_operation.items():
            table[v] = seconds(problem, part, case)[v]
        return table
    if operator.time_at is not None:
        return _at(problem, operator.time_at, case)
    if operator.time is not None:
        return np.asarray(operator.time)
    graph = problem.graph
    speeds = [t.speed or np.inf for t in problem.tiers] if operator.speeds is None else operator.speeds
    with np.errstate(over="ignore"):  # costs that are not finite are refused where they are summed
        found: FloatArray = graph.work[:, None] / np.asarray(speeds)
    for name, column in graph.time.items():
        found[graph.place[name]] = column
    return found


def _at(problem: Placement, columns: Sequence[FloatArray], case: int | None) -> FloatArray:
    """What an operator has for one size of the input, or its mean over all."""
    mean: FloatArray = np.tensordot(problem.shares, np.stack(columns), axes=1)
    return mean if case is None else columns[case]


def _bits(problem: Placement, operator: Operator, case: int | None) -> FloatArray:
    """(tensors, tiers) bits of each tensor, written on each tier."""

    def of(part: Operator) -> FloatArray:
        if part.tensors_at is not None:
            return _at(problem, part.tensors_at, case)
        if part.tensors is not None:
            return np.asarray(part.tensors)
        return np.array([t.size for t in problem.graph.tensors]) * part.tensor_factor

    of_tier, of_operation = _parts(problem, operator)
    if not operator.mixed:
        return np.repeat(of(operator)[:, None], len(problem.tiers), axis=1)
    found = np.column_stack([of(part) for part in of_tier])
    for t, v in enumerate(problem.graph.writes):
        if v in of_operation:
            found[t] = of(of_operation[v])[t]
    return found


def terms(problem: Placement, operator: Operator, case: int | None = None) -> Terms:
    """What an operator makes of the problem's graph.

    A skipped operation passes its inputs on: whoever read its outputs reads what it read.

    Parameters
    ----------
    case : index of a size of the input, whose times and tensors count; None for the mean of all.
    """
    key = ("terms", operator.name, case)
    known: Terms | None = problem.worked_out.get(key)
    if known is not None and known.operator is operator:
        return known
    found = _terms(problem, operator, case)
    problem.worked_out[key] = found
    return found


def _terms(problem: Placement, operator: Operator, case: int | None) -> Terms:
    graph = problem.graph
    kept = kept_operations(problem, operator)
    node = np.zeros(len(graph), dtype=np.int64)  # 0 is none
    node[kept] = np.arange(1, len(kept) + 1)
    number = node.tolist()
    groups = [tuple(number[graph.place[n]] for n in group if number[graph.place[n]]) for group in graph.together]
    stored = _stored(problem, operator)[kept]
    scratch = np.zeros(len(graph)) if graph.scratch is None else graph.scratch
    flows, sources = _flows(problem, operator, number, case)
    found = Terms(
        operator=operator,
        names=tuple([graph.operations[i] for i in kept.tolist()]),
        time=seconds(problem, operator, case)[kept],
        memory=stored.max(axis=1),
        stored=stored,
        shared=_shared(problem, operator, number),
        scratch=scratch[kept],
        allowed=problem.allowed[kept] & _usable(problem, operator)[kept],
        flows=flows,
        raw_sizes=_raw_sizes(problem, sources),
        largest=_largest(problem, operator, sources),
        together=tuple(group for group in groups if len(group) > 1),
        outputs=tuple((number[graph.place[part.operation]], part) for part in problem.results),
    )
    for column in (found.time, found.memory, found.stored, found.scratch, found.allowed):
        column.flags.writeable = False
    return found


def _usable(problem: Placement, operator: Operator) -> BoolArray:
    """(operations, tiers) where the operator, or those that a mixture is made of, can be used."""

    def on(part: Operator) -> BoolArray:
        return np.array([not part.on or name in part.on for name in problem.tier_names])

    of_tier, of_operation = _parts(problem, operator)
    row = np.array([on(part)[k] for k, part in enumerate(of_tier)]) & on(operator)
    found = np.repeat(row[None, :], len(problem.graph), axis=0)
    for v, part in of_operation.items():
        found[v] = on(part) & on(operator)
    return found


def _shared(
    problem: Placement, operator: Operator, node: list[int]
) -> tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]:
    """Nodes of every group of shared weights that keeps one, and its bytes on each tier."""
    graph = problem.graph
    of_tier, _ = _parts(problem, operator)
    found = []
    for g, group in enumerate(graph.shared):
        nodes = tuple(node[graph.place[name]] for name in group.operations if node[graph.place[name]])
        sizes = [group.size * o.weight_factor if o.shared is None else float(o.shared[g]) for o in of_tier]
        if nodes:
            found.append((nodes, tuple(sizes)))
    return tuple(found)


def varies(problem: Placement, operator: Operator) -> bool:
    """Whether times or tensors between operations depend on the size of the input."""
    of_tier, of_operation = _parts(problem, operator)
    return any(part.time_at is not None or part.tensors_at is not None for part in (*of_tier, *of_operation.values()))


def _raw_sizes(problem: Placement, sources: list[int]) -> tuple[tuple[float, ...], ...]:
    """Bits of every raw input that is read, at each size."""
    there = [problem.sources[-1 - t] for t in sources if t < 0]
    columns = [np.broadcast_to(part.sizes, problem.cases).tolist() for part in there]
    return tuple(tuple(column[case] for column in columns) for case in range(problem.cases))


def _largest(problem: Placement, operator: Operator, sources: list[int]) -> tuple[float, ...]:
    """Bits of every flow at its largest; `sources` are their tensors, -1 and below the raw inputs."""
    cases = range(problem.cases) if varies(problem, operator) else [None]
    bits = np.max([_bits(problem, operator, case).max(axis=1, initial=0.0) for case in cases], axis=0)
    raw = [float(part.sizes.max()) for part in problem.sources]
    return tuple(raw[-1 - t] if t < 0 else float(bits[t]) for t in sources)


def _flows(
    problem: Placement, operator: Operator, node: list[int], case: int | None
) -> tuple[tuple[Flow, ...], list[int]]:
    """What is sent between the nodes, and which tensor each is; the raw inputs, -1 and below, are the first.

    `node` numbers the operations that are kept, and is 0 for the others.
    """
    graph, sources = problem.graph, problem.sources
    # The raw inputs stand behind the tensors. Readers of skipped operations are found from the last to the first.
    count = len(graph.tensors)
    raw = [tuple(sorted(graph.place[name] for name in part.readers)) for part in sources]
    readers: list[tuple[int, ...]] = [*graph.reads, *raw]
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
    flows, numbers = [], []
    for i, (part, birth) in enumerate(zip(sources, problem.births, strict=True)):
        of = readers[count + i]
        if of:
            size = part.size if case is None else float(np.broadcast_to(part.sizes, problem.cases)[case])
            if case is None and part.shares is None and len(part.sizes) > 1 and problem.cases > 1:
                size = _mean(problem, part.sizes, size)
            flows.append(Flow(0, tuple([node[j] for j in of]), size, birth, part.private))
            numbers.append(-1 - i)
    bits = _bits(problem, operator, case)
    least, rows = bits.min(axis=1, initial=np.inf).tolist(), bits.tolist() if operator.mixed else []
    for t, (producer, of) in enumerate(zip(graph.writes, readers[:count], strict=True)):
        if of and node[producer]:
            to = (node[of[0]],) if len(of) == 1 else tuple([node[i] for i in of])
            by_tier = (
                tuple(rows[t]) if operator.mixed and graph.operations[producer] not in operator.operations else None
            )
            flows.append(Flow(node[producer], to, least[t], by_tier=by_tier))
            numbers.append(t)
    return tuple(flows), numbers


def _mean(problem: Placement, sizes: FloatArray, plain: float) -> float:
    """Mean of an input's sizes, where another input may say how often each comes."""
    if all(part.shares is None for part in problem.sources):
        return plain
    return float((sizes * problem.shares).sum())
