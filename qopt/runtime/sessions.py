"""Sessions of the runtime: what it refuses becomes one line, what is too large for a protobuf goes through files."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto

from qopt.core.errors import InputError, shown
from qopt.runtime.shapes import TensorType, shell

Array = np.ndarray[Any, np.dtype[Any]]

LARGE = 2**31 - 2**24
"""Bytes from which a model is written with its constants beside it: a protobuf ends at 2 GiB."""

ENDLESS = 600.0
"""Seconds of one run, after which a model is taken for one that does not end."""

FOLDED = 2**28
"""Bytes up to which folding may make a constant."""

LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
"""How much the runtime rewrites a graph; from ``extended`` on it fuses operations."""

FUSIONS = (
    "ConvActivationFusion",
    "GemmActivationFusion",
    "ConvAddActivationFusion",
    "MatMulActivationFusion",
    "MatMulScaleFusion",
    "MatmulTransposeFusion",
    "LayerNormFusion",
    "SimplifiedLayerNormFusion",
    "SkipLayerNormFusion",
    "EmbedLayerNormFusion",
    "AttentionFusion",
    "BiasSoftmaxFusion",
    "BiasDropoutFusion",
    "BiasGeluFusion",
    "FastGeluFusion",
    "QuickGeluFusion",
    "GeluFusionL2",
    "ReshapeFusion",
    "ConcatSliceElimination",
)
"""Fusions of level ``extended`` that have nothing to do with quantizing; without them operations keep their borders."""


def options(
    optimization: str = "basic", threads: int = 1, *, profile: str | None = None, saved: str | None = None
) -> onnxruntime.SessionOptions:
    """Options of a session.

    Parameters
    ----------
    optimization : a level of `LEVELS`.
    threads : of one operation; operations run one after the other.
    profile : how the names of files with the runtime's own times begin; None for none.
    saved : where the rewritten graph is written; None for nowhere.
    """
    if optimization not in LEVELS:
        raise InputError("optimization", shown(optimization), ", ".join(LEVELS))
    found = onnxruntime.SessionOptions()
    found.graph_optimization_level = LEVELS[optimization]
    found.intra_op_num_threads, found.inter_op_num_threads = threads, 1
    found.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    found.log_severity_level = 4
    found.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(FOLDED))
    if profile is not None:
        found.enable_profiling, found.profile_file_prefix = True, profile
    if saved is not None:
        found.optimized_model_filepath = saved
        found.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", f"{Path(saved).name}.data"
        )
        found.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", str(2**20))
    return found


def session(
    proto: ModelProto, name: str, chosen: onnxruntime.SessionOptions, *, fused: bool = True, large: int = LARGE
) -> onnxruntime.InferenceSession:
    """A session of a model in memory, on the processor.

    Parameters
    ----------
    proto : the model, with all its constants.
    name : of the file, for messages.
    chosen : as `options` makes them.
    fused : whether fusions are allowed that have nothing to do with quantizing.
    large : bytes from which the model goes through files.

    Raises
    ------
    InputError
        The runtime refuses the model.
    """
    rest: dict[str, Any] = {"providers": ["CPUExecutionProvider"]}
    if not fused:
        rest["disabled_optimizers"] = list(FUSIONS)
    try:
        if stored(proto) <= large:
            return onnxruntime.InferenceSession(proto.SerializeToString(), chosen, **rest)
        with tempfile.TemporaryDirectory(prefix="qopt-") as folder:
            path = os.path.join(folder, "model.onnx")
            write_model(proto, path, large=large)
            return onnxruntime.InferenceSession(path, chosen, **rest)
    except Exception as error:  # the runtime's errors share no other class
        raise refused(name, error) from None


def refused(name: str, error: Exception) -> InputError:
    """What the runtime complains about, as one line."""
    text = " ".join(str(error).split())
    text = text.split(" : ", 2)[-1] if text.startswith("[ONNXRuntimeError]") else text
    return InputError(name, f"a model that the runtime refuses ({text[:200]})", "a model that onnxruntime runs")


def stored(proto: ModelProto) -> int:
    """Bytes of a model's constants: what makes a protobuf large."""
    return sum(len(entry.raw_data) or entry.ByteSize() for entry in proto.graph.initializer)


def write_model(proto: ModelProto, path: str | os.PathLike[str], *, large: int = LARGE) -> list[str]:
    """Write a model; from `large` bytes of constants on, these go into ``path.data`` beside it.

    Returns
    -------
    Names of the files, without folders.
    """
    if stored(proto) <= large:
        Path(path).write_bytes(proto.SerializeToString(deterministic=True))
        return [os.path.basename(path)]
    light, data = shell(proto), os.path.basename(path) + ".data"
    with open(f"{path}.data", "wb") as file:
        for entry in proto.graph.initializer:
            light.graph.initializer.append(_beside(entry, file, data))
    Path(path).write_bytes(light.SerializeToString(deterministic=True))
    return [os.path.basename(path), data]


def _beside(entry: TensorProto, file: Any, location: str) -> TensorProto:
    if entry.data_type == TensorProto.STRING or entry.ByteSize() < 1024:
        return entry
    raw = entry.raw_data or onnx.numpy_helper.to_array(entry).tobytes()
    offset = file.tell()
    file.write(raw)
    found = TensorProto(name=entry.name, data_type=entry.data_type, dims=entry.dims)
    found.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(len(raw)))):
        found.external_data.add(key=key, value=value)
    return found


def run(
    made: onnxruntime.InferenceSession, name: str, feeds: Mapping[str, Array], *, limit: float | None = None
) -> dict[str, Array]:
    """Outputs of a session, by name.

    Parameters
    ----------
    made : the session.
    name : of the file, for messages.
    feeds : arrays by the names of the inputs.
    limit : seconds, after which the run is given up: a loop in a file may be endless. None for none.

    Raises
    ------
    InputError
        The runtime refuses the inputs, or the run does not end in time.
    """
    names = [entry.name for entry in made.get_outputs()]
    chosen = onnxruntime.RunOptions()
    timer = None if limit is None else threading.Timer(limit, setattr, (chosen, "terminate", True))
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        return dict(zip(names, made.run(names, dict(feeds), chosen), strict=True))
    except Exception as error:
        if chosen.terminate:
            raise InputError(name, f"a run that does not end in {limit:g} s", "a model that ends") from None
        raise refused(name, error) from None
    finally:
        if timer is not None:
            timer.cancel()


def examples(types: Mapping[str, TensorType], inputs: tuple[str, ...], seed: int = 0) -> dict[str, Array]:
    """One example for every input: standard normal numbers; zeros for whole numbers, which may be indices.

    Parameters
    ----------
    types : of the inputs, with shapes that are known.
    inputs : their names.
    seed : of the numbers.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name in inputs:
        kind = types[name]
        shape = kind.fixed
        if kind.kind is None or shape is None or kind.kind == TensorProto.STRING:
            raise InputError(f"input {name}", kind.type, "tensors of numbers")
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.kind)
        if np.dtype(dtype).kind in "iub":
            found[name] = np.zeros(shape, dtype) if np.dtype(dtype).kind != "b" else np.ones(shape, dtype)
        else:
            found[name] = rng.standard_normal(shape).astype(dtype)
    return found


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for the runtime's files, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="qopt-") as folder:
        yield folder
