"""Codes of b bits without gaps: code i of a row takes bits i b .. i b + b - 1 of the row's bytes, lowest bit first.

So n codes take ceil(n b / 8) bytes, and what is left of the last byte is zero. Eight codes take exactly b bytes,
which is the unit that is shifted at once.
"""

from __future__ import annotations

import torch

from qopt.core.arguments import whole
from qopt.core.errors import InputError
from qopt.measuring.grids import MAX_BITS


def packed_bytes(count: int, bits: int) -> int:
    """Bytes of `count` codes: ceil(count b / 8)."""
    return -(-count * bits // 8)


def pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Rows of codes as rows of bytes.

    Parameters
    ----------
    codes : (..., n) whole numbers 0..2^b - 1.
    bits : width b, 1..16.

    Returns
    -------
    (..., ceil(n b / 8)) uint8, on the codes' device.

    Raises
    ------
    InputError
        Another width, no whole numbers, or a code that does not fit.
    """
    bits = whole("bits", bits, 1, MAX_BITS)
    if codes.ndim == 0 or codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise InputError("codes", f"{codes.dtype} of shape {tuple(codes.shape)}", "rows of whole numbers")
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < 2**bits:
        found = f"{int(codes.min())} to {int(codes.max())}"
        raise InputError("codes", found, f"0 to {2**bits - 1}, for {bits} bits")
    count = codes.shape[-1]
    eights = torch.nn.functional.pad(codes.to(torch.int32), (0, -count % 8)).reshape(*codes.shape[:-1], -1, 8)
    found_bytes = torch.zeros(*eights.shape[:-1], bits, dtype=torch.int32, device=codes.device)
    for i, byte, shift in _overlaps(bits):
        part = eights[..., i] << shift if shift >= 0 else eights[..., i] >> -shift
        found_bytes[..., byte] |= part & 255
    return found_bytes.to(torch.uint8).flatten(-2)[..., : packed_bytes(count, bits)]


def unpack(packed: torch.Tensor, bits: int, count: int) -> torch.Tensor:
    """The codes (..., count) that `pack` was given, int32.

    Parameters
    ----------
    packed : (..., ceil(count b / 8)) uint8.
    bits, count : width, and codes in a row.

    Raises
    ------
    InputError
        Another width, another number of bytes, or bits set behind the last code.
    """
    bits = whole("bits", bits, 1, MAX_BITS)
    length = packed_bytes(count, bits)
    if packed.dtype != torch.uint8 or packed.ndim == 0 or packed.shape[-1] != length:
        found = f"{packed.dtype} of shape {tuple(packed.shape)}"
        raise InputError("packed", found, f"uint8, {length} bytes in a row for {count} codes of {bits} bits")
    spare = 8 * length - count * bits
    if spare and packed.numel() and int(packed[..., -1].max()) >> (8 - spare):
        raise InputError("packed", "bits set behind the last code", "zeros there")
    groups = -(-count // 8)
    blocks = torch.nn.functional.pad(packed, (0, groups * bits - length)).to(torch.int32)
    blocks = blocks.reshape(*packed.shape[:-1], groups, bits)
    codes = torch.zeros(*blocks.shape[:-1], 8, dtype=torch.int32, device=packed.device)
    for i, byte, shift in _overlaps(bits):
        codes[..., i] |= blocks[..., byte] >> shift if shift >= 0 else blocks[..., byte] << -shift
    rows: torch.Tensor = (codes & (2**bits - 1)).flatten(-2)[..., :count]
    return rows


def _overlaps(bits: int) -> list[tuple[int, int, int]]:
    """Code i of eight and a byte that holds some of it, with the shift to the left that brings it there."""
    found = []
    for i in range(8):
        first, last = i * bits // 8, (i * bits + bits - 1) // 8
        found += [(i, byte, i * bits - 8 * byte) for byte in range(first, last + 1)]
    return found
