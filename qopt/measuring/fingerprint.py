"""What tells one network from another: digests of its structure, and of its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from qopt.measuring.network import Network


def digest(tensors: Iterator[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 of named tensors: names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name, tensor in tensors:
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(_bytes(tensor))
    return found.hexdigest()


def structure(network: Network) -> str:
    """Digest of all that a network computes except for the weights and biases of its layers.

    Operations, their options and constants (normalizations that are not folded, embeddings, masks) and shapes; names of
    layers do not count.
    """
    found = hashlib.sha256()
    for step in network.steps:
        words = (step.layer, step.shape, step.weighted)
        for part in _parts((words, _called(step.function), step.arguments, dict(step.keywords))):
            found.update(part)
    for layer in network.layers:
        weight = tuple(network.weight(layer.number).shape) if layer.parameters else None
        found.update(repr((layer.kind, weight, layer.biases, layer.output, layer.reads)).encode())
    found.update(repr((network.shared, [network.crossing(p) for p in range(len(network) + 1)])).encode())
    return found.hexdigest()


def weights(network: Network) -> str:
    """Digest of the weights and biases of all layers."""

    def parts() -> Iterator[tuple[str, torch.Tensor]]:
        for layer in network.layers:
            if layer.parameters:
                yield f"weight {layer.number}", network.weight(layer.number)
            bias = network.bias(layer.number)
            if bias is not None:
                yield f"bias {layer.number}", bias

    return digest(parts())


def _bytes(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _called(function: Any) -> Any:
    """A function by its name and what it was made with: nothing that changes from process to process."""
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
    return name, [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]


def _parts(argument: Any) -> Iterator[bytes]:
    """A nest of plain values, tensors and functions as bytes."""
    if isinstance(argument, torch.Tensor):
        yield f"{argument.dtype} {tuple(argument.shape)}\n".encode()
        yield _bytes(argument)
    elif isinstance(argument, (list, tuple)) and type(argument) in (list, tuple):
        yield b"("
        for item in argument:
            yield from _parts(item)
        yield b")"
    elif isinstance(argument, dict):
        yield from _parts(sorted(argument.items()))
    elif isinstance(argument, torch.device):
        yield b"device"  # moving a network does not make it another one
    elif callable(argument) and not isinstance(argument, type):
        yield from _parts(_called(argument) if hasattr(argument, "__closure__") else str(argument))
    else:
        yield f"{argument!r};".encode()
