"""Train the residual network on MNIST and the segmenter on images made on the spot; write them as ONNX files.

    python train.py FOLDER [--out FOLDER] [--images 20000] [--epochs 3] [--seed 0] [--only residual]

FOLDER holds MNIST's archives. One thread, two minutes. The same seed gives the same file on one kind of machine and
one version of torch; elsewhere the last digits of float32 sums differ, and training carries them on. Batch
normalizations are folded into the convolutions before them, so the files hold convolutions with biases alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import models
import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

from qopt.measuring.examples import read

BATCH, RATE, DECAY = 128, 4e-3, 0.02
SHAPES = 4000
"""Images on which the segmenter is trained."""


class Conv(nn.Module):
    """A convolution and a batch normalization, which are one convolution in the end."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        found: torch.Tensor = self.norm(self.conv(x))
        return found

    def folded(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Weight and bias of the one convolution."""
        norm = self.norm
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = self.conv.weight * scale[:, None, None, None]
        return weight.detach().numpy(), (norm.bias - norm.running_mean * scale).detach().numpy()


class Residual(nn.Module):
    """The network of `models.residual`."""

    def __init__(self) -> None:
        super().__init__()
        width = models.STAGES[0][0]
        parts: dict[str, nn.Module] = {"stem": Conv(1, width, stride=2)}
        for s, (channels, blocks, stride) in enumerate(models.STAGES, start=1):
            for k in range(1, blocks + 1):
                first = stride if k == 1 else 1
                parts[f"s{s}b{k}_c1"] = Conv(width, channels, stride=first)
                parts[f"s{s}b{k}_c2"] = Conv(channels, channels)
                if first != 1 or width != channels:
                    parts[f"s{s}b{k}_p"] = Conv(width, channels, 1, first)
                width = channels
        self.parts = nn.ModuleDict(parts)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, 28, 28) to (n, 10)."""
        parts = self.parts
        x = torch.relu(parts["stem"](x))
        for name in [key[:-3] for key in parts if key.endswith("_c1")]:
            inner = parts[f"{name}_c2"](torch.relu(parts[f"{name}_c1"](x)))
            side = parts[f"{name}_p"](x) if f"{name}_p" in parts else x
            x = torch.relu(inner + side)
        found: torch.Tensor = self.fc(x.mean((2, 3)))
        return found

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """By the names of `models.residual`."""
        found = {"fc.w": self.fc.weight.detach().numpy().T, "fc.b": self.fc.bias.detach().numpy()}
        return {**found, **folded(self.parts)}


class Segmenter(nn.Module):
    """The network of `models.segmenter`."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        wide = 2 * width
        parts: dict[str, nn.Module] = {"stem": Conv(3, width, stride=2), "side": Conv(width, models.CLASSES, 1)}
        parts["down"] = Conv(width, wide, stride=2)
        for k in (1, 2, 3):
            parts[f"b{k}_c1"], parts[f"b{k}_c2"] = Conv(wide, wide), Conv(wide, wide)
        parts["scores"] = Conv(wide, models.CLASSES, 1)
        self.parts = nn.ModuleDict(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) to (n, classes, h, w)."""
        parts = self.parts
        x = torch.relu(parts["stem"](x))
        light, y = parts["side"](x), torch.relu(parts["down"](x))
        for k in (1, 2, 3):
            y = torch.relu(parts[f"b{k}_c2"](torch.relu(parts[f"b{k}_c1"](y))) + y)
        up = F.interpolate(parts["scores"](y), scale_factor=2, mode="bilinear")
        return F.interpolate(up + light, scale_factor=2, mode="bilinear")

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """By the names of `models.segmenter`."""
        return folded(self.parts)


def folded(parts: nn.ModuleDict) -> dict[str, np.ndarray[Any, Any]]:
    """Weights and biases of all convolutions, by their names in the ONNX file."""
    found = {}
    for key, part in parts.items():
        assert isinstance(part, Conv)
        name = key.replace("_", ".")
        found[f"{name}.w"], found[f"{name}.b"] = part.folded()
    return found


def scenes(n: int, seed: int, size: int = 32) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images of discs, squares and crosses on a noisy ground: (n, 3, size, size) float32, (n, size, size) classes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images = rng.normal(0.5, 0.15, (n, 3, size, size)).astype(np.float32)
    classes = np.zeros((n, size, size), np.int64)
    for i in range(n):
        for kind in rng.permutation([1, 2, 3])[: rng.integers(1, 4)]:
            cy, cx, r = rng.integers(5, size - 5), rng.integers(5, size - 5), rng.integers(3, 8)
            dy, dx = np.abs(y - cy), np.abs(x - cx)
            inside = {1: dy**2 + dx**2 <= r**2, 2: np.maximum(dy, dx) <= r, 3: np.minimum(dy, dx) * 3 <= r}[int(kind)]
            inside &= np.maximum(dy, dx) <= r
            classes[i][inside] = kind
            images[i, :, inside] = rng.normal(rng.uniform(0, 1, 3), 0.1, (int(inside.sum()), 3))
    return images, classes


def batches(n: int, epochs: int) -> Iterator[torch.Tensor]:
    """Positions of each step's examples."""
    for _ in range(epochs):
        yield from torch.randperm(n)[: n // BATCH * BATCH].split(BATCH)


def fit(network: nn.Module, x: torch.Tensor, labels: torch.Tensor, epochs: int, shift: int = 0) -> None:
    """Train in float32 by cross entropy; images move by up to `shift` pixels."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    steps = len(x) // BATCH * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    start = time.perf_counter()
    for step, chosen in enumerate(batches(len(x), epochs), start=1):
        images = x[chosen]
        if shift:
            images = torch.roll(images, tuple(torch.randint(-shift, shift + 1, (2,)).tolist()), (2, 3))
        loss = F.cross_entropy(network(images), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            print(f"{time.perf_counter() - start:6.1f} s  step {step} of {steps}: loss {loss.item():.4f}", flush=True)
    network.eval()


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("residual", "segmenter"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only != "segmenter":
        torch.manual_seed(options.seed)
        examples, network = read(options.folder, (1, 28, 28), "train"), Residual()
        fit(network, examples.x[: options.images], examples.labels[: options.images], options.epochs, shift=1)
        onnx.save(models.residual(weights=network.weights()), options.out / "residual.onnx")
    if options.only != "residual":
        torch.manual_seed(options.seed)
        images, classes = scenes(SHAPES, options.seed)
        segmenter = Segmenter()
        fit(segmenter, torch.from_numpy(images), torch.from_numpy(classes), 4 * options.epochs)
        onnx.save(models.segmenter(weights=segmenter.weights()), options.out / "segmenter.onnx")


if __name__ == "__main__":
    main()
