"""The certificate of a JQODI plan: genuine answers are proved, tampered plans and forged witnesses are not."""

from __future__ import annotations

import copy
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from jqodi_problems import solved

from qopt.core.errors import InputError
from qopt.jqodi.certificate.arrays import Arrays, every
from qopt.jqodi.certificate.bounds import Paths, dual, first_multiplier, tree_bound
from qopt.jqodi.certificate.certify import certify, violations
from qopt.jqodi.certificate.closing import enumerated
from qopt.jqodi.generate import jqodi
from qopt.jqodi.limits import fastest_states
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import path_graph, schedule_instance
from qopt.jqodi.terms import Candidate, candidates, keeps_limit, plan_of, totals
from qopt.kernels import checker, exchange, rcsp
from qopt.kernels.checker import Refused


def path() -> Jqodi:
    """Changing costs, the relaxation leaves a gap, and both models have a tree."""
    return jqodi(8, seed=5, servers=3, cuts=4, tightness=0.4)


def schedule() -> Jqodi:
    """The same without switching."""
    return jqodi(8, seed=5, servers=3, cuts=4, mode="schedule", tightness=0.4)


def chosen(problem: Jqodi, plan: JqodiPlan | None = None) -> Candidate:
    """The candidate of a plan, by default the optimal one."""
    plan = solved(problem).plan if plan is None else plan
    return next(own for own in candidates(problem) if (own.model, own.bits) == (plan.model, plan.bits))


def read(own: Candidate, problem: Jqodi) -> Arrays:
    """The same candidate as the certificate reads it."""
    return next(found for found in every(problem) if found.key == own.key)


def every_plan(problem: Jqodi, own: Candidate) -> list[tuple[float, Any]]:
    """Energy and states of all plans of a small candidate that keep the limit."""
    found = []
    for at in np.ndindex(*(len(own.states),) * own.epochs):
        if all(math.isfinite(own.time[k, s]) for k, s in enumerate(at)) and keeps_limit(problem, own, at):
            found.append((totals(own, at)[0], at))
    return sorted(found)


@pytest.mark.parametrize("problem", [path(), schedule()], ids=["path", "schedule"])
def test_the_proof_survives_a_file(problem: Jqodi) -> None:
    solution = solved(problem)
    witness = json.loads(json.dumps(solution.witness, allow_nan=False))
    found = certify(problem, JqodiPlan(**solution.plan.to_dict()), witness, labels=0)
    assert found.proved
    assert found.kind == "witness"
    assert not found.notes
    assert found.bound == pytest.approx(found.objective, rel=2e-9)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("problem", [path(), schedule()], ids=["path", "schedule"])
def test_the_trees_stand_before_the_standalone_checker(problem: Jqodi) -> None:
    """What proves the plan's candidate, exported as kernel files, is accepted by the file that needs no qopt."""
    solution = solved(problem)
    plan = solution.plan
    own = chosen(problem, plan)
    tree = solution.witness["candidates"][own.key]
    states = [own.index[pair] for pair in zip(plan.servers, plan.cuts, strict=True)]
    if solution.witness["kind"] == "rcsp":
        graph = path_graph(own)
        instance = exchange.rcsp_instance(graph, problem.time_limit)
        answer = {"path": [int(a) for a in graph.path_arcs(np.array([states[0], *states]))]}
    else:
        knapsack = schedule_instance(own, problem.time_limit)
        instance = exchange.mckp_instance(knapsack.cost, knapsack.weight, problem.time_limit)
        columns = [int(np.flatnonzero(row == s)[0]) for row, s in zip(knapsack.states, states, strict=True)]
        answer = {"choice": [0, *columns]}
    witness = {"format": "qopt/kernel-witness", "version": 1, "kind": solution.witness["kind"], "tree": tree, **answer}
    verdict = checker.check(json.loads(json.dumps(instance)), json.loads(json.dumps(witness)))
    assert verdict.accepted, verdict.reason
    assert float(verdict.objective or 0) == pytest.approx(solution.objective, rel=1e-12)


def test_a_plan_alone_is_proved_by_enumeration() -> None:
    for problem in (path(), schedule()):
        plan = solved(problem).plan
        found = certify(problem, plan)
        assert found.proved
        assert found.kind == "enumeration"
        assert found.gap == pytest.approx(0, abs=1e-10)
        bounded = certify(problem, plan, labels=0)
        assert not bounded.proved
        assert bounded.kind == "lagrangian"
        assert bounded.bound is not None
        assert bounded.gap is not None
        assert 0 < bounded.gap < 0.2
    choice = problem.replace({"mode": "choice"})
    assert certify(choice, solved(choice).plan).kind == "enumeration"


def test_a_worse_plan_is_feasible_and_not_proved() -> None:
    problem = path()
    best = solved(problem)
    own = chosen(problem, best.plan)
    states = fastest_states(problem, own)
    assert states is not None
    fast = plan_of(problem, own, states)
    found = certify(problem, fast)
    assert found.feasible
    assert not found.proved
    assert found.objective > best.objective
    assert found.bound == pytest.approx(best.objective, rel=1e-9)  # the enumeration finds the optimum itself


def changed(plan: JqodiPlan, **changes: Any) -> JqodiPlan:
    """A plan with other entries."""
    return JqodiPlan(**{**plan.to_dict(), **changes})


def test_every_constraint_is_checked() -> None:
    problem = path()
    plan = solved(problem).plan
    assert not violations(problem, plan)
    cases = [
        (problem.replace({"time_limit": 0.99 * problem.time_limit}), plan, "time: "),
        (problem.replace({"mode": "choice"}), plan, "changes, none is allowed in mode choice"),
        (problem.replace({"widths": [4 if plan.bits == 8 else 8]}), plan, f"admissible width: {plan.bits} bits"),
    ]
    there = {plan.servers[2]: {"available": [k != 2 for k in range(problem.horizon or 0)]}}
    gone = problem.replace({"conditions": {"servers": there}})
    cases.append((gone, plan, f"{plan.servers[2]} with cut {plan.cuts[2]} is impossible in epoch 3"))
    index = [m.name for m in problem.models].index(plan.model)
    width = [w.bits for w in problem.models[index].widths].index(plan.bits)
    never = problem.replace({f"models[{index}].widths[{width}].epochs": None})
    cases.append((never, plan, f"loss reached: {plan.model} at {plan.bits} bits never reaches it"))
    for asked, moved, line in cases:
        found = certify(asked, moved)
        assert not found.feasible, line
        assert not found.proved
        assert any(line in v for v in found.violations), (line, found.violations)
        assert any(not row.holds for row in found.constraints)
        json.dumps(found.to_dict(), allow_nan=False)


def test_plans_of_another_shape_are_refused() -> None:
    problem = path()
    plan = solved(problem).plan
    for changes, field in (
        ({"model": "model9"}, "plan.model"),
        ({"bits": 3}, "plan.bits"),
        ({"servers": plan.servers[:-1], "cuts": plan.cuts[:-1]}, "plan.servers"),
        ({"servers": ("nowhere", *plan.servers[1:])}, "plan.servers"),
        ({"cuts": (99, *plan.cuts[1:])}, "plan.cuts"),
    ):
        with pytest.raises(InputError, match=field):
            certify(problem, changed(plan, **changes))
    for labels in (-1, True, 2.5):
        with pytest.raises(InputError, match="labels"):
            certify(problem, plan, labels=labels)  # type: ignore[arg-type]


def test_cheaper_moves_of_an_optimal_plan_break_something() -> None:
    """Every change of one epoch gives a plan that is dearer or that the certificate finds infeasible."""
    problem = path()
    best = solved(problem)
    cheaper = 0
    for k in range(len(best.plan.servers)):
        for server in problem.server_names:
            for cut in problem.model(best.plan.model).admissible_cuts:
                servers, cuts = list(best.plan.servers), list(best.plan.cuts)
                servers[k], cuts[k] = server, cut
                found = certify(problem, changed(best.plan, servers=tuple(servers), cuts=tuple(cuts)), labels=0)
                if found.objective is not None and found.objective < best.objective * (1 - 1e-9):
                    cheaper += 1
                    assert not found.feasible
                assert not found.proved or found.objective == pytest.approx(best.objective, rel=2e-9)
    assert cheaper > 0


# --- forged witnesses ---------------------------------------------------------------------------------------------


def leaves(tree: list[Any]) -> list[int]:
    return [i for i, node in enumerate(tree) if node[0] == "leaf"]


def forgeries(kind: str, tree: list[Any]) -> list[tuple[str, Any]]:
    """Ways to spoil a tree, with a word for each."""
    first = leaves(tree)[0]

    def with_node(node: Any) -> list[Any]:
        spoiled = copy.deepcopy(tree)
        spoiled[first] = node
        return spoiled

    split = [0, [0]]
    name = "split" if kind == "mckp" else "cross"
    return [
        ("no list", {"leaf": 1}),
        ("empty", []),
        ("cut off", tree[:-1]),
        ("longer", [*tree, tree[-1]]),
        ("a multiplier of 0", with_node(["leaf", 1, 0.0])),
        ("a huge multiplier", with_node(["leaf", 1, 1e200])),
        ("a negative multiplier", with_node(["leaf", 1, -1.0])),
        ("no number", with_node(["leaf", 1, "1"])),
        ("not a number", with_node(["leaf", 1, math.nan])),
        ("two multipliers", with_node(["leaf", 1, 0.0, 0.0])),
        ("a ray that proves nothing", with_node(["leaf", 0, 1.0])),
        ("a share of 2", with_node(["leaf", 2, 0.0])),
        ("an unknown node", with_node(["trust me"])),
        ("a node of nothing", with_node([])),
        ("a split of nothing", [[name, 0, []], *tree, *tree]),
        ("a split of what is not there", [[name, 10**9, [0]], *tree, *tree]),
        ("a split twice over", [[name, 0, [0, 0]], *tree, *tree]),
        ("a loose end", [[name, *split], *tree]),
    ]


@pytest.mark.parametrize("problem", [path(), schedule()], ids=["path", "schedule"])
def test_forged_trees_prove_nothing(problem: Jqodi) -> None:
    method = "rcsp"  # trees of leaves only, in both modes
    solution = solved(problem, method)
    witness = solution.witness
    plan = solution.plan
    key = f"{plan.model}/{plan.bits}"
    assert certify(problem, plan, witness, labels=0).proved
    assert len(leaves(witness["candidates"][key])) > 1
    for word, tree in forgeries(witness["kind"], witness["candidates"][key]):
        forged = {**witness, "candidates": {**witness["candidates"], key: tree}}
        found = certify(problem, plan, forged, labels=0)
        assert not found.proved, word
        assert found.feasible
        assert found.gap is None or found.gap > 1e-9, word
        if word not in ("a multiplier of 0", "a huge multiplier"):  # a proof of too little
            assert any(key in note for note in found.notes), (word, found.notes)


def test_forged_sums_prove_nothing() -> None:
    """Leaves that ask the checker to add up sums: of classes left out, named twice, with no multipliers that prune."""
    problem = schedule()
    solution = solved(problem, "mckp")
    plan, witness = solution.plan, solution.witness
    key = f"{plan.model}/{plan.bits}"
    classes = list(range(1 + len(plan.servers)))
    worse = solved(problem.replace({"mode": "choice"})).plan
    genuine: list[Any] = [["sums", classes, [0.0]]]
    forged = {**witness, "candidates": {**witness["candidates"], key: genuine}}
    assert certify(problem, plan, forged, labels=0).proved  # sums need no multiplier to be a proof
    assert not certify(problem, worse, forged, labels=0).proved  # but of nothing else
    for node in (["sums", [0, 0], [0.0]], ["sums", [99], [0.0]], ["sums", classes, [-1.0]], ["sums", classes]):
        forged = {**witness, "candidates": {**witness["candidates"], key: [node]}}
        found = certify(problem, plan, forged, labels=0)
        assert not found.proved, node
        assert any("witness rejected" in note for note in found.notes)


def test_forged_heads_are_rejected_with_a_note() -> None:
    problem = path()
    solution = solved(problem)
    plan, witness = solution.plan, solution.witness
    for forged in (
        "a proof",
        {},
        {**witness, "format": "qopt/placement-witness"},
        {**witness, "version": 2},
        {**witness, "version": True},
        {**witness, "version": 1.0},
        {**witness, "kind": "trust"},
        {**witness, "kind": ["rcsp"]},
        {**witness, "kind": "mckp"},
        {**witness, "candidates": []},
        {**witness, "candidates": {"model9/8": [["leaf", 1, 0.0]]}},
        {**witness, "candidates": {key: [["leaf", 1, 0.0]] for key in witness["candidates"]}},
    ):
        found = certify(problem, plan, forged, labels=0)
        assert not found.proved
        assert found.kind == "lagrangian"
    assert any("no candidate" in n for n in certify(problem, plan, {**witness, "candidates": {"x/1": []}}).notes)
    # Whatever a witness says, the certificate's own enumeration proves what is true.
    assert certify(problem, plan, "a proof").proved


def test_another_candidates_tree_is_no_proof() -> None:
    problem = jqodi(8, seed=5, servers=3, cuts=4, tightness=0.4)
    solution = solved(problem)
    trees = solution.witness["candidates"]
    own = {c.key: c for c in candidates(problem)}
    plan = solution.plan
    key = f"{plan.model}/{plan.bits}"
    for other, tree in trees.items():
        if other == key or len(own[other].states) != len(own[key].states) or own[other].epochs != own[key].epochs:
            continue
        forged = {**solution.witness, "candidates": {**trees, key: tree}}
        assert not certify(problem, plan, forged, labels=0).proved


def test_infeasibility_cannot_be_claimed() -> None:
    problem = path()
    witness = solved(problem).witness
    ray = {**witness, "candidates": {key: [["leaf", 0, 1.0]] for key in witness["candidates"]}}
    for claimed in (None, witness, ray):
        found = certify(problem, None, claimed)
        assert not found.infeasible
        assert not found.proved
        assert found.bound is not None
    tight = problem.replace({"time_limit": 0.01 * problem.time_limit})
    found = certify(tight, None)
    assert found.infeasible
    assert found.bound is None
    own = every(tight)[0]
    assert tree_bound(own, tight.time_limit, "rcsp", [["leaf", 0, 1.0]], None) == math.inf
    with pytest.raises(Refused, match="a ray that proves nothing"):
        tree_bound(read(chosen(problem), problem), problem.time_limit, "rcsp", [["leaf", 0, 1.0]], None)


# --- bounds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switching", [False, None], ids=["free", "changing"])
@pytest.mark.parametrize("estimate", ["expected", "robust"])
def test_duals_are_below_and_closing_is_exact(switching: bool | None, estimate: Any) -> None:
    gaps = 0
    for seed in range(12):
        problem = jqodi(
            4,
            seed=seed,
            servers=2,
            cuts=2,
            models=1,
            widths=[8],
            switching=switching,
            conditions=seed % 2 == 0,
            estimate=estimate,
            tightness=0.2 + 0.05 * seed,
            requests=1e4 * (seed % 3),
        )
        plans = every_plan(problem, candidates(problem)[0])
        (own,) = every(problem)
        assert plans
        best = Fraction(plans[0][0])
        for guess in (None, 0.0, 1.0, 1e6):
            found = dual(own, problem.time_limit, None, guess)
            assert found.bound <= best
        gaps += found.bound < best * Fraction(999, 1000)
        for factor in (1.0, 1.5):  # an optimal plan's target, and that of one much worse
            target = best * Fraction(factor)
            least = enumerated(own, problem.time_limit, target, dual(own, problem.time_limit, None).multiplier, 10**6)
            assert least is not None
            assert float(least) == pytest.approx(float(best), rel=1e-14)
        assert enumerated(own, problem.time_limit, best * 3, 0.0, 3) is None
    assert gaps > 3


def plain_suffixes(own: Candidate, share: float, lam: float) -> Any:
    """(K, S) least of share energy + lam time from each state on, over all pairs of states, by the methods' tables."""
    assert own.switch_energy is not None
    assert own.switch_time is not None
    there = np.isfinite(own.time)
    lengths = share * np.where(there, own.energy, 0.0) + lam * np.where(there, own.time, 0.0)
    lengths[~there] = np.inf
    for k in range(own.epochs - 2, -1, -1):
        counts = share if k + 1 < own.counted else 0.0
        lengths[k] += (counts * own.switch_energy + lam * own.switch_time + lengths[k + 1]).min(axis=1)
    return lengths


@pytest.mark.parametrize("estimate", ["expected", "robust"])
def test_a_dual_over_paths_uses_server_and_cut_apart(estimate: Any) -> None:
    problem = jqodi(6, seed=2, servers=3, cuts=4, models=1, widths=[8], estimate=estimate)
    (theirs,) = candidates(problem)
    (own,) = every(problem)
    routes = Paths(own)
    assert routes.work < own.time.size * own.states
    for share, lam in ((1.0, 0.0), (0.0, 1.0), (1.0, 3.7)):
        plain = plain_suffixes(theirs, share, lam)
        np.testing.assert_allclose(routes.suffixes(share, lam), plain, rtol=1e-13)
        value, states = routes.least(share, lam)
        energy, time = totals(theirs, states)
        assert value == pytest.approx(share * energy + lam * time, rel=1e-12)
        start = share * own.setup_energy + lam * own.setup_time
        assert value == pytest.approx(start + plain[0].min(), rel=1e-12)
        # Every state's best plan through it: the least of them is the least of all, and no state is better than that.
        through = routes.prefixes(share, lam) + routes.suffixes(share, lam)
        np.testing.assert_allclose(through.min(axis=1) + start, value, rtol=1e-12)


def test_a_tree_bounds_what_it_does_not_prove() -> None:
    """A single leaf at the dual's multiplier is worth the dual's bound, in exact arithmetic."""
    for problem, kind in ((path(), "rcsp"), (schedule(), "mckp"), (schedule(), "rcsp")):
        own = read(chosen(problem), problem)
        found = dual(own, problem.time_limit, None)
        bound = tree_bound(own, problem.time_limit, kind, [["leaf", 1, found.multiplier]], Fraction(0))
        assert float(bound) == pytest.approx(float(found.bound), rel=1e-9)
        assert bound >= found.bound


def test_a_guess_is_taken_from_the_first_leaf_only_if_it_is_a_number() -> None:
    assert first_multiplier([["cross", 1, [2]], ["leaf", 1, 2.5], ["leaf", 1, 3.5]]) == 2.5
    for tree in (None, 3, [], [["leaf", 0, 1.0]], [["leaf", 1, -1.0]], [["leaf", 1, "x"]], [["leaf", 1, math.inf]]):
        assert first_multiplier(tree) is None


def test_the_kernels_cutoff_is_a_proof_for_the_other_candidates() -> None:
    """Candidates that are not chosen come with trees that reach the chosen one's energy."""
    problem = jqodi(8, seed=5, servers=3, cuts=4, tightness=0.4)
    solution = solved(problem)
    target = Fraction(solution.objective) * (1 - Fraction(1, 10**9))
    for own in candidates(problem):
        tree = solution.witness["candidates"].get(own.key)
        if tree is None:
            assert rcsp.solve(path_graph(own), problem.time_limit, upper=solution.objective).path is None
        else:
            assert tree_bound(read(own, problem), problem.time_limit, "rcsp", tree, target) >= target


@pytest.mark.parametrize("kind", ["rcsp", "mckp"])
def test_a_multiplier_too_large_for_floats_bounds_nothing(kind: str) -> None:
    problem = schedule().replace({"time_limit": 1e12})
    huge: Any = [["leaf", 1, 1e300]]
    trees = {own.key: huge for own in candidates(problem)}
    witness = {"format": "qopt/jqodi-witness", "version": 1, "kind": kind, "candidates": trees}
    assert certify(problem, solved(problem).plan, witness, labels=0).feasible
    found = certify(problem, None, witness)
    assert not found.infeasible
    assert found.bound is None or math.isfinite(found.bound)
    assert tree_bound(every(problem)[0], 1e12, kind, huge, None) == -math.inf
