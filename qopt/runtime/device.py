"""One part of a model on the machine that runs it: numpy and ONNX Runtime, and neither torch nor onnx."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from qopt.core.errors import InputError, shown
from qopt.runtime.manifest import MANIFEST, QUANTIZED, Part, Parts, float_only, read_parts
from qopt.runtime.messages import Expected

Array = np.ndarray[Any, np.dtype[Any]]

LARGEST = 2**31 - 1
"""Bytes of a part's file; weights beyond that lie beside it."""


class OpenPart:
    """The part of one tier, ready to run.

    Parameters
    ----------
    folder : of parts, with their manifest; the files must be those that the manifest names.
    role : the tier. A tier without a part passes on what it gets, wherever it stands.
    threads : of one operation.

    Raises
    ------
    InputError
        The folder is not as it was written, or the runtime refuses the part, such as a width that it lacks.
    """

    def __init__(self, folder: str | os.PathLike[str], role: str, threads: int = 1) -> None:
        self.parts: Parts = read_parts(folder)
        self.role = role
        self.plan = hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest()
        own = [part for part in self.parts.parts if part.tier == role]
        self.part: Part | None = own[0] if own else None
        order = [part.tier for part in self.parts.parts]
        self.later = self.parts.parts[order.index(role) + 1 :] if own else self.parts.parts
        self.bits = {row.name: row.bits for row in self.parts.tensors}
        self.crossing: dict[str, Expected] = {row.name: (row.type, row.shape, row.bits) for row in self.parts.tensors}
        self._session = None if self.part is None else _session(Path(folder) / self.part.file, self.parts, threads)
        self._writes = [] if self._session is None else [entry.name for entry in self._session.get_outputs()]

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Tensors that this part and those behind it need from before it; nothing is known of a tier without a part."""
        if self.part is None:
            return ()
        return _wanted((self.part, *self.later))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what this part reads, with extents of one where they are open; none of a tier without a part."""
        entries = () if self._session is None else self._session.get_inputs()
        return {e.name: tuple(n if isinstance(n, int) else 1 for n in e.shape) for e in entries}

    @cached_property
    def forwards(self) -> tuple[str, ...]:
        """Tensors that the parts behind this one need from it; without a part none, all is sent."""
        return () if self.part is None else _wanted(self.later)

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """What the part writes.

        Parameters
        ----------
        tensors : arrays by name, at least what the part reads.

        Raises
        ------
        InputError
            One is missing, or the runtime refuses its type or shape.
        """
        if self._session is None or self.part is None:
            return {}
        for name in self.part.reads:
            if name not in tensors:
                raise InputError("tensors", f"nothing for {shown(name)}", ", ".join(self.part.reads))
        try:
            found = self._session.run(self._writes, {name: tensors[name] for name in self.part.reads})
        except Exception as error:  # the runtime's errors share no class
            raise InputError(
                self.part.file, f"inputs that the runtime refuses ({_told(error)})", "what it reads"
            ) from None
        return dict(zip(self._writes, found, strict=True))


def _wanted(parts: Sequence[Part]) -> tuple[str, ...]:
    """Tensors that some parts read and none of them has written before."""
    made: set[str] = set()
    found: dict[str, None] = {}
    for part in parts:
        found |= dict.fromkeys(name for name in part.reads if name not in made)
        made |= {*part.writes}
    return tuple(found)


def _session(path: Path, parts: Parts, threads: int) -> onnxruntime.InferenceSession:
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads, chosen.inter_op_num_threads = threads, 1
    chosen.log_severity_level = 4
    if parts.operator == QUANTIZED:
        float_only(chosen)
    if path.stat().st_size > LARGEST:
        raise InputError(os.fspath(path), f"{path.stat().st_size} bytes", f"at most {LARGEST}")
    try:
        return onnxruntime.InferenceSession(os.fspath(path), chosen, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no class
        text = _told(error)
        if parts.operator == QUANTIZED and ("DequantizeLinear" in text or "int2" in text or "int4" in text):
            found = f"a width that onnxruntime {onnxruntime.__version__} lacks ({text})"
            raise InputError(path.name, found, "a newer onnxruntime, or a plan of 8 bits") from None
        raise InputError(
            path.name, f"a part that the runtime refuses ({text})", "a part that onnxruntime runs"
        ) from None


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text.split(" : ", 2)[-1] if text.startswith("[ONNXRuntimeError]") else text)[:200]
