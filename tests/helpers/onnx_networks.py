"""Small ONNX models for tests: the three of instances/networks, and graphs of a few nodes made on the spot."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from scripts import scripts

from qopt.runtime.folding import Folded, fold
from qopt.runtime.parts import cut
from qopt.runtime.reading import Model
from qopt.runtime.sessions import Array, examples, options, run, session

with scripts("instances/networks", "models") as found:
    models = found.models

FAST: dict[str, int] = {"warmup": 1, "repetitions": 2, "runs": 2}
"""A measurement that is none: for what does not depend on times."""

NAMES = tuple(models.MODELS)


def node(kind: str, reads: str, writes: str, **attributes: Any) -> NodeProto:
    """A node; names in one text, a dash for an input that is left out."""
    return helper.make_node(kind, [n if n != "-" else "" for n in reads.split()], writes.split(), **attributes)


def small(
    nodes: Iterable[NodeProto],
    inputs: Mapping[str, Any],
    outputs: str,
    weights: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    ir: int = 8,
    kind: int = TensorProto.FLOAT,
) -> ModelProto:
    """A model of float32 inputs and outputs; weights that are no arrays are float32."""
    arrays = {n: v if isinstance(v, np.ndarray) else np.asarray(v, np.float32) for n, v in (weights or {}).items()}
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.split()],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def saved(proto: ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    """Written to a folder."""
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def folded(proto: ModelProto, shapes: Mapping[str, tuple[int, ...]] | None = None, **options: Any) -> Folded:
    """Folded in memory."""
    return fold(Model(proto, "model", "model.onnx", "0" * 64), shapes, **options)


def example(name: str) -> Folded:
    """One of the three, folded for one example."""
    proto = models.MODELS[name]()
    return folded(proto, {proto.graph.input[0].name: models.SHAPES[name]})


def outputs_of(own: Folded, feeds: Mapping[str, Array], level: str = "off") -> dict[str, Array]:
    """Of the whole."""
    return run(session(own.network.proto, own.name, options(level)), own.name, feeds)


def through_parts(own: Folded, tiers: Mapping[str, tuple[str, ...]], feeds: Mapping[str, Array], level: str) -> Any:
    """Outputs of the parts, one after the other."""
    there = dict(feeds)
    for piece in cut(own, tiers):
        made = session(piece.proto, own.name, options(level))
        there.update(run(made, own.name, {name: there[name] for name in piece.reads}))
    return {name: there[name] for name in own.network.outputs}


def down_set(own: Folded, rng: random.Random) -> set[str]:
    """Operations that run first: with each all that it needs. Any such set may come out."""
    share, inside = rng.random(), set[str]()
    for row in own.network.operations:
        before = [own.network.writer[name].name for name in row.reads if name in own.network.writer]
        if all(name in inside for name in before) and rng.random() < share:
            inside.add(row.name)
    return inside


def single_cuts(own: Folded) -> list[set[str]]:
    """All that a tensor needs, for each tensor."""
    found = []
    for row in own.network.operations:
        inside, todo = set[str](), [row]
        while todo:
            here = todo.pop()
            if here.name not in inside:
                inside.add(here.name)
                todo += [own.network.writer[name] for name in here.reads if name in own.network.writer]
        found.append(inside)
    return found


def in_two(own: Folded, inside: set[str]) -> dict[str, tuple[str, ...]]:
    """Tiers of a cut: what is inside first."""
    return {row.name: ("edge",) if row.name in inside else ("cloud",) for row in own.network.operations}


def feeds_of(own: Folded, seed: int = 0) -> dict[str, Array]:
    """One example of each input."""
    return examples(own.types, own.network.inputs, seed)
