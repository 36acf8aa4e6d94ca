"""Limits met to the last digit, and times that mean "not here": every method ends, and none claims what is false."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from qopt import certify, solve
from qopt.placement.problem import Placement

JUST_SHORT = 0.9999999999989964
"""With its slack of 1e-12 it holds less than 1 by 3.6e-15, which a flow of rounded costs cannot tell."""


def two_tiers(memory: float | None, weights: list[float]) -> Placement:
    """Operations side by side on two equal tiers; sending the input up costs one second."""
    names = [f"op{i}" for i in range(len(weights))]
    return Placement(
        graph={"operations": names, "work": [1.0] * len(names), "weights": weights},
        input={"sizes": [1.0], "readers": names},
        tiers=[{"name": "m", "speed": 1.0, "memory": memory}, {"name": "e", "speed": 1.0}],
        links=[{"rate": 1.0}],
        operators=[{"name": "id", "accuracy": 0.9}],
    )


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.5], [0.1, 0.2, 0.7], [1.0, 1.0]])
def test_a_plan_that_breaks_a_limit_by_less_than_rounding(weights: list[float]) -> None:
    problem = two_tiers(JUST_SHORT, weights)
    found = solve(problem, "cut-branch", time_limit=20.0)
    assert found.status == "optimal"
    assert found.objective == solve(problem, "brute-force").objective
    assert found.details["nodes"] < 2 ** (len(weights) + 1)
    assert certify(problem, found.plan, found.witness).proved
    assert solve(two_tiers(1.0, weights), "cut-branch").certificate.proved


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(s, marks=pytest.mark.sweep) for s in range(2, 20))])
def test_memories_within_an_ulp_of_a_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = (rng.integers(1, 10, 5) / 10).tolist()
    sums = [math.fsum(part) for k in range(1, 5) for part in itertools.combinations(weights, k)]
    exact = sums[rng.integers(len(sums))] / (1.0 + 1e-12)
    for memory in (math.nextafter(exact, 0.0), exact, math.nextafter(exact, math.inf)):
        problem = two_tiers(memory, weights)
        found = solve(problem, "cut-branch", time_limit=20.0)
        assert found.status == "optimal"
        assert found.objective == solve(problem, "brute-force").objective


def test_a_leaf_of_one_plan_is_refused_where_more_are_left() -> None:
    problem = two_tiers(JUST_SHORT, [0.5, 0.5])
    found = solve(problem, "cut-branch")
    witness: Any = {"format": "qopt/placement-witness", "version": 1, "operators": {"id": [["plan"]]}}
    refused = certify(problem, found.plan, witness)
    assert "a leaf of one plan where more are left" in refused.notes[0]
    # Every plan by itself is a proof too.
    each = ["plan"]
    side = [["split", "op1", ["m"]], each, each]
    witness["operators"]["id"] = [["split", "op0", ["m"]], *side, *side]
    assert certify(problem, found.plan, witness).kind == "witness"
    assert certify(problem, found.plan, witness).proved


def not_on_the_device(seconds: float, memory: float | None = None) -> Placement:
    """Three operations, the second of which takes for ever on the device."""
    return Placement(
        graph={
            "operations": ["a", "b", "c"],
            "work": [1, 1, 1],
            "weights": [1, 1, 1],
            "tensors": [
                {"producer": "a", "readers": ["b"], "size": 1e-4},
                {"producer": "a", "readers": ["c"], "size": 2e-4},
            ],
        },
        input={"sizes": [0], "readers": ["a"]},
        tiers=[{"name": "m", "speed": 1.0, "memory": memory}, {"name": "e", "speed": 1.0}],
        links=[{"rate": 1000.0}],
        operators=[{"name": "id", "accuracy": 0.9, "time": [[1e-6, 5e-6], [seconds, 3], [3e-6, 2.9e-6]]}],
    )


@pytest.mark.parametrize("method", ["brute-force", "cut-branch", "highs-mip", "pyomo", "cvxpy"])
@pytest.mark.parametrize("seconds", [1e6, 1e17, 1e90])
def test_a_time_that_means_not_here(method: str, seconds: float) -> None:
    found = solve(not_on_the_device(seconds), method)
    assert found.plan is not None
    assert found.objective == pytest.approx(3.0000041, rel=1e-12)


@pytest.mark.parametrize("method", ["cut-branch", "highs-mip", "pyomo"])
def test_a_time_that_means_not_here_beside_a_limit(method: str) -> None:
    found = solve(not_on_the_device(1e17, memory=1.0), method)
    assert found.plan is not None
    assert found.objective == pytest.approx(3.0000042, rel=1e-12)
