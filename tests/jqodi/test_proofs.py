"""Proofs of JQODI plans for a stranger: the checker takes them, their costs are the problem's, and lies are refused."""

from __future__ import annotations

import copy
import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from jqodi_problems import MODES, possible_plans, problem, solved

import qopt
from qopt.core.errors import InputError
from qopt.core.limits import within
from qopt.jqodi import generate
from qopt.jqodi.certificate import arrays
from qopt.jqodi.certificate.network import network
from qopt.jqodi.certificate.proof import proof
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import terms_of
from qopt.kernels.checker import check, check_proof


def through_json(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(data))
    return found


def least(asked: Jqodi) -> float | None:
    """The least energy by enumeration."""
    fits = []
    for candidate, states in possible_plans(asked):
        energy, time = terms_of(candidate, states)
        if within(time, asked.time_limit):
            fits.append(math.fsum(energy))
    return min(fits, default=None)


def check_one(asked: Jqodi) -> None:
    """The proof of the optimum is taken, at its cost; the first plan that is dearer has none."""
    solution = solved(asked)
    best = least(asked)
    verdict = check_proof(through_json(proof(asked, solution.plan)))
    assert verdict.accepted, verdict.reason
    if best is None:
        assert solution.plan is None
        assert verdict.objective is None
        return
    assert verdict.objective is not None
    assert math.isclose(float(verdict.objective), best, rel_tol=1e-12)


def small(seed: int) -> Jqodi:
    rng = np.random.default_rng(seed)
    mode = MODES[seed % 3]
    asked = generate.jqodi(
        int(rng.integers(1, 5)),
        seed=seed,
        mode=mode,
        servers=int(rng.integers(1, 4)),
        cuts=int(rng.integers(1, 3)),
        models=int(rng.integers(1, 3)),
        widths=(4, 8)[: int(rng.integers(1, 3))],
        estimate=("expected", "robust")[seed // 3 % 2],
        tightness=float(rng.uniform(0, 1)),
    )
    changes: dict[str, Any] = {}
    if mode == "path" and seed % 2:  # a charge for any change in place of matrices, or in one part only
        changes = {"switching": {"server_time": 0.25, "server_energy": 2.0, "cut_energy": float(rng.integers(2))}}
    if seed % 7 == 0:
        changes["time_limit"] = asked.time_limit * 0.5
    return asked.replace(changes) if changes else asked


@pytest.mark.parametrize("seed", range(12))
def test_a_proof_is_accepted_at_the_cost_of_enumeration(seed: int) -> None:
    check_one(small(seed))


@pytest.mark.sweep
@pytest.mark.parametrize("block", range(5))
def test_proofs_of_many_small_problems(block: int) -> None:
    for seed in range(100 + 100 * block, 200 + 100 * block):
        check_one(small(seed))


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(4))
def test_a_path_of_fifty_epochs_has_a_proof(seed: int) -> None:
    asked = generate.jqodi(50, seed=seed, servers=5, cuts=4, models=2, widths=(4, 8))
    solution = solved(asked)
    assert solution.status == "optimal"
    assert check_proof(through_json(proof(asked, solution.plan))).accepted


def test_hubs_price_every_change_as_the_matrices_do() -> None:
    for switching in (
        {"server_time": 2.0, "server_energy": [[0, 1], [3, 0]], "cut_energy": 0.5},
        {"server_time": 2.0, "cut_energy": 0.5},
        {"cut_time": 1.0},
        {"server_energy": 4.0},
    ):
        asked = problem(switching=switching)
        candidates = arrays.every(asked)
        net = network(candidates, False)
        by_key = {candidate.key: candidate for candidate in candidates}
        for own, states in possible_plans(asked):
            if own.epochs > 3:
                continue
            plan = qopt.JqodiPlan(
                problem=asked.name,
                model=own.model,
                bits=own.bits,
                servers=tuple(own.states[s][0] for s in states),
                cuts=tuple(own.states[s][1] for s in states),
            )
            arcs = net.path(by_key[own.key], plan)
            energy, time = terms_of(own, states)
            assert sum(map(Fraction, net.energy[arcs])) == sum(map(Fraction, energy))
            assert sum(map(Fraction, net.time[arcs])) == sum(map(Fraction, time))


def test_one_charge_for_a_change_takes_few_arcs() -> None:
    asked = generate.jqodi(20, seed=1, servers=30, cuts=1, models=1, widths=(8,))
    matrices = len(network(arrays.every(asked), False).tail)
    charged = asked.replace({"switching": {"server_time": 0.25, "server_energy": 1.0}})
    hubs = len(network(arrays.every(charged), False).tail)
    assert hubs <= 4 * 20 * 30 + 31
    assert matrices > 5 * hubs


def accepted() -> tuple[Jqodi, dict[str, Any]]:
    asked = generate.jqodi(12, seed=3, servers=3, cuts=3, models=2)
    return asked, through_json(proof(asked, solved(asked).plan))


def test_what_is_changed_is_refused() -> None:
    asked, good = accepted()
    assert check_proof(good).accepted
    kinds = [node[0] for node in good["parts"][0]["witness"]["tree"]]
    assert "labels" in kinds

    def refused(change: Any, word: str) -> None:
        bad = copy.deepcopy(good)
        change(bad["parts"][0])
        verdict = check_proof(bad)
        assert not verdict.accepted
        assert word in verdict.reason

    tree = good["parts"][0]["witness"]["tree"]
    refused(lambda part: part["witness"].update(tree=tree[:-1]), "the tree ends too early")
    refused(lambda part: part["witness"].update(tree=[*tree, tree[-1]]), "goes on after its end")
    refused(lambda part: part["witness"].update(path=part["witness"]["path"][:-1]), "does not lead")
    refused(lambda part: part["instance"].update(limit=[asked.time_limit * 0.9]), "breaks limit")
    refused(lambda part: part["instance"].update(limit=[asked.time_limit * 1.2]), "cheaper")
    refused(lambda part: part["instance"]["arcs"][0].__setitem__(2, 1e301), "not a number up to")
    at = kinds.index("labels")
    refused(lambda part: part["witness"]["tree"].__setitem__(at, ["labels", [[-1.0]]]), "negative")
    refused(lambda part: part["witness"]["tree"].__setitem__(at, ["labels", [[1.0, 2.0]]]), "list of 1")
    assert "cut short" not in good
    for text in ({}, {"format": "qopt/kernel-proof", "version": 1, "parts": []}, {**good, "version": 2}):
        assert not check_proof(text).accepted


def test_nothing_below_a_number_is_a_claim_of_its_own() -> None:
    _, good = accepted()
    part = good["parts"][0]
    best = check_proof(good).objective
    assert best is not None
    for share, said in ((1.0, True), (0.9, True), (1.0001, False)):
        claim = {**part["witness"], "path": None, "below": float(best) * share}
        verdict = check(part["instance"], claim)
        assert verdict.accepted is said
        assert verdict.objective is None
        if said:
            assert "nothing is below" in verdict.reason
    assert not check(part["instance"], {**part["witness"], "below": 1.0}).accepted
    assert not check(part["instance"], {**part["witness"], "path": None, "below": math.inf}).accepted


def test_parts_are_held_to_the_best_answer_of_all() -> None:
    _, one = accepted()
    part = one["parts"][0]
    dearer = copy.deepcopy(part)
    dearer["witness"]["path"] = None
    both = {**one, "parts": [part, dearer]}
    assert check_proof(both).accepted
    cheaper = copy.deepcopy(part)
    cheaper["instance"]["arcs"] = [[t, h, c * 0.5, w] for t, h, c, w in cheaper["instance"]["arcs"]]
    cheaper["witness"]["path"] = None
    verdict = check_proof({**one, "parts": [part, cheaper]})
    assert not verdict.accepted
    assert "of part 1" in verdict.reason


def test_a_plan_of_another_problem_has_no_proof() -> None:
    asked, other = (generate.jqodi(8, seed=seed, servers=3, cuts=3) for seed in (1, 2))
    with pytest.raises(InputError):
        proof(other.replace({"time_limit": other.time_limit * 0.2}), solved(asked).plan)
    slower = generate.jqodi(6, seed=1, servers=3, cuts=3)
    with pytest.raises(InputError):
        proof(slower, solved(asked).plan)
