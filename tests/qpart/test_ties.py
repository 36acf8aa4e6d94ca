"""Ties of layers: every exact method and the certificate agree on them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sweeps import swept

import qopt
from qopt.core.errors import InputError
from qopt.qpart.generate import qpart
from qopt.qpart.problem import QPart


def case(seed: int) -> QPart:
    rnd = random.Random(seed)
    n = rnd.randint(2, 4)
    p = qpart(n, seed=seed, noise=rnd.choice(["law", "grid", "table"]), bits=(1, 3), tie_cut=rnd.random() < 0.4)
    layers = sorted(rnd.sample(range(1, n + 1), rnd.randint(2, n)))
    sizes = p.network.weights.copy()
    shared = seed % 2 == 0
    if shared:
        for layer in layers:
            sizes[layer - 1] = sizes[layers[0] - 1]
    changes: dict[str, Any] = {
        "network.weights": sizes.tolist(),
        "network.ties": [{"layers": layers, "shared": shared}],
        "cuts": list(range(1, n + 1)),
    }
    if rnd.random() < 0.4:
        changes["device.memory"] = float(sizes.sum()) * rnd.uniform(1, 3)
    return p.replace(changes)


@pytest.mark.parametrize("seed", swept(range(40), lambda seed: seed > 19))
def test_methods_agree(seed: int) -> None:
    p = case(seed)
    brute = qopt.solve(p, "brute-force")
    for method in ("mckp", "highs-mip", *(("pyomo",) if seed % 8 == 0 else ())):
        found = qopt.solve(p, method)
        assert (found.plan is None) == (brute.plan is None)
        assert found.certificate.infeasible if found.plan is None else found.certificate.proved
        if brute.plan is not None:
            assert found.objective == pytest.approx(brute.objective, rel=1e-9)
    if p.noise.model == "law" and brute.plan is not None:
        kkt = qopt.solve(p, "kkt")
        assert kkt.objective <= brute.objective * (1 + 1e-9)
        for method in ("cvxpy", "highs-cuts"):
            assert qopt.solve(p, method).objective == pytest.approx(kkt.objective, rel=1e-6)


def test_unequal_widths_are_rejected_and_a_shared_tensor_counts_once() -> None:
    p = qpart(3, seed=1).replace({"network.weights": [100.0, 100.0, 50.0], "cuts": [3]})
    for shared in (False, True):
        tied = p.replace({"network.ties": [{"layers": [1, 2], "shared": shared}]})
        plan = qopt.solve(tied).plan
        assert plan is not None
        b = plan.weights
        assert b[0] == b[1]
        certificate = qopt.certify(tied, plan)
        assert certificate.cost is not None
        assert certificate.cost.download == 100 * b[0] * (1 if shared else 2) + 50 * b[2]
        unequal = plan.model_copy(update={"weights": (16.0, 15.0, 16.0)})
        assert not qopt.certify(tied, unequal).feasible


@pytest.mark.parametrize(
    "ties",
    [
        [{"layers": [1, 4]}],
        [{"layers": [1, 2]}, {"layers": [2, 3]}],
        [{"layers": [2]}],
        [{"layers": [0, 1]}],
        [{"layers": [1, 3], "shared": True}],
    ],
)
def test_bad_ties_take_one_line(ties: list[dict[str, Any]]) -> None:
    p = qpart(3, seed=1).replace({"network.weights": [100.0, 100.0, 50.0]})
    with pytest.raises(InputError) as error:
        p.replace({"network.ties": ties})
    assert "ties" in error.value.field
    assert "\n" not in str(error.value)
