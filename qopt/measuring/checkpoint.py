"""Long work that survives a kill: every finished unit is a file, written whole or not at all.

A checkpoint is a folder. `unit` hands back what the folder has and computes what it lacks, so a run that is started
again goes on where the last one was stopped, and measures nothing twice. The folder says what it was made from; other
weights, data or settings are refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from qopt.core.errors import InputError, shown
from qopt.core.files import write_whole
from qopt.measuring.archives import Arrays as Arrays
from qopt.measuring.archives import read_arrays

AS_WRITTEN = "a file as it was written; delete it to measure it again"

_NAME = "made-from.json"

_UNITS = 2
"""Which arrays units have and what is in them, by version: those of another one are not used."""

_SEAL = "sha256"
"""Member of a unit with the digest of all others: what was changed or lost there is not used."""


def _sealed(arrays: Arrays) -> str:
    """Digest of named arrays: names, types, shapes and entries."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def made_from(folder: str | os.PathLike[str] | None) -> dict[str, Any]:
    """What a folder's units were made from; nothing where it has none that can be read."""
    try:
        found = {} if folder is None else json.loads((Path(folder) / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Checkpoint:
    """Finished units of one measurement, kept in a folder; kept nowhere if there is none.

    Parameters
    ----------
    folder : created if it does not exist.
    made_from : what the units depend on, name -> anything that JSON holds (digests of weights and data, settings).

    Raises
    ------
    InputError
        The folder was made from something else, or cannot be used.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, made_from: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.reused = self.computed = 0
        self._counting = Lock()
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("checkpoint", f"{folder}: {(error.strerror or '').lower()}", "a folder") from None
        wanted = json.loads(json.dumps({"units": _UNITS, **made_from}))
        path = self.folder / _NAME
        if path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                raise InputError("checkpoint", f"{path}, which cannot be read", "a folder of this program")
            if found.get("units") != _UNITS:
                raise InputError("checkpoint", f"{folder}, written by another version of this program", "a new folder")
            changed = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            if changed:
                raise InputError("checkpoint", f"{folder}, made with other {', '.join(changed)}", "a new folder")
            return
        others = any(not file.name.startswith(".") for file in self.folder.iterdir())  # a kill may leave a hidden part
        if others and not path.exists():  # another process may just have begun
            raise InputError("checkpoint", f"{folder}, which holds other files", "a new folder")
        text = json.dumps(wanted, indent=1) + "\n"
        write_whole(path, lambda file: file.write(text.encode()))

    def unit(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays of a unit: read if it was finished before, otherwise computed and written.

        Threads may ask for different units at a time.

        Parameters
        ----------
        name : letters, digits, ``.``, ``_`` and ``-``.
        compute : what measures it.
        """
        if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
            raise InputError("unit", shown(name), "letters, digits, '.', '_' and '-'")
        if self.folder is None:
            self._count(0, 1)
            return compute()
        path = self.folder / f"{name}.npz"
        if path.exists():
            self._count(1, 0)
            found = read_arrays(path, AS_WRITTEN, field="checkpoint")
            seal = found.pop(_SEAL, None)
            if seal is None or seal.ndim or str(seal) != _sealed(found):
                raise InputError("checkpoint", f"{path}, which holds other arrays than were written", AS_WRITTEN)
            return found
        arrays = compute()
        buffer = io.BytesIO()
        np.savez(buffer, **arrays, **{_SEAL: np.array(_sealed(arrays))})  # type: ignore[arg-type]
        write_whole(path, lambda file: file.write(buffer.getbuffer()))
        self._count(0, 1)
        return arrays

    def _count(self, reused: int, computed: int) -> None:
        with self._counting:
            self.reused += reused
            self.computed += computed
