"""Seeded random placements: graphs with branches and shared tensors, tiers that get faster, links that get slower."""

from __future__ import annotations

from typing import Any

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.draws import log_uniform
from qopt.core.errors import InputError, shown
from qopt.placement.problem import Placement

LONGEST_READ = 7
"""Operations back that a branch reaches, at most."""

TIER_NAMES = ("mobile", "edge", "cloud")

SPEED_UP = 6.0
"""A tier is about this much faster than the one below it."""

SHRINK = 1.5
"""Decades by which tensors shrink from the input to the output."""


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
    memory : of every tier but the last, as a multiple of the identity's weights; default no limit.
    private : the raw input may not leave its tier.
    spread : decades over which work, weights and sizes range, 0 to 12.
    objective : weights, default latency alone.

    Raises
    ------
    InputError
        An argument is out of range; its name is the error's field.
    """
    call = ", ".join(f"{k}={v!r}" for k, v in locals().items() if k not in ("operations", "name"))
    n, count = whole("operations", operations, 1, 100_000), whole("tiers", tiers, 1, 64)
    rng = np.random.default_rng(whole("seed", seed, 0, 2**63 - 1))
    branches, pins, spread = real("branches", branches, 0, 1), real("pins", pins, 0, 1), real("spread", spread, 0, 12)
    operators = whole("operators", operators, 1, 4)
    if not isinstance(private, bool | np.bool_):
        raise InputError("private", shown(private), "true or false")
    names = [f"op{i}" for i in range(1, n + 1)]
    tier_names = [TIER_NAMES[k] if count <= len(TIER_NAMES) else f"tier{k + 1}" for k in range(count)]
    reads = _reads(rng, n, branches)
    work = np.rint(log_uniform(rng, spread, 1e8, n))
    weights = np.rint(log_uniform(rng, spread, 1e6, n))
    # Tensors shrink along the network, as in real ones, so that a cut in the middle can be best.
    bits = np.rint(log_uniform(rng, spread, 4e6, n) * 10.0 ** (-SHRINK * np.arange(n) / n))
    sizes = np.rint(log_uniform(rng, 0.5, 4e6, 3))
    speeds = 1e9 * np.cumprod(np.concatenate(([1.0], log_uniform(rng, 0.4, SPEED_UP, count - 1))))
    tensors = []
    for u in range(n):
        readers = [names[v] for v in range(u + 1, min(n, u + LONGEST_READ + 1)) if u in reads[v]]
        if readers:
            tensors.append({"producer": names[u], "readers": readers, "size": float(bits[u])})
    saved = float(work.sum()) * (1.0 / speeds[:-1] - 1.0 / speeds[1:])
    rates = 4e6 / (saved * log_uniform(rng, 1.0, 2.0, count - 1))
    # Pins leave a hidden plan possible: tiers that rise along the order.
    hidden = np.sort(rng.integers(0, count, n))
    if private:
        hidden[0] = 0
    pinned = {}
    for v in np.flatnonzero(rng.random(n) < pins):
        allowed = rng.random(count) < 0.5
        allowed[hidden[v]] = True
        pinned[names[v]] = [tier for tier, ok in zip(tier_names, allowed, strict=True) if ok]
    skips = names[n - 3 : n - 1] if n >= 5 else []
    slower = [1.3, *([0.8] * (count - 1))]
    choices: list[dict[str, Any]] = [
        {"name": "identity", "accuracy": 0.8},
        {
            "name": "quantized",
            "accuracy": 0.785,
            "weight_factor": 0.25,
            "tensor_factor": 0.25,
            "speeds": speeds / np.array(slower),
        },
        {"name": "early exit", "accuracy": 0.77, "skips": skips},
        {
            "name": "quantized early exit",
            "accuracy": 0.75,
            "weight_factor": 0.25,
            "tensor_factor": 0.25,
            "speeds": speeds / np.array(slower),
            "skips": skips,
        },
    ]
    limits: list[float | None] = [None] * count
    if memory is not None:
        limits[:-1] = [real("memory", memory, 0, 1e12) * float(weights.sum())] * (count - 1)
    data: dict[str, Any] = {
        "name": f"random-{n}-{seed}" if name is None else name,
        "description": "A random placement: sizes, speeds and rates are drawn, not measured.",
        "source": f"qopt.generate.placement({n}, {call})",
        "graph": {"operations": names, "work": work, "weights": weights, "tensors": tensors},
        "input": {"sizes": sizes, "readers": [names[0]], "private": bool(private)},
        "tiers": [
            {"name": tier, "speed": float(speed), "memory": limit, "power": 2.0 * 3.0**k, "price": 0.1 * k}
            for k, (tier, speed, limit) in enumerate(zip(tier_names, speeds, limits, strict=True))
        ],
        "links": [{"rate": float(rate), "latency": 1e-3, "energy": 1e-7, "overhead": 1.25} for rate in rates],
        "operators": choices[:operators],
        "pins": pinned,
        "objective": objective or {},
    }
    return Placement(**data)
