"""Examples in batches of bounded memory, with every tensor of the network on each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import torch

from qopt.core.arguments import is_whole
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.measuring.examples import Examples
from qopt.measuring.network import Network

MEMORY = 2**30
"""Bytes that a measurement may hold in tensors, by default."""

_FLOAT_BYTES = 4
_AT_ONCE = 3
"""Copies of what is largest that live while the layers behind a tensor are run, roughly."""

_AT_HAND = 2
"""Batches that stay at hand where not all of them fit: work goes through them in order."""

_LARGEST = 1024
"""Examples in a batch at most: more gain nothing, and a batch is what a kill may lose."""


@dataclass(frozen=True, repr=False)
class Batch(Brief):
    """Examples ``first .. first + n - 1``: tensors 0..L on them, and their labels, on the network's device."""

    index: int
    first: int
    values: list[torch.Tensor]
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def outputs(self) -> torch.Tensor:
        """(n, ...) what the network returns."""
        return self.values[-1]


class Batches:
    """The batches of some examples; tensors are kept from one round to the next where they fit.

    Several threads may ask for batches: each is computed once, and the last few are at hand in any case.

    Parameters
    ----------
    network, examples : what is run on what.
    variants : how many variants of a batch are run at once.
    memory : bytes: half of them for the variants of the batches that are worked on, a quarter for tensors that are
        kept, the rest for what the caller holds.
    keep : whether tensors may be kept.

    Raises
    ------
    InputError
        Memory for less than one example.
    """

    def __init__(
        self, network: Network, examples: Examples, variants: int, memory: int = MEMORY, *, keep: bool = True
    ) -> None:
        if not is_whole(memory) or memory < 1:
            raise InputError("memory", shown(memory), "bytes, a positive whole number")
        self.network, self.examples, self.memory = network, examples, memory
        one = network.tensors(examples.x[:1].to(network.device))
        sizes = [tensor.numel() for tensor in one]
        products = [network.product(layer.number, dict(enumerate(one))).numel() for layer in network.layers]
        crossing = [sum(sizes[i] for i in network.crossing(cut)) for cut in range(len(network) + 1)]
        needed = _FLOAT_BYTES * _AT_ONCE * max(*products, *crossing) * variants
        if needed > memory // 2:
            allowed = f"at least {2 * needed}, for {variants} variants of one example"
            raise InputError("memory", f"{memory} bytes", allowed)
        self.size = min(_LARGEST, max(1, memory // 4 // needed))
        self._at_a_time = memory // 2 // (needed * self.size)
        self._keeps = keep and _FLOAT_BYTES * sum(sizes) * len(examples) <= memory // 4
        self._kept: OrderedDict[int, Batch] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        for index in range(len(self)):
            yield self.batch(index)

    @property
    def workers(self) -> int:
        """Batches that may be worked on at a time: one for each of torch's threads, if memory and device allow it."""
        return min(torch.get_num_threads(), self._at_a_time) if self.network.device.type == "cpu" else 1

    def batch(self, index: int) -> Batch:
        """Batch 0, 1, ..."""
        with self._lock:
            if index not in self._kept:
                first, device = index * self.size, self.network.device
                part = self.examples[first : first + self.size]
                values = self.network.tensors(part.x.to(device))
                self._kept[index] = Batch(index, first, values, part.labels.to(device))
                if not self._keeps and len(self._kept) > _AT_HAND:
                    self._kept.popitem(last=False)
            return self._kept[index]
