"""Common random directions of noise: each entry a hash of where it stands, on any device and in batches of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

from qopt.measuring.network import TensorName

SEEDS = 3
"""Directions that a tensor's noise is averaged over."""


def uniform(
    tensor: TensorName, seed: int, first: int, count: int, shape: Sequence[int], device: torch.device
) -> torch.Tensor:
    """Numbers uniform in (-1, 1), the same on every device and however the examples are grouped.

    Parameters
    ----------
    tensor : whose noise it is.
    seed : of the direction.
    first, count : numbers of the examples, ``first .. first + count - 1``; a weight is example 0.
    shape : of the tensor for one example.

    Returns
    -------
    (count, *shape), float32: multiples of 2^-23 plus 2^-24.
    """
    word = hashlib.sha256(f"{seed} {tensor}".encode()).digest()
    own, other = (int.from_bytes(word[i : i + 4], "little", signed=True) for i in (0, 4))
    examples = torch.arange(first, first + count, device=device, dtype=torch.int64)
    keys = _mixed(_mixed((examples & 0x7FFFFFFF).int() ^ own) + (examples >> 31).int())
    entries = torch.arange(torch.Size(shape).numel(), device=device, dtype=torch.int64).int() ^ other
    bits = _mixed(_mixed(entries)[None, :] ^ keys[:, None])
    return bits.bitwise_and_(0xFFFFFF).float().mul_(2.0**-23).add_(2.0**-24 - 1.0).reshape(count, *shape)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """Every bit of int32 numbers made to depend on all of them, in place: xor-shift and multiply, modulo 2^32."""
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D)
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).mul_(0x846CA68B - (1 << 32))
    return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))
