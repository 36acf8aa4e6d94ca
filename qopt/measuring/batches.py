"""Examples in batches of bounded memory, with every tensor of the network on each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch

from qopt.core.arguments import is_whole
from qopt.core.display import Brief
from qopt.core.errors import InputError, shown
from qopt.measuring.checkpoint import Arrays
from qopt.measuring.examples import Examples
from qopt.measuring.memory import default_memory, is_exhausted, release
from qopt.measuring.network import Network

_FLOAT_BYTES = 4
_AT_ONCE = 3
"""Copies of what is largest that live while the layers behind a tensor are run, roughly."""

_AT_HAND = 2
"""Batches that stay at hand where not all of them fit: work goes through them in order."""

_CACHE = 2**22
"""Bytes of the largest tensor of the variants that a CPU works on at once: caches hold about as much."""

_LARGEST = 1024
"""Examples in a batch at most: more gain nothing, and a batch is what a kill may lose."""


@dataclass(frozen=True, repr=False)
class Batch(Brief):
    """Examples ``first .. first + n - 1``: tensors 0..L on them, and their labels, on the network's device."""

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
        kept, the rest for what the caller holds. By default what the network's device has, see `default_memory`.
    keep : whether tensors may be kept.
    size : examples in a batch, instead of what fits: finished work is kept by batch, and goes on with the same ones.

    Raises
    ------
    InputError
        Memory for less than one example.

    Attributes
    ----------
    network, examples, memory : as given, or by default.
    size : examples in a batch.
    at_once : variants to run at once: all of them on a GPU, on a CPU as many as its caches hold.

    Notes
    -----
    Where the device runs out of memory all the same, a batch is worked on in smaller and smaller parts; its examples,
    and so the unit of finished work, stay the same.
    """

    def __init__(
        self,
        network: Network,
        examples: Examples,
        variants: int,
        memory: int | None = None,
        *,
        keep: bool = True,
        size: int | None = None,
    ) -> None:
        memory = default_memory(network.device) if memory is None else memory
        if not is_whole(memory) or memory < 1:
            raise InputError("memory", shown(memory), "bytes, a positive whole number")
        self.network, self.examples, self.memory = network, examples, memory
        sizes, products = _entries(network, examples.x[:1])
        crossing = [sum(sizes[i] for i in network.crossing(cut)) for cut in range(len(network) + 1)]
        needed = _FLOAT_BYTES * _AT_ONCE * max(*products, *crossing) * variants
        if needed > memory // 2:
            allowed = f"at least {2 * needed}, for {variants} variants of one example"
            raise InputError("memory", f"{memory} bytes", allowed)
        self.size = size or _even(len(examples), min(_LARGEST, max(1, memory // 4 // needed)))
        most = (
            variants if network.device.type != "cpu" else _CACHE // (_FLOAT_BYTES * max(*sizes, *products) * self.size)
        )
        self.at_once = min(variants, max(1, most))
        self._at_a_time = memory // 2 // (needed * min(self.size, len(examples)))
        self._keeps = keep and _FLOAT_BYTES * sum(sizes) * len(examples) <= memory // 4
        self._kept: OrderedDict[tuple[int, int], Batch] = OrderedDict()
        self._part = self.size
        self._held_elsewhere: list[Callable[[], None]] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    @property
    def workers(self) -> int:
        """Batches that may be worked on at a time: one for each of torch's threads, if memory and device allow it."""
        return max(1, min(torch.get_num_threads(), self._at_a_time)) if self.network.device.type == "cpu" else 1

    def __iter__(self) -> Iterator[Batch]:
        for first in range(0, len(self.examples), self.size):
            yield self._batch(first, min(first + self.size, len(self.examples)))

    def run(self, index: int, work: Callable[[Batch], Arrays]) -> Arrays:
        """What some work gives for batch 0, 1, ...

        Parameters
        ----------
        work : from a batch to arrays by name, examples along the last axis. It is called on the whole batch or, where
            the device is out of memory, on parts of it, and may be called again for the same examples.

        Raises
        ------
        InputError
            One example is too much for the device.
        """
        first, last = index * self.size, min((index + 1) * self.size, len(self.examples))
        while True:
            part = self._part
            try:
                found = [work(self._batch(i, min(i + part, last))) for i in range(first, last, part)]
                return {name: np.concatenate([arrays[name] for arrays in found], axis=-1) for name in found[0]}
            except (RuntimeError, MemoryError) as error:
                if not is_exhausted(error):
                    raise
                if part == 1:
                    raise _too_little(self.network.device) from None
            self._shrink(part)  # out here, where the error and the tensors it holds are gone

    def _shrink(self, part: int) -> None:
        """Work on smaller parts than these from now on, and keep nothing."""
        with self._lock:
            if self._part == part:  # no other thread has done so
                self._part = -(-part // 2)
                self._keeps = False
            self._kept.clear()
        for drop in self._held_elsewhere:
            drop()
        release(self.network.device)

    def when_exhausted(self, drop: Callable[[], None]) -> None:
        """Have something called that lets go of tensors when the device is out of memory."""
        self._held_elsewhere.append(drop)

    def _batch(self, first: int, last: int) -> Batch:
        """Examples first..last-1."""
        with self._lock:
            if (first, last) not in self._kept:
                device, part = self.network.device, self.examples[first:last]
                values = self.network.tensors(part.x.to(device))
                self._kept[first, last] = Batch(first, values, part.labels.to(device))
                if not self._keeps and len(self._kept) > max(_AT_HAND, self.workers):
                    self._kept.popitem(last=False)
            return self._kept[first, last]


def _entries(network: Network, x: torch.Tensor) -> tuple[list[int], list[int]]:
    """Entries of tensors 0..L, and of what each layer's multiplication gives, for one example (1, ...)."""
    try:
        one = network.tensors(x.to(network.device))
        products = [network.product(layer.number, dict(enumerate(one))).numel() for layer in network.layers]
        return [tensor.numel() for tensor in one], products
    except (RuntimeError, MemoryError) as error:
        if is_exhausted(error):
            raise _too_little(network.device) from None
        raise


def _too_little(device: torch.device) -> InputError:
    return InputError("memory", f"{device} out of it with one example", "a device with more, or fewer widths")


def _even(count: int, most: int) -> int:
    """The size of batches of equal size, at most this, that hold so many examples."""
    return -(-count // -(-count // most))
