"""`qopt exit`: a network with its last repeated blocks left out (Algorithm 1 of the study), found by their structure.

A block begins and ends at one tensor: every way into it leads through the first, every way out through the second
(the first dominates the second, the second post-dominates the first). Such tensors stand in chains; between neighbours
lies a segment. Going back from the end of a chain, the first pair of equal stretches of segments is looked for: the
same operations, attributes, extents and shapes of weights, wired the same way, with the same tensor type going in as
coming out, so that what read the second can read the first. The shortest such stretch with weights is the block; as
many equal ones precede it as there are. The study leaves out two.

A treated file keeps the names of tensors, so that its operations are found among those of the whole.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import ModelProto

from qopt.core.arguments import whole
from qopt.core.errors import InputError
from qopt.core.files import write_whole
from qopt.placement.graph import Names
from qopt.runtime.folding import TREATED, Folded, fold, note
from qopt.runtime.network import Network, Operation, bodies
from qopt.runtime.sessions import stored
from qopt.runtime.shapes import shell

STUDY = 2
"""Blocks that the study leaves out: of one the gain is small, and no subject had three alike."""


@dataclass(frozen=True)
class EarlyExit:
    """Blocks that can be left out, and the model without them.

    Attributes
    ----------
    skips : operations left out, by name, in order.
    blocks : how many blocks that are.
    alike : how many equal blocks follow each other there.
    entry, end : the tensor that enters the first block left out, and the one that leaves the last.
    model : the shortened model.
    """

    skips: Names
    blocks: int
    alike: int
    entry: str
    end: str
    model: ModelProto

    def __str__(self) -> str:
        return f"{self.blocks} of {self.alike} equal blocks left out, {len(self.skips)} operations after {self.entry!r}"


def exit_onnx(
    model: str | os.PathLike[str],
    save: str | os.PathLike[str] | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    blocks: int = STUDY,
    optimize: bool = True,
) -> EarlyExit:
    """Leave out the last repeated blocks of a network (Algorithm 1 of the study), so that it ends early.

    Parameters
    ----------
    model : the ONNX file.
    save : where the shortened model is written; nowhere unless given.
    shapes : of inputs, by name, where the file leaves them open.
    blocks : how many to leave out, at most as many as are alike.
    optimize : False leaves the file's operations as they are.

    Returns
    -------
    What was left out, and the model without it.

    Raises
    ------
    InputError
        No two blocks follow each other that are alike, or not as many as are to be left out.
    """
    whole("blocks", blocks, 1, 10**6)
    folded = fold(model, shapes, optimize=optimize)
    found = early_exit(folded, blocks)
    if save is not None:
        if stored(found.model) > 2**30:
            raise InputError("save", "more than 1 GiB of weights", "smaller models")
        write_whole(save, lambda file: file.write(found.model.SerializeToString(deterministic=True)))
    return found


def early_exit(folded: Folded, blocks: int = STUDY) -> EarlyExit:
    """The blocks to leave out of a folded graph; see `exit_onnx`."""
    network = folded.network
    place = {name: i for i, row in enumerate(network.operations) for name in row.writes}
    candidates = []
    for chain in chains(network):
        found = _repeated(chain, folded)
        if found is not None:
            candidates.append(found)
    if not candidates:
        raise InputError(folded.name, "no two blocks that are alike and follow each other", "a network that repeats")
    bounds = max(candidates, key=lambda ends: place[ends[-1]])
    alike = len(bounds) - 1
    if blocks > alike:
        raise InputError("blocks", str(blocks), f"at most {alike}: so many are alike")
    entry, end = bounds[-1 - blocks], bounds[-1]
    skipped = [row.name for row in _between(network, entry, end)]
    return EarlyExit(tuple(skipped), blocks, alike, entry, end, _without(folded, {*skipped}, entry, end))


def chains(network: Network) -> list[list[str]]:
    """Chains of tensors: all ways from one lead through the next, and all ways to that through the first."""
    after, before = _dominators(network, forward=False), _dominators(network, forward=True)
    step = {name: end for name, end in after.items() if end is not None and before.get(end) == name}
    heads = {*step} - {*step.values()}
    found = []
    for head in sorted(heads, key=network.tensors.index):
        chain = [head]
        while chain[-1] in step:
            chain.append(step[chain[-1]])
        if len(chain) > 2:
            found.append(chain)
    return found


def _dominators(network: Network, *, forward: bool) -> dict[str, str | None]:
    """For each tensor the nearest one that all ways to it (or from it) lead through; None where there is none.

    By intersection along depths, in one pass, because the graph has no cycles. Operations are vertices too.
    """
    parent: dict[str, str] = {}
    depth = {"": 0}
    tensors = {*network.tensors}

    def put(vertex: str, sources: list[str]) -> None:
        common = sources[0] if sources else ""
        for other in sources[1:]:
            while common != other:  # one of them goes up each time
                if depth[common] >= depth[other]:
                    common = parent[common]
                else:
                    other = parent[other]
        parent[vertex], depth[vertex] = common, depth[common] + 1

    ends = {*network.outputs}
    if forward:
        for name in network.inputs:
            put(f"t{name}", [""])
        for row in network.operations:
            put(f"o{row.name}", [f"t{name}" for name in row.reads] or [""])
            for name in row.writes:
                put(f"t{name}", [f"o{row.name}"])
    else:
        for row in reversed(network.operations):
            for name in row.writes:
                if name in tensors:
                    put(f"t{name}", _ways(network, name, ends))
            put(f"o{row.name}", [f"t{name}" for name in row.writes if name in tensors])
        for name in network.inputs:
            put(f"t{name}", _ways(network, name, ends))
    found: dict[str, str | None] = {}
    for name in network.tensors:
        up = parent[f"t{name}"]
        while up and not up.startswith("t"):
            up = parent[up]
        found[name] = up[1:] or None
    return found


def _ways(network: Network, name: str, ends: set[str]) -> list[str]:
    ways = [f"o{reader.name}" for reader in network.readers.get(name, [])]
    return [*ways, ""] if name in ends or not ways else ways


def _between(network: Network, entry: str, end: str) -> list[Operation]:
    """Operations of the segment, or of several, between two tensors of a chain, in order."""
    wanted, found = {end}, []
    for row in reversed(network.operations):
        if wanted & {*row.writes} and entry not in row.writes:
            found.append(row)
            wanted |= {name for name in row.reads if name != entry}
    return list(reversed(found))


def _repeated(chain: list[str], folded: Folded) -> list[str] | None:
    """Ends of the equal blocks nearest to the end of a chain, the entry of the first in front; None if there are none.

    What leaves the last of them must be read: an exit needs something that decides.
    """
    network = folded.network
    segments = [_between(network, a, b) for a, b in itertools.pairwise(chain)]
    signs = [_sign(rows, a, b, folded) for rows, (a, b) in zip(segments, itertools.pairwise(chain), strict=True)]
    heavy = [any(row.weights for row in rows) for rows in segments]
    for last in range(len(segments), 1, -1):
        if chain[last] in network.outputs:
            continue
        for length in range(1, last // 2 + 1):
            own = signs[last - length : last]
            if not any(heavy[last - length : last]) or folded.types[chain[last]] != folded.types[chain[last - length]]:
                continue
            bounds, start = [chain[last]], last
            while start >= length and signs[start - length : start] == own:
                start -= length
                bounds.append(chain[start])
            if len(bounds) > 2:
                return list(reversed(bounds))
    return None


def _sign(rows: list[Operation], entry: str, end: str, folded: Folded) -> str:
    """What a segment computes but for the values of its weights: equal for segments that are alike."""
    names = {entry: 0}
    told = []
    for row in _canonical(rows, end):
        reads = []
        for name in row.node.input:
            entry_type = folded.types.get(name)
            known = ("t", names[name]) if name in names else ("w", str(entry_type))
            reads.append(known if name else ("none", ""))
        for name in row.writes:
            names[name] = len(names)
        attributes = sorted(attribute.SerializeToString(deterministic=True).hex() for attribute in row.node.attribute)
        if bodies(row.node):
            attributes.append(row.name)  # a body is never taken for equal to another
        told.append([row.kind, reads, attributes, [str(folded.types.get(name)) for name in row.writes]])
    return json.dumps(told)


def _canonical(rows: list[Operation], end: str) -> list[Operation]:
    """Rows in an order that does not depend on how the file lists them: depth first from the end, inputs in order."""
    writer = {name: row for row in rows for name in row.writes}
    order: dict[str, Operation] = {}
    todo: list[tuple[Operation, bool]] = [(writer[end], False)]
    while todo:  # each row is opened once and closed once
        row, ready = todo.pop()
        if ready:
            order.setdefault(row.name, row)
        elif row.name not in order:
            todo.append((row, True))
            todo += [(writer[name], False) for name in reversed(row.reads) if name in writer]
    return list(order.values())


def _without(folded: Folded, skipped: set[str], entry: str, end: str) -> ModelProto:
    network = folded.network
    found = shell(network.proto)
    del found.graph.node[:]
    for row in network.operations:
        if row.name not in skipped:
            node = found.graph.node.add()
            node.CopyFrom(row.node)
            _rename(node, end, entry)
    found.graph.initializer.extend(network.proto.graph.initializer)
    kept = Network(found, folded.name)
    held = {name for row in kept.operations for name in row.weights} | {*kept.outputs}
    del found.graph.initializer[:]
    found.graph.initializer.extend(entry for entry in network.proto.graph.initializer if entry.name in held)
    for field, text in ((TREATED, "early exit"), ("qopt.base", folded.digest), ("qopt.skips", json.dumps([*skipped]))):
        note(found, field, text)
    return found


def _rename(node: onnx.NodeProto, old: str, new: str) -> None:
    for position, name in enumerate(node.input):
        if name == old:
            node.input[position] = new
    for body in bodies(node):
        defined = {entry.name for entry in (*body.input, *body.initializer)} | {t for n in body.node for t in n.output}
        if old not in defined:
            for inner in body.node:
                _rename(inner, old, new)
            for output in body.output:
                if output.name == old:
                    output.name = new
