"""The uniform asymmetric quantizer of QPART (Eqs. 9-10), one range for a whole tensor.

Eq. 9 prints the step as 1 / (2^b - 1), which holds for a range of length one; on [mu, phi] it is
(phi - mu) / (2^b - 1). Eq. 10 takes the nearest point of that grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from qopt.errors import InputError

MAX_BITS = 24
"""Widest grid that float32 tensors can tell from no grid at all."""


@dataclass(frozen=True)
class Range:
    """The interval [mu, phi] that a tensor's grid spans. Two float32 numbers travel with the tensor."""

    mu: float
    phi: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and math.isfinite(self.phi) and self.mu <= self.phi):
            raise InputError("range", f"[{self.mu}, {self.phi}]", "finite numbers mu <= phi")

    @property
    def length(self) -> float:
        """phi - mu."""
        return float(self.phi - self.mu)

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Range:
        """Smallest and largest entry of a tensor."""
        if tensor.numel() == 0:
            raise InputError("tensor", "no entries", "at least one entry")
        low, high = torch.aminmax(tensor)
        return cls(float(low), float(high))


def step(span: Range, bits: int) -> float:
    """Distance (phi - mu) / (2^b - 1) between neighbours of the grid."""
    if not 1 <= bits <= MAX_BITS:
        raise InputError("bits", str(bits), f"whole numbers from 1 to {MAX_BITS}")
    return float(span.length / (2**bits - 1))


def codes(tensor: torch.Tensor, span: Range, bits: int) -> torch.Tensor:
    """The integers 0..2^b - 1 that are sent, as int32; what lies outside the range is clipped to its ends."""
    width = step(span, bits)
    if width == 0.0:
        return torch.zeros_like(tensor, dtype=torch.int32)
    return torch.round((tensor.double() - span.mu) / width).clamp_(0, 2**bits - 1).int()


def quantize(tensor: torch.Tensor, bits: int, span: Range | None = None) -> torch.Tensor:
    """What the receiver computes with: the nearest point of the grid for each entry.

    Parameters
    ----------
    tensor : any shape, float32 or float64.
    bits : width b, 1..24.
    span : the grid's range; by default the tensor's own smallest and largest entry.

    Returns
    -------
    Tensor of the same shape and type. The grid is computed in float64.
    """
    span = Range.of(tensor) if span is None else span
    return (codes(tensor, span, bits).double() * step(span, bits) + span.mu).to(tensor.dtype)
