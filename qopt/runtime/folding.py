"""The graph that is profiled and cut: inputs fixed, constants folded, every tensor's shape known where it can be.

What the runtime would rewrite anyway is rewritten first (its basic level: constants folded, batch normalizations drawn
into convolutions), because a time measured on one graph says nothing of another. Fusing comes later, in each part: a
fused operation cannot be cut.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import GraphProto, ModelProto, TensorProto

from qopt.core.errors import InputError
from qopt.runtime.network import Network, bodies
from qopt.runtime.reading import Model, constants, physical_memory, read_model, weight_bytes
from qopt.runtime.sessions import options, scratch, session
from qopt.runtime.shapes import Shape, TensorType, fixed_inputs, infer, shell

STEM = "operation"
"""How nodes are called in the runtime's own profile: this and their position."""

TREATED = "qopt.operator"
"""Field of a file's metadata: how `qopt exit` or `qopt quantize` treated it. Such a file was folded before."""


@dataclass(frozen=True)
class Folded:
    """A network ready to be measured and cut.

    Attributes
    ----------
    network : operations and tensors.
    types : of all tensors, by name.
    shapes : of the inputs.
    digest : SHA-256 of the graph.
    model : the file it comes from.
    """

    network: Network
    types: dict[str, TensorType]
    shapes: dict[str, Shape]
    digest: str
    model: Model

    @property
    def name(self) -> str:
        """Of the file."""
        return self.model.file


def fold(
    model: Model | str | os.PathLike[str], shapes: Mapping[str, Sequence[int]] | None = None, *, optimize: bool = True
) -> Folded:
    """Fix inputs, fold, and infer shapes.

    Parameters
    ----------
    model : as read, or the path of a file.
    shapes : of inputs whose declaration leaves it open, by name.
    optimize : False leaves the operations as they stand in the file.

    Raises
    ------
    InputError
        The file is none that can be read, has an open input, or tensors that would not fit into memory.
    """
    read = model if isinstance(model, Model) else read_model(model)
    proto = ModelProto()
    proto.CopyFrom(read.proto)
    _constants_to_weights(proto.graph)
    found = fixed_inputs(proto.graph, read.file, shapes or {})
    _fix(proto, found)
    treated = any(entry.key == TREATED for entry in proto.metadata_props)
    _check_memory(
        read, Network(proto, read.file), infer(proto, read.file)
    )  # says what is wrong before the runtime does
    if optimize and not treated:
        proto = _optimized(proto, read.file)
    network = _tidy(Network(proto, read.file))
    proto = network.proto
    types = _types(proto, network)
    _check_memory(read, network, types)
    digest = hashlib.sha256(proto.SerializeToString(deterministic=True) if _small(proto) else _pieces(proto))
    return Folded(network, types, found, digest.hexdigest(), read)


def _small(proto: ModelProto) -> bool:
    return sum(weight_bytes(entry) for entry in proto.graph.initializer) < 2**28


def _pieces(proto: ModelProto) -> bytes:
    """Digests of the graph and of each constant: for models that are no one protobuf."""
    parts = [shell(proto).SerializeToString(deterministic=True)]
    parts += [hashlib.sha256(entry.SerializeToString(deterministic=True)).digest() for entry in proto.graph.initializer]
    return b"".join(parts)


def _constants_to_weights(graph: GraphProto) -> None:
    """Constant nodes become initializers, as which the weights that hide in them are counted."""
    kept = []
    for node in graph.node:
        value = node.attribute[0] if node.op_type == "Constant" and len(node.attribute) == 1 else None
        tensor = None if value is None or node.domain not in ("", "ai.onnx") else _constant(value)
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
    if len(kept) < len(graph.node):
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)


def _constant(value: onnx.AttributeProto) -> TensorProto | None:
    if value.name == "value":
        found = TensorProto()
        found.CopyFrom(value.t)
        return found
    plain = {
        "value_float": (TensorProto.FLOAT, [], [value.f]),
        "value_floats": (TensorProto.FLOAT, [len(value.floats)], value.floats),
        "value_int": (TensorProto.INT64, [], [value.i]),
        "value_ints": (TensorProto.INT64, [len(value.ints)], value.ints),
    }.get(value.name)
    return None if plain is None else onnx.helper.make_tensor("", *plain)


def _fix(proto: ModelProto, shapes: Mapping[str, Shape]) -> None:
    """Give inputs their shapes; constants are no inputs (before IR 4 they had to be), and so can be folded."""
    graph = proto.graph
    inputs = [entry for entry in graph.input if entry.name in shapes]
    for entry in inputs:
        dims = [onnx.TensorShapeProto.Dimension(dim_value=extent) for extent in shapes[entry.name]]
        entry.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))
    copies = [onnx.ValueInfoProto.FromString(entry.SerializeToString()) for entry in inputs]
    del graph.input[:], graph.value_info[:]
    graph.input.extend(copies)
    proto.ir_version = max(proto.ir_version, 4)


def _optimized(proto: ModelProto, name: str) -> ModelProto:
    with scratch() as folder:
        path = os.path.join(folder, "folded.onnx")
        session(proto, name, options("basic", saved=path))
        found = read_model(path).proto
    found.ir_version = max(4, min(found.ir_version, proto.ir_version))
    del found.metadata_props[:]
    found.metadata_props.extend(proto.metadata_props)
    return found


def _tidy(network: Network) -> Network:
    """Only what runs, in order, under names that the runtime's profile can refer to; no versions of unused sets."""
    proto = shell(network.proto)
    del proto.graph.node[:]
    for position, own in enumerate(network.operations):
        node = proto.graph.node.add()
        node.CopyFrom(own.node)
        node.name = f"{STEM} {position}"
        for body in bodies(node):
            _rename(body)
    used = {domain for node in proto.graph.node for domain in _domains(node)} | {f.domain for f in proto.functions}
    for i in reversed(range(len(proto.opset_import))):
        own_domain = proto.opset_import[i].domain
        if own_domain not in used and not (own_domain == "ai.onnx" and "" in used):
            del proto.opset_import[i]
    held = {name for own in network.operations for name in own.weights} | {*network.outputs}
    proto.graph.initializer.extend(entry for entry in network.proto.graph.initializer if entry.name in held)
    return Network(proto, network.name)


def _domains(node: onnx.NodeProto) -> set[str]:
    return {node.domain} | {domain for body in bodies(node) for inner in body.node for domain in _domains(inner)} | {""}


def _rename(graph: GraphProto) -> None:
    for position, node in enumerate(graph.node):
        node.name = f"inner {position}"
        for body in bodies(node):
            _rename(body)


def _types(proto: ModelProto, network: Network) -> dict[str, TensorType]:
    """Of every tensor; what inference does not reach, the runtime is asked about."""
    types = infer(proto, network.name)
    missing = [name for name in network.tensors if name not in types or types[name].kind == 0]
    if missing:
        asked = ModelProto()
        asked.CopyFrom(proto)
        asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in missing if name not in network.outputs)
        for entry in session(asked, network.name, options("off")).get_outputs():
            if entry.name in missing:
                types[entry.name] = _runtime_type(entry.type, entry.shape)
    return types


def _runtime_type(text: str, shape: Sequence[object]) -> TensorType:
    names = {"float": "FLOAT", "double": "DOUBLE"}
    if not text.startswith("tensor("):
        return TensorType(None, None)
    inner = text[len("tensor(") : -1]
    kind = TensorProto.DataType.Value(names.get(inner, inner.upper()))
    return TensorType(kind, tuple(extent if isinstance(extent, int) else None for extent in shape))


def _check_memory(model: Model, network: Network, types: Mapping[str, TensorType]) -> None:
    """Refuse a graph that would need more memory than the machine has: weights, and one operation's tensors."""
    room = physical_memory() - sum(weight_bytes(entry) for entry in constants(network.proto))
    for own in network.operations:
        known = [(name, types[name]) for name in (*own.reads, *own.writes) if name in types]
        need = sum(kind.bytes(kind.fixed) for _, kind in known if kind.fixed is not None)
        if need > room:
            found = f"{own.kind} {own.name!r}, whose tensors take {need / 2**30:.3g} GiB"
            raise InputError(model.file, found, "tensors that fit into the memory of this machine")


def note(proto: ModelProto, field: str, text: str) -> None:
    """Write into a file's metadata how it was treated; what one more operator does is added to what was done before.

    Parameters
    ----------
    proto : the model.
    field, text : what is noted.
    """
    for entry in proto.metadata_props:
        if entry.key == field:
            done = entry.value.split(", ")
            entry.value = text if field != TREATED or text in done else ", ".join([*done, text])
            return
    proto.metadata_props.add(key=field, value=text)
