"""Small fleets: bound <= optimum <= plan, and exact methods and an enumeration of their own come to one optimum."""

from __future__ import annotations

import pytest
from every_fleet import optimum, small

import qopt

EXACT = ("mckp", "brute-force", "highs-mip")
BOUNDS = ("lagrangian", "column-generation")
RULES = ("own-best", "greedy", "least-loaded")


def test_exact_methods_and_bounds() -> None:
    for seed in range(12):
        check(seed)


@pytest.mark.sweep
def test_exact_methods_and_bounds_of_many() -> None:
    for seed in range(12, 212):
        check(seed)


def check(seed: int) -> None:
    """All methods on one fleet."""
    problem = small(seed)
    least = optimum(problem)
    for method in EXACT:
        found = qopt.solve(problem, method)
        assert (found.status, found.objective) == ("optimal", least), (seed, method, found.status, found.objective)
    for method in BOUNDS:
        found = qopt.solve(problem, method)
        assert found.bound is not None
        assert found.bound <= least <= found.objective, (seed, method)
        certificate = qopt.certify(problem, found.plan, found.witness, labels=0)
        assert certificate.feasible
        assert certificate.bound is not None
        assert certificate.bound <= least <= certificate.objective
        assert certificate.bound >= found.bound - 1e-9, (seed, method)
    for method in RULES:
        found = qopt.solve(problem, method)
        assert found.certificate.feasible
        assert found.objective >= least


def test_pyomo_comes_to_the_same() -> None:
    problem = small(4)
    assert qopt.solve(problem, "pyomo").objective == optimum(problem)
