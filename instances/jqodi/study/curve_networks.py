"""Three small networks for images of 14 x 14 pixels: fully connected, convolutional, residual.

Small ones of the kinds that the paper tunes (LeNet-like, VGG-like, ResNet20), so that all curves take minutes on one
core. Their layers and blocks, with MACs, weights and outputs, are those of a JQODI problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

SIDE = 14
"""Pixels of a side: MNIST's images, halved."""


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch normalization, and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def mlp() -> list[nn.Module]:
    """196-64-32-10 with ReLU: its layers."""
    return [
        nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 64), nn.ReLU()),
        nn.Sequential(nn.Linear(64, 32), nn.ReLU()),
        nn.Linear(32, 10),
    ]


def lenet() -> list[nn.Module]:
    """Two convolutions with pooling, two fully connected layers: its layers."""
    return [
        nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Flatten(), nn.Linear(144, 48), nn.ReLU()),
        nn.Linear(48, 10),
    ]


def resnet() -> list[nn.Module]:
    """A convolution, two residual blocks, the mean over positions and a layer: its layers and blocks."""
    return [
        nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        Block(8, 8, 1),
        Block(8, 16, 2),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    ]


NETWORKS: dict[str, Callable[[], list[nn.Module]]] = {"mlp": mlp, "lenet": lenet, "resnet": resnet}


def network(name: str) -> nn.Sequential:
    """An untrained network by its name.

    Parameters
    ----------
    name : mlp, lenet or resnet.
    """
    return nn.Sequential(*NETWORKS[name]())


@dataclass(frozen=True)
class Sizes:
    """What a JQODI problem wants to know of a network.

    Attributes
    ----------
    macs, weights, activations : of each layer or block; parameters with biases, outputs of one image.
    """

    macs: tuple[int, ...]
    weights: tuple[int, ...]
    activations: tuple[int, ...]


def sizes(name: str) -> Sizes:
    """MACs, parameters and outputs of each layer or block of a network.

    Parameters
    ----------
    name : mlp, lenet or resnet.
    """
    x, found = torch.zeros(1, 1, SIDE, SIDE), []
    for layer in network(name).eval():
        counts: list[int] = []

        def count(module: nn.Module, _: object, output: torch.Tensor, counts: list[int] = counts) -> None:
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            counts.append(output.numel() * weight[0].numel())

        hooks = [m.register_forward_hook(count) for m in layer.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        x = layer(x)
        for hook in hooks:
            hook.remove()
        found.append((sum(counts), sum(p.numel() for p in layer.parameters()), x.numel()))
    macs, weights, activations = zip(*found, strict=True)
    return Sizes(macs, weights, activations)
