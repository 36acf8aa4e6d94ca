"""The certificate of a placement: genuine answers are proved, tampered plans and witnesses are not."""

from __future__ import annotations

import copy
import functools
import json
import math
from typing import Any

import pytest

import qopt
from qopt.core.errors import InputError
from qopt.core.solution import Solution
from qopt.placement.certificate.bounds import cut_instance
from qopt.placement.certificate.certify import certify, violations
from qopt.placement.costs import labellings
from qopt.placement.generate import placement
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement

BRANCHES = "placement/branches-30"


def limited() -> Placement:
    """Memory binds and the relaxation leaves a gap, so that the proof is a tree."""
    return placement(30, seed=7, branches=0.5, memory=0.03)


@functools.cache
def solved() -> Solution:
    return qopt.solve(limited())


def test_a_plan_alone_is_proved() -> None:
    problem = qopt.load(BRANCHES)
    plan = qopt.solve(problem).plan
    found = certify(problem, plan)
    assert found.proved
    assert found.kind == "flow"
    assert found.bound == pytest.approx(found.objective, rel=1e-12)
    assert problem.best_known["objective"] == found.objective


def test_the_proof_survives_a_file() -> None:
    for problem in (qopt.load(BRANCHES), limited()):
        solution = qopt.solve(problem)
        witness = json.loads(json.dumps(solution.witness, allow_nan=False))
        found = certify(problem, PlacementPlan(**solution.plan.to_dict()), witness)
        assert found.proved
        assert not found.notes


def test_a_worse_plan_is_feasible_and_not_proved() -> None:
    problem = qopt.load("placement/teaching-5")
    edge = dict.fromkeys(problem.graph.operations, "edge")
    found = certify(problem, PlacementPlan(operator="quantized", tiers=edge))
    assert found.feasible
    assert not found.proved
    assert found.objective == 17
    assert found.bound == 13
    assert found.gap == pytest.approx(4 / 17)


TAMPERED_PLANS: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({}, {"conv": "cloud", "block": "edge"}, "block: below conv, which it reads"),
    ({"pins": {"conv": ["mobile"]}}, {}, "conv: on edge, where it may not run"),
    ({"tiers[1].memory": 100}, {}, "memory of edge: 175 bytes, allowed 100"),
    ({"targets.latency": 12.5}, {}, "latency: 13 s, allowed 12.5"),
    ({"targets.accuracy": 0.79}, {}, "operator quantized: accuracy 0.78"),
    ({"graph.together": [["prepare", "conv"]]}, {}, "prepare, conv: not on one tier"),
    ({"input.private": True}, {"prepare": "edge"}, "the raw input leaves its tier"),
]


@pytest.mark.parametrize(("changes", "moved", "line"), TAMPERED_PLANS, ids=[t[2] for t in TAMPERED_PLANS])
def test_every_constraint_is_checked(changes: dict[str, Any], moved: dict[str, str], line: str) -> None:
    problem = qopt.load("placement/teaching-5")
    plan = qopt.solve(problem).plan
    assert not violations(problem, plan)
    moved_plan = plan.model_copy(update={"tiers": {**plan.tiers, **moved}})
    found = certify(problem.replace(changes), moved_plan)
    assert not found.feasible
    assert not found.proved
    assert any(line in v for v in found.violations), found.violations
    json.dumps(found.to_dict(), allow_nan=False)


def tamper(witness: Any, how: str) -> Any:
    """A witness with one thing changed."""
    w = copy.deepcopy(witness)
    name = min(w["operators"])
    tree = w["operators"][name]
    kinds = (["leaf", 1], ["part", 1])
    leaf = next(node for node in tree if node[:2] in kinds and node[4] and node[3] is not None)
    split = next((node for node in tree if node[0] == "split"), None)
    match how:
        case "greater flow":
            entry = max(leaf[4], key=lambda e: e[3])
            entry[3] = entry[3] * 1.001
        case "no flow":
            leaf[4] = []
        case "an entry twice":
            leaf[4].append(leaf[4][0])
        case "nan":
            leaf[4][0][3] = math.nan
        case "other labels":
            leaf[3] = [0] * len(leaf[3])
        case "negative multiplier":
            leaf[2] = dict.fromkeys(leaf[2], -1.0) or {"latency": -1.0}
        case "unknown limit":
            leaf[2] = {"patience": 1.0}
        case "leaf dropped":
            tree.pop()
        case "leaf twice":
            tree.append(copy.deepcopy(tree[-1]))
        case "a flag for a share":
            leaf[1] = True
        case "ray":
            leaf[1] = 0
        case "operator renamed":
            w["operators"]["other"] = w["operators"].pop(name)
        case "another format":
            w["format"] = "qopt/witness"
        case "a list":
            return [w]
        case "split forgets tiers":
            assert split is not None
            split[2] = ["nowhere"]
        case "split elsewhere":
            assert split is not None
            split[1] = "op1"
    return w


HOW = [
    "greater flow",
    "no flow",
    "an entry twice",
    "nan",
    "other labels",
    "negative multiplier",
    "unknown limit",
    "leaf dropped",
    "leaf twice",
    "a flag for a share",
    "ray",
    "operator renamed",
    "another format",
    "a list",
]


@pytest.mark.parametrize("how", HOW)
def test_a_tampered_flow_is_no_proof(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Where the certificate finds no flow of its own, a false witness leaves nothing proved."""
    problem = qopt.load(BRANCHES)
    solution = qopt.solve(problem)
    monkeypatch.setattr("qopt.placement.certificate.certify.own_bound", lambda *_: None)
    assert certify(problem, solution.plan, solution.witness).proved
    assert not certify(problem, solution.plan).proved
    found = certify(problem, solution.plan, tamper(solution.witness, how))
    assert found.feasible
    assert not found.proved, how
    assert found.notes


@pytest.mark.parametrize("how", [*HOW, "split forgets tiers", "split elsewhere"])
def test_a_tampered_tree_is_no_proof(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """With limits the certificate's own bound stays below the plan; without enumeration all hangs on the tree."""
    monkeypatch.setattr("qopt.placement.certificate.certify.least_of_all", lambda *_: None)
    problem = limited()
    solution = solved()
    assert solution.status == "optimal"
    assert not certify(problem, solution.plan).proved
    witness = tamper_where_it_matters(problem, solution, how)
    found = certify(problem, solution.plan, witness)
    assert found.feasible
    assert not found.proved, how


def tamper_where_it_matters(problem: Placement, solution: Any, how: str) -> Any:
    """Tamper with the operator whose own bound does not reach the plan's cost."""
    from qopt.placement.certificate.bounds import own_bound
    from qopt.placement.rows import limits

    for name, (own, costs) in labellings(problem).items():
        bound = own_bound(costs, limits(problem, own, costs))
        tree = solution.witness["operators"][name]
        if bound is not None and bound < solution.objective and any(node[0] == "split" for node in tree):
            changed = tamper({**solution.witness, "operators": {name: tree}}, how)
            if isinstance(changed, dict):
                others = {k: v for k, v in solution.witness["operators"].items() if k != name}
                changed["operators"] = {**others, **changed["operators"]}
            return changed
    raise AssertionError("no operator whose proof needs a tree")


def test_junk_is_no_error() -> None:
    problem = qopt.load("placement/teaching-5")
    plan = qopt.solve(problem).plan
    for junk in ([], 3, "x", {}, {"format": "qopt/placement-witness", "version": 1, "operators": {"quantized": 5}}):
        found = certify(problem, plan, junk)
        assert found.proved, "the certificate's own flow stands"
        assert found.notes
    forged = {**qopt.solve(problem).witness, "version": True}
    assert any("not an object" in note for note in certify(problem, plan, forged).notes)
    trees: list[Any] = [
        [["leaf"]],
        [["split", "conv", ["edge"]]],
        [[]],
        ["leaf"],
        [["leaf", 1, {}, None, None]],
        [None],
    ]
    for tree in trees:
        witness = {"format": "qopt/placement-witness", "version": 1, "operators": {"quantized": tree}}
        assert any("quantized" in note for note in certify(problem, plan, witness).notes)


def test_infeasibility_is_proved() -> None:
    problem = qopt.load("placement/teaching-5")
    cases: list[dict[str, Any]] = [
        {"targets.accuracy": 0.9},
        {"targets.latency": 12.9},
        {"tiers[0].memory": 10, "tiers[1].memory": 10, "tiers[2].memory": 10},
        {"pins": {"classify": ["mobile"]}, "tiers[0].memory": 100},
    ]
    for changes in cases:
        impossible = problem.replace(changes)
        found = certify(impossible, None)
        assert found.infeasible, changes
        for method in ("cut-branch", "highs-mip", "brute-force"):
            assert qopt.solve(impossible, method).status == "infeasible"
    assert not certify(problem, None).infeasible
    assert certify(problem, None).bound == 13


def test_a_gap_in_knapsack_manner_is_closed_by_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Infeasible only because weights do not divide: no single multiplier proves it."""
    data = qopt.load("placement/teaching-5").model_dump()
    data |= {"operators": [{"name": "identity", "accuracy": 1.0}], "best_known": None}
    data["graph"] |= {"weights": [0, 60, 60, 60, 0], "together": []}
    data["tiers"] = [{"name": n, "speed": 1.0, "memory": 99.0} for n in ("mobile", "edge")]
    data["links"] = [{"rate": 1.0}]
    data["graph"]["time"] = {"prepare": [1, 1]}
    problem = Placement(**data)
    found = qopt.solve(problem)
    assert found.method == "cut-branch"
    assert found.status == "infeasible"
    assert found.certificate.kind == "witness"
    monkeypatch.setattr("qopt.placement.certificate.certify.least_of_all", lambda *_: None)
    assert not certify(problem, None).infeasible, "nothing but the tree proves it"
    assert certify(problem, None, found.witness).infeasible
    monkeypatch.undo()
    alone = certify(problem, None)
    assert alone.infeasible
    assert alone.kind == "enumeration"


def test_the_kernel_instance_is_that_of_the_checker() -> None:
    problem = qopt.load("placement/teaching-5").replace({"pins": {"conv": ["edge", "cloud"]}})
    _, costs = labellings(problem)["identity"]
    data = cut_instance(costs)
    assert data["labels"] == 3
    assert data["unary"][0] == [0.0, None, None]
    assert data["unary"][2] == [None, 4.0, 1.0]
    assert data["tensors"][0] == [0, [1], [6.0, 24.0]]
    assert data["tensors"][2] == [2, [3, 4], [4.0, 16.0]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"operator": "other"}, "plan.operator"),
        ({"tiers": {"conv": "edge"}}, "plan.tiers.prepare"),
        ({"operator": "early exit"}, "plan.tiers.block"),
        ({"more": "x"}, "plan.tiers.more"),
        ({"conv": "moon"}, "plan.tiers.conv"),
    ],
)
def test_plans_that_do_not_fit(change: dict[str, Any], field: str) -> None:
    problem = qopt.load("placement/teaching-5")
    data = qopt.solve(problem).plan.to_dict()
    for key, value in change.items():
        if key in data:
            data[key] = value
        else:
            data["tiers"][key] = value
    with pytest.raises(InputError) as error:
        certify(problem, PlacementPlan(**data))
    assert error.value.field == field


def test_accuracy_is_a_limit_from_below() -> None:
    """Its row says what is reached before what is asked for, and its slack is what is left."""
    plan = qopt.solve("placement/teaching-5").plan
    problem = qopt.load("placement/teaching-5")
    for target, holds, text in ((0.75, True, "0.78, at least 0.75"), (0.79, False, "0.78, at least 0.79")):
        certificate = qopt.certify(problem.replace({"targets.accuracy": target}), plan)
        (row,) = [row for row in certificate.constraints if row.name == "accuracy"]
        assert (row.used, row.limit, row.holds, row.at_least, row.text) == (0.78, target, holds, True, text)
        assert row.slack == pytest.approx(0.78 - target)
        assert all(not other.at_least for other in certificate.constraints if other is not row)


CHAIN: dict[str, Any] = {
    "input": {"sizes": [1.0], "readers": ["a"]},
    "operators": [{"name": "identity", "accuracy": 0.5}],
    "links": [{"rate": 1.0, "latency": 5.0}],
}


@pytest.mark.parametrize("multiplier", [1e300, 1e295, 5e-324, 1e-300])
def test_multipliers_that_leave_the_range_of_floats_prove_nothing(multiplier: float) -> None:
    """Infinite costs would read as forbidden, and rounding of the smallest numbers is not relative."""
    tensors = [{"producer": "a", "readers": ["b"], "size": 1.0}, {"producer": "b", "readers": ["c"], "size": 0.0}]
    large, small = [3e9, 0.0, 1e9], [0.6, 0.6, 0.6]
    for weights, memory in ((large, 3.5e9), (small, 1.5)):
        problem = Placement(
            name="chain",
            graph={"operations": ["a", "b", "c"], "work": [1.0] * 3, "weights": weights, "tensors": tensors},
            tiers=[{"name": "m", "speed": 1.0, "memory": memory}, {"name": "e", "speed": 1.0}],
            pins={"a": ["m"], "b": ["m"]},
            **CHAIN,
        )
        assert qopt.solve(problem).status == "optimal"
        for labels, flow in ((None, []), ([0, 0, 0, 1], [])):
            tree = [["leaf", 0, {"memory of m": multiplier}, labels, flow]]
            forged = {"format": "qopt/placement-witness", "version": 1, "operators": {"identity": tree}}
            assert not certify(problem, None, forged).infeasible
