"""`qopt profile model.onnx`: operations, what passes between them, what they hold, and what they take here.

One profile is one operator's network on this machine. A treated file (quantized, shortened) is laid beside the
untreated one, so that all profiles of a network list the same operations.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime

from qopt.core.errors import InputError, shown
from qopt.placement.profile import Measuring, Profile, ProfiledOperation, ProfiledTensor, ProfiledWeight, Timing
from qopt.runtime import mapping as maps
from qopt.runtime.folding import Folded, fold
from qopt.runtime.network import Operation, short_name
from qopt.runtime.processing import RAW, RESULT, Given, Processed, after, before, given
from qopt.runtime.reading import read_model, weight_bytes
from qopt.runtime.sessions import ENDLESS, examples, options, run, session
from qopt.runtime.splitting import source_of
from qopt.runtime.timing import Interval, Protocol, Timed, timed

Step = Given | Callable[..., Any]
"""Pre- or post-processing: seconds, or a function."""


@dataclass(frozen=True)
class Size:
    """One input size: the graph folded for it, its times, and what surrounds it.

    Attributes
    ----------
    own, base : the file's graph, and the untreated one (the same where the file is that).
    times : of the file's nodes.
    pre, post : processing, where there is any.
    """

    own: Folded
    base: Folded
    times: Timed
    pre: Processed | None
    post: Processed | None


def profile_onnx(
    model: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int]] | Sequence[Mapping[str, Sequence[int]]] | None = None,
    of: str | os.PathLike[str] | None = None,
    tier: str = "device",
    operator: str = "identity",
    accuracy: float | None = None,
    pre: Step | None = None,
    post: Step | None = None,
    raw_bytes: Sequence[int] = (),
    result_bytes: Sequence[int] = (),
    pinned: Sequence[str] = (),
    warmup: int = 100,
    repetitions: int = 5,
    runs: int = 100,
    threads: int = 1,
    pause: float = 0.0,
    optimization: str | None = None,
    optimize: bool = True,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Profile:
    """Measure an ONNX file on this machine, operation by operation.

    Parameters
    ----------
    model : the file.
    shapes : of inputs that the file leaves open, by name; a list of them for several input sizes.
    of : the untreated file, where `model` is one that an operator made of it.
    tier, operator : what this machine, and the way the network is treated, are called in the placement.
    accuracy : that the network reaches so treated, in [0, 1].
    pre : seconds of pre-processing (one for each size), or a function of the inputs' shapes that gives what to call
        and a raw input to call it with; what it returns is the model's input.
    post : seconds of post-processing, or a function of the model's outputs by name.
    raw_bytes, result_bytes : of the raw input and of the result (one for each size), where seconds are given.
    pinned : words: ``pre`` where pre-processing must stay where the input is born, ``post`` where post-processing must
        run where the result is wanted; otherwise their tier is part of the decision.
    warmup, repetitions, runs : runs that count for nothing; repetitions of so many runs.
    threads : of one operation.
    pause : seconds before each run of the whole as it is deployed: what passes between two requests.
    optimization : what the runtime may rewrite of the folded graph while it is timed: off, basic, extended; by default
        off, and extended for a quantized file, which runs as one only so.
    optimize : False leaves the file's operations as they are; then parts must be cut the same way.
    seed : of inputs that no pre-processing gives.
    say : is told what is being done.

    Returns
    -------
    The profile; bytes, seconds.

    Raises
    ------
    InputError
        The file is none, an input is open, sizes fold to different graphs, or the runtime refuses something.
    """
    protocol = Protocol(warmup, repetitions, runs, threads, pause)
    for name in pinned:
        if name not in ("pre", "post") or (pre if name == "pre" else post) is None:
            raise InputError("pinned", shown(name), "pre or post, where there is such a step")
    sizes: list[Mapping[str, Sequence[int]]] = []
    if isinstance(shapes, Mapping) or not shapes:
        sizes.append(shapes if isinstance(shapes, Mapping) else {})
    else:
        sizes += shapes
    read = read_model(model)
    origin = read if of is None else read_model(of)
    measured: list[Size] = []
    for number, size in enumerate(sizes):
        base = fold(origin, size, optimize=optimize)
        own = base if of is None else fold(read, size, optimize=False)
        if measured:
            _check_same(measured[0], own, base)
        steps = (pre, post, raw_bytes, result_bytes)
        measured.append(_measure(own, base, number, steps, protocol, optimization, seed, say))
    return _profile(measured, tier, operator, accuracy, of is not None, tuple(pinned), protocol, optimization)


def _check_same(first: Size, own: Folded, base: Folded) -> None:
    """Sizes must fold to the same operations, so that one placement serves them all."""
    for known, found in ((first.own, own), (first.base, base)):
        rows = [[(r.name, r.reads, r.writes) for r in f.network.operations] for f in (known, found)]
        if rows[0] != rows[1]:
            allowed = "sizes of one graph, or a profile for each"
            raise InputError("shape", f"sizes for which {found.name} folds to different operations", allowed)


def _level(own: Folded, optimization: str | None) -> str:
    quantized = any(row.node.op_type == maps.TO for row in own.network.operations)
    return optimization or ("extended" if quantized else "off")


def _measure(
    own: Folded,
    base: Folded,
    number: int,
    steps: tuple[Step | None, Step | None, Sequence[int], Sequence[int]],
    protocol: Protocol,
    optimization: str | None,
    seed: int,
    say: Callable[[str], None] | None,
) -> Size:
    pre, post, raw_bytes, result_bytes = steps
    feeds = examples(own.types, own.network.inputs, seed)
    first = last = None
    if callable(pre):
        first = before(pre, own.shapes, protocol, "pre")
        feeds = {name: np.asarray(first.feeds[name], feeds[name].dtype) for name in feeds} if first.feeds else feeds
    elif pre is not None:
        whole = sum(array.nbytes for array in feeds.values())
        first = Processed(given(pre, number, "pre"), _entry(raw_bytes, number, whole))
    if callable(post):
        outputs = run(session(own.network.proto, own.name, options("off")), own.name, feeds, limit=ENDLESS)
        last = after(post, outputs, protocol, "post")
    elif post is not None:
        last = Processed(given(post, number, "post"), _entry(result_bytes, number, 0))

    def tell(text: str) -> None:
        if say is not None:
            say(f"{own.name}, {_sized(own.shapes)}: {text}")

    level = _level(own, optimization)
    times = timed(own.network.proto, own.name, feeds, protocol, optimization=level, say=tell)
    if level == "off" or level == "basic":
        silent = [row.name for row in own.network.operations if row.name not in times.nodes]
        if silent:
            raise InputError(own.name, f"no time for {shown(silent[0])} at level {level}", "optimization off")
    return Size(own, base, times, first, last)


def _entry(values: Sequence[int], number: int, otherwise: int) -> int:
    return int(values[min(number, len(values) - 1)]) if values else otherwise


def _sized(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())


def _profile(
    sizes: list[Size],
    tier: str,
    operator: str,
    accuracy: float | None,
    treated: bool,
    pinned: tuple[str, ...],
    protocol: Protocol,
    optimization: str | None,
) -> Profile:
    first = sizes[0]
    own, base = first.own, first.base
    found = maps.match(own.network, base.network) if treated else maps.same(own.network)
    weights = _weights(own, found)
    operations = [
        ProfiledOperation(
            name=short_name(row.name),
            kind=row.kind,
            reads=tuple(map(short_name, row.reads)),
            writes=tuple(short_name(name) for name in row.writes if name in base.network.tensors)
            or (short_name(row.name),),
            weights=weights.get(row.name, ()),
            time=_time(row, found, sizes),
            nodes=tuple(map(short_name, found.nodes.get(row.name, ()))) if treated else (),
        )
        for row in base.network.operations
    ]
    tensors = [_tensor(name, found, sizes) for name in _listed(base)]
    held = sorted({name for names in weights.values() for name in names})
    bytes_of = {short_name(name): weight_bytes(entry) for name, entry in own.network.weights.items()}
    for name, entry in own.network.sparse.items():
        bytes_of[short_name(name)] = weight_bytes(entry.values) + weight_bytes(entry.indices)
    operations, tensors, inputs, outputs = _around(sizes, operations, tensors, pinned)
    return Profile(
        name=base.model.name,
        tier=tier,
        operator=operator,
        accuracy=accuracy,
        source=source_of(own),
        base=source_of(base) if treated else None,
        sizes=tuple({short_name(name): shape for name, shape in size.own.shapes.items()} for size in sizes),
        inputs=inputs,
        outputs=outputs,
        operations=tuple(operations),
        tensors=tuple(tensors),
        weights=tuple(ProfiledWeight(name=name, bytes=bytes_of[name]) for name in held),
        together=tuple(tuple(map(short_name, group)) for group in (*found.together(), *_untensored(base))),
        whole=_timing([size.times.whole for size in sizes]),
        deployed=_timing([size.times.deployed for size in sizes]),
        measuring=Measuring(
            warmup=protocol.warmup,
            repetitions=protocol.repetitions,
            runs=protocol.runs,
            threads=protocol.threads,
            pause=protocol.pause,
            confidence=protocol.confidence,
            runtime=f"onnxruntime {onnxruntime.__version__}",
            provider="CPUExecutionProvider",
            optimization=_level(own, optimization),
            machine=f"{platform.system()} {platform.machine()}",
        ),
    )


def _listed(base: Folded) -> tuple[str, ...]:
    """Tensors of the profile: also what an operation writes and nothing reads, if it writes nothing else."""
    used = dict.fromkeys(base.network.tensors)
    for row in base.network.operations:
        if not any(name in used for name in row.writes):
            used[row.name] = None
    return tuple(used)


def _timing(intervals: list[Interval]) -> Timing:
    columns = {name: [getattr(i, name) for i in intervals] for name in ("seconds", "low", "high")}
    return Timing(**{name: np.array(column) for name, column in columns.items()})


def _time(row: Operation, found: maps.Mapping, sizes: list[Size]) -> Timing | None:
    """Of an operation: of all its nodes, a repeated one with the first operation that it works for."""
    if row.name in found.absorbed:
        return _timing([Interval(0.0, 0.0, 0.0)] * len(sizes))
    if row.name not in found.nodes:
        return None
    rows = [name for name in found.nodes[row.name] if found.owners[name][0] == row.name]
    intervals = []
    for size in sizes:
        parts = [size.times.nodes[name] for name in rows if name in size.times.nodes]
        total = [sum(getattr(part, end) for part in parts) for end in ("seconds", "low", "high")]
        intervals.append(Interval(*map(float, total)))
    return _timing(intervals)


def _weights(own: Folded, found: maps.Mapping) -> dict[str, tuple[str, ...]]:
    """Constants that each operation holds, by its name; shared ones stand with each of their holders."""
    held: dict[str, dict[str, None]] = {}
    for row in own.network.operations:
        for owner in found.owners[row.name]:
            held.setdefault(owner, {}).update(dict.fromkeys(map(short_name, row.weights)))
    return {name: tuple(names) for name, names in held.items()}


def _tensor(name: str, found: maps.Mapping, sizes: list[Size]) -> ProfiledTensor:
    """A tensor of the untreated graph with the bytes that would cross: of what its nodes hand to those of others."""
    kind = sizes[0].base.types[name]
    shapes, bytes_ = [], []
    for size in sizes:
        shape = _shape(name, size.base, size) or ()
        shapes.append(shape)
        carriers = _carriers(name, found, size) if size.own is not size.base else []
        if carriers:
            types = size.own.types
            bytes_.append(sum(types[other].bytes(_shape(other, size.own, size) or ()) for other in carriers))
        else:
            bytes_.append(kind.bytes(shape))
    return ProfiledTensor(
        name=short_name(name), type=kind.type, shapes=tuple(shapes), bytes=np.array(bytes_, dtype=np.float64)
    )


def _shape(name: str, folded: Folded, size: Size) -> tuple[int, ...] | None:
    """As inferred, or else the largest that was seen."""
    fixed = folded.types[name].fixed if name in folded.types else None
    if fixed is not None:
        return fixed
    row = size.own.network.writer.get(name)
    if row is None:
        return None
    seen = size.times.shapes.get(row.name, [])
    written = [tensor for tensor in row.node.output if tensor]
    place = written.index(name)
    return seen[place] if place < len(seen) else None


def _carriers(name: str, found: maps.Mapping, size: Size) -> list[str]:
    """Tensors of the treated file that leave the nodes of the operation that writes a tensor in the untreated one."""
    writer = size.base.network.writer.get(name)
    if writer is None or writer.name not in found.nodes:
        return []
    inside = {*found.nodes[writer.name]}
    network = size.own.network
    derived, crossing = {name}, []
    for row in network.operations:
        if row.name not in inside or found.owners[row.name] != (writer.name,):
            continue
        if name in row.writes or derived & {*row.reads}:
            derived |= {*row.writes}
            crossing += [t for t in row.writes if any(_else(r, writer.name, found) for r in network.readers.get(t, []))]
            crossing += [t for t in row.writes if t in network.outputs]
    return list(dict.fromkeys(crossing))


def _else(reader: Operation, owner: str, found: maps.Mapping) -> bool:
    return any(name != owner for name in found.owners[reader.name])


def _untensored(base: Folded) -> list[tuple[str, ...]]:
    """Operations with something between them that is no tensor, and so cannot cross."""
    groups = []
    for row in base.network.operations:
        for name in row.writes:
            readers = base.network.readers.get(name, [])
            if readers and name in base.types and base.types[name].kind is None:
                groups.append((row.name, *(reader.name for reader in readers)))
    return groups


def _around(
    sizes: list[Size],
    operations: list[ProfiledOperation],
    tensors: list[ProfiledTensor],
    pinned: tuple[str, ...],
) -> tuple[list[ProfiledOperation], list[ProfiledTensor], tuple[str, ...], tuple[str, ...]]:
    """Put pre- and post-processing around the model, as operations like any other."""
    network = sizes[0].base.network
    inputs = tuple(map(short_name, network.inputs))
    outputs = tuple(short_name(name) for name in network.outputs if name in network.tensors)  # a constant is none
    firsts, lasts = [size.pre for size in sizes if size.pre], [size.post for size in sizes if size.post]

    def stays(step: Literal["pre", "post"], place: Literal["input", "output"]) -> Literal["input", "output"] | None:
        return place if step in pinned else None

    def tensor(name: str, steps: list[Processed]) -> ProfiledTensor:
        return ProfiledTensor(name=name, type="bytes", bytes=np.array([s.bytes for s in steps], dtype=np.float64))

    if firsts:
        time = _timing([step.seconds for step in firsts])
        kind = "python" if firsts[0].feeds is not None else "given"
        own = ProfiledOperation(
            name=inputs[0], kind=kind, reads=(RAW,), writes=inputs, time=time, stays=stays("pre", "input")
        )
        operations, tensors, inputs = [own, *operations], [tensor(RAW, firsts), *tensors], (RAW,)
    if lasts:
        time = _timing([step.seconds for step in lasts])
        own = ProfiledOperation(
            name=RESULT, kind="python", reads=outputs, writes=(RESULT,), time=time, stays=stays("post", "output")
        )
        operations, tensors, outputs = [*operations, own], [*tensors, tensor(RESULT, lasts)], (RESULT,)
    return operations, tensors, inputs, outputs
