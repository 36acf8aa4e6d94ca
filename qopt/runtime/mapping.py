"""A treated file (quantized, shortened) beside the untreated one: which nodes do the work of which operation.

Names of nodes are lost in quantizing, tensors keep theirs, so nodes are found by what they write:

* a node that writes a tensor of the untreated graph does the work of the operation that wrote it there;
* one that quantizes such a tensor belongs to the operation that wrote it, so that the quantized tensor crosses a cut;
* any other node (one that brings a quantized tensor back, or quantizes an input) belongs to every operation that reads
  what it writes, and is repeated in their parts.

An operation that no node is left for was skipped, unless a node of its kind stands where a later one was: then the two
became one (a convolution and its ReLU), and cannot be parted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qopt.core.errors import InputError, shown
from qopt.runtime.network import Network, Operation

TO = "QuantizeLinear"


@dataclass
class Mapping:
    """Which nodes of a file do the work of which operation of the untreated graph.

    Attributes
    ----------
    owners : by a node's first tensor, the operations it works for.
    nodes : by an operation's name, its nodes; nothing for those that are skipped or absorbed.
    absorbed : operations that became one with a later one, and which.
    """

    owners: dict[str, tuple[str, ...]]
    nodes: dict[str, tuple[str, ...]]
    absorbed: dict[str, str] = field(default_factory=dict)

    def together(self) -> tuple[tuple[str, ...], ...]:
        """Groups of operations that cannot be parted."""
        groups: dict[str, list[str]] = {}
        for name, into in self.absorbed.items():
            groups.setdefault(into, []).append(name)
        return tuple((*names, into) for into, names in groups.items())


def same(network: Network) -> Mapping:
    """An untreated file: every operation does its own work."""
    own: dict[str, tuple[str, ...]] = {row.name: (row.name,) for row in network.operations}
    return Mapping(own, dict(own))


def match(treated: Network, base: Network) -> Mapping:
    """Find each node's operations.

    Parameters
    ----------
    treated : the operator's file.
    base : the untreated graph.

    Raises
    ------
    InputError
        The two have no tensor in common, or different inputs or outputs: they are not of one network.
    """
    if {*treated.inputs} != {*base.inputs} or {*treated.outputs} != {*base.outputs}:
        found = f"inputs {shown(list(treated.inputs))} and outputs {shown(list(treated.outputs))}"
        raise InputError(treated.name, found, f"those of {base.name}, {list(base.inputs)} and {list(base.outputs)}")
    owners: dict[str, tuple[str, ...]] = {}
    for row in reversed(treated.operations):
        owners[row.name] = _owners(row, treated, base, owners)
    nodes: dict[str, list[str]] = {}
    for row in treated.operations:
        for name in owners[row.name]:
            nodes.setdefault(name, []).append(row.name)
    mapping = Mapping(owners, {name: tuple(rows) for name, rows in nodes.items()})
    _absorb(mapping, treated, base)
    return mapping


def _owners(row: Operation, treated: Network, base: Network, later: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    own = [base.writer[name].name for name in row.writes if name in base.writer]
    if own:
        return (own[0],)
    if row.node.op_type == TO and row.reads and row.reads[0] in base.writer:
        return (base.writer[row.reads[0]].name,)
    after = [name for tensor in row.writes for reader in treated.readers.get(tensor, []) for name in later[reader.name]]
    if not after:
        raise InputError(treated.name, f"{shown(row.name)}, which {base.name} does not have", "a file made from it")
    return tuple(dict.fromkeys(after))


def _absorb(mapping: Mapping, treated: Network, base: Network) -> None:
    """Operations without nodes whose kind is found among the nodes of the one that reads them."""
    for row in base.operations:
        if row.name not in mapping.nodes:
            continue
        kinds = [treated.writer[name].node.op_type for name in mapping.nodes[row.name]]
        if row.node.op_type in kinds:
            continue
        todo = list(row.reads)
        while todo:  # upwards through operations that are gone; each has one reader, so each is looked at once
            before = base.writer.get(todo.pop())
            if before is None or before.name in mapping.nodes or len(base.readers[before.writes[0]]) != 1:
                continue
            if before.node.op_type in kinds:
                mapping.absorbed[before.name] = row.name
            else:
                todo += before.reads
