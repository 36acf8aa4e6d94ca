"""JQODI: what each exact method takes, how it stops, what it says; counting, gaps, limits met exactly."""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from jqodi_problems import MODES, Mode, solved
from sweeps import few

from qopt.core.errors import InputError, MethodError
from qopt.core.limits import within
from qopt.core.method import fastest
from qopt.jqodi import reductions
from qopt.jqodi.certificate.certify import certify
from qopt.jqodi.generate import jqodi
from qopt.jqodi.limits import smallest_limits
from qopt.jqodi.methods import registry as registry
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidates, terms_of, totals
from qopt.kernels import exchange, mckp, rcsp
from qopt.kernels.checker import Path, tree_bound


def drawn(seed: int, mode: Mode) -> Jqodi:
    """A small random problem; in mode path, changing costs nothing where the seed is a multiple of 4."""
    switching = False if mode != "path" or seed % 4 == 0 else None
    return jqodi(3, seed=seed, mode=mode, servers=2, cuts=2, switching=switching)


def test_modes_are_ordered_and_above_the_linear_relaxation() -> None:
    strict = 0
    for seed in range(few(40)):
        path = jqodi(5, seed=seed, servers=2, cuts=3, models=1, widths=[8], tightness=0.4)
        free = {"mode": "schedule", "switching": {}}
        values = []
        for problem in (path.replace({"mode": "choice"}), path, path.replace(free)):
            solution = solved(problem)
            assert solution.certificate.proved or solution.certificate.infeasible
            values.append(math.inf if solution.objective is None else solution.objective)
        instance = reductions.schedule_instance(candidates(path.replace(free))[0], path.time_limit)
        relaxed = mckp.lp_bound(instance.cost, instance.weight, instance.limit)
        assert relaxed is not None
        for above, below in zip(values, [*values[1:], relaxed], strict=True):
            assert above >= below * (1 - 1e-12)
        strict += values[0] > values[1] > values[2] > relaxed
    assert strict >= few(5)


def test_a_path_without_switching_is_a_schedule() -> None:
    for seed in range(few(10)):
        path = jqodi(8, seed=seed, servers=3, cuts=3, switching=False)
        values = [solved(path, name).objective for name in ("mckp", "rcsp")]
        values.append(solved(path.replace({"mode": "schedule"})).objective)
        assert values[0] == pytest.approx(values[1], rel=1e-9)
        assert values[0] == pytest.approx(values[2], rel=1e-9)


def test_the_fastest_proof_is_the_default() -> None:
    assert fastest(registry.METHODS, drawn(1, "choice")).name == "inspection"
    assert fastest(registry.METHODS, drawn(1, "schedule")).name == "mckp"
    assert fastest(registry.METHODS, drawn(1, "path")).name == "rcsp"
    assert fastest(registry.METHODS, drawn(4, "path")).name == "mckp"


@pytest.mark.parametrize(
    ("method", "mode", "line"),
    [
        ("inspection", "path", "it takes mode choice, this problem's is path"),
        ("mckp", "choice", "it takes modes schedule and path, this problem's is choice"),
        ("mckp", "path", "changing the server or the cut costs"),
        ("rcsp", "choice", "it takes modes schedule and path, this problem's is choice"),
    ],
)
def test_a_method_says_which_modes_it_takes(method: str, mode: Mode, line: str) -> None:
    with pytest.raises(MethodError, match=line):
        solved(drawn(1, mode), method)


def test_large_problems_are_refused_by_name() -> None:
    with pytest.raises(MethodError, match="more than 300000 plans"):
        solved(jqodi(50, seed=0, servers=4, cuts=5), "brute-force")
    with pytest.raises(MethodError, match="more than 2000000 columns"):
        solved(jqodi(500, seed=0, servers=20, cuts=30), "highs-mip")
    with pytest.raises(InputError, match="gap"):
        solved(drawn(1, "choice"), gap=0.1)


@pytest.mark.parametrize("estimate", ["expected", "robust"])
def test_fifty_epochs_of_twenty_states_are_proved(estimate: Literal["expected", "robust"]) -> None:
    problem = jqodi(50, seed=1, servers=4, cuts=5, estimate=estimate)
    solution = solved(problem)
    assert (solution.method, solution.status) == ("rcsp", "optimal")
    alone = certify(problem, solution.plan)
    assert alone.proved
    assert alone.kind in ("enumeration", "lagrangian")


@pytest.mark.parametrize("seed", range(3))
def test_equal_epochs_are_counted(seed: int) -> None:
    """Without conditions all epochs are alike: 300 classes that a tree of splits would take one by one."""
    problem = jqodi(300, seed=seed, servers=10, cuts=12, mode="schedule", conditions=False)
    solution = solved(problem)
    assert (solution.method, solution.status) == ("mckp", "optimal")
    states = list(zip(solution.plan.servers, solution.plan.cuts, strict=True))
    changes = sum(a != b for a, b in itertools.pairwise(states))
    assert changes < len(set(states))  # epochs that use the same state stand together


def test_counting_is_the_knapsack_of_equal_classes() -> None:
    for seed in range(few(12)):
        problem = jqodi(6, seed=seed, servers=2, cuts=3, mode="schedule", conditions=False, requests=1e4, models=1)
        for own in candidates(problem):
            parts = reductions.blocks(own)
            graph, used = reductions.counting_graph(own, parts)
            counted = rcsp.solve(graph, problem.time_limit)
            instance = reductions.schedule_instance(own, problem.time_limit)
            plain = mckp.solve(instance.cost, instance.weight, instance.limit)
            assert counted.objective == (None if plain.objective is None else pytest.approx(plain.objective, rel=1e-12))
            if counted.arcs is not None:
                states = reductions.counted_states(own, parts, used, counted.arcs)
                assert totals(own, states)[0] == pytest.approx(counted.objective, rel=1e-12)


def test_states_that_stand_twice_give_the_same_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large robust problems have each state twice, for epochs whose changes count and those whose do not."""
    problems = [
        jqodi(6, seed=s, servers=2, cuts=3, estimate="robust", requests=1e4 * (s % 2), tightness=0.4)
        for s in range(few(10))
    ]
    problems = [p for p in problems if any(own.counted < own.epochs for own in candidates(p))]
    assert len(problems) >= few(5)
    stacked = [solved(problem) for problem in problems]
    monkeypatch.setattr(reductions, "STACKED", 0)
    own = next(own for own in candidates(problems[0]) if own.counted < own.epochs)
    assert reductions.path_graph(own).states == 2 * len(own.states)
    for problem, expected in zip(problems, stacked, strict=True):
        found = solved(problem)
        assert (found.status, found.objective) == (expected.status, pytest.approx(expected.objective, rel=1e-12))
        assert certify(problem, found.plan).proved
        # A certificate follows no tree of a problem that large; the checker does, in the graph that it is about.
        target = Fraction(found.objective) * (1 - Fraction(1, 10**9))
        for own in candidates(problem):
            graph = exchange.rcsp_instance(reductions.path_graph(own), problem.time_limit)
            bound = tree_bound(Path(graph), found.witness["candidates"][own.key], target)
            assert bound is None or bound >= target


def test_a_large_search_leaves_the_proof_to_the_certificate() -> None:
    """A tree that would take many nodes is not made: its first leaf goes along, and the certificate closes the gap."""
    problem = jqodi(50, seed=0, servers=4, cuts=5, models=1, widths=[8])
    found = solved(problem)
    (tree,) = found.witness["candidates"].values()
    assert [node[0] for node in tree] == ["leaf"]
    assert not certify(problem, found.plan, found.witness, labels=0).proved
    assert (found.status, found.certificate.kind) == ("optimal", "enumeration")


def test_a_gap_is_kept_and_reported() -> None:
    problem = jqodi(60, seed=0, servers=5, cuts=6)
    exact = solved(problem)
    assert exact.status == "optimal"
    loose = solved(problem, gap=0.05)
    assert loose.status in ("feasible", "optimal")
    assert loose.gap is not None
    assert 0 <= loose.gap <= 0.05
    assert loose.bound <= exact.objective <= loose.objective <= exact.objective * 1.0527


def test_no_time_is_a_status() -> None:
    for name in ("mckp", "rcsp", "brute-force"):
        problem = jqodi(5, seed=1, servers=2, cuts=2, mode="schedule", models=1, widths=[8])
        solution = solved(problem, name, time_limit=0)
        assert solution.status in ("time-limit", "optimal"), name
        assert solution.plan is not None or solution.status == "time-limit"


@pytest.mark.parametrize("mode", MODES)
def test_infeasible_names_the_limit_and_what_would_work(mode: Mode) -> None:
    problem = jqodi(6, seed=3, mode=mode, losses=True)
    problem = problem.replace({"time_limit": 0.1 * (smallest_limits(problem).time_limit or 0.0)})
    solution = solved(problem)
    assert solution.status == "infeasible"
    assert solution.plan is None
    found = re.search(r"T_max of [0-9.e+]+ s cannot be met: .*?([0-9.e+]+) s \(", solution.message)
    assert found is not None, solution.message
    assert solved(problem.replace({"time_limit": float(found[1])})).status == "optimal"
    assert solved(problem.replace({"time_limit": float(found[1]) * (1 - 1e-5)})).status == "infeasible"


def test_a_loss_that_is_never_reached_is_infeasible() -> None:
    problem = jqodi(4, seed=1, models=1, widths=[8])
    never: dict[str, Any] = {f"models[0].widths[{i}].epochs": None for i in range(len(problem.models[0].widths))}
    solution = solved(problem.replace(never))
    assert solution.status == "infeasible"
    assert "L_max cannot be met" in solution.message
    assert solution.certificate.infeasible


def test_dominated_states_leave_a_schedule_and_no_plan_gets_worse() -> None:
    dropped = 0
    for seed in range(few(20)):
        problem = jqodi(5, seed=seed, servers=3, cuts=4, mode="schedule")
        rng = np.random.default_rng(seed)
        for own in candidates(problem):
            dropped += len(own.states) * own.epochs - sum(len(b.states) * len(b.epochs) for b in reductions.blocks(own))
            kept = {int(k): part for part in reductions.blocks(own) for k in part.epochs}
            states = np.array([rng.choice(np.flatnonzero(np.isfinite(row))) for row in own.time])
            for k, s in enumerate(states):
                part = kept[k]
                assert np.any((part.energy <= own.energy[k, s]) & (part.time <= own.time[k, s]))
    assert dropped > 0


def test_answers_keep_the_limit_exactly() -> None:
    """The limit is the very sum of a plan, with nothing to spare."""
    for seed in range(few(10)):
        problem = jqodi(7, seed=seed, servers=2, cuts=3, tightness=0.3)
        first = solved(problem)
        exact = problem.replace({"time_limit": first.certificate.cost.time})
        again = solved(exact)
        assert again.status == "optimal"
        assert again.objective == pytest.approx(first.objective, rel=1e-9)
        own = next(c for c in candidates(exact) if (c.model, c.bits) == (again.plan.model, again.plan.bits))
        states = [own.index[pair] for pair in zip(again.plan.servers, again.plan.cuts, strict=True)]
        assert within(terms_of(own, states)[1], exact.time_limit)


def test_highs_scales_by_a_plan_not_by_the_dearest_state() -> None:
    for seed in range(8):
        problem = jqodi(3, seed=seed, mode="schedule", servers=3, cuts=3, tightness=1.0)
        best = solved(problem)
        names = problem.server_names
        dear = [i for i, name in enumerate(names) if name not in best.plan.servers]
        hard = problem.replace({f"servers[{i}].energy": 1e14 * problem.servers[i].energy for i in dear})
        assert solved(hard).objective == best.objective
        assert solved(hard, "highs-mip").objective == pytest.approx(best.objective, rel=1e-9)
