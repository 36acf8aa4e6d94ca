"""`qopt quantize`: whole numbers of 8 bits for weights and activations, ranges from calibration examples (static, QDQ).

A scale for each channel needs version 13 of the standard operations; older files are raised to it. The graph is folded
first, and its tensors keep their names, by which a quantized file's operations are found among those of the whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.measuring.archives import read_arrays
from qopt.runtime.folding import TREATED, Folded, fold, note
from qopt.runtime.reading import read_model
from qopt.runtime.sessions import LARGE, Array, options, refused, scratch, session, stored

PER_CHANNEL = 13
"""Version of the standard operations from which a scale may stand for each channel."""

MOST = 4096
"""Calibration examples that are used; ranges hardly change after some hundred."""


def quantize_onnx(
    model: str | os.PathLike[str],
    examples: Mapping[str, Array] | str | os.PathLike[str],
    save: str | os.PathLike[str] | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    per_channel: bool = True,
    optimize: bool = True,
) -> ModelProto:
    """Quantize a model to 8 bits: weights by channel, activations by the ranges of calibration examples.

    Parameters
    ----------
    model : the ONNX file.
    examples : (n, ...) arrays by the names of the inputs, or a file .npz of them; as many as there are, in the batches
        that the model takes.
    save : where the quantized model is written; nowhere unless given.
    shapes : of inputs, by name; by default those of one example.
    per_channel : a scale for each channel of a weight, or one for all of it.
    optimize : False leaves the file's operations as they are.

    Returns
    -------
    The quantized model.

    Raises
    ------
    InputError
        The examples are not those of the model's inputs, or the model cannot be quantized.
    """
    arrays = _arrays(examples)
    read = read_model(model)
    if shapes is None:
        held = {entry.name for entry in read.proto.graph.initializer}
        inputs = [entry for entry in read.proto.graph.input if entry.name not in held]
        shapes = {entry.name: _one(entry, arrays) for entry in inputs if entry.name in arrays}
    folded = fold(read, shapes, optimize=optimize)
    batches = _batches(folded, arrays)
    if stored(folded.network.proto) > LARGE // 2:
        raise InputError(folded.name, "more than 1 GiB of weights", "smaller models")
    found = _quantized(_raised(folded, per_channel), folded.name, batches, per_channel)
    for entry in folded.network.proto.metadata_props:
        note(found, entry.key, entry.value)
    note(found, TREATED, "quantized")
    note(found, "qopt.base", folded.digest)
    session(found, folded.name, options("extended"))
    if save is not None:
        write_whole(save, lambda file: file.write(found.SerializeToString(deterministic=True)))
    return found


def _one(entry: onnx.ValueInfoProto, arrays: Mapping[str, Array]) -> tuple[int, ...]:
    """The shape of one example, in the batch that the file declares, or alone."""
    dims = entry.type.tensor_type.shape.dim
    batch = dims[0].dim_value if len(dims) and dims[0].dim_value > 0 else 1
    return (batch, *arrays[entry.name].shape[1:])


def _arrays(examples: Mapping[str, Array] | str | os.PathLike[str]) -> dict[str, Array]:
    if isinstance(examples, Mapping):
        found = {name: np.asarray(array) for name, array in examples.items()}
    else:
        found = read_arrays(examples, "a file .npz with an array (n, ...) for each input")
    if not found or any(array.ndim == 0 or array.dtype.kind not in "biuf" for array in found.values()):
        raise InputError("examples", shown({name: str(a.dtype) for name, a in found.items()}), "arrays of numbers")
    return found


def _batches(folded: Folded, arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Examples in the model's batches; what is left over makes none."""
    counts = set()
    for name, shape in folded.shapes.items():
        if name not in arrays:
            raise InputError(
                "examples", f"no array {name}, but {shown(list(arrays))}", f"arrays called {', '.join(folded.shapes)}"
            )
        array = arrays[name]
        if not shape or array.shape[1:] != tuple(shape[1:]):
            raise InputError("examples", f"{shown(name)} of shape {list(array.shape)}", f"(n, ...) of {list(shape)}")
        counts.add(min(len(array), MOST) // shape[0])
    if len(counts) != 1 or 0 in counts:
        raise InputError("examples", "too few, or not as many for each input", "at least one batch for each input")
    dtypes = {name: onnx.helper.tensor_dtype_to_np_dtype(folded.types[name].kind) for name in folded.shapes}
    return [
        {
            name: np.ascontiguousarray(arrays[name][i * shape[0] : (i + 1) * shape[0]], dtype=dtypes[name])
            for name, shape in folded.shapes.items()
        }
        for i in range(counts.pop())
    ]


def _raised(folded: Folded, per_channel: bool) -> ModelProto:
    """The folded model, at a version of the standard operations at which a scale may stand for each channel."""
    proto = folded.network.proto
    if not per_channel or folded.network.opset >= PER_CHANNEL:
        return proto
    try:
        found = onnx.version_converter.convert_version(proto, PER_CHANNEL)
    except Exception as error:  # whatever the converter raises for an operation that it does not know
        text = " ".join(str(error).split())[:160]
        found_ = f"operations of version {folded.network.opset}, which cannot be raised ({text})"
        raise InputError(folded.name, found_, f"version {PER_CHANNEL}, or one scale for all channels") from None
    found.metadata_props.extend(proto.metadata_props)
    return found


def _quantized(proto: ModelProto, name: str, batches: list[dict[str, Array]], per_channel: bool) -> ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[dict[str, Array]] = iter(batches)

        def get_next(self) -> dict[str, Array] | None:
            return next(self.left, None)

    with scratch() as folder, _quiet():
        source, target = os.path.join(folder, "whole.onnx"), os.path.join(folder, "quantized.onnx")
        Path(source).write_bytes(proto.SerializeToString())
        try:
            quantize_static(
                source,
                target,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=per_channel,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except Exception as error:  # the quantizer's errors share no class
            raise refused(name, error) from None
        return read_model(target).proto


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Drop what the quantizer says, advice for models that were not folded."""
        return "onnxruntime" not in record.pathname


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's warnings, which go through the root of all loggers and would set that up."""
    root, quiet, nothing = logging.getLogger(), _Quiet(), logging.NullHandler()
    root.addFilter(quiet)
    root.addHandler(nothing)
    try:
        yield
    finally:
        root.removeHandler(nothing)
        root.removeFilter(quiet)
