"""Profile of a network on one machine: what `qopt profile model.onnx` measures, and placements are made of.

One file is one operator's network on one tier. All files of a network list the *same* operations and tensors, those of
the untreated graph: an operator that drops operations has no seconds for them, one that shrinks tensors or weights has
other bytes. Operations are named by the first tensor that they write, since that name survives where names of nodes
do not. Nothing here is scaled from another machine.

Units: seconds; bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from qopt.core.checks import check_length, twice, unknown
from qopt.core.columns import Quantities, complaint
from qopt.core.errors import InputError, shown
from qopt.core.files import write_text
from qopt.core.problem import Frozen
from qopt.core.reading import read_json
from qopt.placement.graph import Name, Names

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$", strict=True)]
Count = Annotated[int, Field(ge=1, strict=True)]
Extent = Annotated[int, Field(ge=0, le=2**53, strict=True)]
Shape = tuple[Extent, ...]


PROCESSING = ("python", "given")
"""Kinds of operations that are pre- or post-processing, measured or stated."""


class Timing(Frozen):
    """Seconds at each of the S input sizes: the median over repetitions of medians over runs, and its interval.

    Attributes
    ----------
    seconds, low, high : (S,) the median, and the least and the largest repetition.
    """

    seconds: Quantities
    low: Quantities
    high: Quantities


class ProfiledTensor(Frozen):
    """What one operation (or nothing: an input) writes and others read.

    Attributes
    ----------
    name : of the tensor, each once.
    type : of its entries, as numpy names it.
    shapes : (S,) at each input size; empty where there is none (raw input, what post-processing returns).
    bytes : (S,) what crosses a link at each input size, under this operator.
    """

    name: Name
    type: str = "float32"
    shapes: tuple[Shape, ...] = ()
    bytes: Quantities


class ProfiledWeight(Frozen):
    """A constant that operations hold: listed once, whatever the number of its holders.

    Attributes
    ----------
    name : of the constant, each once.
    bytes : under this operator.
    """

    name: Name
    bytes: Extent


class ProfiledOperation(Frozen):
    """One operation of the untreated graph, as this operator runs it on this machine.

    Attributes
    ----------
    name : the first tensor that it writes.
    kind : ONNX's name of the operation; ``python`` or ``given`` for pre- and post-processing.
    reads, writes : tensors by name. An operation may read nothing, or write what nothing reads.
    weights : constants that it holds, by name; under this operator.
    time : None where the operator skips it.
    stays : ``input`` where it must run on the tier where the input is born, ``output`` on that which wants the result;
        None where its tier is part of the decision.
    nodes : first tensors written by those nodes of the operator's own file that do its work (quantized: its own
        node, the one that quantizes its result, those that bring back what it reads). Empty in a file that is the
        untreated one, and for what another operation does with its own work (fused) or the operator skips.
    """

    name: Name
    kind: str
    reads: Names = ()
    writes: Annotated[Names, Field(min_length=1)]
    weights: Names = ()
    time: Timing | None = None
    stays: Literal["input", "output"] | None = None
    nodes: Names = ()


class Source(Frozen):
    """A file, by what is in it.

    Attributes
    ----------
    file : its name, without folders.
    fingerprint : SHA-256 of the file and of the external data it names.
    folded : SHA-256 of the graph as profiled: shapes fixed, constants folded. Of it parts are made.
    """

    file: str
    fingerprint: Digest
    folded: Digest


class Measuring(Frozen):
    """How times were taken.

    Attributes
    ----------
    warmup, repetitions, runs : runs thrown away; repetitions of so many runs each.
    threads : of one operation.
    pause : seconds before each run of the whole as it is deployed.
    confidence : that the median of repetitions lies between ``low`` and ``high``: 1 - 2^(1 - repetitions).
    runtime, provider, optimization, machine : what ran it.
    """

    warmup: Annotated[int, Field(ge=0, strict=True)]
    repetitions: Count
    runs: Count
    threads: Count
    pause: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    confidence: Annotated[float, Field(ge=0, le=1)]
    runtime: str = ""
    provider: str = ""
    optimization: str = ""
    machine: str = ""


class Profile(Frozen):
    """One operator's network on one machine.

    Attributes
    ----------
    name : of the network.
    tier, operator : which machine, and how the network is treated there.
    accuracy : that it reaches under the operator, in [0, 1]; None where it was not measured.
    source : the file that was profiled.
    base : the untreated file whose operations these are; None where that is `source` itself.
    sizes : (S,) the shape of every input of the model at each input size.
    inputs, outputs : tensors by name: the raw input or inputs, and what is returned.
    operations : a row for each, in an order in which they can run.
    tensors, weights : a row for each that operations read, write or hold.
    together : groups, each a list of operations that this machine runs as one (fused) and that cannot be parted.
    whole : seconds of a run of the whole, the runtime's own work between operations included; without processing.
    deployed : the same as parts run: the runtime rewrites what it can, and each run comes after a pause.
    measuring : how times were taken.
    """

    format: Literal["qopt/profile"] = "qopt/profile"
    version: Literal[1] = 1
    name: str = "unnamed"
    tier: Name
    operator: Name = "identity"
    accuracy: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] | None = None
    source: Source
    base: Source | None = None
    sizes: Annotated[tuple[dict[Name, Shape], ...], Field(min_length=1)]
    inputs: Names
    outputs: Annotated[Names, Field(min_length=1)]
    operations: Annotated[tuple[ProfiledOperation, ...], Field(min_length=1, max_length=100_000)]
    tensors: tuple[ProfiledTensor, ...]
    weights: tuple[ProfiledWeight, ...] = ()
    together: tuple[Names, ...] = ()
    whole: Timing | None = None
    deployed: Timing | None = None
    measuring: Measuring

    @model_validator(mode="after")
    def _check(self) -> Self:
        tensors = tuple(t.name for t in self.tensors)
        names = tuple(o.name for o in self.operations)
        for where, listed in (
            (".tensors", tensors),
            (".operations", names),
            (".weights", tuple(w.name for w in self.weights)),
            (".inputs", self.inputs),
            (".outputs", self.outputs),
        ):
            if twice(listed) is not None:
                raise complaint(where, f"{shown(twice(listed))} twice", "names that differ")
        for t, tensor in enumerate(self.tensors):
            check_length(f".tensors[{t}].bytes", tensor.bytes, len(self.sizes), "input size")
        self._check_times()
        self._check_flow({*tensors})
        for g, group in enumerate(self.together):
            for name in group:
                if name not in self._places:
                    raise unknown(f".together[{g}]", name, names, "an operation")
        return self

    def _check_times(self) -> None:
        timings = [(f".operations[{o}].time", own.time) for o, own in enumerate(self.operations)]
        for where, timing in (*timings, (".whole", self.whole), (".deployed", self.deployed)):
            if timing is not None:
                for column in ("seconds", "low", "high"):
                    check_length(f"{where}.{column}", getattr(timing, column), len(self.sizes), "input size")
        if all(timing is None for _, timing in timings):
            raise complaint(".operations", "no operation that has a time", "at least one")

    def _check_flow(self, tensors: set[str]) -> None:
        known, weights = tuple(t.name for t in self.tensors), {w.name for w in self.weights}
        written = set(self.inputs)
        for name in (*self.inputs, *self.outputs):
            if name not in tensors:
                raise unknown(".inputs" if name in self.inputs else ".outputs", name, known, "a tensor")
        for o, own in enumerate(self.operations):
            at = f".operations[{o}]"
            for name in (*own.reads, *own.writes):
                if name not in tensors:
                    raise unknown(f"{at}.reads" if name in own.reads else f"{at}.writes", name, known, "a tensor")
            for name in own.reads:
                if name not in written:
                    raise complaint(f"{at}.reads", f"{shown(name)}, which nothing has written", "operations in order")
            for name in own.writes:
                if name in written:
                    raise complaint(f"{at}.writes", f"{shown(name)} a second time", "one writer for each tensor")
                written.add(name)
            for name in own.weights:
                if name not in weights:
                    raise unknown(f"{at}.weights", name, tuple(w.name for w in self.weights), "a weight")
        for name in self.outputs:
            if name not in written:
                raise complaint(".outputs", f"{shown(name)}, which nothing writes", "tensors that are written")

    @cached_property
    def _places(self) -> dict[str, int]:
        return {own.name: o for o, own in enumerate(self.operations)}

    @property
    def skips(self) -> Names:
        """Operations that the operator leaves out."""
        return tuple(own.name for own in self.operations if own.time is None)

    @cached_property
    def structure(self) -> str:
        """Digest of what all profiles of one network share: operations, what they read and write, sizes."""
        rows = [(own.name, own.reads, own.writes, own.stays) for own in self.operations]
        sizes = [sorted((name, list(shape)) for name, shape in size.items()) for size in self.sizes]
        text = json.dumps([rows, self.inputs, self.outputs, sizes])
        return hashlib.sha256(text.encode()).hexdigest()

    def as_deployed(self) -> Profile:
        """The profile with operations' times that add up to the whole as it is deployed.

        One by one operations take longer than together: the runtime joins them, and orders what is in memory anew.
        Their shares of the whole are kept; pre- and post-processing, which the whole leaves out, is as it was.

        Returns
        -------
        A profile in which the sums are `deployed`, in seconds.

        Raises
        ------
        InputError
            The whole was not timed as it is deployed, or all operations took no time.
        """
        own = [row.time for row in self.operations if row.time is not None and row.kind not in PROCESSING]
        sums = np.sum([time.seconds for time in own], axis=0)
        if self.deployed is None or not np.all(sums > 0):
            found = "no time" if self.deployed is None else "operations that take no time"
            raise InputError(f"{self.name}: deployed", found, "a profile of `qopt profile MODEL.onnx`, of this version")
        factor = np.asarray(self.deployed.seconds) / sums

        def scaled(time: Timing) -> Timing:
            return Timing(seconds=factor * time.seconds, low=factor * time.low, high=factor * time.high)

        rows = tuple(
            row if row.time is None or row.kind in PROCESSING else row.model_copy(update={"time": scaled(row.time)})
            for row in self.operations
        )
        return self.model_copy(update={"operations": rows})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the profile as a JSON file.

        Parameters
        ----------
        path : of the file to write, whole or not at all.
        """
        write_text(path, json.dumps(self.model_dump(exclude_none=True), indent=1, allow_nan=False) + "\n")

    def __str__(self) -> str:
        skipped = len(self.skips)
        kept = f"{len(self.operations) - skipped} operations" + (f" ({skipped} skipped)" if skipped else "")
        sizes = f"{len(self.sizes)} input size{'' if len(self.sizes) == 1 else 's'}"
        return f"{self.name}: {self.operator} on {self.tier}, {kept}, {sizes}"


def read_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a profile that `qopt profile model.onnx --save` wrote.

    Parameters
    ----------
    path : of a JSON file.

    Returns
    -------
    The profile, of one operator on one tier.

    Raises
    ------
    InputError
        The file cannot be read, or is no profile.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != "qopt/profile":
        found = data.get("format") if isinstance(data, dict) else data
        raise InputError(f"{os.fspath(path)}: format", shown(found), "'qopt/profile', as `qopt profile` writes it")
    return Profile(**data)
