"""Many variants of one tensor at once: stacked along the batch, so the layers behind it run once for all of them.

What lies before the tensor is computed once for a batch of examples and shared by every variant of every tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from qopt.measuring.network import Network, TensorName


def tensor_names(network: Network) -> list[TensorName]:
    """What is quantized: the weights of layers 1..L that have one, then the activations 1..L."""
    weights = [TensorName("weight", layer.number) for layer in network.layers if layer.parameters]
    return weights + [TensorName("activation", layer.number) for layer in network.layers]


class Repeated(Mapping[int, torch.Tensor]):
    """Tensors of a batch repeated for v variants, each only when it is asked for, and some of them changed.

    Parameters
    ----------
    values : tensors 0..L of a batch of n examples.
    times : v.
    """

    def __init__(self, values: Sequence[torch.Tensor], times: int) -> None:
        self._values, self._times = values, times
        self._made: dict[int, torch.Tensor] = {}

    def __getitem__(self, number: int) -> torch.Tensor:
        if number not in self._made:
            tensor = self._values[number]
            self._made[number] = tensor.expand(self._times, *tensor.shape).flatten(0, 1)
        return self._made[number]

    def __setitem__(self, number: int, changed: torch.Tensor) -> None:
        self._made[number] = changed

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 <= number < len(self._values)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._values)))

    def __len__(self) -> int:
        return len(self._values)


def outputs_with_products(
    network: Network, number: int, values: Sequence[torch.Tensor], products: torch.Tensor
) -> torch.Tensor:
    """What the network returns when layer l's multiplication gives something else.

    Parameters
    ----------
    number : layer l.
    values : tensors 0..L of n examples.
    products : (v, n, ...), of `Network.product` for v weights.

    Returns
    -------
    (v, n, ...)
    """
    v, n = products.shape[:2]
    stacked = Repeated(values, v)
    stacked[number] = network.finish(number, products.flatten(0, 1), stacked)
    outputs = network.resume(stacked, number)
    return outputs.reshape(v, n, *outputs.shape[1:])


def outputs_with_tensors(
    network: Network, number: int, values: Sequence[torch.Tensor], changed: torch.Tensor
) -> torch.Tensor:
    """What the network returns when the layers behind layer l read another tensor l; (v, n, ...) like `changed`.

    The cut is behind layer l: where a later cut is crossed too, the device's own layers read the tensor unchanged, so
    the noise measured here is that of its earliest cut.
    """
    v, n = changed.shape[:2]
    stacked = Repeated(values, v)
    stacked[number] = changed.flatten(0, 1)
    outputs = network.resume(stacked, number)
    return outputs.reshape(v, n, *outputs.shape[1:])
