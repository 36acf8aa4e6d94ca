"""A network like a detector's: backbone of residual blocks, neck with skips, several heads and outputs; drawn sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import FloatArray
from qopt.core.draws import drawn_head
from qopt.placement.problem import Placement

FIXED = 55
"""Operations beside those of residual blocks."""

BLOCK = 5
"""Operations of a residual block: two convolutions, two activations, a sum."""

SIDE = 320
"""Pixels of a side of the picture."""

SPREAD = 0.7
"""Natural logarithm of the factor by which an operation may be slower, or faster, on a tier than its work says."""

TIMES = {"prepare": [0.02, 0.01, 0.01], "boxes": [0.01, 0.004, 0.002]}
"""Seconds of pre- and post-processing on the tiers."""

STAGES, STEM, NECK = 5, 32, 128
"""Stages of the backbone, channels behind its stem (doubled by every stage), channels of neck and heads."""


def detector(
    operations: int = 400,
    *,
    seed: int,
    memory: float | None = 0.05,
    deadline: float | None = 2.5,
    activations: bool = False,
    name: str | None = None,
) -> Placement:
    """A seeded detector on mobile, edge and cloud: least energy within a deadline and memories of mobile and edge.

    Parameters
    ----------
    operations : n, 60 to 10 000; beyond the neck and heads they are residual blocks.
    seed : of `numpy.random.default_rng`, >= 0.
    memory : of the mobile, as a share of all bytes of weights; the edge has twice that. None is no limit.
    deadline : latency target, as a multiple of what it takes to send the picture to the cloud and do all there.
    activations : whether memories hold tensors too.
    name : default ``random-<operations>-<seed>``, with the options that are not the defaults behind it.

    Raises
    ------
    InputError
        An argument is out of range; its name is the error's field.
    """
    options: dict[str, Any] = dict(locals())
    del options["operations"], options["name"]
    n = whole("operations", operations, 60, 10_000)
    draw = _Drawing(np.random.default_rng(whole("seed", seed, 0, 2**63 - 1)))
    draw.network(n)
    total = sum(draw.weights)
    shares = [None, None] if memory is None else [real("memory", memory, 0, 1e12) * k for k in (1.0, 2.0)]
    held = [None if share is None else share * total for share in shares]
    data: dict[str, Any] = {
        "description": "A drawn detector: the structure is that of real ones, sizes and speeds are not measured.",
        "graph": draw.graph(),
        "input": {"sizes": [SIDE * SIDE * 24.0], "readers": ["prepare"]},
        "outputs": [
            {"operation": "boxes", "size": 2e4, "tier": "mobile"},
            {"operation": "embedding", "size": 4e4, "tier": "mobile"},
        ],
        "tiers": [
            {"name": "mobile", "speed": 4e9, "power": 2.0, "memory": held[0], "activations": activations},
            {"name": "edge", "speed": 3e10, "power": 30.0, "memory": held[1], "activations": activations},
            {"name": "cloud", "speed": 1e12, "power": 2000.0},
        ],
        "links": [
            {"rate": 1e8, "energy": 5e-9, "latency": 0.002},
            {"rate": 2e7, "energy": 2e-8, "latency": 0.02},
        ],
        "operators": [{"name": "identity", "accuracy": 0.5, "time": draw.times([4e9, 3e10, 1e12])}],
        "objective": {"time": 0.0, "energy": 1.0},
    }
    if deadline is not None:
        data["targets"] = {"latency": real("deadline", deadline, 0, 1e12) * draw.in_the_cloud(data)}
    return Placement(**data | drawn_head(detector, n, options, name))


class _Drawing:
    """The network, operation by operation."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.names: list[str] = []
        self.work: list[float] = []
        self.weights: list[float] = []
        self.bits: list[float] = []
        self.readers: dict[str, list[str]] = {}

    def add(self, name: str, reads: Sequence[str], work: float, weights: float, entries: float) -> str:
        """An operation that writes a tensor of so many entries; its weights are counted in entries too."""
        for read in reads:
            self.readers.setdefault(read, []).append(name)
        self.names.append(name)
        self.work.append(float(np.rint(work * self.rng.uniform(0.7, 1.3))))
        self.weights.append(4.0 * float(np.rint(weights * self.rng.uniform(0.7, 1.3))))
        self.bits.append(32.0 * float(np.rint(entries)))
        return name

    def convolution(self, name: str, reads: Sequence[str], area: float, into: int, out: int, kernel: int = 3) -> str:
        """A convolution and its activation."""
        taps = into * out * kernel * kernel
        found = self.add(name, reads, area * taps, taps, area * out)
        return self.add(f"{name}-act", [found], area * out, 0, area * out)

    def network(self, n: int) -> None:
        """All n operations."""
        blocks, rest = divmod(n - FIXED, BLOCK)
        area, width = SIDE * SIDE / 4.0, STEM
        last = self.add("prepare", [], 0.0, 0, SIDE * SIDE * 3.0)
        last = self.add("stem", [last], area * STEM * 27, STEM * 27, area * STEM)
        for i in range(rest):
            last = self.add(f"stem-act{i}", [last], area * STEM, 0, area * STEM)
        features = []
        for stage in range(STAGES):
            area, width = area / 4.0, 2 * width
            taps = width * width // 2 * 9
            last = self.add(f"down{stage}", [last], area * taps, taps, area * width)
            for block in range(blocks // STAGES + (stage < blocks % STAGES)):
                last = self._block(f"s{stage}b{block}", last, area, width)
            features.append((last, area, width))
        self._heads(self._neck(features[-3:]))

    def _block(self, name: str, last: str, area: float, width: int) -> str:
        half = width // 2
        inner = self.convolution(f"{name}-1x1", [last], area, width, half, 1)
        inner = self.convolution(f"{name}-3x3", [inner], area, half, width)
        return self.add(f"{name}-add", [last, inner], area * width, 0, area * width)

    def _neck(self, features: list[tuple[str, float, int]]) -> list[tuple[str, float]]:
        """Down and up again, with skips: three levels of features."""
        (c3, a3, w3), (c4, a4, w4), (c5, a5, w5) = features
        p5 = self.convolution("lateral5", [c5], a5, w5, NECK, 1)
        up = self.add("up5", [p5], a4 * NECK, 0, a4 * NECK)
        p4 = self.convolution("mix4", [up, c4], a4, w4 + NECK, NECK)
        up = self.add("up4", [p4], a3 * NECK, 0, a3 * NECK)
        p3 = self.convolution("mix3", [up, c3], a3, w3 + NECK, NECK)
        down = self.convolution("down3-4", [p3], a4, NECK, NECK)
        n4 = self.convolution("out4", [down, p4], a4, 2 * NECK, NECK)
        down = self.convolution("down4-5", [n4], a5, NECK, NECK)
        n5 = self.convolution("out5", [down, p5], a5, 2 * NECK, NECK)
        return [(p3, a3), (n4, a4), (n5, a5)]

    def _heads(self, levels: list[tuple[str, float]]) -> None:
        found = []
        for level, (feature, area) in enumerate(levels, start=3):
            for kind, width in (("class", 80), ("box", 64)):
                head = f"{kind}{level}"
                last = self.convolution(f"{head}-1", [feature], area, NECK, NECK)
                last = self.convolution(f"{head}-2", [last], area, NECK, NECK)
                found.append(self.add(head, [last], area * NECK * width, NECK * width, area * width))
        self.add("boxes", found, 0.0, 0, 625.0)
        self.add("embedding", [levels[-1][0]], 1e6, NECK * 128, 1250.0)

    def graph(self) -> dict[str, Any]:
        """The fields of the graph."""
        sizes = zip(self.names, self.bits, strict=True)
        tensors = [{"producer": n, "readers": self.readers[n], "size": b} for n, b in sizes if n in self.readers]
        return {"operations": self.names, "work": self.work, "weights": self.weights, "tensors": tensors}

    def times(self, speeds: Sequence[float]) -> FloatArray:
        """(n, tiers) seconds: no operation is as fast on a tier as its work says."""
        spread = np.exp(self.rng.uniform(-SPREAD, SPREAD, (len(self.names), len(speeds))))
        table = np.array(self.work)[:, None] / np.array(speeds) * spread
        for name, column in TIMES.items():
            table[self.names.index(name)] = column
        found: FloatArray = table
        return found

    def in_the_cloud(self, data: dict[str, Any]) -> float:
        """Seconds to send the picture to the cloud, to do all there, and to send the results back."""
        bits = [data["input"]["sizes"][0], *(output["size"] for output in data["outputs"])]
        sent = sum(size / link["rate"] + link["latency"] for size in bits for link in data["links"])
        return float(sent + data["operators"][0]["time"][:, -1].sum())
