"""Parts of a model: one file for each tier, and what crosses between them. Any cut along which data moves one way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import onnx
from onnx import ModelProto

from qopt.core.errors import InputError, shown
from qopt.runtime.folding import Folded
from qopt.runtime.network import Operation
from qopt.runtime.shapes import declared, shell


@dataclass(frozen=True)
class Piece:
    """One tier's part.

    Attributes
    ----------
    tier : its name.
    proto : the model.
    reads, writes : tensors that come in, the model's inputs included, and that go out, its outputs included.
    """

    tier: str
    proto: ModelProto
    reads: tuple[str, ...]
    writes: tuple[str, ...]


def cut(folded: Folded, tiers: Mapping[str, tuple[str, ...]]) -> list[Piece]:
    """The parts, in an order in which they can run.

    Parameters
    ----------
    folded : the model.
    tiers : of each operation by name; more than one for a node that is repeated where it is read.

    Returns
    -------
    One for each tier that runs something.

    Raises
    ------
    InputError
        Two tiers would wait for each other, or something crosses that is no tensor.
    """
    network = folded.network
    own: dict[str, list[Operation]] = {}
    for row in network.operations:
        for tier in tiers[row.name]:
            own.setdefault(tier, []).append(row)
    home = {name: tiers[row.name] for row in network.operations for name in row.writes}
    wanted: dict[str, dict[str, str]] = {tier: {} for tier in own}  # by reader: tensor, and the tier it comes from
    for tier, rows in own.items():
        for row in rows:
            for name in row.reads:
                if name in home and tier not in home[name]:
                    wanted[tier][name] = home[name][0]
    order = _order(wanted, network.name)
    crossing = {(source, name) for needs in wanted.values() for name, source in needs.items()}
    pieces = []
    for tier in order:
        reads = [name for name in network.inputs if any(name in row.reads for row in own[tier])]
        reads += [name for name in network.tensors if name in wanted[tier]]
        back = {name for name in network.outputs if name in home and home[name][0] == tier}
        if tier == order[-1]:
            back |= {name for name in network.outputs if name in network.weights}
        sent = {name for source, name in crossing if source == tier} | back
        writes = [name for row in own[tier] for name in row.writes if name in sent]
        writes += [name for name in network.outputs if name in back and name not in writes]
        pieces.append(Piece(tier, _part(folded, tier, own[tier], reads, writes), tuple(reads), tuple(writes)))
    return pieces


def _order(wanted: Mapping[str, Mapping[str, str]], name: str) -> list[str]:
    before = {tier: dict.fromkeys(needs.values()) for tier, needs in wanted.items()}
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        found = "tiers that wait for each other, " + " -> ".join(error.args[1])
        raise InputError(name, found, "a plan whose data move one way") from None


def _part(folded: Folded, tier: str, rows: list[Operation], reads: list[str], writes: list[str]) -> ModelProto:
    network = folded.network
    for name in (*reads, *writes):
        if folded.types[name].kind is None:
            found = f"{shown(name)}, which is no tensor, between {shown(tier)} and another tier"
            raise InputError(network.name, found, "cuts through tensors")
    found = shell(network.proto)
    graph = found.graph
    for listed in (graph.node, graph.input, graph.output, graph.value_info, graph.sparse_initializer):
        del listed[:]
    del graph.quantization_annotation[:]
    graph.name = f"{network.proto.graph.name or 'graph'} on {tier}"
    graph.node.extend(row.node for row in rows)
    graph.input.extend(declared(name, folded.types[name]) for name in reads)
    graph.output.extend(declared(name, folded.types[name]) for name in writes)
    held = {name for row in rows for name in row.weights} | {name for name in writes if name in network.weights}
    graph.initializer.extend(entry for name, entry in network.weights.items() if name in held)
    graph.sparse_initializer.extend(entry for name, entry in network.sparse.items() if name in held)
    return found


def valid(path: str | os.PathLike[str], name: str) -> None:
    """Refuse a written file, with the data beside it, that ONNX's own checker does not accept.

    Parameters
    ----------
    path : of the file.
    name : of the file, for messages.

    Raises
    ------
    InputError
        What the checker says.
    """
    try:
        onnx.checker.check_model(path)
    except Exception as error:  # classes of the checker differ between versions
        text = " ".join(str(error).split())[:160]
        raise InputError(name, f"a model that ONNX's checker refuses ({text})", "a valid model") from None
