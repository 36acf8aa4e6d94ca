"""Small fleets: bound <= optimum <= plan, and exact methods and an enumeration of their own come to one optimum."""

from __future__ import annotations

from typing import Any

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
    for seed in range(12, 112):
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


@pytest.mark.parametrize(
    "changes",
    [
        lambda n: {"requests.count": [0, *[1] * (n - 1)]},
        lambda n: {"requests.deadline": [0] * n},
        lambda n: {"requests.up": [0] * n, "requests.down": [0] * n},
        lambda n: {"requests.count": [2, *[0] * (n - 1)], "requests.deadline": [0] * n},
    ],
    ids=["a row of none", "all late", "nothing sent", "late and none"],
)
def test_requests_without_a_choice(changes: Any) -> None:
    for seed in (1, 4, 6):
        problem = small(seed)
        changed = problem.replace(changes(len(problem.requests.kind)))
        least = optimum(changed)
        for method in (*EXACT, *BOUNDS, *RULES):
            found = qopt.solve(changed, method)
            assert found.certificate.feasible, (seed, method)
            assert found.objective >= least
            assert found.bound is None or found.bound <= least
            assert method not in EXACT or found.objective == least


def test_a_bound_above_a_plan_is_no_proof() -> None:
    """Multipliers of another fleet may bound this one badly, never above its optimum; what is above is refused."""
    problem = small(4)
    found = qopt.solve(problem, "lagrangian")
    cheaper = problem.replace({f"classes.{name}.cost": [0] * len(o.name) for name, o in problem.classes.items()})
    certificate = qopt.certify(cheaper, found.plan, found.witness)
    assert certificate.bound is None or certificate.bound <= optimum(cheaper)
