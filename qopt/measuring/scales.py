"""Scales and offsets of groups in 16 or 8 bits, as language models are sent: rounded so that no entry is cut off.

In 16 bits each is a float16. In 8 bits a scale is a whole number 0..255 of 255ths of the largest scale of its row
(output channel), an offset a whole number -127..127 of 127ths of the largest offset, and the row's two largest are
float32 numbers sent beside them. Offsets are rounded down; scales, found from the offsets so rounded, are rounded up.
"""

from __future__ import annotations

import torch

from qopt.core.errors import InputError


def rounded_down(offset: torch.Tensor, bits: int) -> torch.Tensor:
    """Offsets (rows, groups), float64, as they are sent: the next number below that has so many bits."""
    if bits == 8:
        return _of_row(offset, 127, up=False)
    return _float16(offset, up=False)


def rounded_up(scale: torch.Tensor, bits: int) -> torch.Tensor:
    """Scales (rows, groups), float64 and not negative, as they are sent: the next number above."""
    if bits == 8:
        return _of_row(scale, 255, up=True)
    return _float16(scale, up=True)


def _of_row(numbers: torch.Tensor, last: int, *, up: bool) -> torch.Tensor:
    """Whole multiples of 1 / last of the largest magnitude of each row, itself a float32 number not below it."""
    largest = _float32_above(numbers.abs().amax(dim=1, keepdim=True)).double() / last
    ratio = numbers / torch.where(largest > 0, largest, 1.0)
    whole = (ratio.ceil() if up else ratio.floor()).clamp_(-last, last)
    return whole * largest


def _float32_above(numbers: torch.Tensor) -> torch.Tensor:
    found = numbers.float()
    return torch.where(found.double() < numbers, torch.nextafter(found, torch.full_like(found, torch.inf)), found)


def _float16(numbers: torch.Tensor, *, up: bool) -> torch.Tensor:
    found = numbers.half()
    end = torch.full_like(found, torch.inf if up else -torch.inf)
    wrong = found.double() < numbers if up else found.double() > numbers
    found = torch.where(wrong, torch.nextafter(found, end), found).double()
    if not bool(torch.isfinite(found).all()):
        raise InputError(
            "tensor", f"numbers up to {float(numbers.abs().max()):g}", "scales within float16, up to 65504"
        )
    return found
