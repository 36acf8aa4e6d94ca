"""Reading ONNX files that nobody vouches for: bounded before they are parsed, and only from their own folder."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto

from qopt.core.errors import InputError, shown
from qopt.runtime.wire import BrokenFile, count

LARGEST = 2**31 - 1
"""Bytes of a protobuf, by its own rules. What is larger keeps its weights in files beside it."""

BITS = {"STRING": 0, "BOOL": 8, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
"""Bits of an entry, of types that numpy stores otherwise or not at all."""


@dataclass(frozen=True)
class Model:
    """A model in memory, weights included.

    Attributes
    ----------
    proto : as read; its external data are loaded.
    name : of the file, without folders and suffix.
    file : its name without folders.
    fingerprint : SHA-256 of the file, and of the external data it names.
    """

    proto: ModelProto
    name: str
    file: str
    fingerprint: str


def bits_of(kind: int) -> int | None:
    """Bits of one entry of a tensor of an ONNX type; None for texts and unknown types."""
    name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else "UNDEFINED"
    if name in BITS:
        return BITS[name] or None
    try:
        return 8 * int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize) if name != "UNDEFINED" else None
    except (KeyError, TypeError, ValueError):
        return None


def weight_bytes(tensor: TensorProto) -> int:
    """Bytes of a constant's numbers, by its type and shape; of texts, those of the texts."""
    bits = bits_of(tensor.data_type)
    if bits is None:
        return sum(map(len, tensor.string_data))
    return int(-(-math.prod(tensor.dims) * bits // 8))


def graphs(graph: onnx.GraphProto, *functions: onnx.FunctionProto) -> Iterator[Any]:
    """A graph, and the bodies of its conditions and loops, at any depth; so of functions."""
    todo: list[Any] = [graph, *functions]
    while todo:
        here = todo.pop()
        yield here
        for node in here.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    todo.append(attribute.g)
                todo += attribute.graphs


def constants(proto: ModelProto) -> Iterator[TensorProto]:
    """Every tensor that a file brings: initializers and attributes (Constant nodes), bodies included."""
    for graph in graphs(proto.graph, *proto.functions):
        yield from getattr(graph, "initializer", ())
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
    for sparse in sparse_constants(proto):
        yield from (sparse.values, sparse.indices)


def sparse_constants(proto: ModelProto) -> Iterator[onnx.SparseTensorProto]:
    """Every sparse tensor that a file brings."""
    for graph in graphs(proto.graph, *proto.functions):
        yield from getattr(graph, "sparse_initializer", ())
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("sparse_tensor"):
                    yield attribute.sparse_tensor
                yield from attribute.sparse_tensors


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    return int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))


def read_model(path: str | os.PathLike[str]) -> Model:
    """Read an ONNX file and the weights beside it.

    Parameters
    ----------
    path : of the file; external data must lie in its folder, or below.

    Raises
    ------
    InputError
        The file is missing, cut off, no ONNX, too large to parse, or names data that are not as declared or elsewhere.
    """
    name = os.fspath(path)
    try:
        size = os.stat(name).st_size
        if size > LARGEST:
            raise InputError(name, f"{size} bytes", "at most 2 GiB: larger models keep weights as external data")
        data = Path(name).read_bytes()
    except OSError as error:
        raise InputError(name, (error.strerror or "an unreadable file").lower(), "a readable ONNX file") from None
    except ValueError:
        raise InputError("model", shown(name), "the path of an ONNX file") from None
    try:
        count(memoryview(data))
        proto = onnx.load_model_from_string(data)
    except BrokenFile as error:
        raise InputError(name, error.found, error.allowed) from None
    except Exception:  # protobuf's own class of error depends on how it was built
        raise InputError(name, "bytes that are no ONNX model", "a whole ONNX file") from None
    if not proto.graph.node:
        raise InputError(name, "no operations", "an ONNX model")
    digest = hashlib.sha256(data)
    del data
    _load_data(name, proto, digest)
    return Model(proto, Path(name).stem, Path(name).name, digest.hexdigest())


def _load_data(name: str, proto: ModelProto, digest: Any) -> None:
    """Check every constant against what it declares, and bring in those that lie outside the file."""
    room = physical_memory() // 2
    folder = Path(os.path.realpath(os.path.dirname(name) or "."))
    for sparse in sparse_constants(proto):  # a runtime makes them dense
        where = f"{name}: {sparse.values.name or 'a sparse constant'}"
        if any(extent < 0 for extent in sparse.dims):
            raise InputError(where, f"shape {shown(list(sparse.dims))}", "extents >= 0")
        room -= math.prod(sparse.dims) * (bits_of(sparse.values.data_type) or 64) // 8
        if room < 0:
            raise InputError(where, "a tensor larger than half of this machine's memory", "weights that fit")
    for tensor in constants(proto):
        where = f"{name}: {tensor.name or 'a constant'}"
        if any(extent < 0 for extent in tensor.dims):
            raise InputError(where, f"shape {shown(list(tensor.dims))}", "extents >= 0")
        if tensor.data_type not in TensorProto.DataType.values() or tensor.data_type == TensorProto.UNDEFINED:
            raise InputError(where, f"type {tensor.data_type}", "a type of ONNX")
        length = weight_bytes(tensor)
        if tensor.data_location == TensorProto.EXTERNAL:
            room -= length
            if room < 0:
                raise InputError(where, "weights larger than half of this machine's memory", "weights that fit")
            tensor.raw_data = _external(where, tensor, folder, length)
            digest.update(tensor.raw_data)
            tensor.ClearField("data_location")
            del tensor.external_data[:]
        else:
            _check_stored(where, tensor, length)


def _check_stored(where: str, tensor: TensorProto, length: int) -> None:
    """A constant in the file has as many numbers as its shape says."""
    entries = math.prod(tensor.dims)
    if tensor.data_type == TensorProto.STRING:
        stored, wanted = len(tensor.string_data), entries
    elif tensor.HasField("raw_data"):
        stored, wanted = len(tensor.raw_data), length
    else:
        stored = max(len(tensor.float_data), len(tensor.double_data), len(tensor.int64_data), len(tensor.uint64_data))
        stored = max(stored, len(tensor.int32_data))
        wanted = entries
        if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
            wanted = 2 * entries
        elif (bits_of(tensor.data_type) or 8) < 8:  # several entries in one number
            wanted = length
    if stored != wanted:
        shape = shown(list(tensor.dims))
        raise InputError(where, f"{stored} stored for shape {shape}", f"{wanted}, as the shape declares")


def _external(where: str, tensor: TensorProto, folder: Path, length: int) -> bytes:
    """The bytes of one constant from a file inside the model's folder."""
    stated = {entry.key: entry.value for entry in tensor.external_data}
    location = stated.get("location", "")
    target = Path(os.path.realpath(folder / location)) if location and "\0" not in location else folder
    if os.path.isabs(location) or not target.is_relative_to(folder) or target == folder:
        raise InputError(where, f"external data in {shown(location)}", "a file inside the model's folder")
    try:
        offset, declared = int(stated.get("offset", "0")), int(stated.get("length", str(length)))
    except ValueError:
        raise InputError(where, "an offset or a length that is no number", "whole numbers") from None
    if declared != length or offset < 0:
        allowed = f"an offset >= 0 and {length} bytes, as the shape declares"
        raise InputError(where, f"offset {shown(offset)}, length {shown(declared)}", allowed)
    try:
        if target.exists() and not target.is_file():  # a pipe would wait for ever
            raise InputError(where, f"{shown(location)}, which is no file", "a file")
        with open(target, "rb") as file:
            if os.fstat(file.fileno()).st_size < offset + length:
                raise InputError(where, f"external data beyond the end of {shown(location)}", f"{length} bytes there")
            file.seek(offset)
            return file.read(length)
    except OSError as error:
        raise InputError(where, f"{shown(location)}: {(error.strerror or 'unreadable').lower()}", "a file") from None
