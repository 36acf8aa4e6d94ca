"""Placements with all that real graphs need: several inputs and outputs, activations, shared weights, mixed operators,
sizes that vary. Every method against an enumeration from the definitions."""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pytest
from every_placement import Reading, best_of_all
from sweeps import few

import qopt
from qopt.core.limited import changed, limits_of
from qopt.core.limited import used as used_by
from qopt.placement.costs import breakdown
from qopt.placement.methods.registry import METHODS
from qopt.placement.problem import Placement

GRAPHS = int(os.environ.get("QOPT_GRAPHS", "40"))
"""Random graphs of the sweep: 500 take minutes."""


def grown(seed: int, limits: bool = True) -> Placement:
    """A small random graph with some of everything; seeds differ in what it is."""
    rng = np.random.default_rng(seed)
    n, tiers, cases = int(rng.integers(2, 6)), int(rng.integers(2, 4)), int(rng.integers(1, 4))
    names, tier_names = [f"op{i}" for i in range(n)], ["mobile", "edge", "cloud"][:tiers]

    def some(share: float) -> bool:
        return bool(rng.random() < share)

    def amounts(*shape: int, low: float = 1.0, high: float = 10.0) -> Any:
        return np.round(rng.uniform(low, high, shape), 3)

    tensors = []
    for v in range(n - 1):
        readers = [names[w] for w in range(v + 1, n) if some(0.5)] or [names[v + 1]]
        tensors.append({"producer": names[v], "readers": readers, "size": float(amounts() * 16)})
    if some(0.3):
        tensors.append({"producer": names[0], "readers": [names[-1]], "size": float(amounts() * 16)})
    inputs = []
    for i in range(1 + some(0.4)):
        sizes = amounts(cases if i == 0 or some(0.5) else 1, high=40.0) * 8
        first = names[0] if i == 0 and some(0.7) else names[int(rng.integers(n))]
        tier = tier_names[int(rng.integers(tiers))] if some(0.3) else None
        inputs.append({"sizes": sizes, "readers": [first], "tier": tier, "private": some(0.1)})
    if len(inputs) > 1:  # private ones may contradict each other
        inputs = [part | {"private": False} for part in inputs]
    if cases > 1 and some(0.5):
        inputs[0]["shares"] = amounts(cases)
    outputs = [
        {"operation": names[i], "size": float(amounts()), "tier": tier_names[int(rng.integers(tiers))]}
        for i in rng.integers(n, size=int(rng.integers(0, 3)))
    ]
    graph: dict[str, Any] = {"operations": names, "work": amounts(n), "weights": amounts(n), "tensors": tensors}
    if some(0.5) and n > 2:
        members = [name for name in names if some(0.6)]
        graph["shared"] = [{"operations": members, "size": float(amounts())}] if len(members) > 1 else []
    if some(0.4):
        graph["scratch"] = amounts(n, low=0.0)
    if some(0.3):
        graph["time"] = {names[0]: amounts(tiers)}
    if some(0.15) and n > 3:
        graph["together"] = [[names[1], names[2]]]
    identity: dict[str, Any] = {"name": "identity", "accuracy": 0.9}
    quantized: dict[str, Any] = {"name": "quantized", "accuracy": 0.8, "weight_factor": 0.25, "tensor_factor": 0.25}
    if some(0.4):
        quantized["time"] = amounts(n, tiers)
    if cases > 1 and some(0.5):
        identity["time_at"] = [amounts(n, tiers) * (1 + s) for s in range(cases)]
        identity["tensors_at"] = [amounts(len(tensors)) * 16 * (1 + s) for s in range(cases)]
    if some(0.2) and n > 3 and not any(names[2] == o["operation"] for o in outputs):
        identity["skips"] = quantized["skips"] = [names[2]]
    if some(0.2):
        quantized["on"] = tier_names[:-1]
    operators = [identity, quantized]
    if some(0.6):
        mixed: dict[str, Any] = {"name": "mixed", "accuracy": 0.85, "skips": identity.get("skips", [])}
        mixed["tiers"] = {t: ("quantized" if k == 0 or some(0.3) else "identity") for k, t in enumerate(tier_names)}
        if some(0.4):
            mixed["operations"] = {names[-1]: "identity"}
        operators.append(mixed)
    data: dict[str, Any] = {
        "name": f"grown-{seed}",
        "graph": graph,
        "outputs": outputs,
        "tiers": [
            {"name": t, "speed": float(3.0**k), "power": float(amounts()), "price": 0.1 * k, "activations": some(0.5)}
            for k, t in enumerate(tier_names)
        ],
        "links": [
            {"rate": float(amounts() * 8), "latency": 0.1, "energy": 0.05, "overhead": 1.25, "down_rate": 40.0}
            for _ in range(tiers - 1)
        ],
        "operators": operators,
        "objective": ({}, {"time": 1.0, "energy": 0.1, "price": 1.0}, {"time": 0.0, "energy": 1.0})[seed % 3],
    }
    data |= {"input": inputs[0]} if len(inputs) == 1 and some(0.5) else {"inputs": inputs}
    problem = Placement(**data)
    return limited(problem, rng) if limits and some(0.75) else problem


def limited(problem: Placement, rng: np.random.Generator) -> Placement:
    """Limits on memory and latency around what the best plan without them uses."""
    free = qopt.solve(problem, "brute-force")
    assert free.plan is not None
    cost = free.certificate.cost
    changes: dict[str, object] = {}
    for k, tier in enumerate(problem.tiers):
        most = cost.memory[k] + tier.activations * cost.activations[k]
        if rng.random() < 0.6:
            changes[f"tiers[{k}].memory"] = float(np.round((most or 20.0) * rng.uniform(0.5, 1.5), 3))
    if rng.random() < 0.6:
        changes["targets.latency"] = cost.latency * float(rng.uniform(0.8, 1.4))
        if rng.random() < 0.6:
            changes["targets.quantile"] = float(rng.choice([0.0, 0.5, 0.9, 1.0]))
    if rng.random() < 0.2:
        changes["targets.accuracy"] = 0.85
    return problem.replace(changes)


def agree(seed: int, readable: bool) -> set[str]:
    """Every method that takes a graph finds what the enumeration finds; the methods that do."""
    problem = grown(seed)
    best = best_of_all(problem)
    used = set()
    for method in METHODS:
        if method.unavailable(problem) or not method.exact or (method.name in ("pyomo", "cvxpy") and not readable):
            continue
        used.add(method.name)
        found = qopt.solve(problem, method.name)
        if best is None:
            assert found.status == "infeasible", (seed, method.name, found.status)
            continue
        assert found.plan is not None, (seed, method.name, found.status)
        assert found.objective == pytest.approx(best[0], rel=1e-9), (seed, method.name)
        assert found.status == "optimal", (seed, method.name, found.certificate.notes)
        reading = Reading(problem, found.plan.operator)
        assert reading.keeps_order(found.plan.tiers)
        assert reading.keeps(found.plan.tiers)
    return used


def test_every_method_finds_the_optimum() -> None:
    used = set().union(*(agree(seed, readable=seed % 5 == 0) for seed in range(few(30))))
    assert {"mincut", "cut-branch", "highs-mip", "brute-force", "pyomo"} <= used


@pytest.mark.sweep
def test_every_method_finds_the_optimum_of_many() -> None:
    used = set().union(*(agree(seed, readable=seed % 5 == 0) for seed in range(1000, 1000 + GRAPHS)))
    assert {"mincut", "chain-dp", "cut-branch", "highs-mip", "brute-force", "pyomo", "cvxpy"} <= used


def test_costs_follow_the_definitions() -> None:
    for seed in range(few(50)):
        problem = grown(seed, limits=False)
        rng = np.random.default_rng(seed)
        for operator in problem.operators:
            reading = Reading(problem, operator.name)
            at: dict[str, str] = {}
            for _ in range(20):
                tiers = np.sort(rng.integers(0, len(reading.names), len(reading.kept))).tolist()
                at = {name: reading.names[k] for name, k in zip(reading.kept, tiers, strict=True)}
                if reading.keeps_order(at):
                    break
            if not reading.keeps_order(at):
                continue
            cost = breakdown(problem, qopt.PlacementPlan(operator=operator.name, tiers=at))
            assert cost.objective == pytest.approx(reading.objective(at), rel=1e-12)
            assert cost.latencies == pytest.approx([reading.costs(at, s)[0] for s in range(reading.cases)], rel=1e-12)
            for k, tier in enumerate(problem.tiers):
                held = cost.memory[k] + tier.activations * cost.activations[k]
                assert held == pytest.approx(reading.held(at, tier.name), rel=1e-12, abs=1e-9)


def test_as_many_tiers_as_a_machine_word_has_bits() -> None:
    """Sixty-four tiers and a deadline that the cheapest plan breaks: all find one optimum."""
    tiers = [{"name": f"t{k}", "speed": 1.0 + k, "price": 0.01 * k * k} for k in range(64)]
    links = [{"rate": 1000.0, "latency": 0.0}] * 63
    tensors = [{"producer": "a", "readers": ["b"], "size": 8.0}]
    problem = Placement(
        name="many-tiers",
        graph={"operations": ["a", "b"], "work": [3.0, 40.0], "weights": [1.0, 1.0], "tensors": tensors},
        input={"sizes": [8.0], "readers": ["a"]},
        tiers=tiers,
        links=links,
        operators=[{"name": "identity", "accuracy": 0.9}],
        objective={"time": 0.0, "energy": 0.0, "price": 1.0},
        targets={"latency": 1.3},
    )

    def least(problem: Placement) -> float:
        """By hand: work / speed seconds, 8 bits over a link in 8 ms, and the price of every second of a tier."""
        found = []
        for a, b in itertools.combinations_with_replacement(range(64), 2):
            first, second = 3.0 / problem.tiers[a].speed, 40.0 / problem.tiers[b].speed
            if first + second + 0.008 * b <= problem.targets.latency:
                found.append(first * problem.tiers[a].price + second * problem.tiers[b].price)
        return min(found)

    only = problem.replace({"tiers[63].speed": 1000.0, "targets.latency": 0.9})  # reached on the last tier alone
    for asked in (problem, only):
        found = qopt.solve(asked, "cut-branch")
        assert (found.status, found.objective) == ("optimal", pytest.approx(least(asked), rel=1e-9))
    assert qopt.solve(problem, "highs-mip").objective == pytest.approx(least(problem), rel=1e-9)


def test_a_limit_is_what_a_plan_uses_to_the_last_digit() -> None:
    """Memory with activations, shared weights and scratch, limited to what the best plan is said to use."""
    met = 0
    for seed in range(few(60)):
        problem = grown(seed, limits=False)
        best = qopt.solve(problem, "brute-force")
        assert best.plan is not None
        for limit in limits_of(problem):
            if not limit.name.startswith("memory "):
                continue
            amount = used_by(problem, best.plan, limit.name)
            tight = changed(problem, {limit.name: amount})
            found = qopt.solve(tight)
            assert (found.status, found.objective) == ("optimal", pytest.approx(best.objective, rel=1e-9)), (
                seed,
                limit,
            )
            met += 1
    assert met > 3


def test_shares_of_an_input_of_one_size_say_nothing() -> None:
    """They do not make those of an input that varies wrong."""
    base = next(p for p in (grown(seed, limits=False) for seed in range(200)) if len(p.sources) > 1 and p.cases > 1)
    data = base.model_dump()
    many = next(i for i, part in enumerate(base.sources) if len(part.sizes) == base.cases)
    data["inputs"] = [dict(part) for part in data["inputs"]]
    for i, part in enumerate(data["inputs"]):
        part["shares"] = [1.0 + k for k in range(base.cases)] if i == many else None
        if i != many:
            part |= {"sizes": [8.0], "shares": [1.0]}
    weights = np.arange(1.0, base.cases + 1)
    assert Placement(**data).shares == pytest.approx(weights / weights.sum())
