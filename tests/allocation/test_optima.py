"""Every method against every plan, on random problems: one optimum, and no claim that does not hold."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import every_allocation
import numpy as np
import pytest

import qopt
from qopt.allocation.certificate.bounds import needed
from qopt.allocation.methods.registry import METHODS
from qopt.allocation.problem import Allocation

EXACT = [method.name for method in METHODS if method.exact]
SLOW = ("pyomo", "cvxpy")
"""A second or so a solve."""

SWEEP = int(os.environ.get("QOPT_ALLOCATIONS", "200"))
"""Random problems of the sweep."""


def drawn(seed: int) -> Allocation:
    """A small problem of any kind: 1 to 4 resources, pools, ties, menus with gaps, either direction, pairs or none."""
    rng = np.random.default_rng([20, seed])
    pools, pairs = int(rng.integers(1, 4)), rng.random() < 0.25
    formats = int(rng.integers(2, 5))
    most = 5 if pools > 1 else 7
    resources = int(rng.integers(1, 5))
    options: dict[str, Any] = {
        "formats": formats,
        "resources": resources,
        "pools": pools,
        "ties": float(rng.choice([0.0, 0.3])),
        "menus": float(rng.choice([1.0, 0.7])),
        "interactions": 0.5 if pairs else 0.0,
        "tightness": float(rng.choice([0.1, 0.3, 0.5, 0.8])),
        "minimise": "damage" if rng.random() < 0.7 else str(rng.choice(["bytes", "bops"][:resources])),
        "spread": float(rng.choice([0.5, 2.0])),
    }
    problem = qopt.generate.allocation(int(rng.integers(2, most)), seed=seed, **options)
    if rng.random() < 0.3:
        problem = problem.replace({"resources.bytes.fixed": int(rng.integers(1, 1000))})
    return problem


def check(problem: Allocation, methods: list[str]) -> None:
    """Solve with every method; exact ones must find the optimum, and what is proved must be true."""
    best = every_allocation.least(problem)
    for row in METHODS:
        if row.name not in methods or row.unavailable(problem):
            continue
        solution = qopt.solve(problem, row.name)
        certificate = solution.certificate
        where = f"{problem.name} by {row.name}: {solution.status}"
        if best is None:
            assert solution.plan is None or not certificate.feasible, where
            assert solution.status in ("infeasible", "infeasible-by-solver", "failed"), where
            continue
        assert not certificate.infeasible, where
        assert certificate.bound is None or Fraction(certificate.bound) <= best + abs(best) * Fraction(1, 10**9), where
        if row.exact:
            assert solution.status in ("optimal", "optimal-by-solver"), where
            assert certificate.feasible, where
            assert abs(Fraction(solution.objective) - best) <= abs(best) * Fraction(1, 10**9), where
            if not problem.interactions:
                assert solution.status == "optimal", where
        if certificate.feasible:
            assert solution.objective is not None
            assert Fraction(solution.objective) >= best - abs(best) * Fraction(1, 10**9), where
            assert certificate.proved == (Fraction(certificate.bound) >= needed(solution.objective)), where


@pytest.mark.parametrize("seed", range(12))
def test_methods_find_the_optimum(seed: int) -> None:
    check(drawn(seed), [method.name for method in METHODS if method.name not in SLOW])


@pytest.mark.parametrize("seed", range(2))
def test_readable_models_find_the_optimum(seed: int) -> None:
    check(drawn(seed), list(SLOW))


@pytest.mark.sweep
def test_many() -> None:
    for seed in range(SWEEP):
        quick = [method.name for method in METHODS if method.name not in SLOW]
        check(drawn(1000 + seed), quick + (list(SLOW) if seed % 50 == 0 else []))
