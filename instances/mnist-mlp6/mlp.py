"""The network 784-512-256-128-64-32-10 on MNIST: its shape, its data, its training, its file of weights."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as serialized
from torch import nn

from qopt.errors import InputError
from qopt.measure.coefficients import Examples
from qopt.measure.idx import read_examples
from qopt.measure.network import Chain, Layer
from qopt.measure.quantizer import Range

SIZES = (784, 512, 256, 128, 64, 32, 10)
SPLIT = {"training": 45_000, "coefficients": 5_000, "calibration": 10_000}
BOX = 2.5
"""Weights of a layer with n inputs stay within BOX / sqrt(n), 1.8 standard deviations of He's start."""

DROPOUT = (0.2, 0.2, 0.1, 0.1, 0.0)
WEIGHT_DECAY = 0.02
RATE = 2e-3
BATCH = 128
SHIFT = 1
"""Training images move by up to this many pixels each way."""


def build() -> Chain:
    """The untrained network."""
    pairs = list(itertools.pairwise(SIZES))
    hidden = [Layer(nn.Linear(n, m), nn.ReLU()) for n, m in pairs[:-1]]
    return Chain([*hidden, Layer(nn.Linear(*pairs[-1]))])


def examples(folder: Path, part: str) -> Examples:
    """MNIST's ``train`` or ``t10k`` images as rows of 784 numbers in [0, 1]; background is 0."""
    x, y = read_examples(folder / f"{part}-images-idx3-ubyte.gz", folder / f"{part}-labels-idx1-ubyte.gz")
    if x.shape[1:] != (28, 28) or y.max(initial=0) > 9:
        raise InputError(str(folder), f"images of {x.shape[1]} x {x.shape[2]}", "28 x 28 pixels and labels 0 to 9")
    return Examples(torch.tensor(x).flatten(1).float() / 255, torch.tensor(y).long())


def split(data: Examples, seed: int) -> dict[str, Examples]:
    """The training images, shuffled, in three parts that share none."""
    if len(data) != sum(SPLIT.values()):
        raise InputError("training images", str(len(data)), str(sum(SPLIT.values())))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    parts = order.split_with_sizes(list(SPLIT.values()))
    return {name: Examples(data.x[part], data.labels[part]) for name, part in zip(SPLIT, parts, strict=True)}


def train(data: Examples, seed: int, epochs: int, say: Callable[[str], None]) -> Chain:
    """Train in float32. Nothing is quantized and no noise of a quantizer is simulated.

    What makes the result kind to a min-max quantizer is a box on each layer's weights, re-entered after every
    step: no outlier stretches the grid, and the network learns to spread its work. Weight decay empties the
    weights of pixels that are nearly always background.
    """
    torch.manual_seed(seed)
    chain = build()
    for layer in chain.layers:
        box = BOX / math.sqrt(layer.module.in_features)
        nn.init.uniform_(layer.module.weight, -box, box)
        nn.init.zeros_(layer.module.bias)
    weights = [layer.module.weight for layer in chain.layers]
    boxes = [BOX / math.sqrt(w.shape[1]) for w in weights]
    groups = [
        {"params": weights, "weight_decay": WEIGHT_DECAY},
        {"params": [layer.module.bias for layer in chain.layers], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    batches = len(data) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * batches, pct_start=0.2)
    padded = nn.functional.pad(data.x.view(-1, 28, 28), (SHIFT,) * 4)
    for epoch in range(1, epochs + 1):
        order, total = torch.randperm(len(data)), 0.0
        for chosen in order[: batches * BATCH].split(BATCH):
            top, left = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
            x = padded[chosen, top : top + 28, left : left + 28].flatten(1)
            for layer, rate in zip(chain.layers, (*DROPOUT, 0.0), strict=True):
                x = nn.functional.dropout(layer(x), rate)
            loss = nn.functional.cross_entropy(x, data.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for weight, box in zip(weights, boxes, strict=True):
                    weight.clamp_(-box, box)
            total += float(loss.detach())
        say(f"epoch {epoch:2d} of {epochs}: mean loss {total / batches:.4f}")
    return chain.requires_grad_(False)


def save(chain: Chain, spans: list[Range], metadata: dict[str, object], path: Path) -> None:
    """Keep weights, biases and the activations' ranges; the metadata as one JSON text."""
    tensors = {}
    for i, layer in enumerate(chain.layers, start=1):
        tensors[f"fc{i}.weight"] = layer.module.weight.detach().contiguous()
        tensors[f"fc{i}.bias"] = layer.module.bias.detach().contiguous()
        tensors[f"fc{i}.output_range"] = torch.tensor([spans[i - 1].mu, spans[i - 1].phi])
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(serialized(tensors, metadata={"qopt": json.dumps(metadata)}))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> tuple[Chain, list[Range], dict[str, object]]:
    """The network of a file that `save` wrote, its activations' ranges, its metadata."""
    chain, spans = build(), []
    try:
        with safe_open(path, framework="pt") as file:
            for i, layer in enumerate(chain.layers, start=1):
                state = {name: file.get_tensor(f"fc{i}.{name}") for name in ("weight", "bias")}
                layer.module.load_state_dict(state)
                low, high = file.get_tensor(f"fc{i}.output_range").tolist()
                spans.append(Range(low, high))
            metadata = json.loads((file.metadata() or {}).get("qopt", "{}"))
    except InputError:
        raise
    except Exception as error:  # safetensors raises its own types for a damaged file, torch for wrong shapes
        found = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(str(path), found, f"the weights of a network {'-'.join(map(str, SIZES))}") from None
    return chain.requires_grad_(False), spans, metadata
