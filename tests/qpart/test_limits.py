"""Menus, measured tables, limits on what a plan costs, and a quantized input: all methods against enumeration."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
from qpart_enumeration import Enumerated, best, plans

from qopt import certify, generate, solve
from qopt.qpart.problem import LIMITS, QPart

METHODS = ("mckp", "highs-mip", "brute-force", "pyomo")

SEEDS = int(os.environ.get("QOPT_LIMITS", "40"))
"""Random requests of the sweep; the figures quoted for it are of 1000."""


def random_request(seed: int) -> QPart:
    """A small request with menus, tables, ties, branches, overhead and a quantized input, as chance has it."""
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(1, 5))
    problem = generate.qpart(
        layers,
        seed=seed,
        bits=(1, 8),
        noise=str(rng.choice(["law", "grid", "table"])),  # type: ignore[arg-type]
        tie_cut=bool(rng.random() < 0.2),
        branches=bool(rng.random() < 0.4),
        insensitive=float(rng.choice([0.0, 0.3])),
        memory=float(rng.choice([0.6, 1.1])) if rng.random() < 0.4 else None,
        menu=[(2, 4, 8), (4, 8), (1, 2, 3, 8), (2, 8)][rng.integers(4)],
        tables=bool(rng.random() < 0.5),
        quantize_input=bool(rng.random() < 0.4),
    )
    changes: dict[str, Any] = {"server.price": float(rng.choice([0.0, 2.0]))}
    if rng.random() < 0.5 and not problem.tie_cut:
        own = [None if rng.random() < 0.5 else [[8], [2, 4], [4, 8]][rng.integers(3)] for _ in range(layers)]
        changes["bits.weights"] = own
        if rng.random() < 0.5:
            changes["bits.activations"] = own[::-1]
    elif layers > 1 and rng.random() < 0.5:
        first, last = sorted(rng.choice(np.arange(1, layers + 1), 2, replace=False).tolist())
        changes["network.ties"] = [{"layers": [first, last], "shared": False}]
    if rng.random() < 0.4:
        changes["network.overhead"] = np.rint(rng.uniform(0, 2000, layers)).tolist()
        changes["network.overhead_activations"] = np.rint(rng.uniform(0, 200, layers)).tolist()
    changes["inferences"] = int(rng.choice([1, 7]))
    return problem.replace(changes)


def limited(problem: QPart, seed: int, all_plans: list[Enumerated]) -> QPart:
    """The same with one to four limits: what some plan uses, just that, somewhat more, or somewhat less."""
    rng = np.random.default_rng(seed)
    names = rng.choice(LIMITS, int(rng.integers(1, 5)), replace=False).tolist()
    model = all_plans[int(rng.integers(len(all_plans)))]
    limits = {name: model.used[name] * float(rng.choice([1.0, 1.2, 0.999, 1.0 + 1e-9])) for name in names}
    return problem.replace({"limits": limits})


def check_all(problem: QPart, expected: Enumerated | None, methods: tuple[str, ...] = METHODS) -> None:
    """Every method finds the optimum of the enumeration, or that there is none, and it is proved."""
    for name in methods:
        found = solve(problem, name)
        if expected is None:
            assert found.status == "infeasible", (name, problem.source, found)
            assert found.certificate.infeasible, (name, problem.source)
            assert any("break" in note for note in found.certificate.notes)
            continue
        assert found.objective == pytest.approx(expected.objective, rel=1e-9), (name, problem.source)
        assert found.status == "optimal", (name, problem.source, found.certificate.notes)
        cost = found.certificate.cost
        assert all(getattr(cost, limit) == pytest.approx(_used(problem, found.plan)[limit]) for limit in LIMITS)
        if name == "mckp":
            assert found.witness is not None
            alone = certify(problem, found.plan, found.witness, labels=0)
            assert alone.proved, (problem.source, alone.notes)


def _used(problem: QPart, plan: Any) -> dict[str, float]:
    """What a plan uses, by the enumeration's own reading."""
    from qpart_enumeration import cost

    from qopt.qpart.plan import crossing_activations

    weights = tuple(int(b) for b in plan.weights)
    crossing = crossing_activations(problem, plan.cut)
    outputs = {i: int(b) for i, b in zip(crossing, plan.activations, strict=True)}
    return cost(problem, plan.cut, weights, outputs)[1]


@pytest.mark.parametrize("seed", range(6))
def test_methods_agree_with_enumeration(seed: int) -> None:
    problem = random_request(seed)
    everything = list(plans(problem))
    check_all(problem, best(problem, everything), ("mckp", "highs-mip"))
    tight = limited(problem, seed, everything)
    check_all(tight, best(tight, everything), METHODS)


@pytest.mark.sweep
def test_many_requests_agree_with_enumeration() -> None:
    for seed in range(100, 100 + SEEDS):
        problem = random_request(seed)
        everything = list(plans(problem))
        check_all(problem, best(problem, everything), ("mckp",))
        tight = limited(problem, seed, everything)
        check_all(tight, best(tight, everything))
    assert math.isfinite(SEEDS)
