"""Scales and offsets of groups in 16 or 8 bits, as language models are sent: rounded so that no entry is cut off.

In 16 bits each is a float16. In 8 bits a scale is a whole number 0..255 of 255ths of the largest scale of its row
(output channel), an offset a whole number -127..127 of 127ths of the largest offset, and the row's two largest are
float32 numbers sent beside them. Offsets are rounded down; scales, found from the offsets so rounded, are rounded up.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from qopt.core.errors import InputError

SCALES, OFFSETS = 255, 127
"""Parts of a row's largest number that 8-bit scales and offsets count."""


class Rounded(NamedTuple):
    """Numbers of groups as they are sent.

    Attributes
    ----------
    numbers : (rows, groups) float64.
    largest : (rows,) float32, sent beside 8-bit numbers; None in 16 bits.
    """

    numbers: torch.Tensor
    largest: torch.Tensor | None


def rounded_down(offset: torch.Tensor, bits: int) -> Rounded:
    """Offsets (rows, groups), float64, as they are sent: the next number below that has so many bits."""
    if bits == 8:
        return _of_row(offset, OFFSETS, up=False)
    return Rounded(_float16(offset, up=False), None)


def rounded_up(scale: torch.Tensor, bits: int) -> Rounded:
    """Scales (rows, groups), float64 and not negative, as they are sent: the next number above."""
    if bits == 8:
        return _of_row(scale, SCALES, up=True)
    return Rounded(_float16(scale, up=True), None)


def parts_of(numbers: torch.Tensor, largest: torch.Tensor, last: int) -> torch.Tensor:
    """8-bit codes, uint8 for scales and int8 for offsets, of rounded numbers (rows, groups) in float32.

    Parameters
    ----------
    numbers : what `from_parts` gives.
    largest : (rows,) float32, of each row.
    last : `SCALES` or `OFFSETS`.
    """
    part = largest.double()[:, None] / last
    codes = (numbers.double() / torch.where(part > 0, part, 1.0)).round_()  # float32 is off by far less than a half
    return codes.to(torch.uint8 if last == SCALES else torch.int8)


def from_parts(codes: torch.Tensor, largest: torch.Tensor, last: int) -> torch.Tensor:
    """The numbers (rows, groups), float64, of 8-bit codes: whole multiples of the row's largest over `last`."""
    return codes.double() * (largest.double()[:, None] / last)


def _of_row(numbers: torch.Tensor, last: int, *, up: bool) -> Rounded:
    """Whole multiples of 1 / last of the largest magnitude of each row, itself a float32 number not below it."""
    largest = _float32_above(numbers.abs().amax(dim=1))
    part = largest.double()[:, None] / last
    ratio = numbers / torch.where(part > 0, part, 1.0)
    codes = (ratio.ceil() if up else ratio.floor()).clamp_(-last, last)
    return Rounded(from_parts(codes, largest, last), largest)


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
