"""A network as a chain of layers, and its tensors: what is quantized, where, and what follows.

Layer l has a weight and an output. The output of a hidden layer is what leaves its activation
function, because that is what crosses a cut; the output of the last layer is the logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.func import functional_call

from qopt.errors import InputError

Change = Callable[[torch.Tensor], torch.Tensor]
"""What happens to one tensor: it is quantized, or noise is added."""


@dataclass(frozen=True)
class TensorName:
    """The weight or the output activation of layer 1..L."""

    kind: Literal["weight", "activation"]
    layer: int

    def __str__(self) -> str:
        return f"{self.kind} {self.layer}"


class Layer(nn.Module):
    """A module with a ``weight`` (linear or convolution) and what is computed before its output leaves."""

    def __init__(self, module: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        if not isinstance(getattr(module, "weight", None), torch.Tensor):
            raise InputError("layer", type(module).__name__, "a module with a weight")
        self.module = module
        self.after = after if after is not None else nn.Identity()

    @property
    def weight(self) -> torch.Tensor:
        """The weight tensor (biases are never quantized)."""
        weight = self.module.weight
        assert isinstance(weight, torch.Tensor)
        return weight.detach()

    def forward(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Output of the layer for a batch, with another weight if one is given."""
        y = self.module(x) if weight is None else functional_call(self.module, {"weight": weight}, (x,))
        return self.after(y)  # type: ignore[no-any-return]


class Chain(nn.Module):
    """Layers 1..L, each the only reader of the one before.

    Parameters
    ----------
    layers : the layers in order; the last one's output is the logits, (n, classes).
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        if not layers:
            raise InputError("layers", "none", "at least one layer")
        self.layers = nn.ModuleList(layers)

    def __len__(self) -> int:
        return len(self.layers)

    def layer(self, number: int) -> Layer:
        """Layer 1..L."""
        layer = self.layers[number - 1]
        assert isinstance(layer, Layer)
        return layer

    def tensors(self) -> Iterator[TensorName]:
        """Weights of layers 1..L, then activations of layers 1..L."""
        for number in range(1, len(self) + 1):
            yield TensorName("weight", number)
        for number in range(1, len(self) + 1):
            yield TensorName("activation", number)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch, with gradients where they are asked for."""
        for layer in self.layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def outputs(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The input and the output of every layer, L + 1 tensors: prefixes that later runs start from."""
        found = [x]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found

    @torch.no_grad()
    def logits_with(self, tensor: TensorName, change: Change, outputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logits with one tensor changed; only the layers behind it are computed again.

        Parameters
        ----------
        tensor : which one.
        change : what becomes of it.
        outputs : of `outputs`, for the same batch.
        """
        layer = self.layer(tensor.layer)
        if tensor.kind == "weight":
            x: torch.Tensor = layer(outputs[tensor.layer - 1], change(layer.weight))
        else:
            x = change(outputs[tensor.layer])
        for following in self.layers[tensor.layer :]:
            x = following(x)
        return x

    @torch.no_grad()
    def logits_of_plan(
        self, x: torch.Tensor, weights: Sequence[torch.Tensor], activation: Change | None
    ) -> torch.Tensor:
        """Logits of an inference that is cut behind layer p = ``len(weights)``.

        Parameters
        ----------
        x : batch of inputs.
        weights : what the device has received, for layers 1..p.
        activation : what becomes of the output of layer p on its way up.
        """
        cut = len(weights)
        for number, weight in enumerate(weights, start=1):
            x = self.layer(number)(x, weight)
        if activation is not None:
            x = activation(x)
        for following in self.layers[cut:]:
            x = following(x)
        return x
