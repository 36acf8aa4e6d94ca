"""IDX archives, the format of MNIST: a magic number, the sizes, then bytes."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from typing import Any

import numpy as np

from qopt.core.errors import InputError

ByteArray = np.ndarray[Any, np.dtype[np.uint8]]

MAX_ENTRIES = 2**30
"""Largest archive that is read, in bytes of content; a header that promises more is refused unread."""

_UNSIGNED_BYTE = 8


def read_idx(path: str | os.PathLike[str], ndim: int) -> ByteArray:
    """Read a gzip-compressed IDX archive of unsigned bytes.

    Parameters
    ----------
    path : the ``.gz`` file.
    ndim : number of dimensions expected: 3 for images (n, rows, columns), 1 for labels (n,).

    Raises
    ------
    InputError
        The file is missing, not gzip, damaged, or holds something else.
    """
    name = os.fspath(path)
    allowed = f"a gzip-compressed IDX archive of unsigned bytes in {ndim} dimension{'s' if ndim > 1 else ''}"
    try:
        with gzip.open(name, "rb") as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim:
                raise InputError(name, f"a file that ends after {len(header)} bytes", allowed)
            zero, kind, dimensions, *shape = struct.unpack(f">HBB{ndim}I", header)
            if zero != 0 or kind != _UNSIGNED_BYTE or dimensions != ndim:
                raise InputError(name, f"the first bytes {header[:4].hex(' ')}", allowed)
            count = math.prod(shape)
            if count > MAX_ENTRIES:
                raise InputError(name, f"{count} entries", f"at most {MAX_ENTRIES} entries")
            data = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "an unreadable file"
        raise InputError(name, reason.lower(), allowed) from None
    if len(data) != count:
        found = f"{len(data)} bytes" if len(data) < count else "bytes behind the last entry"
        raise InputError(name, found, f"{count} entries of shape {tuple(shape)}, as its header says")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def read_examples(images: str | os.PathLike[str], labels: str | os.PathLike[str]) -> tuple[ByteArray, ByteArray]:
    """Images (n, rows, columns) and their labels (n,).

    Raises
    ------
    InputError
        An archive cannot be read, or the two do not match.
    """
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise InputError(os.fspath(labels), f"{len(y)} labels", f"{len(x)}, one for each image")
    return x, y
