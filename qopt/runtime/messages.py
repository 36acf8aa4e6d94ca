"""What travels between parts: a length, a JSON header, and the tensors' bytes. No pickle.

Nothing is made that a body, whose size is bounded, does not hold.

    4 bytes          length of the header, lowest byte first
    header           JSON: what the sender says, and under ``tensors`` name, type, shape and perhaps bits of each
    bytes            the tensors one after the other; codes of b bits without gaps, lowest bit first

Needs numpy alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from qopt.core.errors import InputError, shown

Array = np.ndarray[Any, np.dtype[Any]]

TYPES = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()  # noqa: SIM905
)
"""Types of entries that may travel, as numpy names them."""

MAX_HEADER = 2**20
"""Bytes of a header."""

MAX_AXES = 32

MAX_ENTRIES = 2**40
"""Of a tensor without entries, the product of its other extents: numpy makes no array beyond some such bound."""

BLOCK = 2**16
"""Codes that are packed and unpacked at once, a multiple of 8: what that takes beside them does not grow with them."""

Expected = tuple[str, tuple[int | None, ...] | None, int | None]
"""Type, shape (None, or None for an extent, where the data decide) and bits of a tensor that is to come."""


def pack_codes(codes: Array, bits: int) -> bytes:
    """Codes of b bits without gaps, as `qopt.measuring.packing` lays them: ceil(n b / 8) bytes.

    Parameters
    ----------
    codes : whole numbers 0..2^b - 1, of any shape.
    bits : width b, 1..16.
    """
    flat = codes.reshape(-1)
    if bits in (8, 16) and flat.dtype.itemsize * 8 == bits:
        return flat.tobytes()
    places, packed = np.arange(bits, dtype=flat.dtype), np.empty(-(-flat.size * bits // 8), np.uint8)
    for at in range(0, flat.size, BLOCK):
        each = (flat[at : at + BLOCK, None] >> places) & flat.dtype.type(1)
        block = np.packbits(each.astype(bool), bitorder="little")
        packed[at * bits // 8 :][: block.size] = block
    return packed.tobytes()


def unpack_codes(data: bytes | memoryview, bits: int, count: int, kind: str) -> Array:
    """The (count,) codes that `pack_codes` was given.

    Parameters
    ----------
    data : ceil(count b / 8) bytes.
    bits, count : width, and how many codes.
    kind : their type, as numpy names it.
    """
    raw = np.frombuffer(data, np.uint8)
    if bits in (8, 16) and np.dtype(kind).itemsize * 8 == bits:
        return raw.view(kind)
    places, codes = np.arange(bits, dtype=kind), np.empty(count, kind)
    for at in range(0, count, BLOCK):
        here = codes[at : at + BLOCK]
        each = np.unpackbits(raw[at * bits // 8 :], count=here.size * bits, bitorder="little").reshape(-1, bits)
        np.sum(each.astype(kind) << places, axis=1, dtype=kind, out=here)
    return codes


def encode(said: Mapping[str, object], tensors: Mapping[str, Array], bits: Mapping[str, int | None]) -> bytes:
    """A message.

    Parameters
    ----------
    said : what the header says beside the tensors.
    tensors : arrays by name.
    bits : of the entries of those that are codes.

    Raises
    ------
    InputError
        A tensor of another type than numbers.
    """
    listed, parts = [], []
    for name, value in tensors.items():
        if value.dtype.name not in TYPES:
            raise InputError(f"tensor {shown(name)}", f"entries of type {value.dtype}", "numbers")
        row: dict[str, object] = {"name": name, "type": value.dtype.name, "shape": list(value.shape)}
        width = bits.get(name)
        if width is None:
            parts.append(np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes())
        else:
            row["bits"] = width
            parts.append(pack_codes(np.ascontiguousarray(value), width))
        listed.append(row)
    header = json.dumps({**said, "tensors": listed}, separators=(",", ":"), allow_nan=False).encode()
    return b"".join((len(header).to_bytes(4, "little"), header, *parts))


def tensor_bytes(body: bytes) -> int:
    """Bytes of a message's tensors alone: what a plan counts, and a link is held to.

    Parameters
    ----------
    body : a message.
    """
    return max(0, len(body) - 4 - int.from_bytes(body[:4], "little"))


def decode(body: bytes, expected: Mapping[str, Expected] | None = None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and tensors of a message that nobody vouches for.

    Parameters
    ----------
    body : all of it; its size is the caller's to bound.
    expected : what is known of the tensors that may come, by name; others come without bits. By default nothing.

    Raises
    ------
    InputError
        It is no message: what is wrong with it.
    """
    length = int.from_bytes(body[:4], "little")
    if len(body) < 4 or length > min(MAX_HEADER, len(body) - 4):
        raise InputError("message", f"{len(body)} bytes without a whole header", "length, header and tensors")
    try:
        said = json.loads(body[4 : 4 + length])
    except (ValueError, RecursionError):
        raise InputError("message", "a header that is no JSON", "JSON in UTF-8") from None
    rows = said.get("tensors") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise InputError("message.tensors", shown(rows), "a list of name, type and shape")
    at, found = 4 + length, dict[str, Array]()
    for i, row in enumerate(rows):
        where = f"message.tensors[{i}]"
        name, kind, shape, bits = _row(row, where)
        if expected is not None:
            _check(where, (kind, shape, row.get("bits")), expected.get(name))
        count = math.prod(shape)
        size = -(-count * bits // 8)
        if name in found:
            raise InputError(f"{where}.name", f"{shown(name)} twice", "each tensor once")
        if size > len(body) - at:
            raise InputError(where, f"{size} bytes where {len(body) - at} are left", "as many as its shape needs")
        data, at = memoryview(body)[at : at + size], at + size
        if row.get("bits") is None:
            found[name] = np.frombuffer(data, np.dtype(kind).newbyteorder("<")).reshape(shape)
        else:
            found[name] = unpack_codes(data, bits, count, kind).reshape(shape)
    if at != len(body):
        raise InputError("message", f"{len(body) - at} bytes behind the last tensor", "none")
    return said, found


def _check(where: str, found: tuple[str, tuple[int, ...], int | None], wanted: Expected | None) -> None:
    """Refuse a tensor that is another one than the manifest says, before anything is made of it."""
    kind, shape, bits = found
    if bits != (None if wanted is None else wanted[2]):
        raise InputError(f"{where}.bits", shown(bits), "none" if wanted is None else shown(wanted[2]))
    if wanted is None:
        return
    if kind != wanted[0]:
        raise InputError(f"{where}.type", kind, wanted[0])
    fixed = wanted[1]
    if fixed is not None and (
        len(shape) != len(fixed) or any(e not in (None, n) for n, e in zip(shape, fixed, strict=True))
    ):
        raise InputError(f"{where}.shape", shown(list(shape)), shown(list(fixed)))


def _row(row: object, where: str) -> tuple[str, str, tuple[int, ...], int]:
    """Name, type, shape and bits of an entry."""
    if not isinstance(row, dict):
        raise InputError(where, shown(row), "name, type and shape")
    name, kind, shape, bits = (row.get(field) for field in ("name", "type", "shape", "bits"))
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}.name", shown(name), "a name")
    if not isinstance(kind, str) or kind not in TYPES:
        raise InputError(f"{where}.type", shown(kind), ", ".join(sorted(TYPES)))
    if (
        not isinstance(shape, list)
        or len(shape) > MAX_AXES
        or not all(type(extent) is int and 0 <= extent <= 2**40 for extent in shape)
    ):
        raise InputError(f"{where}.shape", shown(shape), f"at most {MAX_AXES} extents >= 0")
    if 0 in shape and math.prod(extent for extent in shape if extent) > MAX_ENTRIES:
        raise InputError(f"{where}.shape", shown(shape), f"extents beside 0 of a product of at most {MAX_ENTRIES}")
    if bits is None:
        return name, kind, tuple(shape), 8 * np.dtype(kind).itemsize
    if type(bits) is not int or not 1 <= bits <= 8 * np.dtype(kind).itemsize or kind not in ("uint8", "uint16"):
        raise InputError(f"{where}.bits", f"{shown(bits)} of {kind}", "1 to 8 of uint8, 1 to 16 of uint16")
    return name, kind, tuple(shape), bits
