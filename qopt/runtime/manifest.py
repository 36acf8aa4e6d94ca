"""What lies in a folder of parts: which file runs where, and which tensors cross."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from qopt.core.checks import twice, unknown
from qopt.core.columns import complaint
from qopt.core.errors import InputError, shown
from qopt.core.problem import Frozen
from qopt.core.reading import read_json
from qopt.placement.graph import Name
from qopt.placement.profile import Digest, Extent, Source
from qopt.runtime.wire import BrokenFile, beside

if TYPE_CHECKING:
    import onnxruntime

    from qopt.runtime.sessions import Array

QUANTIZED = "quantized-segment"
"""Operator of the parts of a QPART plan."""

MANIFEST = "parts.json"
"""The manifest's name in the folder."""

Names = tuple[str, ...]
Threads = Annotated[int, Field(ge=1, strict=True)]


class Part(Frozen):
    """One file.

    Attributes
    ----------
    tier : that runs it.
    file : its name in the folder.
    fingerprint : SHA-256 of the file, and of the data beside it.
    reads, writes : tensors that come in and go out; the model's inputs and outputs among them.
    operations : how many it runs.
    weights : bytes.
    payload : of the device's part of a QPART plan, bytes of codes, scales, offsets and biases; the rest of the file
        is its header.
    """

    tier: Name
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+\.onnx$", strict=True)]
    fingerprint: Digest
    reads: Names
    writes: Names
    operations: Extent
    weights: Extent
    payload: Extent | None = None


class Crossing(Frozen):
    """A tensor that leaves the part that writes it.

    Attributes
    ----------
    name : of the tensor.
    type : of its entries, as numpy names it.
    shape : its extents, null where the data decide.
    bytes : None where they do.
    bits : of an entry, where entries are codes that travel packed.
    sender : tier that writes it.
    readers : names of the tiers that read it.
    """

    name: str
    type: str
    shape: tuple[Extent | None, ...] | None = None
    bytes: Extent | None = None
    bits: Annotated[int, Field(ge=1, le=16, strict=True)] | None = None
    sender: Name
    readers: tuple[Name, ...]


class Parts(Frozen):
    """The parts of one model, in an order in which they can run.

    Attributes
    ----------
    source : the file that was cut; `folded` is the graph that the parts equal bit for bit.
    operator : how the network was treated.
    parts : a file for each tier that runs something.
    tensors : a row for each that crosses.
    inputs, outputs : of the whole.
    """

    format: Literal["qopt/parts"] = "qopt/parts"
    version: Literal[1] = 1
    source: Source
    operator: Name = "identity"
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]
    tensors: tuple[Crossing, ...] = ()
    inputs: Names
    outputs: Names

    @model_validator(mode="after")
    def _check(self) -> Self:
        tiers = tuple(part.tier for part in self.parts)
        for where, names in (("tier", tiers), ("file", tuple(part.file for part in self.parts))):
            if twice(names) is not None:
                raise complaint(".parts", f"{where} {shown(twice(names))} twice", "parts that differ")
        there = {*self.inputs}
        for p, part in enumerate(self.parts):
            for name in part.reads:
                if name not in there:
                    raise unknown(f".parts[{p}].reads", name, tuple(sorted(there)), "a tensor that is there")
            there |= {*part.writes}
        for name in self.outputs:
            if name not in there:
                raise unknown(".outputs", name, tuple(sorted(there)), "a tensor that is there")
        return self

    def __str__(self) -> str:
        files = ", ".join(f"{part.file} on {part.tier}" for part in self.parts)
        return f"{self.source.file}: {files}; {len(self.tensors)} tensors cross"


def file_name(number: int, tier: str) -> str:
    """Name of a part's file: its place, and what of the tier's name any system takes."""
    return f"{number}-{re.sub('[^A-Za-z0-9._-]', '_', tier)[:80]}.onnx"


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a part and of the data beside it."""
    found = hashlib.sha256()
    for name in (Path(path), Path(f"{os.fspath(path)}.data")):
        if name.is_file():
            with open(name, "rb") as file:
                while block := file.read(2**22):
                    found.update(block)
    return found.hexdigest()


def _check_beside(path: Path) -> None:
    """Refuse weights in a file that the fingerprint does not cover, and that may be anywhere."""
    if not path.stat().st_size:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        if held.find(b"location") < 0:
            return
        with memoryview(held) as data:
            try:
                others = beside(data) - {f"{path.name}.data"}
            except BrokenFile as error:
                raise InputError(os.fspath(path), error.found, error.allowed) from None
    if others:
        raise InputError(os.fspath(path), f"weights in {shown(min(others))}", f"in the file, or in {path.name}.data")


def check_free(folder: str | os.PathLike[str]) -> None:
    """Refuse to write parts where something is: before anything that takes long.

    Parameters
    ----------
    folder : to be written.

    Raises
    ------
    InputError
        It is there and not empty, or no folder can be made there.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(os.fspath(folder), "something that is there already", "a folder that is empty, or not there")
    around = Path(os.path.abspath(target)).parent
    if not around.is_dir() or not os.access(around, os.W_OK | os.X_OK):
        why = errno.EACCES if around.is_dir() else errno.ENOTDIR if around.exists() else errno.ENOENT
        raise InputError(os.fspath(folder), os.strerror(why).lower(), "a folder that can be written")


def read_parts(folder: str | os.PathLike[str]) -> Parts:
    """Read the manifest of a folder of parts, and check that the files are those it names.

    Parameters
    ----------
    folder : that `split_onnx` or `export_parts` made.

    Returns
    -------
    The manifest.

    Raises
    ------
    InputError
        There is none, or a file is missing or another one.
    """
    data = read_json(Path(folder) / MANIFEST)
    if not isinstance(data, dict) or data.get("format") != "qopt/parts":
        raise InputError(f"{os.fspath(folder)}/{MANIFEST}", shown(data), "a manifest with format 'qopt/parts'")
    found = Parts(**data)
    for part in found.parts:
        path = Path(folder) / part.file
        if not path.is_file() or file_digest(path) != part.fingerprint:
            what = "another file than the manifest names" if path.is_file() else "no file"
            raise InputError(os.fspath(path), what, "the part as it was written")
        _check_beside(path)
    return found


def float_only(chosen: onnxruntime.SessionOptions) -> None:
    """Let the runtime dequantize constants once, when the session opens, and compute in float32.

    Without it the runtime keeps DequantizeLinear in the graph, to fuse it into kernels for whole numbers, which round
    otherwise than a plan's grid.
    """
    chosen.add_session_config_entry("session.disable_quant_qdq", "1")


def run_parts(
    folder: str | os.PathLike[str],
    inputs: Mapping[str, Array],
    *,
    optimization: str = "all",
    threads: int = 1,
) -> dict[str, Array]:
    """Run the parts of a model one after the other, in this process.

    Parameters
    ----------
    folder : that `split_onnx` or `export_parts` made.
    inputs : arrays by the names of the model's inputs.
    optimization : what the runtime may rewrite within a part: off, basic, extended, all.
    threads : of one operation.

    Returns
    -------
    The model's outputs, by name.

    Raises
    ------
    InputError
        The folder is not as it was written, an input is missing, or the runtime refuses something.
    """
    parts = read_parts(folder)
    for name in parts.inputs:
        if name not in inputs:
            raise InputError("inputs", f"nothing for {shown(name)}", "an array for each of " + ", ".join(parts.inputs))
    there = {name: inputs[name] for name in parts.inputs}
    from qopt.runtime.reading import read_model
    from qopt.runtime.sessions import options, run, session

    for part in parts.parts:
        proto = read_model(Path(folder) / part.file).proto
        chosen = options(optimization, threads)
        if parts.operator == QUANTIZED:
            float_only(chosen)
        made = session(proto, part.file, chosen)
        there.update(run(made, part.file, {name: there[name] for name in part.reads}))
    return {name: there[name] for name in parts.outputs}
