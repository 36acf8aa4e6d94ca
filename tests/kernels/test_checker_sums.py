"""Leaves of sums, rounded leaves, and gaps that an answer leaves: the checker against enumeration."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from kernel_files import CUT, Data, answers, headed
from sweeps import few

from qopt.kernels import exchange, mckp
from qopt.kernels.checker import check


def instance(seed: int) -> Data:
    """A small knapsack, of integers or of real numbers, some of them negative."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 6)), int(rng.integers(2, 5))
    weight = rng.integers(0, 9, (n, k)).astype(float) if seed % 2 else rng.normal(3, 2, (n, k))
    cost = 9.0 - weight + rng.integers(-2, 3, (n, k))
    low, high = float(weight.min(axis=1).sum()), float(weight.max(axis=1).sum())
    return exchange.mckp_instance(cost, weight, low + float(rng.uniform(0, 1)) * (high - low))


def solved(data: Data, **options: Any) -> mckp.Result:
    return mckp.solve(np.array(data["cost"]), np.array(data["weight"][0]), data["limit"][0], **options)


@pytest.fixture(scope="module")
def proved() -> list[tuple[Data, Data]]:
    """Instances whose witness is, or ends in, a leaf of sums."""
    found = []
    for seed in range(few(600)):
        data = instance(seed)
        result = solved(data, branch_nodes=0)
        if result.tree and result.tree[0][0] == "sums":
            found.append((data, exchange.mckp_witness(result)))
    return found


def least(data: Data) -> Fraction:
    return min(cost for _, cost in answers(data))


def test_sums_prove_what_enumeration_finds(proved: list[tuple[Data, Data]]) -> None:
    assert len(proved) >= few(100)
    for data, witness in proved:
        verdict = check(data, json.loads(json.dumps(witness)))
        assert verdict.accepted, verdict.reason
        assert verdict.objective is not None
        assert verdict.objective - least(data) <= abs(verdict.objective) / 10**9


def test_sums_of_other_data_prove_nothing_false(proved: list[tuple[Data, Data]]) -> None:
    rng = np.random.default_rng(1)
    refused = 0
    for data, witness in proved:
        changed = copy.deepcopy(data)
        i, j = int(rng.integers(len(data["cost"]))), int(rng.integers(len(data["cost"][0])))
        if rng.random() < 0.5:
            changed["cost"][i][j] -= float(rng.integers(1, 9))
        else:
            changed["weight"][0][i][j] -= float(rng.integers(1, 9))
        verdict = check(changed, witness)
        refused += not verdict.accepted
        if verdict.accepted:
            assert verdict.objective is not None
            assert verdict.objective - least(changed) <= abs(verdict.objective) / 10**9
    assert refused >= few(20)


def test_a_worse_choice_is_refused_beside_the_same_sums(proved: list[tuple[Data, Data]]) -> None:
    tried = 0
    for data, witness in proved:
        best = least(data)
        for choice, cost in answers(data):
            if cost > best + Fraction(1, 10**6):
                tried += 1
                assert not check(data, {**witness, "choice": choice}).accepted
                break
    assert tried >= few(50)


def test_sums_inside_a_tree() -> None:
    """Classes of two columns; the first is split by hand, each side is left to sums."""
    cost, weight = [[3, 0], [3, 0], [3, 1]], [[0, 2], [0, 3], [0, 2]]
    data = exchange.mckp_instance(cost, weight, 4)
    tree: list[Any] = [["split", 0, [1]], ["sums", [2, 1], []], ["sums", [1, 2], [0.5]]]
    witness = headed("witness", "mckp", choice=[1, 0, 1], tree=tree)
    assert least(data) == 4
    assert check(data, witness).accepted
    assert not check(data, {**witness, "choice": [0, 1, 0]}).accepted
    assert not check(data, {**witness, "tree": tree[:2]}).accepted


@pytest.mark.parametrize(
    "node",
    [
        ["sums"],
        ["sums", [0, 1]],
        ["sums", [0, 1], [0.5], 1],
        ["sums", [0, 0], [0.5]],
        ["sums", [0, 2], [0.5]],
        ["sums", [0, True], [0.5]],
        ["sums", [0, 1], [-0.5]],
        ["sums", [0, 1], [float("nan")]],
        ["sums", [0, 1], ["0.5"]],
        ["sums", 0, 0.5],
        ["sums", [0, 1], [1e301]],
    ],
)
def test_malformed_sums_are_refused(node: list[Any]) -> None:
    data = exchange.mckp_instance([[1, 0], [1, 0]], [[0, 1], [0, 1]], 1)
    good = headed("witness", "mckp", choice=[1, 0], tree=[["sums", [0, 1], [0.5]]])
    assert check(data, good).accepted
    assert not check(data, {**good, "tree": [node]}).accepted


def test_sums_are_for_knapsacks_of_one_limit_and_need_an_answer() -> None:
    two = exchange.mckp_instance([[1, 0]], [[[0, 1]], [[0, 1]]], [1, 1])
    witness = headed("witness", "mckp", choice=[1], tree=[["sums", [0], []]])
    assert not check(two, witness).accepted
    none = exchange.mckp_instance([[1, 0]], [[2, 3]], 1)
    assert not check(none, {**witness, "choice": None}).accepted
    free = {**exchange.mckp_instance([[1, 0]], [[2, 3]], 5), "limit": [None]}
    assert not check(free, witness).accepted
    path = headed("instance", "rcsp", vertices=2, source=0, target=1, arcs=[[0, 1, 1, 1]], limit=[1])
    assert not check(path, headed("witness", "rcsp", path=[0], tree=[["sums", [], []]])).accepted


@pytest.mark.parametrize("gap", [1e-3, 0.05, 0.5])
def test_a_gap_is_proved_and_no_smaller_one(gap: float) -> None:
    within = 0
    for seed in range(few(80)):
        data = instance(seed)
        result = solved(data, gap=gap)
        verdict = check(data, exchange.mckp_witness(result), gap=1.0001 * gap)
        assert verdict.accepted, verdict.reason
        assert verdict.objective is not None
        assert verdict.bound is not None
        assert verdict.bound <= least(data)
        if result.status != "within-gap":
            continue
        within += 1
        assert verdict.objective - verdict.bound <= Fraction(1.0001 * gap) * abs(verdict.objective)
        if verdict.objective > least(data):
            assert not check(data, {**exchange.mckp_witness(result), "gap": 1e-9}).accepted
            assert not check(data, {**exchange.mckp_witness(result), "gap": 1e-9}, gap=gap).accepted  # held to its word
    assert within >= few(5) or gap < 0.01


@pytest.mark.parametrize("gap", [-0.1, "0.1", [0.1], True, float("inf"), float("nan"), 10**400])
def test_a_malformed_gap_is_refused_whoever_states_it(gap: Any) -> None:
    data = exchange.mckp_instance([[1, 0.9]], [[0, 1]], 1)
    worse = headed("witness", "mckp", choice=[0], tree=[["leaf", 1, 0.0]])
    assert check(data, {**worse, "gap": 0.1000001}, gap=0.2).accepted
    for verdict in (check(data, {**worse, "gap": gap}, gap=0.2), check(data, worse, gap=gap)):
        assert not verdict.accepted
        assert "gap" in verdict.reason
        assert "\n" not in verdict.reason


def test_the_caller_states_the_gap() -> None:
    """10 % are open. A witness may claim that it is less, and is held to that; what it allows itself is refused."""
    data = exchange.mckp_instance([[1, 0.9]], [[0, 1]], 1)
    worse = headed("witness", "mckp", choice=[0], tree=[["leaf", 1, 0.0]])
    huge = check(data, {**worse, "gap": 1e9})
    assert huge.reason == "the witness: its gap of 1000000000.0 is not between 0 and the 1e-09 that is allowed"
    assert "does not reach" in check(data, worse).reason
    assert "does not reach" in check(data, worse, gap=0.0999).reason
    assert "does not reach" in check(data, {**worse, "gap": 0.05}, gap=0.2).reason
    assert check(data, worse, gap=0.1001).reason == "nothing is cheaper by more than 0.1 of it"
    assert check(data, {**worse, "gap": 0.15}, gap=0.2).accepted
    assert "is allowed" in check(data, {**worse, "gap": 0.15}, gap=0.12).reason
    best = {**worse, "choice": [1], "gap": 0.0}
    for gap in (0.0, 1e-12, 1e-9, 5):
        assert check(data, best, gap=gap).reason == "nothing is cheaper"
    # Nothing is feasible, or a cut: the same rule.
    none = exchange.mckp_instance([[1, 0.9]], [[2, 3]], 1)
    ray = headed("witness", "mckp", choice=None, tree=[["leaf", 0, 1.0]])
    assert check(none, ray).accepted
    assert "is allowed" in check(none, {**ray, "gap": 1}).reason
    flow = headed("witness", "cut", labels=[0, 1], flow=[[0, 0, 0, 2]])
    assert not check(CUT, flow).accepted
    assert check(CUT, flow, gap=0.4).bound == 2  # of 3
    assert "is allowed" in check(CUT, {**flow, "gap": 0.4}).reason


# --- rounded leaves -----------------------------------------------------------------------------------------------


def strong(seed: int) -> Data:
    """Profits are a weight, a few times, and a constant for each column."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(3, 6)), int(rng.integers(2, 5))
    weight = np.cumsum(np.sort(rng.integers(1, 12, (n, k)), axis=1), axis=1) / float(rng.choice([1, 4]))
    cost = -(weight * rng.integers(1, 4) + float(rng.integers(2, 9)) * np.arange(1, k + 1))
    low, high = float(weight.min(axis=1).sum()), float(weight.max(axis=1).sum())
    return exchange.mckp_instance(cost, weight, low + float(rng.uniform(0, 1)) * (high - low))


@pytest.fixture(scope="module")
def rounded() -> list[tuple[Data, Data]]:
    """Instances whose witness is a rounded leaf."""
    found = []
    for seed in range(few(800)):
        data = strong(seed)
        witness = exchange.mckp_witness(solved(data))
        if witness["tree"][0][0] == "rounded":
            found.append((data, witness))
    return found


def test_rounding_proves_what_enumeration_finds(rounded: list[tuple[Data, Data]]) -> None:
    assert len(rounded) >= few(60)
    for data, witness in rounded:
        verdict = check(data, json.loads(json.dumps(witness)))
        assert verdict.accepted, verdict.reason
        assert verdict.objective == least(data)


def test_rounding_of_other_data_or_multipliers_proves_nothing_false(rounded: list[tuple[Data, Data]]) -> None:
    rng = np.random.default_rng(2)
    refused = 0
    for data, witness in rounded * 3:
        changed, proof = copy.deepcopy(data), copy.deepcopy(witness)
        i, j = int(rng.integers(len(data["cost"]))), int(rng.integers(len(data["cost"][0])))
        match int(rng.integers(4)):
            case 0:
                changed["cost"][i][j] -= float(rng.integers(1, 9))
            case 1:
                changed["weight"][0][i][j] -= float(rng.integers(1, 9))
            case 2:
                proof["tree"][0][1 + int(rng.integers(2))] *= float(rng.choice([0.0, 0.5, 1.1, 2.0]))
            case _:
                changed["limit"][0] += float(rng.integers(1, 5))
        verdict = check(changed, proof)
        refused += not verdict.accepted
        if verdict.accepted:
            assert verdict.objective is not None
            assert verdict.objective - least(changed) <= abs(verdict.objective) / 10**9
    assert refused >= few(60)


@pytest.mark.parametrize(
    "node",
    [
        ["rounded"],
        ["rounded", 1],
        ["rounded", 1, -2.5],
        ["rounded", -1, 2.5],
        ["rounded", 1, "2.5"],
        ["rounded", 1, 2.5, 0],
        ["rounded", 1, 0.0],
        ["rounded", 0.5, 2.5],
    ],
)
def test_other_rounded_leaves_are_refused(node: list[Any]) -> None:
    """Cost + weight is -10 for each item taken; 1.25 of them fit, so one does, and costs -10 - 4 at least."""
    data = exchange.mckp_instance([[0, -13], [0, -14]], [[0, 3], [0, 4]], 4)
    good = headed("witness", "mckp", choice=[0, 1], tree=[["rounded", 1, 2.5]])
    assert check(data, good).accepted
    assert not check(data, {**good, "tree": [["leaf", 1, 3.5]]}).accepted
    assert not check(data, {**good, "tree": [node]}).accepted
