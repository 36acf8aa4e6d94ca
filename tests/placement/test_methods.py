"""Placements: every exact method finds the same optimum, on random graphs, chains, with pins and with limits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from sweeps import few, swept

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.core.limits import within
from qopt.core.method import Options, named
from qopt.placement.breakpoints import exact_cost
from qopt.placement.costs import breakdown
from qopt.placement.generate import placement
from qopt.placement.methods import registry as registry
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

CHUNKS = range(10)
EACH = 50


def drawn(seed: int, **changes: Any) -> Placement:
    """A small random placement: chain or branches, 1 to 4 tiers, pins, a private input, three kinds of objective."""
    rng = np.random.default_rng(seed)
    objective = (None, {"time": 1.0, "energy": 0.01, "price": 0.1}, {"time": 0.0, "energy": 1.0})[seed % 3]
    settings = {
        "tiers": int(rng.integers(1, 5)),
        "branches": float(rng.choice([0.0, 0.3, 0.7])),
        "pins": float(rng.choice([0.0, 0.3])),
        "private": bool(rng.integers(0, 2)),
        "operators": int(rng.integers(1, 5)),
        "objective": objective,
    }
    problem = placement(int(rng.integers(1, 7)), seed=seed, **(settings | changes))
    if seed % 4 == 0 and len(problem.graph) > 2:
        names = problem.graph.operations
        problem = problem.replace({"graph.together": [[names[1], names[2]]], "pins": {}})
    if seed % 5 == 0:
        problem = problem.replace(
            {"output": {"operation": problem.graph.operations[-1], "size": 1e5, "tier": problem.tier_names[0]}}
        )
    return problem


def enumerated(problem: Placement) -> tuple[float, PlacementPlan | None]:
    """The best objective by the definition: every operator and tier of every operation, costs by `breakdown`."""
    best: tuple[float, PlacementPlan | None] = (math.inf, None)
    for operator in problem.operators:
        if operator.accuracy < problem.targets.accuracy:
            continue
        kept = [i for i, name in enumerate(problem.graph.operations) if name not in operator.skips]
        allowed = [np.flatnonzero(problem.allowed[i]).tolist() for i in kept]
        for tiers in itertools.product(*allowed):
            names = {problem.graph.operations[i]: problem.tier_names[k] for i, k in zip(kept, tiers, strict=True)}
            plan = PlacementPlan(operator=operator.name, tiers=names)
            if follows(problem, operator.skips, names):
                cost = breakdown(problem, plan)
                limit = problem.targets.latency
                fits = all(
                    tier.memory is None or within([used], tier.memory)
                    for tier, used in zip(problem.tiers, cost.memory, strict=True)
                )
                if cost.objective < best[0] and fits and (limit is None or within([cost.latency], limit)):
                    best = (cost.objective, plan)
    return best


def follows(problem: Placement, skips: tuple[str, ...], tiers: dict[str, str]) -> bool:
    """Whether data moves up (through skipped operations too), groups stay together and a private input stays."""
    rank = {name: k for k, name in enumerate(problem.tier_names)}
    level = {}  # highest tier from which data reaches an operation, skipped ones passing it on
    for name in problem.graph.operations:
        from_ = [level[t.producer] for t in problem.graph.tensors if name in t.readers]
        before = max(from_, default=problem.birth)
        if name in skips:
            level[name] = before
            continue
        level[name] = rank[tiers[name]]
        if level[name] < before:
            return False
    groups = [[tiers[n] for n in group if n in tiers] for group in problem.graph.together]
    return all(len(set(group)) <= 1 for group in groups)


@pytest.mark.parametrize("chunk", swept(CHUNKS, lambda chunk: chunk > 0))
def test_exact_methods_agree(chunk: int) -> None:
    """500 random graphs: minimum cut, branching, brute force, dynamic programming on chains, and the certificate."""
    for seed in range(chunk * EACH, chunk * EACH + few(EACH)):
        problem = drawn(seed)
        best, _ = enumerated(problem)
        for name in ("mincut", "cut-branch", "chain-dp", "brute-force"):
            if named(registry.METHODS, name).unavailable(problem):
                assert name == "chain-dp"
                continue
            found = qopt.solve(problem, name)
            assert found.status == "optimal", (seed, name, found.certificate.notes)
            assert found.certificate.kind == "flow"
            assert found.objective == pytest.approx(best, rel=1e-9), (seed, name)


@pytest.mark.parametrize("chunk", swept(CHUNKS, lambda chunk: chunk > 0))
def test_models_agree_with_the_cut(chunk: int) -> None:
    """The same graphs as a MIP (arrays) and an LP (Pyomo), a tenth of them as MIP in Pyomo and as LP in CVXPY."""
    for seed in range(chunk * EACH, chunk * EACH + few(EACH)):
        problem = drawn(seed)
        best = qopt.solve(problem, "mincut").objective
        calls: list[tuple[str, dict[str, Any]]] = [("highs-mip", {}), ("pyomo", {"formulation": "lp"})]
        if seed % 10 == 1:
            calls += [("pyomo", {}), ("cvxpy", {}), ("cvxpy", {"solver": "clarabel"})]
        for name, options in calls:
            if named(registry.METHODS, name).unavailable(problem):
                assert len(problem.tiers) == 1
                continue
            found = qopt.solve(problem, name, **options)
            assert found.status == "optimal", (seed, name, found.message)
            assert found.objective == pytest.approx(best, rel=1e-9), (seed, name)


@pytest.mark.parametrize("chunk", swept(range(6), lambda chunk: chunk > 0))
def test_limits(chunk: int) -> None:
    """Memory of every tier but the last, latency targets, accuracy targets: MIP, branching and brute force."""
    kinds = set()
    for seed in range(chunk * 25, chunk * 25 + few(25)):
        problem = drawn(seed, memory=(0.05, 0.2, 0.4, 0.7, 1.0)[seed % 5], operators=4)
        if seed % 2:
            base = qopt.solve(problem, "cut-branch")
            if base.plan is not None:
                latency = base.certificate.cost.latency * (0.8, 1.0, 1.5)[seed % 3]
                problem = problem.replace({"targets.latency": latency})
        if seed % 7 == 0:
            problem = problem.replace({"targets.accuracy": (0.81, 0.78)[seed % 2]})
        best, plan = enumerated(problem)
        for name in ("cut-branch", "highs-mip", "brute-force"):
            found = qopt.solve(problem, name)
            kinds.add(found.certificate.kind)
            if plan is None:
                assert found.status == "infeasible", (seed, name)
            else:
                assert found.objective == pytest.approx(best, rel=1e-9), (seed, name)
                assert found.certificate.feasible
                assert found.status == "optimal", "small: the certificate closes what the solver leaves open"
    assert {"flow", "witness", "enumeration"} <= kinds


def test_pyomo_takes_memory_and_the_linear_program_says_that_it_does_not() -> None:
    problem = placement(8, seed=7, branches=0.5, memory=0.05)
    assert qopt.solve(problem, "pyomo").objective == pytest.approx(qopt.solve(problem).objective, rel=1e-9)
    with pytest.raises(MethodError, match="formulation mip"):
        qopt.solve(problem, "pyomo", formulation="lp")
    with pytest.raises(MethodError, match="memory of mobile can bind"):
        qopt.solve(problem, "mincut")
    assert qopt.solve(problem).method == "cut-branch"


@pytest.mark.parametrize("seed", swept(range(6), lambda seed: seed in (2, 3, 4)))
def test_larger_graphs_with_memory(seed: int) -> None:
    problem = placement(40, seed=seed, branches=0.5, memory=0.03)
    mine, solver = qopt.solve(problem, "cut-branch"), qopt.solve(problem, "highs-mip")
    assert mine.status == "optimal"
    assert mine.objective == pytest.approx(solver.objective, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_published_split_is_never_better(seed: int) -> None:
    problem = placement(12, seed=seed)
    split, best = qopt.solve(problem, "equal-size"), qopt.solve(problem)
    assert split.status == "heuristic"
    assert split.objective is not None
    assert best.objective is not None
    assert split.objective >= best.objective * (1 - 1e-12)
    assert split.certificate.bound == pytest.approx(best.objective, rel=1e-9)
    assert len(set(split.plan.tiers.values())) == 2


@pytest.mark.parametrize("factor", swept([2.0**-40, 2.0**-10, 2.0**20, 2.0**40], lambda factor: 1e-9 < factor < 1e9))
def test_scale_changes_nothing(factor: float) -> None:
    """All weights of the objective times a power of two, or all sizes and rates: the same plans."""
    for seed in range(few(5)):
        problem = placement(20, seed=seed, objective={"time": 1.0, "energy": 0.02, "price": 0.3})
        scaled = problem.replace({f"objective.{k}": v * factor for k, v in problem.objective.model_dump().items()})
        for name in ("mincut", "highs-mip", *(("cvxpy", "pyomo") if seed == 0 else ())):
            mine, other = qopt.solve(problem, name), qopt.solve(scaled, name)
            assert other.status == "optimal"
            assert other.objective == pytest.approx(mine.objective * factor, rel=1e-9)


def test_a_large_network() -> None:
    problem = placement(1500, seed=1, branches=0.3)
    found = qopt.solve(problem)
    assert found.status == "optimal"
    assert found.method == "mincut"


def test_time_limit_and_honest_bounds() -> None:
    problem = placement(60, seed=5, branches=0.6, memory=0.02)
    best = qopt.solve(problem).objective
    assert best is not None
    for limit in (0.0, 0.01):
        found = named(registry.METHODS, "cut-branch").run(problem, Options(time_limit=limit))
        assert found.status in ("time-limit", "optimal")
        if found.bound is not None:
            assert found.bound <= best * (1 + 1e-9)
        if found.plan is not None:
            assert breakdown(problem, found.plan).objective >= best * (1 - 1e-9)


def test_costs_are_exact_sums() -> None:
    for seed in range(few(40)):
        problem = drawn(seed)
        plan = qopt.solve(problem).plan
        cost = breakdown(problem, plan)
        assert cost.objective == pytest.approx(float(exact_cost(problem, plan)), rel=1e-13)
        assert cost.latency == pytest.approx(math.fsum([*cost.computing, *cost.sending, cost.returning]), rel=1e-15)
        mean = math.fsum(cost.latencies) / len(cost.latencies)
        assert mean == pytest.approx(cost.latency, rel=1e-12), "latency is affine in the size of the input"


def test_options_and_bits_are_refused() -> None:
    problem = qopt.load("placement/teaching-5")
    with pytest.raises(InputError, match="no bits"):
        qopt.solve(problem, bits="whole")
    with pytest.raises(InputError, match="mincut does not take"):
        qopt.solve(problem, "mincut", threads=1)
    with pytest.raises(InputError, match="method"):
        qopt.solve(problem, "mckp")
    with pytest.raises(InputError, match="plan"):
        qopt.certify(problem, qopt.solve("qpart/teaching-3").plan)
