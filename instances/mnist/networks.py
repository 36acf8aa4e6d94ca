"""Three networks for MNIST's images, plain torch modules: fully connected, convolutional, residual.

Each function returns ``(module, example)``, an untrained module and one input, which is what `qopt profile` and
`qopt measure` ask for: ``qopt profile networks.py:resnet --weights resnet.safetensors``.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict

import torch
from torch import nn

SIZES = (784, 512, 256, 128, 64, 32, 10)
"""Inputs and outputs of the six layers of the network of the QPART paper."""

DROPOUT = (0.2, 0.2, 0.1, 0.1, 0.0)
WIDTHS = (16, 32, 64)
"""Channels of the three stages of the residual network."""


def example() -> torch.Tensor:
    """One input: an image of 28 x 28 pixels and one channel, pixels in [0, 1]."""
    return torch.linspace(0, 1, 784).reshape(1, 1, 28, 28)


def mlp6() -> tuple[nn.Module, torch.Tensor]:
    """784-512-256-128-64-32-10 with ReLU: 576 k weights."""
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for number, (inputs, outputs) in enumerate(itertools.pairwise(SIZES), start=1):
        layers.append((f"fc{number}", nn.Linear(inputs, outputs)))
        if number <= len(DROPOUT):
            layers += [(f"relu{number}", nn.ReLU()), (f"drop{number}", nn.Dropout(DROPOUT[number - 1]))]
    return nn.Sequential(OrderedDict(layers)), example()


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """LeNet-5 with wider convolutions, ReLU and maximum pooling: 82 k weights."""
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(1, 12, 5)),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(12, 32, 5)),
        ("relu2", nn.ReLU()),
        ("pool2", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(512, 120)),
        ("relu3", nn.ReLU()),
        ("drop3", nn.Dropout(0.2)),
        ("fc2", nn.Linear(120, 84)),
        ("relu4", nn.ReLU()),
        ("drop4", nn.Dropout(0.1)),
        ("fc3", nn.Linear(84, 10)),
    ]
    return nn.Sequential(OrderedDict(layers)), example()


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
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm2d(outputs)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def resnet() -> tuple[nn.Module, torch.Tensor]:
    """A convolution and three stages of one residual block each, the mean over positions, a layer: 77 k weights.

    The first convolution halves the image, so the stages work on 14 x 14, 7 x 7 and 4 x 4 positions.
    """
    first, second, third = WIDTHS
    layers: list[tuple[str, nn.Module]] = [
        ("conv", nn.Conv2d(1, first, 3, stride=2, padding=1, bias=False)),
        ("norm", nn.BatchNorm2d(first)),
        ("relu", nn.ReLU()),
        ("stage1", Block(first, first, 1)),
        ("stage2", Block(first, second, 2)),
        ("stage3", Block(second, third, 2)),
        ("mean", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(third, 10)),
    ]
    return nn.Sequential(OrderedDict(layers)), example()


BUILDERS = {"mlp6": mlp6, "cnn": cnn, "resnet": resnet}
