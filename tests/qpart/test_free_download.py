"""Weight bits that cost nothing while memory binds: the least multiplier that fits is optimal, not the largest."""

from __future__ import annotations

import math

import cvxpy as cp
import numpy as np
import pytest

from qopt import QPart, Requests, breakpoints, certify, decide, offline, solve
from qopt.qpart.subproblem import Subproblem, subproblems


def asked(memory: float, **changes: object) -> QPart:
    """One layer whose download is free: with 6 bits of weights the activation may have 2, its least."""
    return QPart(
        network={"macs": [1], "weights": [1.0], "activations": [1.0], "input_size": 1.0},
        device={"cycles_per_mac": 1.0, "clock": 1.0, "memory": memory},
        server={"cycles_per_mac": 1.0, "clock": 1.0},
        channel={"rate": 1.0, "transmit_power": 1.0, "charge_download": False},
        objective={"time": 0.0, "energy": 1.0, "price": 0.0},
        noise={"s_weights": [1.0], "s_activations": [1.0]},
        accuracy={"levels": [0.01], "delta": [[4.0**-2 + 4.0**-6]]},
        level=0.01,
        bits={"lo": 2, "hi": 8},
        cuts=[1],
    ).replace(changes)


@pytest.mark.parametrize(
    ("memory", "cost"), [(8.0, 2.0), (7.0, 2.0), (6.0, 2.0), (5.0, -math.log(4.0**-2 + 4.0**-6 - 4.0**-5, 4.0))]
)
def test_every_door_gives_the_optimum(memory: float, cost: float) -> None:
    problem = asked(memory)
    found = solve(problem, "kkt", bits="real")
    assert found.status == "optimal"
    assert found.objective == pytest.approx(cost, rel=1e-12)
    assert found.bound == pytest.approx(found.objective, rel=1e-12)
    decisions = decide(offline(problem, bits="real"), Requests.of({"device.memory": [memory]}))
    assert decisions.objective[0] == pytest.approx(found.objective, rel=1e-9)
    assert certify(problem, decisions.plan(0)).proved
    curve = breakpoints(problem, "price", bits="real")
    assert curve.at(1.0).plan.weights == pytest.approx(found.plan.weights)
    if memory >= 6:
        assert solve(problem, "round-up").objective == 2.0


def test_a_memory_that_only_the_leanest_plan_keeps() -> None:
    """Noise for one item alone: the multiplier of memory goes to infinity, and the bound is a cost, not a storage."""
    lean = asked(100.0, **{"accuracy.delta": [[4.0**-8 + 4.0**-3]]})
    found = solve(lean.replace({"device.memory": 3.0}), "kkt", bits="real")
    assert found.plan is not None
    assert found.plan.weights[0] == pytest.approx(3.0)
    assert found.plan.activations[0] == pytest.approx(8.0)
    assert found.bound == pytest.approx(8.0)


def random_request(rng: np.random.Generator) -> QPart:
    """One to three layers over several decades, sometimes without noise or tied, with limits that often bind."""
    n = int(rng.integers(1, 4))
    weights, outputs = 10 ** rng.uniform(0, 3, n), 10 ** rng.uniform(0, 3, n)
    of_weights, of_outputs = 10 ** rng.uniform(-2, 3, n), 10 ** rng.uniform(-2, 3, n)
    if rng.random() < 0.3:
        of_weights[rng.integers(n)] = 0.0
    lo = int(rng.integers(1, 4))
    hi = lo + int(rng.integers(1, 9))
    sums = np.cumsum(of_weights) + of_outputs
    delta = sums * 4.0**-hi * 4.0 ** ((hi - lo) * rng.uniform(-0.02, 1.1, n))
    return asked(
        float(weights.sum() * rng.uniform(0.9 * lo, 1.05 * hi)),
        **{
            "network": {
                "macs": [1.0] * n,
                "weights": weights.tolist(),
                "activations": outputs.tolist(),
                "overhead": rng.integers(0, 3, n).astype(float).tolist(),
                "input_size": 1.0,
            },
            "channel.charge_download": bool(rng.random() < 0.3),
            "objective.time": float(rng.choice([0.0, 0.0, 1.0, 1e-3, 1e-9])),
            "noise": {"s_weights": of_weights.tolist(), "s_activations": of_outputs.tolist()},
            "accuracy.delta": [delta.tolist()],
            "bits": {"lo": lo, "hi": hi},
            "cuts": [int(rng.integers(1, n + 1))],
            "tie_cut": bool(rng.random() < 0.2),
        },
    )


def by_cone(cut: Subproblem) -> float | None:
    """The optimum of a cut by an interior-point method, None if there is no plan."""
    assert cut.coefficient is not None
    noisy, b = cut.coefficient > 0, cp.Variable(len(cut.tensors))
    lo, hi = cut.bits[0], cut.bits[-1]
    rows = [b >= lo, b <= hi, (cut.stored / cut.memory) @ b + cut.overhead.sum() / cut.memory <= 1]
    spent = cp.multiply(cut.coefficient[noisy] / cut.limit, cp.exp(-math.log(4) * b[noisy]))
    unit = float(cut.price.max())
    model = cp.Problem(cp.Minimize((cut.price / unit) @ b), [*rows, cp.sum(spent) <= 1])
    model.solve(solver="CLARABEL")
    return cut.base + unit * float(model.value) if model.status.startswith("optimal") else None


def agree(seeds: range) -> None:
    for seed in seeds:
        problem = random_request(np.random.default_rng(seed))
        found = solve(problem, "kkt", bits="real")
        table = offline(problem, bits="real")
        decided = decide(table, Requests.of({"device.memory": [problem.device.memory]}))
        if found.plan is None:
            assert found.status == "infeasible", seed
            assert math.isinf(decided.objective[0]), seed
            continue
        assert found.status == "optimal", seed
        assert found.objective == pytest.approx(by_cone(subproblems(problem).at(found.plan.cut)), rel=2e-6), seed
        assert found.bound == pytest.approx(found.objective, rel=1e-9), seed
        assert decided.objective[0] == pytest.approx(found.objective, rel=1e-9), seed
        assert certify(problem, decided.plan(0)).proved, seed
        rounded, whole = solve(problem, "round-up"), solve(problem)
        assert rounded.plan is None or rounded.objective >= whole.objective * (1 - 1e-9), seed
        assert whole.plan is None or whole.objective >= found.objective * (1 - 1e-9), seed


def test_random_requests_against_a_cone_solver() -> None:
    agree(range(8))


@pytest.mark.sweep
def test_many_random_requests_against_a_cone_solver() -> None:
    agree(range(8, 150))
