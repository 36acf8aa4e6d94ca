"""A segment's two parts as ONNX files: the device's weights as packed codes behind DequantizeLinear (QDQ), the server's
in float32.

The plan's grids have any offset, ONNX's only whole zero points, so a weight is scale * code + offset with an addition
behind the standard operation, and what the device sends is quantized step by step. No kernel multiplies codes of such
grids: what is computed is dequantized, in float32, and `qopt.runtime.device` tells the runtime to do that once, when a
part is opened.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from qopt.core.errors import InputError, shown
from qopt.core.files import new_folder, write_text
from qopt.placement.profile import Source
from qopt.runtime.manifest import MANIFEST, QUANTIZED, Crossing, Part, Parts, check_free, file_digest, file_name
from qopt.runtime.parts import valid
from qopt.runtime.reading import bits_of, weight_bytes

if TYPE_CHECKING:
    from qopt.measuring.halves import Half
    from qopt.measuring.segment_file import SegmentFile, SentTensor

OPSETS = {8: (21, 10), 4: (21, 10), 2: (25, 13)}
"""Versions of the standard operations, and of the format, that have codes of so many bits."""


def export_parts(
    segment: SegmentFile | str | os.PathLike[str],
    module: Any,
    example: Any,
    folder: str | os.PathLike[str],
    *,
    tiers: Sequence[str] = ("mobile", "edge"),
    name: str | None = None,
) -> Parts:
    """Write a packed segment as parts that onnxruntime runs: the device's as ONNX QDQ, the server's beside it.

    The device's file holds the plan's codes without gaps, scales, offsets and biases, as many bytes as `qopt.pack`
    counts, and a header that depends on the network's structure alone. One example at a time.

    Parameters
    ----------
    segment : what `qopt.pack` returned, or its file. Weights of 2, 4 or 8 bits, of per-tensor or per-channel grids.
    module : the torch module that it was made from.
    example : (n, ...) at least one input, as for `qopt.measure`.
    folder : to write; not there yet, or empty.
    tiers : names of device and server.
    name : of the network; by default the class of the module.

    Returns
    -------
    The manifest, for `qopt.run_parts` and ``qopt run-part``.

    Raises
    ------
    InputError
        The segment is of another network, a width or a grid has no operation in ONNX, or torch cannot write an
        operation of the network as ONNX. QoptError where torch or onnx is not installed.
    """
    from qopt.measuring.calls import traced
    from qopt.measuring.segment_file import SegmentFile, read_segment

    own = segment if isinstance(segment, SegmentFile) else read_segment(segment)
    network = traced(module, example)
    return export_network(own, network, folder, tiers=tiers, name=type(module).__name__ if name is None else name)


def export_network(
    own: SegmentFile,
    network: object,
    folder: str | os.PathLike[str],
    *,
    tiers: Sequence[str] = ("mobile", "edge"),
    name: str = "network",
) -> Parts:
    """As `export_parts`, of a network that is traced already.

    Parameters
    ----------
    own : the segment.
    network : a `qopt.measuring.network.Network`.
    folder, tiers, name : as in `export_parts`.
    """
    from qopt.measuring.halves import OUTPUT, device_half, example_shape, server_half, tensor_name
    from qopt.measuring.network import Network

    assert isinstance(network, Network)
    if len(tiers) != 2 or tiers[0] == tiers[1]:
        raise InputError("tiers", shown(list(tiers)), "two names, of the device and of the server")
    _check_widths(own)
    target = Path(folder)
    check_free(target)
    sent = {entry.tensor: entry for entry in own.header.activations}
    cut, layers = own.header.plan.cut, len(network)
    kept = cut == layers and layers not in sent
    models: list[tuple[str, ModelProto, int | None]] = []
    crossing: list[Crossing] = []
    first = device_half(own, network, whole=kept)
    if first is not None:
        models.append((tiers[0], _device(own, first, sent), own.size.total - own.size.header))
    if not kept:
        models.append((tiers[1], _server(server_half(own, network), sent), None))
        for number in network.crossing(cut):
            if number:
                entry = sent[number]
                shape = example_shape(network, number)
                crossing.append(
                    Crossing(
                        name=f"{tensor_name(number)}.codes",
                        type=_code_type(entry.bits)[1].__name__,
                        shape=shape,
                        bytes=-(-entry.size * entry.bits // 8),
                        bits=entry.bits,
                        sender=tiers[0],
                        readers=(tiers[1],),
                    )
                )
    parts = Parts(
        source=Source(file=name, fingerprint=own.header.data, folded=own.header.structure),
        operator=QUANTIZED,
        parts=tuple(
            Part(
                tier=tier,
                file=file_name(i, tier),
                fingerprint="0" * 64,
                reads=tuple(entry.name for entry in model.graph.input),
                writes=tuple(entry.name for entry in model.graph.output),
                operations=len(model.graph.node),
                weights=sum(weight_bytes(entry) for entry in model.graph.initializer),
                payload=payload,
            )
            for i, (tier, model, payload) in enumerate(models)
        ),
        tensors=tuple(crossing),
        inputs=("input",),
        outputs=(OUTPUT,),
    )
    return _write(parts, [model for _, model, _ in models], target)


def _write(parts: Parts, models: list[ModelProto], target: Path) -> Parts:
    """All files into a new folder beside the target, which takes its place when complete."""
    found = []
    with new_folder(target) as folder:
        for part, model in zip(parts.parts, models, strict=True):
            path = folder / part.file
            path.write_bytes(model.SerializeToString(deterministic=True))
            valid(path, part.file)
            found.append(part.model_copy(update={"fingerprint": file_digest(path)}))
        parts = parts.model_copy(update={"parts": tuple(found)})
        write_text(folder / MANIFEST, parts.model_dump_json(indent=1) + "\n")
    return parts


WIDTHS = "2, 4 or 8, which ONNX can pack: solve with --set bits.menu=[2,4,8]"


def _check_widths(own: SegmentFile) -> None:
    """Refuse what ONNX has no type for."""
    for number, layer in enumerate(own.header.layers, start=1):
        if layer.shape and layer.bits not in OPSETS:
            raise InputError(f"plan.weights[{number - 1}]", f"{layer.bits} bits", WIDTHS)
        if layer.shape and layer.bits == 2 and not hasattr(TensorProto, "UINT2"):
            raise InputError(
                "onnx", f"version {onnx.__version__}, without 2-bit numbers", "a newer onnx and onnxruntime"
            )
    for weight in own.weights.values():
        if weight.grid.group:
            raise InputError("grid", str(weight.grid), "per-tensor or per-channel, which QDQ without groups can hold")


def _code_type(bits: int) -> tuple[int, type[np.unsignedinteger]]:
    """The type in which codes of an activation leave the graph; on the link they are packed."""
    return (TensorProto.UINT8, np.uint8) if bits <= 8 else (TensorProto.UINT16, np.uint16)


def _model(half: Half, bits: Sequence[int]) -> ModelProto:
    """The half's graph with its constants, in the version that codes of these widths need."""
    proto = onnx.load_from_string(half.graph)
    for entry in proto.graph.initializer:
        if entry.name in half.constants:
            entry.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(half.constants[entry.name]), entry.name))
    there = {entry.name for entry in proto.graph.initializer}
    for name in (*half.weights, *half.constants):
        if name not in there:
            raise InputError("network", f"{name}, which torch's exporter does not keep as it is", "other operations")
    version, form = max(OPSETS[b] for b in bits)
    found = onnx.version_converter.convert_version(proto, version)
    found.ir_version, found.producer_name, found.producer_version = form, "qopt", ""
    found.graph.name = "part"
    return found


def _device(own: SegmentFile, half: Half, sent: dict[int, SentTensor]) -> ModelProto:
    """The device's graph: codes in place of weights, and of what it sends."""
    model = _model(half, [own.weights[n].bits for n in half.weights.values()] or [8])
    graph = model.graph
    first: list[NodeProto] = []
    kept = [entry for entry in graph.initializer if entry.name not in half.weights]
    for name, number in half.weights.items():
        weight = own.weights[number]
        shape = weight.codes.shape
        column = [shape[0], *[1] * (len(shape) - 1)] if weight.scale.ndim else []
        scale = weight.scale.cpu().numpy().astype(np.float32)
        kept.append(_codes(f"{name}.codes", weight.bits, shape, own.packed(number)))
        kept.append(numpy_helper.from_array(scale, f"{name}.scale"))
        first.append(_node("DequantizeLinear", [f"{name}.codes", f"{name}.scale"], f"{name}.scaled", axis=0))
        if weight.offset is not None:
            offset = weight.offset.cpu().numpy().astype(np.float32).reshape(column)
            kept.append(numpy_helper.from_array(offset, f"{name}.offset"))
            first.append(_node("Add", [f"{name}.scaled", f"{name}.offset"], name))
        else:  # the lowest point is half of the last code below zero: computed, as it is not sent
            kept.append(numpy_helper.from_array(np.float32((2**weight.bits - 1) / 2), f"{name}.middle"))
            first.append(_node("Mul", [f"{name}.scale", f"{name}.middle"], f"{name}.half"))
            half_range = f"{name}.half"
            if column:
                kept.append(numpy_helper.from_array(np.array(column, np.int64), f"{name}.column"))
                first.append(_node("Reshape", [half_range, f"{name}.column"], f"{name}.lowest"))
                half_range = f"{name}.lowest"
            first.append(_node("Sub", [f"{name}.scaled", half_range], name))
    last: list[NodeProto] = []
    outputs = []
    named = {f"tensor.{i}": entry for i, entry in sent.items()}
    for output in graph.output:
        if output.name not in named:
            outputs.append(output)
            continue
        extents = [d.dim_value for d in output.type.tensor_type.shape.dim]
        kind, _ = _code_type(named[output.name].bits)
        last += _quantizing(output.name, named[output.name], kept)
        outputs.append(helper.make_tensor_value_info(f"{output.name}.codes", kind, extents))
    return _rebuilt(model, first, last, kept, list(graph.input), outputs)


def _server(half: Half, sent: dict[int, SentTensor]) -> ModelProto:
    """The server's graph: what it receives is brought back to points of the grid."""
    model = _model(half, [8])
    kept, first, inputs = list(model.graph.initializer), [], []
    for entry in model.graph.input:
        number = half.reads[entry.name]
        if number not in sent:
            inputs.append(entry)
            continue
        own, name = sent[number], entry.name
        shape = [d.dim_value for d in entry.type.tensor_type.shape.dim]
        inputs.append(helper.make_tensor_value_info(f"{name}.codes", _code_type(own.bits)[0], shape))
        kept.append(numpy_helper.from_array(np.float32(own.scale), f"{name}.scale"))
        kept.append(numpy_helper.from_array(np.float32(_lowest(own)), f"{name}.offset"))
        first.append(_node("DequantizeLinear", [f"{name}.codes", f"{name}.scale"], f"{name}.scaled"))
        first.append(_node("Add", [f"{name}.scaled", f"{name}.offset"], name))
    return _rebuilt(model, first, [], kept, inputs, list(model.graph.output))


def _quantizing(name: str, own: SentTensor, kept: list[TensorProto]) -> list[NodeProto]:
    """Nodes that make codes of a tensor, on its grid fixed in advance: Eq. 10 as the plan's quantizer computes it.

    In float64: zeros lie halfway between two points of a symmetric grid, and QuantizeLinear's float32 quotient falls to
    the one side or the other.
    """
    kind, _ = _code_type(own.bits)
    last, nodes, here = 2**own.bits - 1, [], f"{name}.wide"

    def then(operation: str, number: float, to: str) -> None:
        nonlocal here
        kept.append(numpy_helper.from_array(np.float64(number), f"{name}.{to}.by"))
        nodes.append(_node(operation, [here, f"{name}.{to}.by"], f"{name}.{to}"))
        here = f"{name}.{to}"

    nodes.append(_node("Cast", [name], here, to=TensorProto.DOUBLE))
    step = float(np.float32(own.scale)) if own.scale > 0 else float("inf")
    if own.offset is None:
        then("Div", step, "steps")
        then("Add", last / 2, "above")
    else:
        then("Sub", float(np.float32(own.offset)), "above")
        then("Div", step, "steps")
    nodes.append(_node("Round", [here], f"{name}.whole"))
    here = f"{name}.whole"
    then("Max", 0.0, "least")
    then("Min", float(last), "most")
    nodes.append(_node("Cast", [here], f"{name}.codes", to=kind))
    return nodes


def _lowest(own: SentTensor) -> float:
    """The point of code 0."""
    return -own.scale * (2**own.bits - 1) / 2 if own.offset is None else own.offset


def _codes(name: str, bits: int, shape: Sequence[int], data: bytes) -> TensorProto:
    """Packed codes as a constant; the format packs as `qopt.measuring.packing` does, lowest bits first."""
    kind = {8: TensorProto.UINT8, 4: TensorProto.UINT4, 2: getattr(TensorProto, "UINT2", 0)}[bits]
    assert bits_of(kind) == bits
    return TensorProto(name=name, data_type=kind, dims=list(shape), raw_data=data)


def _node(kind: str, reads: Sequence[str], writes: str, **attributes: int) -> NodeProto:
    return helper.make_node(kind, list(reads), [writes], name=writes, **attributes)


def _rebuilt(
    model: ModelProto,
    first: list[NodeProto],
    last: list[NodeProto],
    kept: list[TensorProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> ModelProto:
    """The model with nodes before and behind its own, and with other constants, inputs and outputs."""
    graph = model.graph
    nodes = [*first, *graph.node, *last]
    inputs, outputs, kept = ([type(e).FromString(e.SerializeToString()) for e in es] for es in (inputs, outputs, kept))
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    for listed in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        del listed[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    return model
