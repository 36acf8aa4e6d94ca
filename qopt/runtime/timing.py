"""Times of operations from the runtime's own profile, and of anything else from a clock.

After `warmup` runs that count for nothing, each repetition runs the whole model `runs` times without the profile (which
slows it) and as often with it. A figure of a repetition is the median of its runs; the figure is the median of the
repetitions, its interval from the least to the largest of them, which holds the median of their distribution with
probability 1 - 2^(1 - repetitions), whatever that is. The runtime counts whole microseconds.

What a part takes in service is something else than the sum of its operations: so the whole is also timed as it will be
deployed, with everything that the runtime can rewrite, and a pause before each run (`qopt.runtime.deployed`).
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnxruntime
from onnx import ModelProto

from qopt.core.arguments import real, whole
from qopt.core.errors import InputError
from qopt.runtime.deployed import served
from qopt.runtime.sessions import ENDLESS, Array, options, run, scratch, session

EVENTS = 60_000
"""Events of one profile: some hundred bytes of JSON each, which are parsed at once."""

SETTLING = 3
"""First runs of a session with the profile that count for nothing: they set up its memory."""


@dataclass(frozen=True)
class Protocol:
    """How often is run; the study's numbers unless others are asked for.

    Attributes
    ----------
    warmup, repetitions, runs : runs that count for nothing; repetitions of so many runs.
    threads : of one operation.
    pause : seconds before each run of the deployed whole, at most 60: what passes between two requests.
    """

    warmup: int = 100
    repetitions: int = 5
    runs: int = 100
    threads: int = 1
    pause: float = 0.0

    def __post_init__(self) -> None:
        whole("warmup", self.warmup, 0, 10**6)
        whole("repetitions", self.repetitions, 1, 10**4)
        whole("runs", self.runs, 1, 10**6)
        whole("threads", self.threads, 1, 4096)
        real("pause", self.pause, 0, 60)

    @property
    def confidence(self) -> float:
        """That the median lies between the least and the largest repetition."""
        return 1.0 - 2.0 ** (1 - self.repetitions)


@dataclass(frozen=True)
class Interval:
    """Seconds, and the least and the largest repetition.

    Attributes
    ----------
    seconds, low, high : the median and its interval.
    """

    seconds: float
    low: float
    high: float

    @classmethod
    def of(cls, repetitions: list[float]) -> Interval:
        """Of the medians of the repetitions."""
        return cls(statistics.median(repetitions), min(repetitions), max(repetitions))


@dataclass
class Timed:
    """Times of one model at one input size.

    Attributes
    ----------
    whole : a run of the whole.
    deployed : a run of the whole as it is deployed.
    nodes : of each node of the rewritten graph, by the first tensor it writes.
    shapes : largest shapes seen of what a node writes, by the same name.
    """

    whole: Interval
    deployed: Interval
    nodes: dict[str, Interval]
    shapes: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)


def clocked(call: Callable[[], object], protocol: Protocol) -> Interval:
    """Time a call by the clock.

    Parameters
    ----------
    call : what is timed.
    protocol : how often; without its pause.
    """
    for _ in range(protocol.warmup):
        call()
    return Interval.of([_median(call, protocol.runs) for _ in range(protocol.repetitions)])


def _median(call: Callable[[], object], runs: int) -> float:
    """Median seconds of some runs."""
    spent = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def timed(
    proto: ModelProto,
    name: str,
    feeds: Mapping[str, Array],
    protocol: Protocol,
    *,
    optimization: str = "basic",
    nodes: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> Timed:
    """Times of every node.

    Parameters
    ----------
    proto : the model; its nodes bear names that differ.
    name : of the file, for messages.
    feeds : an example of each input.
    protocol : how often.
    optimization : what the runtime may rewrite.
    nodes : the first tensor of each node, by the node's name.
    say : is told of each repetition.

    Raises
    ------
    InputError
        The runtime refuses the model, or says nothing of a node.
    """
    known = {node.name: node.output[0] for node in proto.graph.node} if nodes is None else dict(nodes)
    plain = session(proto, name, options(optimization, protocol.threads), fused=False)
    ready = session(proto, name, options("all", protocol.threads))
    for made in (plain, ready):
        run(made, name, feeds, limit=ENDLESS)
    for _ in range(1, protocol.warmup):
        run(plain, name, feeds)
        run(ready, name, feeds)
    whole_runs: list[float] = []
    deployed: list[float] = []
    medians: dict[str, list[float]] = {}
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for repetition in range(protocol.repetitions):
        if say is not None:
            say(f"repetition {repetition + 1} of {protocol.repetitions}")
        whole_runs.append(_median(lambda: run(plain, name, feeds), protocol.runs))
        deployed.append(served(ready, feeds, protocol.runs, protocol.pause))
        own: dict[str, list[float]] = {}
        left = protocol.runs
        while left > 0:  # at least one run less each time
            runs = min(left, max(1, EVENTS // (2 * len(known) + 8) - SETTLING))
            _profiled(proto, name, feeds, protocol, optimization, runs, known, own, shapes)
            left -= runs
        for node, seconds in own.items():
            medians.setdefault(node, []).append(statistics.median(seconds))
    found = {node: Interval.of(rows) for node, rows in medians.items()}
    return Timed(Interval.of(whole_runs), Interval.of(deployed), found, shapes)


def _profiled(
    proto: ModelProto,
    name: str,
    feeds: Mapping[str, Array],
    protocol: Protocol,
    optimization: str,
    runs: int,
    known: Mapping[str, str],
    own: dict[str, list[float]],
    shapes: dict[str, list[tuple[int, ...]]],
) -> None:
    """Run some times with the profile, and add each node's seconds and shapes."""
    with scratch() as folder:
        chosen = options(optimization, protocol.threads, profile=os.path.join(folder, "profile"))
        made = session(proto, name, chosen, fused=False)
        for _ in range(SETTLING + runs):
            run(made, name, feeds)
        events = _events(made, name)
    this_run: dict[str, float] = {}
    done = 0
    for event in events:
        label, spent = str(event.get("name", "")), 1e-6 * float(str(event.get("dur", 0)))
        if label == "model_run":  # it ends a run, after its nodes
            done += 1
            if done > SETTLING:
                for node, seconds in this_run.items():
                    own.setdefault(node, []).append(seconds)
            this_run = {}
        if event.get("cat") != "Node" or not label.endswith("_kernel_time"):
            continue
        found = known.get(label.removesuffix("_kernel_time").split("/")[0])  # what is doubled keeps its name, and more
        if found is not None:
            this_run[found] = this_run.get(found, 0.0) + spent
            _see(shapes, found, event)


def _see(shapes: dict[str, list[tuple[int, ...]]], node: str, event: dict[str, Any]) -> None:
    """Keep the largest shapes that a node wrote."""
    entries = event.get("args", {}).get("output_type_shape", [])
    written = [tuple(extents) for entry in entries for extents in entry.values()]
    before = shapes.get(node, written)
    shapes[node] = [max(pair, key=math.prod) for pair in zip(before, written, strict=False)]


def _events(made: onnxruntime.InferenceSession, name: str) -> list[dict[str, Any]]:
    path = made.end_profiling()
    try:
        with open(path, encoding="utf-8") as file:
            found: list[dict[str, Any]] = json.load(file)
        return found
    except (OSError, ValueError):
        raise InputError(name, "no profile from the runtime", "a folder for temporary files with room") from None
