"""Arrays from ``.npz`` files that anybody may have made: what cannot be read is one clear line."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

from qopt.core.errors import InputError, shown

Arrays = dict[str, np.ndarray[Any, Any]]


def read_arrays(
    path: str | os.PathLike[str], allowed: str, names: Collection[str] | None = None, *, field: str | None = None
) -> Arrays:
    """Arrays of an ``.npz`` file by name; pickled objects are not read.

    Parameters
    ----------
    path : the file.
    allowed : what it should be, for the message.
    names : members to read, those of them that there are; by default all.
    field : what the message is about; by default the path.

    Raises
    ------
    InputError
        There is no such file, or a member that is damaged, encrypted, too large for memory, or no array of plain
        numbers or text.
    """
    name, member = os.fspath(path), ""
    found: Arrays = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, about headers that other versions wrote
            with np.load(path, allow_pickle=False) as stored:
                if not isinstance(stored, np.lib.npyio.NpzFile):
                    raise ValueError("one array alone")
                for member in stored.files if names is None else [key for key in names if key in stored.files]:
                    array = stored[member]
                    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufcSU":
                        raise ValueError("no array of numbers")
                    found[member] = array
    except FileNotFoundError:
        raise InputError(field or name, "no such file" if field is None else f"no file {name}", allowed) from None
    except Exception as error:  # numpy, zipfile, zlib and lzma each raise types of their own for what is damaged
        where = f"member {shown(member)}, " if member else ""
        why = _reason(error)
        raise InputError(
            field or name, f"{where}{why}" if field is None else f"{name}: {where}{why}", allowed
        ) from None
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "which does not fit into memory"
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return "which is encrypted"
    kind = type(error)  # zlib's is called "error" alone
    return f"something else ({kind.__name__ if kind.__name__ != 'error' else f'{kind.__module__}.error'})"
