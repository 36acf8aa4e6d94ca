"""Random small JQODI problems of runs that have begun, with traffic and chances, and the best of all their plans."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from jqodi_problems import MODES

import qopt
from qopt.core.limits import within
from qopt.jqodi.costs import breakdown
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi


def drawn(seed: int) -> Jqodi | None:
    """A problem of at most 4000 plans with some of the new fields; None for a seed that gives none."""
    rng = np.random.default_rng(seed)
    base = qopt.generate.jqodi(
        int(rng.integers(2, 5)),
        seed=seed,
        mode=MODES[seed % 3],
        servers=int(rng.integers(1, 3)),
        cuts=int(rng.integers(1, 3)),
        models=int(rng.integers(1, 3)),
        conditions=bool(rng.random() < 0.6),
        losses=bool(rng.random() < 0.5),
        estimate="robust" if rng.random() < 0.4 else "expected",
        requests=float(rng.choice([0.0, 50.0])),
    )
    changes: dict[str, Any] = {}
    if rng.random() < 0.6:
        changes["traffic"] = {"gradient_bits": int(rng.choice([8, 32]))}
    if rng.random() < 0.85:
        changes["start"] = _start(rng, base)
    if base.models[0].widths[0].epochs is not None and rng.random() < 0.4:
        changes |= {"estimate": "chance", "confidence": float(rng.uniform(0.2, 0.9)), **_chances(rng, base)}
        if "start" in changes:
            changes["start"] |= {"epochs": 0}
    try:
        begun = base.replace(changes)
    except qopt.InputError:  # another model may be begun, and conditions are too short for it
        return None
    least = qopt.jqodi.smallest_limits(begun).time_limit
    if least is not None:
        begun = begun.replace({"time_limit": least * float(rng.choice([0.97, 1.0, 1.0 + rng.random() ** 2])) + 1e-9})
    return begun if _plans(begun) <= 4000 else None


def _start(rng: np.random.Generator, base: Jqodi) -> dict[str, Any]:
    model = base.models[int(rng.integers(len(base.models)))]
    width = model.width(int(rng.choice([4, 8])))
    start: dict[str, Any] = {"elapsed": float(rng.uniform(0.0, 0.3) * base.time_limit), "energy": 7.0}
    if rng.random() < 0.8:
        start |= {"server": str(rng.choice(base.server_names)), "cut": int(rng.integers(0, len(model) + 1))}
    if rng.random() < 0.8:
        done = int(rng.integers(0, base.needed(model, width) or 3))
        start |= {"model": model.name, "bits": width.bits, "epochs": done, "anew": bool(rng.random() < 0.25)}
        if width.loss is not None and rng.random() < 0.6:
            start |= {"loss": float(rng.uniform(0.5, 1.0)), "loss_after": int(rng.integers(0, done + 1))}
    return start


def _chances(rng: np.random.Generator, base: Jqodi) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for m, model in enumerate(base.models):
        for w, width in enumerate(model.widths):
            assert width.epochs is not None
            counts = sorted({width.epochs.expected, width.epochs.robust or 1, (width.epochs.robust or 1) + 1})
            shares = rng.dirichlet(np.ones(len(counts) + 1)).tolist()  # the last is never
            found[f"models[{m}].widths[{w}].epochs.chances"] = list(zip(counts, shares, strict=False))
    return found


def _plans(problem: Jqodi) -> float:
    total = 0.0
    for model, width in problem.admissible:
        states = len(problem.servers) * len(model.admissible_cuts)
        total += states ** (1 if problem.mode == "choice" else problem.needed(model, width) or 0)
    return total


def least_energy(problem: Jqodi) -> float:
    """The least objective of all plans that keep T_max, each followed epoch by epoch; infinite without one."""
    best = math.inf
    for model, width in problem.admissible:
        epochs = problem.needed(model, width)
        if epochs is None:
            continue
        states = [(server, cut) for server in problem.server_names for cut in model.admissible_cuts]
        kept = [(s,) * epochs for s in states] if problem.mode == "choice" else itertools.product(states, repeat=epochs)
        for path in kept:
            servers, cuts = zip(*path, strict=True)
            cost = breakdown(problem, JqodiPlan(model=model.name, bits=width.bits, servers=servers, cuts=cuts))
            if cost.objective is not None and cost.time is not None and within([cost.time], problem.time_limit):
                best = min(best, cost.objective)
    return best
