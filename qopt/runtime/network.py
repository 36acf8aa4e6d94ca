"""A model as operations and tensors: who writes, who reads, and which constants each operation holds.

An operation is named by the first tensor that it writes; names of nodes may be missing, double, or lost in quantizing.
If, Loop and Scan are one operation each: what their bodies capture from outside, they read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from qopt.core.errors import InputError, shown

STANDARD = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "ai.onnx.preview")
"""Sets of operations that the runtime may know; it has the last word."""

LONGEST = 200
"""Letters of a name in a placement; longer ones are cut and end in a digest."""


def short_name(name: str) -> str:
    """A tensor's name as an operation's name in a placement."""
    if len(name) <= LONGEST:
        return name
    return f"{name[:150]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Operation:
    """One node.

    Attributes
    ----------
    name : the first tensor that it writes.
    node : as the file has it.
    reads, writes : tensors, each once, in order; those that bodies capture included.
    weights : constants of the file that it or its bodies use.
    """

    name: str
    node: NodeProto
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    weights: tuple[str, ...]

    @property
    def kind(self) -> str:
        """ONNX's name of the operation, with its domain where that is not the standard one."""
        return self.node.op_type if self.node.domain in ("", "ai.onnx") else f"{self.node.domain}.{self.node.op_type}"


def captured(graph: GraphProto) -> set[str]:
    """Names that a body uses and does not define."""
    defined = {entry.name for entry in (*graph.input, *graph.initializer)}
    defined |= {entry.values.name for entry in graph.sparse_initializer}
    used: set[str] = set()
    for node in graph.node:
        used |= {name for name in node.input if name and name not in defined}
        used |= {name for body in bodies(node) for name in captured(body) if name not in defined}
        defined |= set(node.output)
    return used | {entry.name for entry in graph.output if entry.name not in defined}


def bodies(node: NodeProto) -> list[GraphProto]:
    """Graphs within a node."""
    found = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return found + [graph for attribute in node.attribute for graph in attribute.graphs]


class Network:
    """A checked model: operations in an order in which they can run.

    Parameters
    ----------
    proto : the model; not changed.
    name : of the file, for messages.

    Raises
    ------
    InputError
        The graph is cyclic, reads what nothing writes, writes twice, or has an operation that nobody knows.
    """

    def __init__(self, proto: ModelProto, name: str) -> None:
        graph = proto.graph
        self.proto, self.name = proto, name
        self.weights: dict[str, TensorProto] = {entry.name: entry for entry in graph.initializer}
        self.sparse = {entry.values.name: entry for entry in graph.sparse_initializer}
        held = self.weights.keys() | self.sparse.keys()
        self.inputs = tuple(entry.name for entry in graph.input if entry.name not in held)
        self.outputs = tuple(entry.name for entry in graph.output)
        self._check_names(held)
        self._check_known()
        rows = [self._operation(node, held) for node in graph.node]
        self.operations = self._ordered(rows)

    def _check_names(self, held: set[str]) -> None:
        written = [*self.inputs, *(name for node in self.proto.graph.node for name in node.output if name)]
        twice = [name for name, times in Counter(written).items() if times > 1] + [n for n in written if n in held]
        if twice:
            raise InputError(self.name, f"tensor {shown(twice[0])} written twice", "one writer for each tensor")
        double = [name for name, times in Counter(self.outputs).items() if times > 1]
        if double or not self.outputs:
            found = f"output {shown(double[0])} twice" if double else "no outputs"
            raise InputError(self.name, found, "a model that returns tensors")
        for position, node in enumerate(self.proto.graph.node):
            if not any(node.output):
                raise InputError(
                    self.name, f"operation {position} ({shown(node.op_type)}) that writes nothing", "tensors"
                )

    def _check_known(self) -> None:
        functions = {(function.domain, function.name) for function in self.proto.functions}
        for node in self.proto.graph.node:
            standard = node.domain in ("", "ai.onnx", "ai.onnx.ml")
            if (node.domain, node.op_type) in functions:
                continue
            if node.domain not in STANDARD or (standard and not _defined(node)):
                domain = f" of {shown(node.domain)}" if node.domain else ""
                found = f"operation {shown(node.op_type)}{domain}, which nobody here knows"
                raise InputError(self.name, found, "operations of ONNX or of onnxruntime")

    def _operation(self, node: NodeProto, held: set[str]) -> Operation:
        outer = [name for body in bodies(node) for name in sorted(captured(body))]
        names = dict.fromkeys([*(name for name in node.input if name), *outer])
        writes = tuple(name for name in node.output if name)
        reads, weights = tuple(n for n in names if n not in held), tuple(n for n in names if n in held)
        return Operation(writes[0], node, reads, writes, weights)

    def _ordered(self, rows: list[Operation]) -> tuple[Operation, ...]:
        writer = {name: row for row in rows for name in row.writes}
        known = {*self.inputs, *writer}
        for row in rows:
            for name in row.reads:
                if name not in known:
                    found = f"{shown(row.name)}, which reads {shown(name)}, which nothing writes"
                    raise InputError(self.name, found, "tensors that something writes")
        for name in self.outputs:
            if name not in known and name not in self.weights:
                raise InputError(self.name, f"output {shown(name)}, which nothing writes", "tensors that are written")
        seen, ordered = {*self.inputs}, True
        for row in rows:
            ordered &= all(name in seen for name in row.reads)
            seen |= {*row.writes}
        if not ordered:
            before = {row.name: {writer[n].name for n in row.reads if n in writer} for row in rows}
            try:
                order = list(TopologicalSorter(before).static_order())
            except CycleError as error:
                found = "a cycle, " + " -> ".join(error.args[1][:8])
                raise InputError(self.name, found, "a graph without cycles") from None
            place = {name: i for i, name in enumerate(order)}
            rows = sorted(rows, key=lambda row: place[row.name])
        return self._used(rows)

    def _used(self, rows: list[Operation]) -> tuple[Operation, ...]:
        """Without operations whose results reach no output."""
        wanted, kept = {*self.outputs}, []
        for row in reversed(rows):
            if wanted & {*row.writes}:
                wanted |= {*row.reads}
                kept.append(row)
        return tuple(reversed(kept))

    @cached_property
    def writer(self) -> dict[str, Operation]:
        """The operation that writes a tensor, by the tensor's name."""
        return {name: row for row in self.operations for name in row.writes}

    @cached_property
    def readers(self) -> dict[str, list[Operation]]:
        """Operations that read a tensor, by its name; no entry where none does."""
        found: dict[str, list[Operation]] = {}
        for row in self.operations:
            for name in row.reads:
                found.setdefault(name, []).append(row)
        return found

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """Inputs, and whatever operations write that is read or returned."""
        used = {*self.readers, *self.outputs}
        written = [name for row in self.operations for name in row.writes if name in used]
        return (*self.inputs, *written)

    @property
    def opset(self) -> int:
        """Version of the standard operations."""
        return next((int(s.version) for s in self.proto.opset_import if s.domain in ("", "ai.onnx")), 1)


def _defined(node: NodeProto) -> bool:
    domain = "" if node.domain == "ai.onnx" else node.domain
    return bool(onnx.defs.has(node.op_type, domain=domain))
