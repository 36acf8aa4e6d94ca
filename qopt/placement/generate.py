"""Seeded random placements: graphs with branches and shared tensors, tiers that get faster, links that get slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import FloatArray
from qopt.core.draws import drawn_head, log_uniform
from qopt.core.errors import InputError, shown
from qopt.placement.problem import Placement

LONGEST_READ = 7
"""Operations back that a branch reaches, at most."""

TIER_NAMES = ("mobile", "edge", "cloud")

SPEED_UP = 6.0
"""A tier is about this much faster than the one below it."""

SHRINK = 1.5
"""Decades by which tensors shrink from the input to the output."""


def placement(
    operations: int,
    *,
    seed: int,
    tiers: int = 3,
    branches: float = 0.3,
    operators: int = 4,
    pins: float = 0.0,
    memory: float | None = None,
    private: bool = False,
    spread: float = 1.5,
    objective: dict[str, float] | None = None,
    name: str | None = None,
) -> Placement:
    """A seeded random placement; the same arguments give the same problem.

    Rates are drawn near those at which sending a tensor costs what the faster tier saves, so that any tier may be best.

    Parameters
    ----------
    operations : n, 1 to 100 000.
    seed : of `numpy.random.default_rng`, >= 0.
    tiers : 1 to 64.
    branches : probability that an operation reads further back than the one before it, and that it reads a second
        tensor; 0 is a chain. A tensor may so have several readers.
    operators : how many of identity, quantized, early exit, quantized early exit; an early exit skips two operations
        that follow each other near the end (from five operations on).
    pins : probability that an operation is pinned to some of the tiers; a plan always exists as far as pins go.
    memory : of every tier but the last, as a multiple of the identity's bytes of weights; default no limit.
    private : the raw input may not leave its tier.
    spread : decades over which work, weights and sizes range, 0 to 12.
    objective : weights, default latency alone.
    name : default ``random-<operations>-<seed>``, with the options that are not the defaults behind it.

    Raises
    ------
    InputError
        An argument is out of range; its name is the error's field.
    """
    options = dict(locals())
    del options["operations"], options["name"]
    asked = _Asked.of(operations, options)
    data = _assembled(asked, _draw(asked)) | drawn_head(placement, asked.operations, options, name)
    return Placement(**data | {"objective": objective or {}})


@dataclass(frozen=True)
class _Asked:
    """The checked arguments of `placement`; the weights of the objective are checked by the problem."""

    operations: int
    seed: int
    tiers: int
    branches: float
    operators: int
    pins: float
    memory: float | None
    private: bool
    spread: float

    @classmethod
    def of(cls, operations: object, options: dict[str, Any]) -> Self:
        """The arguments, if all are in range."""
        operations, tiers = whole("operations", operations, 1, 100_000), whole("tiers", options["tiers"], 1, 64)
        seed = whole("seed", options["seed"], 0, 2**63 - 1)
        branches, pins = real("branches", options["branches"], 0, 1), real("pins", options["pins"], 0, 1)
        spread = real("spread", options["spread"], 0, 12)
        operators = whole("operators", options["operators"], 1, 4)
        private, memory = options["private"], options["memory"]
        if not isinstance(private, bool | np.bool_):
            raise InputError("private", shown(private), "true or false")
        if memory is not None:
            memory = real("memory", memory, 0, 1e12)
        return cls(
            operations=operations,
            seed=seed,
            tiers=tiers,
            branches=branches,
            operators=operators,
            pins=pins,
            memory=memory,
            private=bool(private),
            spread=spread,
        )

    @property
    def names(self) -> list[str]:
        """Names of the operations."""
        return [f"op{i}" for i in range(1, self.operations + 1)]

    @property
    def tier_names(self) -> list[str]:
        """Names of the tiers: of what they are like, as far as there are such names."""
        if self.tiers <= len(TIER_NAMES):
            return list(TIER_NAMES[: self.tiers])
        return [f"tier{k}" for k in range(1, self.tiers + 1)]


@dataclass(frozen=True)
class _Drawn:
    """What chance decides.

    Attributes
    ----------
    reads : for each of n operations, those that it reads.
    work, weights, bits : (n,) MACs, bytes of weights, bits of its output.
    sizes : bits of the raw inputs.
    speeds : MACs per second of each tier.
    rates : bits per second of each link.
    pins : tiers of the operations that are pinned, by name.
    """

    reads: list[list[int]]
    work: FloatArray
    weights: FloatArray
    bits: FloatArray
    sizes: FloatArray
    speeds: FloatArray
    rates: FloatArray
    pins: dict[str, list[str]]


def _draw(asked: _Asked) -> _Drawn:
    """All draws. Their order is part of what a seed means."""
    rng, n, count = np.random.default_rng(asked.seed), asked.operations, asked.tiers
    reads = _reads(rng, n, asked.branches)
    work = np.rint(log_uniform(rng, asked.spread, 1e8, n))
    weights = np.rint(log_uniform(rng, asked.spread, 1e6, n))
    # Tensors shrink along the network, as in real ones, so that a cut in the middle can be best.
    bits = np.rint(log_uniform(rng, asked.spread, 4e6, n) * 10.0 ** (-SHRINK * np.arange(n) / n))
    sizes = np.rint(log_uniform(rng, 0.5, 4e6, 3))
    speeds = 1e9 * np.cumprod(np.array([1.0, *log_uniform(rng, 0.4, SPEED_UP, count - 1)]))
    saved = float(work.sum()) * (1.0 / speeds[:-1] - 1.0 / speeds[1:])
    rates = 4e6 / (saved * log_uniform(rng, 1.0, 2.0, count - 1))
    return _Drawn(reads, work, weights, bits, sizes, speeds, rates, _pins(rng, asked))


def _reads(rng: np.random.Generator, n: int, branches: float) -> list[list[int]]:
    """Which operations each operation reads: the one before it, or with some probability one or two further back.

    What nobody would read, the next operation reads too.
    """
    reads: list[list[int]] = [[]]
    for v in range(1, n):
        first = v - 1 if rng.random() >= branches else int(rng.integers(max(0, v - LONGEST_READ), v))
        second = int(rng.integers(max(0, v - LONGEST_READ), v)) if rng.random() < branches else first
        reads.append(sorted({first, second}))
    read = set().union(*reads)
    for v in range(1, n):
        if v - 1 not in read:
            reads[v].append(v - 1)
    return reads


def _pins(rng: np.random.Generator, asked: _Asked) -> dict[str, list[str]]:
    """Tiers of the operations that are pinned. They leave a hidden plan possible: tiers that rise along the order."""
    n, count = asked.operations, asked.tiers
    hidden = np.sort(rng.integers(0, count, n))
    if asked.private:
        hidden[0] = 0
    names, tier_names = asked.names, asked.tier_names
    pinned = {}
    for v in np.flatnonzero(rng.random(n) < asked.pins):
        allowed = rng.random(count) < 0.5
        allowed[hidden[v]] = True
        pinned[names[v]] = [tier for tier, ok in zip(tier_names, allowed, strict=True) if ok]
    return pinned


def _assembled(asked: _Asked, drawn: _Drawn) -> dict[str, Any]:
    """The problem but for its name, source and objective."""
    names, count = asked.names, asked.tiers
    limits: list[float | None] = [None] * count
    if asked.memory is not None:
        limits[:-1] = [asked.memory * float(drawn.weights.sum())] * (count - 1)
    return {
        "description": "A random placement: sizes, speeds and rates are drawn, not measured.",
        "graph": {"operations": names, "work": drawn.work, "weights": drawn.weights, "tensors": _tensors(names, drawn)},
        "input": {"sizes": drawn.sizes, "readers": [names[0]], "private": asked.private},
        "tiers": [
            {"name": tier, "speed": float(speed), "memory": limit, "power": 2.0 * 3.0**k, "price": 0.1 * k}
            for k, (tier, speed, limit) in enumerate(zip(asked.tier_names, drawn.speeds, limits, strict=True))
        ],
        "links": [{"rate": float(rate), "latency": 1e-3, "energy": 1e-7, "overhead": 1.25} for rate in drawn.rates],
        "operators": _operators(names, drawn.speeds)[: asked.operators],
        "pins": drawn.pins,
    }


def _tensors(names: list[str], drawn: _Drawn) -> list[dict[str, object]]:
    """The tensors that somebody reads."""
    n, tensors = len(names), []
    for u in range(n):
        readers = [names[v] for v in range(u + 1, min(n, u + LONGEST_READ + 1)) if u in drawn.reads[v]]
        if readers:
            tensors.append({"producer": names[u], "readers": readers, "size": float(drawn.bits[u])})
    return tensors


def _operators(names: list[str], speeds: FloatArray) -> list[dict[str, object]]:
    """The four operators. Quantized operations are slower on the first tier and faster on the others."""
    n = len(names)
    slower = np.array([1.3, *([0.8] * (len(speeds) - 1))])
    quantized = {"weight_factor": 0.25, "tensor_factor": 0.25, "speeds": speeds / slower}
    early = {"skips": names[n - 3 : n - 1] if n >= 5 else []}
    return [
        {"name": "identity", "accuracy": 0.8},
        {"name": "quantized", "accuracy": 0.785, **quantized},
        {"name": "early exit", "accuracy": 0.77, **early},
        {"name": "quantized early exit", "accuracy": 0.75, **quantized, **early},
    ]
