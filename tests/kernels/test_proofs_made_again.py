"""Proofs whose checker makes sums or labels again, near grids and contracted flows, against exact enumeration.

`QOPT_NEW_PROOFS` says how many instances of each kind; a few hundred of each take a minute.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from constrained_paths import middling
from exact import allowed
from sweeps import few

from qopt.kernels import exchange, mckp, mincut, rcsp
from qopt.kernels.checker import Verdict, check
from qopt.kernels.cuts import network
from qopt.kernels.knapsack import rows, single

MANY = int(os.environ.get("QOPT_NEW_PROOFS", "60"))


def least(cost: Any, weight: Any, limit: Any) -> Fraction | None:
    """The least cost within all limits, by sums of fractions that no other one beats."""
    room = [Fraction(allowed(float(x))) for x in limit]
    sums = [(Fraction(0),) * (1 + len(room))]
    for i in range(len(cost)):
        items = [tuple(map(Fraction, (*weight[:, i, j].tolist(), float(cost[i, j])))) for j in range(cost.shape[1])]
        longer = sorted({tuple(map(sum, zip(a, b, strict=True))) for a in sums for b in items})
        sums = []
        for each in longer:
            if len(room) > 1 or not sums or each[-1] < sums[-1][-1]:
                sums.append(each)
    fits = [each[-1] for each in sums if all(x <= w for x, w in zip(each, room, strict=False))]
    return min(fits, default=None)


def correlated(seed: int) -> tuple[Any, Any, Any]:
    """Real numbers whose cost + mu weight is near a grid: constants by place, by draw, in any unit."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(3, 6)), int(rng.integers(3, 5))
    mu = float(rng.choice([0.5, 1.0, 3.0, rng.uniform(0.1, 5.0)]))
    step = float(rng.choice([1.0, 10.0, rng.uniform(1.0, 20.0)]))
    weight = np.sort(rng.uniform(1, 100, (n, k)), axis=1)
    if seed % 3:
        weight = np.cumsum(weight, axis=1)
        cost = -mu * weight - step * np.arange(1, k + 1)
    else:
        cost = -mu * weight - step * rng.integers(0, 4, (n, k))
    if seed % 3 == 2:
        cost += rng.uniform(-1e-9, 1e-9, (n, k))
    cost, weight = cost * 10.0 ** float(rng.integers(-6, 7)), weight * 10.0 ** float(rng.integers(-4, 5))
    low, high = weight.min(axis=1).sum(), weight.max(axis=1).sum()
    return cost, weight[None], np.array([low + rng.uniform(0.05, 0.95) * (high - low)])


def several(seed: int) -> tuple[Any, Any, Any]:
    """Two or three rows, whole or real numbers."""
    rng = np.random.default_rng(seed)
    n, k, many = int(rng.integers(3, 7)), int(rng.integers(2, 4)), int(rng.integers(2, 4))
    if seed % 2:
        cost, weight = rng.integers(1, 50, (n, k)).astype(float), rng.integers(1, 50, (many, n, k)).astype(float)
    else:
        cost, weight = rng.normal(0, 10, (n, k)), rng.uniform(0, 10, (many, n, k))
    low, high = weight.min(axis=2).sum(axis=1), weight.max(axis=2).sum(axis=1)
    return cost, weight, low + rng.uniform(0.3, 0.9, many) * (high - low)


def verdict(data: tuple[Any, Any, Any], witness: dict[str, Any]) -> Verdict:
    return check(exchange.mckp_instance(*data), json.loads(json.dumps(witness)))


@pytest.fixture
def made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tree is written where a leaf has sums or labels made again."""
    monkeypatch.setattr(single, "FEW_LABELS", 0)
    monkeypatch.setattr(single, "PROOF_NODES", 0)
    monkeypatch.setattr(rows, "BRANCH_NODES", 0)
    monkeypatch.setattr(rcsp, "LABELS_FROM", 0)


def solved(draw: Any, count: int) -> Iterator[tuple[tuple[Any, Any, Any], mckp.Result, Fraction]]:
    """Random knapsacks with an answer, their results, and their optima; what is claimed is compared."""
    for seed in range(count):
        data = draw(seed)
        cost, weight, limit = data
        result = mckp.solve(cost, weight[0] if len(limit) == 1 else weight, limit[0] if len(limit) == 1 else limit)
        best = least(*data)
        if best is None:
            assert result.status == "infeasible"
            continue
        assert result.objective is not None
        assert result.bound is not None
        assert Fraction(result.bound) - best <= abs(best) / 10**12
        assert Fraction(result.objective) - best <= (abs(best) / 10**9 if result.status == "optimal" else abs(best))
        yield data, result, best


@pytest.mark.usefixtures("made_again")
@pytest.mark.parametrize("draw", [correlated, several])
def test_sums_made_again(draw: Any) -> None:
    forms = 0
    for data, result, _ in solved(draw, few(MANY)):
        if result.status == "optimal":
            assert result.tree is not None
            forms += any(node[0] == "sums" and (len(node) == 4 or draw is several) for node in result.tree)
            found = verdict(data, exchange.mckp_witness(result))
            assert found.accepted, found.reason
    assert forms >= few(MANY) // 10


@pytest.mark.usefixtures("made_again")
@pytest.mark.parametrize("draw", [correlated, several])
def test_no_changed_proof_shows_what_is_false(draw: Any) -> None:
    rng = np.random.default_rng(5)
    for data, result, best in solved(draw, few(MANY // 2)):
        if result.status != "optimal":
            continue
        for _ in range(4):
            witness = copy.deepcopy(exchange.mckp_witness(result))
            tree: Any = witness["tree"]
            node = tree[int(rng.integers(len(tree)))]
            if node[0] == "sums" and len(node) == 4:
                entry = node[3][int(rng.integers(len(node[3])))]
                entry[int(rng.integers(3))] *= float(rng.choice([0.5, 0.9, 1.0 + 1e-6, 1.1, 3.0]))
            elif node[0] != "split":
                tree[:] = [["rounded", *rng.uniform(0.1, 4.0, 3).tolist()]] if len(data[2]) == 1 else [node]
            # An answer that costs more, where the proof is asked to show that it does not.
            choice = [int(rng.integers(data[0].shape[1])) for _ in range(len(data[0]))]
            for answer in (choice, witness["choice"]):
                found = verdict(data, {**witness, "choice": answer})
                if found.accepted:
                    assert found.objective is not None
                    assert found.objective - best <= abs(found.objective) / 10**9


def test_strongly_correlated_real_numbers_are_proved() -> None:
    rng = np.random.default_rng(0)
    weight = np.cumsum(np.sort(rng.uniform(1, 1000, (50, 15)), axis=1), axis=1)
    cost = -weight - 10.0 * np.arange(1, 16)
    limit = 0.5 * float((weight[:, 0] + weight[:, -1]).sum())
    result = mckp.solve(cost, weight, limit)
    assert result.status == "optimal"
    assert result.tree is not None
    assert result.tree[0][0] == "rounded"
    witness = exchange.mckp_witness(result)
    data = (cost, weight[None], np.array([limit]))
    assert verdict(data, witness).accepted
    tree: Any = witness["tree"]
    for at, factor in ((1, 0.5), (1, 2.0), (3, 2.0), (3, 0.5)):
        changed = [*tree[0]]
        changed[at] *= factor
        assert not verdict(data, {**witness, "tree": [changed]}).accepted
    for broken in (["rounded", 1.0, 1.0, 0.0], ["rounded", -1.0, 1.0, 10.0], ["rounded", 1.0, 1.0, 10.0, 2.0]):
        assert not verdict(data, {**witness, "tree": [broken]}).accepted


@pytest.mark.usefixtures("made_again")
def test_labels_of_paths_made_again() -> None:
    forms = 0
    for seed in range(few(MANY // 3)):
        rng = np.random.default_rng(seed)
        graph, limit = middling(rng, 1 + seed % 2)
        result, plain = rcsp.solve(graph, limit), rcsp.solve(graph, limit, witness_labels=0, witness_nodes=5_000)
        assert result.status == plain.status == "optimal"
        assert result.tree is not None
        assert plain.tree is not None
        assert all(node[0] != "labels" for node in plain.tree)
        forms += result.tree[0][0] == "labels"
        proofs = [check(exchange.rcsp_instance(graph, limit), exchange.rcsp_witness(x)) for x in (result, plain)]
        assert all(proof.accepted for proof in proofs)
        assert proofs[0].objective == proofs[1].objective
    assert forms


def test_contracted_flows_are_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    contracted = []
    original = network.contracted_flow

    def counted(*given: Any) -> Any:
        found = original(*given)
        contracted.append(found is not None)
        return found

    monkeypatch.setattr(network, "contracted_flow", counted)
    for seed in range(few(MANY)):
        rng = np.random.default_rng(seed)
        n, labels = int(rng.integers(10, 60)), int(rng.integers(2, 5))
        unary = 10.0 ** rng.uniform(-1, 2, (n, 1)) * np.exp(rng.normal(0, 1, (n, labels)))
        unary[:2, 1:] = np.inf
        tensors = [
            (u, sorted({*rng.integers(u + 1, min(n, u + 12), 2).tolist()}), (10.0 ** rng.uniform(-1.5, 1, labels - 1)))
            for u in range(n - 1)
        ]
        if seed % 4 == 0:
            unary, tensors = np.round(unary), [(u, r, np.round(10 * w)) for u, r, w in tensors]
        result = mincut.solve(unary, tensors)
        assert result.status == "optimal"
        if seed % 4 == 0:
            assert result.objective == result.bound
        found = check(exchange.cut_instance(unary, tensors), exchange.cut_witness(result))
        assert found.accepted, found.reason
    assert any(contracted)
