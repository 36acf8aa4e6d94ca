"""Methods against each other on random requests: one optimum, one status, every claim certified."""

from __future__ import annotations

import functools
import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from sweeps import swept

from qopt.core.method import Options, named
from qopt.core.solution import Outcome
from qopt.core.solving import solve
from qopt.kernels import mckp as knapsack
from qopt.kernels.waterfill import LN4
from qopt.qpart.certificate.certify import certify
from qopt.qpart.costs import breakdown
from qopt.qpart.generate import qpart
from qopt.qpart.methods import registry
from qopt.qpart.plan import checked_plan
from qopt.qpart.problem import QPart
from qopt.qpart.screening import cut_bounds
from qopt.qpart.subproblem import subproblems

WHOLE = ("brute-force", "mckp", "highs-mip", "pyomo")
FORMULATIONS = ("one-hot", "aggregated", "big-m", "hull")
REAL = ("kkt", "cvxpy", "highs-cuts")
CASES = 100


@functools.cache
def case(seed: int, noise: str | None = None) -> QPart:
    """A small random request: any noise, tied or branched, with memory, fewer cuts, limits that bind hard or never."""
    rnd = random.Random(seed)
    layers = rnd.choice([1, 2, 3, 3, 4, 4])
    model: Any = rnd.choice(["law", "grid", "table"])
    lo = rnd.choice([1, 1, 1, 2, 4])
    hi = lo + rnd.choice([0, 1, 2, 4, 4, 5])
    problem = qpart(
        layers,
        seed=seed,
        noise=noise or model,  # type: ignore[arg-type]
        bits=(lo, hi),
        reference_bits=rnd.randint(lo, hi),
        tie_cut=rnd.random() < 0.3,
        branches=rnd.random() < 0.3,
        insensitive=rnd.choice([0.0, 0.0, 0.3]),
        objective_scale=rnd.choice([1.0, 1.0, 1e-9, 1e9]),
        noise_scale=rnd.choice([1.0, 1.0, 1e-9, 1e9]),
    )
    changes: dict[str, Any] = {}
    if rnd.random() < 0.4:
        changes["device.memory"] = float(problem.network.weights.sum()) * rnd.uniform(0.5, 3) * lo
    if rnd.random() < 0.3:
        changes["accuracy.delta"] = (problem.accuracy.delta * rnd.choice([4.0, 64.0, 1e-3])).tolist()
    if rnd.random() < 0.7:
        changes["cuts"] = sorted(rnd.sample(range(1, layers + 1), rnd.randint(1, layers)))
    if rnd.random() < 0.2:
        changes["send_output"] = False
    return problem.replace(changes)


@functools.cache
def outcome(seed: int, method: str, formulation: str | None = None) -> Outcome:
    return named(registry.METHODS, method).run(case(seed), Options(formulation=formulation))


def value(problem: QPart, found: Outcome) -> float | None:
    return None if found.plan is None else breakdown(problem, checked_plan(problem, found.plan)).objective


def check_same_answer(seed: int, method: str, formulation: str | None = None) -> None:
    problem, truth = case(seed), outcome(seed, "brute-force")
    found = outcome(seed, method, formulation)
    assert found.status == truth.status
    best = value(problem, truth)
    if best is None:
        assert found.plan is None
        return
    mine = value(problem, found)
    assert mine is not None
    assert abs(mine - best) <= 1e-9 * abs(best)
    certificate = certify(problem, found.plan, found.witness, bits="whole")
    assert certificate.feasible
    assert found.bound is None or found.bound <= best * (1 + 1e-6)


def test_the_cases_are_of_every_kind() -> None:
    """Tests on random cases are worth what the cases are."""
    cases = [case(seed) for seed in range(CASES)]
    found = [outcome(seed, "brute-force") for seed in range(CASES)]
    assert {p.noise.model for p in cases} == {"law", "grid", "table"}
    assert {len(p.network) for p in cases} == {1, 2, 3, 4}
    for kinds in (
        [f.status == "infeasible" for f in found],
        [p.tie_cut for p in cases],
        [p.device.memory is not None for p in cases],
        [p.send_output for p in cases],
        [p.network.last_reader is not None for p in cases],
    ):
        assert 5 <= sum(kinds) <= 95
    cuts = {f.plan.cut for f in found if f.plan}
    assert cuts == {0, 1, 2, 3, 4}
    # Plans are worth choosing: many are not all widths alike.
    assert sum(len({*f.plan.weights, *f.plan.activations}) > 1 for f in found if f.plan) > 20
    # Some plan is limited by memory: without it the optimum would be another.
    limited = [s for s in range(CASES) if case(s).device.memory is not None]
    free = {
        s: named(registry.METHODS, "mckp").run(case(s).replace({"device.memory": None}), Options()) for s in limited
    }
    assert any(value(case(s), free[s]) != value(case(s), outcome(s, "brute-force")) for s in limited)


@pytest.mark.parametrize("seed", range(CASES))
def test_the_knapsack_finds_the_optimum_and_proves_it(seed: int) -> None:
    check_same_answer(seed, "mckp")
    problem, found = case(seed), outcome(seed, "mckp")
    assert found.witness is not None
    # The witness has to do without enumeration.
    certificate = certify(problem, found.plan, found.witness, bits="whole", labels=0)
    assert certificate.infeasible if found.plan is None else certificate.proved
    assert not [note for note in certificate.notes if "witness" in note]


@pytest.mark.parametrize("seed", range(CASES))
def test_the_arrays_for_highs_have_the_same_optimum(seed: int) -> None:
    check_same_answer(seed, "highs-mip")


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("seed", swept(range(0, CASES, 4), lambda seed: seed >= CASES // 4))
def test_every_formulation_has_the_same_optimum(seed: int, formulation: str) -> None:
    check_same_answer(seed, "pyomo", formulation)


@pytest.mark.parametrize("method", ["round-up", "uniform"])
def test_heuristics_are_feasible_and_not_below_the_optimum(method: str) -> None:
    plans = 0
    for seed in range(CASES):
        problem, found = case(seed), outcome(seed, method)
        assert found.status == "heuristic"
        if found.plan is None:
            continue
        plans += 1
        mine, best = value(problem, found), value(problem, outcome(seed, "brute-force"))
        assert mine is not None
        assert best is not None
        assert mine >= best * (1 - 1e-12)
        assert certify(problem, found.plan, labels=0).feasible
    assert plans > CASES / 2


@pytest.mark.parametrize("seed", range(CASES))
def test_chain_of_bounds(seed: int) -> None:
    """Real-valued <= LP relaxation <= whole <= rounded up; noise by a table breaks the first and the last link."""
    problem = case(seed)
    whole = value(problem, outcome(seed, "brute-force"))
    table = subproblems(problem)
    relaxed = math.inf
    for cut in problem.admissible_cuts:
        at = table.at(int(cut))
        bound = knapsack.lp_bound(at.cost, at.noise, at.limit)
        if bound is not None:
            relaxed = min(relaxed, at.base + bound)
    screened = float(cut_bounds(table)[problem.admissible_cuts].min())
    if whole is None:
        return
    assert screened <= relaxed * (1 + 1e-9)
    assert relaxed <= whole * (1 + 1e-9)
    rounded = value(problem, outcome(seed, "round-up"))
    assert rounded is None or whole <= rounded * (1 + 1e-9)
    if problem.noise.model == "law":
        found = named(registry.METHODS, "kkt").run(problem, Options())
        real = value(problem, found)
        assert real is not None
        assert screened <= real * (1 + 1e-9)
        assert real <= whole * (1 + 1e-9)
        if problem.device.memory is None:  # this relaxation knows no memory
            assert real <= relaxed * (1 + 1e-9)


@functools.cache
def convex_case(seed: int) -> QPart:
    rnd = random.Random(1000 + seed)
    return (
        qpart(
            rnd.randint(1, 12),
            seed=seed,
            spread=rnd.choice([0.5, 2.0, 4.0]),
            tie_cut=rnd.random() < 0.3,
            branches=rnd.random() < 0.3,
            insensitive=rnd.choice([0.0, 0.2]),
            reference_bits=rnd.choice([3, 6, 10]),
            memory=rnd.choice([None, 0.8]),
            objective_scale=10.0 ** rnd.randint(-9, 9),
            noise_scale=10.0 ** rnd.randint(-9, 9),
        )
        if seed % 3
        else _deep(rnd, seed)
    )


def _deep(rnd: random.Random, seed: int) -> QPart:
    """A request whose cut is deep, so that many widths are chosen."""
    layers = rnd.randint(2, 20)
    return qpart(
        layers,
        seed=seed,
        objective_scale=10.0 ** rnd.randint(-9, 9),
        noise_scale=10.0 ** rnd.randint(-9, 9),
        cuts=[layers],
    )


CONVEX = 30


@pytest.mark.parametrize("seed", range(CONVEX))
def test_closed_form_is_certified(seed: int) -> None:
    problem = convex_case(seed)
    found = solve(problem, "kkt")
    assert found.status == "optimal"
    kkt = found.certificate.kkt
    assert kkt is not None
    assert kkt.worst <= 1e-9


@pytest.mark.parametrize(
    ("method", "solver", "objective", "multiplier", "seed"),
    swept(
        [("highs-cuts", None, 1e-6, 1e-5, seed) for seed in range(CONVEX)]
        + [("cvxpy", "clarabel", 1e-6, 1e-5, seed) for seed in range(CONVEX)]
        + [("cvxpy", "scs", 1e-4, None, seed) for seed in range(0, CONVEX, 5)],  # a first-order method is slow
        lambda case: case[-1] > 10,
    ),
)
def test_convex_solvers_agree_with_the_closed_form(
    method: str, solver: str | None, objective: float, multiplier: float | None, seed: int
) -> None:
    problem = convex_case(seed)
    mine = named(registry.METHODS, "kkt").run(problem, Options())
    other = named(registry.METHODS, method).run(problem, Options(solver=solver))
    assert other.plan is not None, other
    assert mine.plan is not None
    assert certify(problem, other.plan, labels=0).feasible
    ours, theirs = breakdown(problem, mine.plan), breakdown(problem, other.plan)
    assert abs(ours.objective - theirs.objective) <= objective * abs(ours.objective)
    if multiplier is None:
        return
    assert other.status == "optimal"
    assert other.bound is not None
    assert other.bound <= ours.objective * (1 + 1e-9)
    if mine.plan.cut == other.plan.cut and mine.plan.cut:
        a, b = mine.details["multiplier"], other.details["multiplier"]
        assert abs(a - b) <= multiplier * max(a, b)


def test_the_multiplier_is_the_price_of_accuracy() -> None:
    """lambda = - d objective / d Delta, by differences."""
    problem = qpart(6, seed=5, cuts=[6])
    found = named(registry.METHODS, "kkt").run(problem, Options())
    lam = found.details["multiplier"]
    assert lam > 0
    assert found.details["water_level"] == pytest.approx(1 / (lam * LN4))
    delta = float(problem.delta[5])
    step = 1e-4 * delta
    values = []
    for change in (-step, step):
        moved = problem.replace({"accuracy.delta": (problem.accuracy.delta + change).tolist()})
        values.append(value(moved, named(registry.METHODS, "kkt").run(moved, Options())))
    assert values[0] is not None
    assert values[1] is not None
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(lam, rel=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_closed_form_under_memory(seed: int) -> None:
    """Memory that binds: certified, dearer than without, and within the limit."""
    free = qpart(5, seed=seed, cuts=[5])
    unlimited = solve(free, "kkt")
    assert unlimited.plan is not None
    assert unlimited.objective is not None
    used = float(np.dot(free.network.weights, unlimited.plan.weights))
    problem = free.replace({"device.memory": 0.97 * used})
    found = solve(problem, "kkt")
    if found.plan is None:
        assert found.status == "infeasible"
        return
    assert found.status == "optimal"
    assert found.objective is not None
    assert found.objective >= unlimited.objective
    assert float(np.dot(free.network.weights, found.plan.weights)) <= 0.97 * used * (1 + 1e-9)


@pytest.mark.parametrize(
    ("layers", "noise"),
    swept(itertools.product([25, 60], ["law", "grid", "table"]), lambda case: case == (60, "table")),
)
def test_larger_requests(layers: int, noise: Any) -> None:
    """Beyond enumeration: the knapsack's plan is proved, and HiGHS finds none better."""
    problem = qpart(layers, seed=layers, noise=noise, branches=layers == 60)
    mine = solve(problem, "mckp")
    assert mine.status == "optimal"
    other = solve(problem, "highs-mip", time_limit=20)
    assert mine.objective is not None
    assert other.certificate.feasible
    assert other.objective is not None
    assert other.objective >= mine.objective * (1 - 1e-9)
    if other.status != "time-limit":
        assert other.objective == pytest.approx(mine.objective, rel=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"objective.time": 0.0, "objective.energy": 0.0},
        {"objective.time": 0.0, "objective.energy": 0.0, "objective.price": 0.0},
    ],
)
@pytest.mark.parametrize("method", [*WHOLE, *REAL, "round-up", "uniform"])
def test_bits_that_cost_nothing(method: str, changes: dict[str, float]) -> None:
    problem = qpart(2, seed=3, bits=(1, 6), reference_bits=3).replace(changes)
    found = solve(problem, method)
    assert found.plan is not None
    assert found.certificate.feasible
    truth = solve(problem, "brute-force").objective
    assert truth is not None
    assert found.objective == pytest.approx(truth, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("method", [*WHOLE, "kkt", "cvxpy", "highs-cuts", "round-up", "uniform"])
def test_degenerate_requests(method: str) -> None:
    """Empty tensors, no noise, no limit to speak of, no room at all."""
    base = qpart(2, seed=8, bits=(1, 3), reference_bits=2)
    layers = {"network.weights": [0.0, 0.0]}, {"network.activations": [0.0, 0.0]}
    silent = {"noise.s_weights": [0.0, 0.0], "noise.s_activations": [0.0, 0.0], "accuracy.delta": [[0.0, 0.0]]}
    for changes in (*layers, silent, {"device.memory": 0.0}, {"accuracy.delta": [[0.0, 0.0]]}, {"cuts": [0]}):
        problem = base.replace(changes)
        found, truth = solve(problem, method), solve(problem, "brute-force")
        assert (found.plan is None) == (truth.plan is None)
        if found.objective is not None and truth.objective is not None:
            assert found.certificate.feasible
            if method in WHOLE:
                assert found.objective == pytest.approx(truth.objective, rel=1e-9)
            elif method in REAL:
                assert found.objective <= truth.objective * (1 + 1e-9)


@pytest.mark.parametrize("method", [*WHOLE, "kkt", "cvxpy", "highs-cuts"])
def test_nothing_fits(method: str) -> None:
    base = qpart(2, seed=8, bits=(1, 3), cuts=[1, 2])
    for changes in ({"device.memory": 0.0}, {"accuracy.delta": [[0.0, 0.0]]}):
        found = solve(base.replace(changes), method)
        assert found.plan is None
        assert found.status == "infeasible"
        assert found.certificate.infeasible
