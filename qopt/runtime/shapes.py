"""Shapes: what a user gives for inputs, and what follows for every other tensor.

A tensor's type and shape come from ONNX's inference on the graph without its large constants (which may be larger
than a protobuf), and for operations that only the runtime knows from the runtime. An extent that depends on the data
stays open.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from qopt.core.errors import InputError, shown
from qopt.runtime.reading import bits_of

Shape = tuple[int, ...]

LARGEST_EXTENT = 2**40
"""Of an input's shape, before anything is multiplied."""

SMALL = 1024
"""Bytes up to which a constant may say something about shapes, and stays in the graph for inference."""


@dataclass(frozen=True)
class TensorType:
    """What is known of a tensor before it is computed.

    Attributes
    ----------
    kind : ONNX's number of the type of its entries; None for a sequence, a map or an optional value.
    shape : extents, None where the data decide; None where not even their number is known.
    """

    kind: int | None
    shape: tuple[int | None, ...] | None

    @property
    def fixed(self) -> Shape | None:
        """The shape, where all of it is known."""
        if self.shape is None or any(extent is None for extent in self.shape):
            return None
        return tuple(int(extent) for extent in self.shape if extent is not None)

    @property
    def type(self) -> str:
        """Type of the entries, as numpy names it."""
        if self.kind is None:
            return "object"
        try:
            return str(onnx.helper.tensor_dtype_to_np_dtype(self.kind))
        except (KeyError, ValueError):
            return str(TensorProto.DataType.Name(self.kind)).lower()

    def bytes(self, shape: Shape) -> int:
        """Bytes of such a tensor with this shape; texts count nothing, since nobody knows their lengths."""
        bits = None if self.kind is None else bits_of(self.kind)
        return 0 if bits is None else -(-math.prod(shape) * bits // 8)


def parse_sizes(texts: Sequence[str], option: str = "--shape") -> list[dict[str, Shape]]:
    """Input sizes from ``x=1,3,320,320``; an input that is given several times has several sizes.

    Parameters
    ----------
    texts : one for each input and size; ``1,3,320,320`` alone is for the only input.
    option : what messages call them.

    Returns
    -------
    One mapping for each size. An input that is given once has that shape in all of them.
    """
    given: dict[str, list[Shape]] = {}
    for text in texts:
        name, _, numbers = text.rpartition("=")
        parts = [part.strip() for part in re.split("[,x]", numbers)] if numbers else []
        if not all(part.isdecimal() and len(part) < 14 and 0 < int(part) <= LARGEST_EXTENT for part in parts):
            raise InputError(option, shown(text), "NAME=1,3,320,320: whole numbers >= 1")
        given.setdefault(name, []).append(tuple(int(part) for part in parts))
    count = max((len(shapes) for shapes in given.values()), default=1)
    for name, shapes in given.items():
        if len(shapes) not in (1, count):
            raise InputError(option, f"{len(shapes)} shapes of {shown(name)}, {count} of another", "as many, or one")
    return [{name: shapes[min(i, len(shapes) - 1)] for name, shapes in given.items()} for i in range(count)]


def fixed_inputs(graph: GraphProto, name: str, given: Mapping[str, Sequence[int]]) -> dict[str, Shape]:
    """The shape of every input: as declared, and as given where the declaration leaves it open.

    Parameters
    ----------
    graph : whose inputs (constants are none).
    name : of the file, for messages.
    given : shapes by the inputs' names; the empty name is the only input.

    Raises
    ------
    InputError
        An open extent without a value, a shape that contradicts the declaration or another input, an unknown input.
    """
    held = {entry.name for entry in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in held]
    known = [entry.name for entry in inputs]
    if "" in given and len(inputs) != 1:
        raise InputError("shape", shown(list(given[""])), "NAME=..., a shape for each of " + ", ".join(known))
    shapes = {inputs[0].name if key == "" else key: tuple(value) for key, value in given.items()}
    for key in shapes:
        if key not in known:
            raise InputError("shape", f"{shown(key)}, which is no input", "inputs: " + ", ".join(known))
    symbols: dict[str, int] = {}
    return {entry.name: _fixed(entry, shapes.get(entry.name), symbols, name) for entry in inputs}


def _fixed(entry: ValueInfoProto, given: Shape | None, symbols: dict[str, int], name: str) -> Shape:
    where = f"{name}: input {entry.name}"
    if entry.type.WhichOneof("value") != "tensor_type":
        raise InputError(where, "no tensor", "inputs that are tensors")
    tensor = entry.type.tensor_type
    if not tensor.HasField("shape"):
        if given is None:
            raise InputError(where, "no shape", f"a shape: --shape {entry.name}=...")
        return given
    declared = tensor.shape.dim
    if given is not None and len(given) != len(declared):
        raise InputError(where, f"{len(given)} extents", f"{len(declared)}, as the file declares")
    shape = []
    for axis, dim in enumerate(declared):
        value = dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        if value is not None and given is not None and given[axis] != value:
            raise InputError(where, f"extent {given[axis]} in axis {axis}", f"{value}, as the file declares")
        if value is None and given is not None:
            value = given[axis]
            if dim.dim_param and symbols.setdefault(dim.dim_param, value) != value:
                found = f"{value} for {shown(dim.dim_param)}, which was {symbols[dim.dim_param]}"
                raise InputError(where, found, "one value for one symbol")
        if value is None:
            value = symbols.get(dim.dim_param) if dim.dim_param else None
        if value is None:
            open_ = shown(dim.dim_param) if dim.dim_param else f"axis {axis}"
            raise InputError(where, f"{open_} without a value", f"a shape: --shape {entry.name}=...")
        if value > LARGEST_EXTENT:
            raise InputError(where, f"extent {value}", f"at most {LARGEST_EXTENT}")
        shape.append(int(value))
    return tuple(shape)


def shell(proto: ModelProto, *, keep: int = 0) -> ModelProto:
    """A copy without its constants, but for those of at most `keep` bytes."""
    found = ModelProto()
    for field, value in proto.ListFields():
        if field.name != "graph":
            _put(found, field, value)
    for field, value in proto.graph.ListFields():
        if field.name != "initializer":
            _put(found.graph, field, value)
    found.graph.initializer.extend(entry for entry in proto.graph.initializer if entry.ByteSize() <= keep)
    return found


def _put(message: object, field: object, value: object) -> None:
    name = field.name  # type: ignore[attr-defined]
    target = getattr(message, name)
    if hasattr(target, "extend"):
        target.extend(value)
    elif hasattr(target, "CopyFrom"):
        target.CopyFrom(value)
    else:
        setattr(message, name, value)


def infer(proto: ModelProto, name: str) -> dict[str, TensorType]:
    """Types of all tensors that inference reaches, by name; constants among them.

    Parameters
    ----------
    proto : the model.
    name : of the file, for messages.

    Raises
    ------
    InputError
        The graph contradicts itself.
    """
    light = shell(proto, keep=SMALL)
    kept = {entry.name for entry in light.graph.initializer}
    for entry in proto.graph.initializer:
        if entry.name not in kept:
            light.graph.input.append(onnx.helper.make_tensor_value_info(entry.name, entry.data_type, list(entry.dims)))
    for output in light.graph.output:  # what was declared with symbols is found anew
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    del light.graph.value_info[:]
    for follow in (True, False):  # following values may fail where shapes alone do not
        try:
            light = onnx.shape_inference.infer_shapes(light, data_prop=follow)
            break
        except Exception as error:  # inference raises classes of several kinds
            if not follow:
                text = " ".join(str(error).split())[:160]
                raise InputError(name, f"operations that no shape follows from ({text})", "a valid graph") from None
    graph = light.graph
    found = {entry.name: type_of(entry) for entry in (*graph.output, *graph.value_info, *graph.input)}
    for entry in proto.graph.initializer:
        found[entry.name] = TensorType(entry.data_type, tuple(entry.dims))
    return {name: kind for name, kind in found.items() if kind.kind != TensorProto.UNDEFINED}


def type_of(entry: ValueInfoProto) -> TensorType:
    """What a declaration says of a tensor."""
    if entry.type.WhichOneof("value") not in ("tensor_type", None):
        return TensorType(None, None)
    tensor = entry.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorType(tensor.elem_type, None)
    extents = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in tensor.shape.dim)
    return TensorType(tensor.elem_type, extents)


def declared(name: str, kind: TensorType) -> ValueInfoProto:
    """A declaration for a part's input or output."""
    return onnx.helper.make_tensor_value_info(name, kind.kind or 0, None if kind.shape is None else list(kind.shape))
