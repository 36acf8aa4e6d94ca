"""Memory limits: many tensors across a cut, and plans that only repair can reach."""

from __future__ import annotations

import numpy as np
import pytest

from qopt import certify, solve
from qopt.qpart.problem import QPart


def crossing(layers: int) -> QPart:
    """A network whose outputs are all read at the end, so that cut p is crossed by p tensors."""
    rng, n = np.random.default_rng(0), layers + 1
    return QPart(
        network={
            "macs": [1.0] * n,
            "weights": [10.0] * n,
            "activations": (rng.random(n) * 3 + 100).tolist(),
            "input_size": 8,
            "last_reader": [n + 1] * (n + 1),
        },
        device={"cycles_per_mac": 1.0, "clock": 1.0},
        server={"cycles_per_mac": 1.0, "clock": 10.0},
        channel={"rate": 1.0},
        noise={
            "s_weights": (4 ** rng.uniform(4, 6, n)).tolist(),
            "s_activations": (4 ** rng.uniform(4, 6, n)).tolist(),
        },
        accuracy={"levels": [0.01], "delta": [[1.0] * n]},
        level=0.01,
        cuts=[layers],
    )


def short(problem: QPart, by: float) -> QPart:
    """The same with a little less memory than its best plan takes."""
    free = solve(problem).plan
    assert free is not None
    need = float(np.dot(free.weights, problem.network.weights[: free.cut]))
    return problem.replace({"device.memory": need - by})


@pytest.mark.parametrize("layers", [3, 5, 7])
def test_many_widths_that_do_not_follow_storage(layers: int) -> None:
    """16^layers combinations, of which multipliers leave few to look at."""
    problem = short(crossing(layers), 15.0)
    found = solve(problem)
    assert found.status == "optimal"
    assert found.plan is not None
    assert certify(problem, found.plan, found.witness, labels=0).proved
    if layers == 3:
        other = solve(problem, "highs-mip")
        assert other.objective == pytest.approx(found.objective, rel=1e-9)


def test_a_clock_that_is_over_stops_the_search() -> None:
    found = solve(short(crossing(7), 15.0), time_limit=0.0)
    assert found.status in ("time-limit", "optimal")


@pytest.mark.parametrize("method", ["highs-cuts", "kkt", "cvxpy"])
@pytest.mark.parametrize("memory", [2.0, 3.0, 6.0])
def test_memory_that_no_noise_answers_to(method: str, memory: float) -> None:
    """Weights without noise take the least width, whatever the memory: no tensor trades noise for storage."""
    problem = QPart(
        network={"macs": [0], "weights": [3], "activations": [2], "input_size": 8},
        device={"cycles_per_mac": 1.0, "clock": 1.0, "memory": memory},
        server={"cycles_per_mac": 1.0, "clock": 10.0},
        channel={"rate": 1.0},
        noise={"s_weights": [0.0], "s_activations": [16.0]},
        accuracy={"levels": [0.01], "delta": [[1.0]]},
        level=0.01,
        bits={"lo": 1, "hi": 4},
        cuts=[1],
    )
    found = solve(problem, method)
    if memory < 3:
        assert found.status == "infeasible"
        return
    assert found.status == "optimal"
    assert found.plan is not None
    assert found.plan.weights == pytest.approx((1.0,))
    assert found.plan.activations == pytest.approx((2.0,))
