"""Two networks for each data set of pictures.py, plain torch modules, and how they are trained.

Each function returns ``(module, example)``, an untrained module and one input, which is what `qopt profile` and
`qopt measure` ask for: ``qopt profile nets.py:images10_residual``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from pictures import SETS
from torch import nn

RATE, DECAY, BATCH = 2e-3, 0.02, 64
EPOCHS = {"digits": 40, "images10": 8, "images100": 10}
WIDE = {"digits": (64, 32), "images10": (256, 128), "images100": (256, 128)}
"""Outputs of the fully connected network's hidden layers."""

Made = tuple[nn.Module, torch.Tensor]
"""An untrained network and one input."""


def mlp(name: str) -> Made:
    """Three fully connected layers with ReLU and dropout."""
    found = SETS[name]
    inputs, parts = torch.Size(found.shape).numel(), OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for number, outputs in enumerate(WIDE[name], start=1):
        parts[f"fc{number}"], parts[f"relu{number}"] = nn.Linear(inputs, outputs), nn.ReLU()
        parts[f"drop{number}"] = nn.Dropout(0.2)
        inputs = outputs
    parts["fc3"] = nn.Linear(inputs, found.classes)
    return nn.Sequential(parts), torch.zeros(1, *found.shape)


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch normalization, the first with stride 2, and a projection around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.side = nn.Conv2d(inputs, outputs, 1, 2, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / 2, w / 2)."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.norm3(self.side(x)))


def residual(name: str, first: int = 16, second: int = 32) -> Made:
    """A convolution, a residual block, means over quarters of the image, a fully connected layer: five layers."""
    found = SETS[name]
    parts = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(found.shape[0], first, 3, 2 if found.shape[1] > 8 else 1, padding=1, bias=False),
        norm=nn.BatchNorm2d(first),
        relu=nn.ReLU(),
        block=Block(first, second),
        mean=nn.AdaptiveAvgPool2d(2),
        flatten=nn.Flatten(),
        fc=nn.Linear(4 * second, found.classes),
    )
    return nn.Sequential(parts), torch.zeros(1, *found.shape)


def digits_mlp() -> Made:
    """Fully connected, for scikit-learn's digits."""
    return mlp("digits")


def digits_residual() -> Made:
    """Residual, for scikit-learn's digits."""
    return residual("digits")


def images10_mlp() -> Made:
    """Fully connected, for made images of 10 classes."""
    return mlp("images10")


def images10_residual() -> Made:
    """Residual, for made images of 10 classes."""
    return residual("images10")


def images100_mlp() -> Made:
    """Fully connected, for made images of 100 classes."""
    return mlp("images100")


def images100_residual() -> Made:
    """Residual, for made images of 100 classes."""
    return residual("images100")


BUILDERS: dict[tuple[str, str], Callable[[], Made]] = {
    ("digits", "mlp"): digits_mlp,
    ("digits", "residual"): digits_residual,
    ("images10", "mlp"): images10_mlp,
    ("images10", "residual"): images10_residual,
    ("images100", "mlp"): images100_mlp,
    ("images100", "residual"): images100_residual,
}


def trained(name: str, kind: str, x: Any, labels: Any, *, epochs: int, seed: int = 0) -> nn.Module:
    """A network trained in float32; nothing is quantized and no noise of a quantizer is simulated.

    Parameters
    ----------
    x, labels : (n, ...) images and (n,) classes, arrays.
    """
    torch.manual_seed(seed)
    module, _ = BUILDERS[name, kind]()
    images, classes = torch.as_tensor(x), torch.as_tensor(labels)
    steps = len(images) // BATCH
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(module(images[chosen]), classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return module.eval()
