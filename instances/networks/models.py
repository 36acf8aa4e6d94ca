"""Three networks as ONNX files: a residual one, a segmenter with two branches, a block of a transformer.

    python models.py FOLDER [--seed 0]

writes `residual.onnx`, `segmenter.onnx` and `transformer.onnx`, untrained: nothing is downloaded. Every input has an
open batch, and the segmenter's images have any size that eight divides. `train.py` beside this file trains the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
Array = np.ndarray[Any, np.dtype[Any]]


class Builder:
    """Collects nodes and weights; names are counted.

    Parameters
    ----------
    seed : of weights that are not given.
    weights : by name, instead of random ones.
    """

    def __init__(self, seed: int = 0, weights: Mapping[str, Array] | None = None) -> None:
        self.rng, self.given = np.random.default_rng(seed), dict(weights or {})
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Array] = {}

    def node(self, kind: str, reads: list[str], name: str = "", **attributes: Any) -> str:
        """Add a node, and give the tensor that it writes."""
        out = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, reads, [out], **attributes))
        return out

    def weight(self, name: str, *shape: int, scale: float | None = None) -> str:
        """A weight, random with the variance of He's rule unless given."""
        if name not in self.weights:
            spread = scale if scale is not None else (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
            made = self.rng.standard_normal(shape) * spread
            self.weights[name] = np.asarray(self.given.get(name, made), dtype=np.float32)
        return name

    def numbers(self, name: str, values: Any) -> str:
        """A constant as it is."""
        self.weights[name] = np.asarray(values)
        return name

    def conv(self, x: str, name: str, inputs: int, outputs: int, *, size: int = 3, stride: int = 1) -> str:
        """A convolution with a bias that keeps the extents but for the stride."""
        names = [x, self.weight(f"{name}.w", outputs, inputs, size, size), self.weight(f"{name}.b", outputs, scale=0.1)]
        pads = [size // 2] * 4
        return self.node("Conv", names, name, kernel_shape=[size, size], strides=[stride, stride], pads=pads)

    def dense(self, x: str, name: str, inputs: int, outputs: int) -> str:
        """A product with a matrix, and a bias."""
        product = self.node("MatMul", [x, self.weight(f"{name}.w", inputs, outputs, scale=inputs**-0.5)])
        return self.node("Add", [product, self.weight(f"{name}.b", outputs, scale=0.1)], name)

    def model(self, name: str, inputs: dict[str, tuple[Any, ...]], outputs: list[str]) -> ModelProto:
        """The model, float32 in and out."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs],
            [numpy_helper.from_array(value, key) for key, value in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


STAGES = ((16, 2, 1), (32, 4, 2))
"""Of the residual network: channels, blocks, and the stride of the first block."""


def residual(
    seed: int = 0, weights: Mapping[str, Array] | None = None, stages: tuple[tuple[int, int, int], ...] = STAGES
) -> ModelProto:
    """A residual network for MNIST's images, (n, 1, 28, 28) to (n, 10) logits; batch normalizations are folded in.

    Parameters
    ----------
    seed, weights : random weights, or those given.
    stages : channels, blocks and first stride of each.
    """
    b = Builder(seed, weights)
    width = stages[0][0]
    x = b.node("Relu", [b.conv("image", "stem", 1, width, stride=2)])
    for s, (channels, blocks, stride) in enumerate(stages, start=1):
        for k in range(1, blocks + 1):
            name, first = f"s{s}b{k}", stride if k == 1 else 1
            inner = b.node("Relu", [b.conv(x, f"{name}.c1", width, channels, stride=first)])
            inner = b.conv(inner, f"{name}.c2", channels, channels)
            side = (
                x if first == 1 and width == channels else b.conv(x, f"{name}.p", width, channels, size=1, stride=first)
            )
            x = b.node("Relu", [b.node("Add", [inner, side])], f"{name}.out")
            width = channels
    pooled = b.node("Flatten", [b.node("GlobalAveragePool", [x])], axis=1)
    names = [pooled, b.weight("fc.w", width, 10, scale=width**-0.5), b.weight("fc.b", 10, scale=0.1)]
    b.node("Gemm", names, "logits")
    return b.model("residual", {"image": ("n", 1, 28, 28)}, ["logits"])


CLASSES = 4


def segmenter(seed: int = 0, weights: Mapping[str, Array] | None = None, width: int = 12) -> ModelProto:
    """Two branches as FCN's, merged at the end: a heavy one at a quarter of the extents, a light one around it.

    (n, 3, h, w) to (n, 4, h, w) scores of classes.

    Parameters
    ----------
    seed, weights : random weights, or those given.
    width : channels of the first layer.
    """
    b = Builder(seed, weights)
    x = b.node("Relu", [b.conv("image", "stem", 3, width, stride=2)])
    light = b.conv(x, "side", width, CLASSES, size=1)
    y = b.node("Relu", [b.conv(x, "down", width, 2 * width, stride=2)])
    for k in (1, 2, 3):
        inner = b.node("Relu", [b.conv(y, f"b{k}.c1", 2 * width, 2 * width)])
        y = b.node("Relu", [b.node("Add", [b.conv(inner, f"b{k}.c2", 2 * width, 2 * width), y])])
    heavy = b.conv(y, "scores", 2 * width, CLASSES, size=1)
    scales = b.numbers("twice", np.array([1, 1, 2, 2], dtype=np.float32))
    up = b.node("Resize", [heavy, "", scales], mode="linear")
    merged = b.node("Add", [up, light])
    b.node("Resize", [merged, "", scales], "segments", mode="linear")
    return b.model("segmenter", {"image": ("n", 3, "h", "w")}, ["segments"])


def transformer(seed: int = 0, length: int = 16, width: int = 32, heads: int = 4) -> ModelProto:
    """One block before a transformer's output: attention with heads, a normalization, two layers. (n, length, width).

    Parameters
    ----------
    seed : of the weights.
    length, width, heads : of the sequence, of a token's vector, and of attention.
    """
    b = Builder(seed)
    part = width // heads

    def norm(x: str, name: str) -> str:
        b.numbers(f"{name}.g", np.ones(width, np.float32))
        b.numbers(f"{name}.o", np.zeros(width, np.float32))
        return b.node("LayerNormalization", [x, f"{name}.g", f"{name}.o"], axis=-1)

    def split(x: str, order: list[int]) -> str:
        shape = b.numbers("heads", np.array([0, length, heads, part]))
        return b.node("Transpose", [b.node("Reshape", [x, shape])], perm=order)

    seen = norm("tokens", "n1")
    q, k, v = (b.dense(seen, name, width, width) for name in ("q", "k", "v"))
    score = b.node("MatMul", [split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1])])
    score = b.node("Mul", [score, b.numbers("scale", np.float32(part**-0.5))])
    mixed = b.node("MatMul", [b.node("Softmax", [score], axis=-1), split(v, [0, 2, 1, 3])])
    mixed = b.node("Transpose", [mixed], perm=[0, 2, 1, 3])
    mixed = b.node("Reshape", [mixed, b.numbers("whole", np.array([0, length, width]))])
    x = b.node("Add", [b.dense(mixed, "o", width, width), "tokens"])
    inner = b.dense(norm(x, "n2"), "up", width, 4 * width)
    root = b.numbers("root", np.float32(2**0.5))
    bent = b.node("Erf", [b.node("Div", [inner, root])])
    bent = b.node("Mul", [inner, b.node("Add", [bent, b.numbers("one", np.float32(1))])])
    bent = b.node("Mul", [bent, b.numbers("half", np.float32(0.5))])
    b.node("Add", [b.dense(bent, "down", 4 * width, width), x], "result")
    return b.model("transformer", {"tokens": ("n", length, width)}, ["result"])


MODELS = {"residual": residual, "segmenter": segmenter, "transformer": transformer}
SHAPES = {"residual": (1, 1, 28, 28), "segmenter": (1, 3, 32, 32), "transformer": (1, 16, 32)}
"""Of each network's input, for one example."""


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, build in MODELS.items():
        onnx.save(build(seed=arguments.seed), arguments.folder / f"{name}.onnx")
        print(arguments.folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
