"""Small networks with data of their own, for the tests of what is measured: made of modules, so hooks reach them."""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable

import torch
from torch import nn

from qopt.measuring.examples import Examples
from qopt.measuring.network import Network
from qopt.measuring.profile import trace
from qopt.measuring.scores import correct


class Branch(nn.Module):
    """Three convolutions, the first one's output added behind the third: two tensors cross cut 2."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1, self.relu1 = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.layer2, self.relu2 = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        self.layer3, self.relu3 = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        self.layer4 = nn.Linear(4 * 36, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.relu1(self.layer1(x))
        last = self.relu3(self.layer3(self.relu2(self.layer2(first))) + first)
        return self.layer4(last.flatten(1))  # type: ignore[no-any-return]


class Chain(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, sizes: tuple[int, ...] = (6, 9, 7, 4)) -> None:
        super().__init__()
        for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
            self.add_module(f"layer{number}", nn.Linear(inputs, outputs))
            self.add_module(f"relu{number}", nn.ReLU())
        self.count = len(sizes) - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number in range(1, self.count + 1):
            x = self.get_submodule(f"layer{number}")(x)
            if number < self.count:
                x = self.get_submodule(f"relu{number}")(x)
        return x


SHAPES = {"chain": (6,), "branch": (1, 6, 6)}


@functools.cache
def build(name: str, seed: int = 0) -> tuple[nn.Module, Network]:
    """A module with random weights, and its trace: made once, so leave both as they were."""
    torch.manual_seed(seed)
    module = Chain() if name == "chain" else Branch()
    module.eval().requires_grad_(False)
    return module, trace(module, torch.zeros(1, *SHAPES[name]))


def data_for(module: nn.Module, name: str, n: int, seed: int) -> Examples:
    """Inputs that the network labels itself, a tenth of the labels replaced: an accuracy near 0.9."""
    x = torch.rand(n, *SHAPES[name], generator=torch.Generator().manual_seed(seed))
    x = x + torch.randn(n, *SHAPES[name], generator=torch.Generator().manual_seed(seed + 1000))
    labels = module(x).argmax(1)
    labels[: n // 10] = (labels[: n // 10] + 1) % 4
    return Examples(x, labels)


def with_weight(module: nn.Module, number: int, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The module's output with another weight in layer l, by changing the module itself."""
    layer = module.get_submodule(f"layer{number}")
    before = layer.weight.clone()  # type: ignore[operator,union-attr]
    try:
        layer.weight.copy_(weight)  # type: ignore[operator,union-attr]
        return module(x)  # type: ignore[no-any-return]
    finally:
        layer.weight.copy_(before)  # type: ignore[operator,union-attr]


def with_output(
    module: nn.Module, number: int, change: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor
) -> torch.Tensor:
    """The module's output with that of layer l changed, as (n, entries), by a hook on the module that it leaves."""
    name = f"relu{number}" if f"relu{number}" in dict(module.named_modules()) else f"layer{number}"
    if name == f"relu{number}" and isinstance(module, Chain) and number == module.count:
        name = f"layer{number}"
    hook = module.get_submodule(name).register_forward_hook(lambda _m, _x, y: change(y.flatten(1)).reshape(y.shape))
    try:
        return module(x)  # type: ignore[no-any-return]
    finally:
        hook.remove()


def slow(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`correct`, after a nap where the environment asks for one: leaves time to be killed."""
    time.sleep(float(os.environ.get("QOPT_TEST_NAP", "0")))
    return correct(logits, labels)
