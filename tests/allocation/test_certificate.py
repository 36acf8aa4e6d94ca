"""What a certificate says: to the byte, whatever the witness claims, and with the honest kind of bound."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import every_allocation
import numpy as np
import pytest

import qopt
from qopt.allocation.certificate import closing
from qopt.allocation.certificate.bounds import knapsack_bound, needed
from qopt.allocation.certificate.pairs import ENUMERATED
from qopt.allocation.certificate.reading import read
from qopt.allocation.methods.packing import fullest, pack
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import Allocation
from qopt.core.method import Clock


def test_budgets_in_whole_units_hold_to_the_last_one() -> None:
    """The slack of real limits, 1e-12, would be 10 units here: the plan that needs one more is refused."""
    size = 10**13
    problem = Allocation(
        groups=("a", "b"),
        formats=("small", "large"),
        damage=np.array([[1.0, 0.0], [1.0, 0.5]]),
        resources={"bytes": {"use": [[size, size + 1], [size, size + 1]], "budget": 2 * size}},
    )
    for method in ("auto", "highs-mip", "brute-force", "greedy", "beam", "uniform"):
        solution = qopt.solve(problem, method)
        assert solution.certificate.feasible, method
        assert solution.objective == 2.0, method
    one_more = AllocationPlan(formats={"a": "large", "b": "small"})
    certificate = qopt.certify(problem, one_more)
    assert not certificate.feasible
    assert certificate.violations == (f"budget bytes: {2 * size + 1} of {2 * size}",)
    assert qopt.solve(problem.with_budgets(bytes=2 * size + 1)).objective == 1.0
    assert qopt.solve(problem.with_budgets(bytes=2 * size + 0.99)).objective == 2.0
    assert qopt.solve(problem.with_budgets(bytes=2 * size - 1)).status == "infeasible"


def test_real_budgets_have_the_slack_of_every_limit() -> None:
    problem = Allocation(
        groups=("a", "b"),
        formats=("small", "large"),
        damage=np.array([[1.0, 0.0], [1.0, 0.0]]),
        resources={"latency": {"use": [[0.05, 0.1], [0.05, 0.2]], "budget": 0.3}},
    )
    assert qopt.solve(problem).objective == 0.0  # 0.1 + 0.2 > 0.3 in floats


def test_a_plan_is_certified_without_a_witness_and_a_heuristic_gets_its_true_gap() -> None:
    problem = qopt.load("allocation/teaching-4")
    best = qopt.solve(problem)
    assert qopt.certify(problem, best.plan).proved
    uniform = qopt.solve(problem, "uniform")
    assert (uniform.objective, uniform.certificate.bound) == (20.0, 15.0)
    assert uniform.certificate.gap == 0.25


def rows_problem() -> Allocation:
    return qopt.generate.allocation(6, seed=4, resources=3, tightness=0.4)


FORGED: list[Any] = [
    None,
    5,
    [],
    {},
    {"format": "qopt/allocation-witness"},
    {"format": "qopt/allocation-witness", "version": 2, "kind": "tree", "tree": []},
    {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": []},
    {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": [["leaf", 1, -1, 0, 0]]},
    {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": [["leaf", 0, 1e300, 0, 0]]},
    {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": [["split", 0, [0]]]},
    {"format": "qopt/allocation-witness", "version": 1, "kind": "tree", "tree": [["sums", [0], [1.0]]]},
    {"format": "qopt/allocation-witness", "version": 1, "kind": "pairs", "multipliers": {"rows": {}, "pairs": []}},
]


@pytest.mark.parametrize("forged", FORGED, ids=range(len(FORGED)))
def test_forged_witnesses_prove_nothing(forged: Any) -> None:
    """The bound stays true, a worse plan stays unproved, and nothing raises."""
    problem = rows_problem()
    best = every_allocation.least(problem)
    assert best is not None
    for plan in (qopt.solve(problem).plan, qopt.solve(problem, "uniform").plan):
        certificate = qopt.certify(problem, plan, forged, labels=0)
        assert certificate.bound is None or Fraction(certificate.bound) <= best * (1 + Fraction(1, 10**9))
        assert not certificate.infeasible
        assert certificate.feasible


def test_a_tree_is_held_to_its_leaves() -> None:
    """A tree of another problem, or with a changed multiplier, is taken for what it proves here."""
    problem = rows_problem()
    witness: Any = qopt.solve(problem).witness
    best = every_allocation.least(problem)
    assert best is not None
    changed = copy.deepcopy(witness)
    for node in changed["tree"]:
        if node[0] == "leaf":
            node[2:] = [10 * x for x in node[2:]]
    for proof in (witness, changed):
        bound = knapsack_bound(read(problem), float(best), proof, 0, Clock(None))
        assert bound.value is None or bound.value <= best
    assert bound.value is None or bound.value < needed(float(best))


def test_pairs_have_the_bound_of_the_relaxation_and_say_so() -> None:
    """Too many plans to enumerate: the kind is lp-dual, the bound below the optimum, the status a solver's word."""
    problem = qopt.generate.allocation(8, seed=2, formats=4, interactions=0.3)
    assert ENUMERATED < 4**8
    solution = qopt.solve(problem)
    brute = qopt.solve(problem, "brute-force")
    assert solution.method == "highs-mip"
    assert solution.objective == pytest.approx(brute.objective, rel=1e-9)
    assert solution.certificate.kind == "lp-dual"
    assert solution.certificate.bound is not None
    assert 0.5 * brute.objective < solution.certificate.bound <= brute.objective * (1 + 1e-9)
    assert solution.status == ("optimal" if solution.certificate.proved else "optimal-by-solver")
    forged: Any = copy.deepcopy(solution.witness)
    for sides in forged["multipliers"]["pairs"]:
        sides[0] = [x + 1.0 for x in sides[0]]  # a constant on one side of a pair changes nothing
    assert qopt.certify(problem, solution.plan, forged).bound == pytest.approx(solution.certificate.bound, rel=1e-9)
    for sides in forged["multipliers"]["pairs"]:
        sides[1] = [-1e6 * x for x in sides[1]]
    bound = qopt.certify(problem, solution.plan, forged).bound
    assert bound is not None
    assert bound <= brute.objective


def test_the_additive_optimum_of_pairs_is_worse_or_equal() -> None:
    problem = qopt.generate.allocation(6, seed=5, interactions=0.6)
    additive = qopt.solve(problem.replace({"interactions": []})).plan
    assert qopt.certify(problem, additive).objective >= qopt.solve(problem).objective  # type: ignore[operator]


@pytest.mark.parametrize("seed", range(20))
def test_closing_against_every_sum(seed: int) -> None:
    """Bounds are true for every ceiling, and reach the optimum from any ceiling above it."""
    rng = np.random.default_rng(seed)
    cost, weight = rng.integers(0, 50, (6, 4)).astype(float), rng.integers(0, 50, (6, 4)).astype(float)
    limit = float(np.floor(weight.min(axis=1).sum() + 0.4 * np.ptp(weight, axis=1).sum()))
    sums = [(0.0, 0.0)]
    for i in range(6):
        sums = [(w + weight[i, c], v + cost[i, c]) for w, v in sums for c in range(4)]
    best = min(v for w, v in sums if w <= limit)
    dual = closing.best_multiplier(cost, weight, limit)
    assert dual.bound <= best
    for ceiling in (best - 1, best, best + 0.5, best + 20, 1000.0):
        found = closing.enumerate_below(cost, weight, limit, ceiling, dual, exact=True)
        assert found.complete
        assert found.bound <= best + 1e-9
        assert found.bound == pytest.approx(min(best, ceiling))
    assert not closing.enumerate_below(cost, weight, limit, 1000.0, dual, exact=True, labels=0).complete


def test_nothing_within_a_budget_is_proved_for_one_row_for_pools_and_for_several() -> None:
    problem = qopt.generate.allocation(5, seed=1, pools=3)
    low, _ = problem.range_of("bytes")
    tight = problem.replace(
        {"pools.budgets": dict.fromkeys(problem.pool_names, int(low / 3) - 1), "resources.bytes.budget": None}
    )
    assert qopt.solve(tight).status == "infeasible"
    assert qopt.certify(tight, None).infeasible
    assert not qopt.certify(problem, None).infeasible


def test_packing_against_every_division() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = [int(x) for x in rng.integers(0, 30, rng.integers(1, 8))]
        room = int(rng.integers(0, sum(sizes) + 5))
        inside = fullest(sizes, room)
        assert inside is not None
        sums = {sum(s for i, s in enumerate(sizes) if mask >> i & 1) for mask in range(1 << len(sizes))}
        assert sum(sizes[i] for i in inside) == max(s for s in sums if s <= room)
        other = int(rng.integers(0, sum(sizes) + 5))
        lies = pack(sizes, [room, other])
        assert (lies is not None) == any(s <= room and sum(sizes) - s <= other for s in sums)
        if lies is not None:
            for place, limit in enumerate((room, other)):
                assert sum(s for s, at in zip(sizes, lies, strict=True) if at == place) <= limit
    assert fullest([3], -1) is None


@pytest.mark.parametrize("scale", [1e295, 1e-300, 1.0])
def test_numbers_at_the_ends_of_floats_prove_nothing_false(scale: float) -> None:
    """Where sums overflow or lose their digits the enumeration stands back: no worse plan is called optimal."""
    damage = np.array([[4.0, 1.0], [5.0, 2.0], [6.0, 3.0]]) * scale
    use = [[1, 3], [1, 2], [1, 4]]
    problem = Allocation(
        groups=("a", "b", "c"), formats=("s", "l"), damage=damage, resources={"bytes": {"use": use, "budget": 6}}
    )
    best = every_allocation.least(problem)
    assert best is not None
    for taken in ("sss", "lss", "sls", "ssl", "lls"):
        plan = AllocationPlan(formats=dict(zip("abc", taken, strict=True)))
        certificate = qopt.certify(problem, plan)
        assert certificate.bound is None or Fraction(certificate.bound) <= best
        if certificate.proved:
            assert Fraction(certificate.objective) <= best * (1 + Fraction(1, 10**9))
