"""Menus, measured tables, limits on what a plan costs, and a quantized input: all methods against enumeration."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
from command_line import Cli
from qpart_enumeration import Enumerated, best, cost, plans

from qopt import certify, generate, solve
from qopt.core.errors import InputError
from qopt.qpart.plan import crossing_activations
from qopt.qpart.problem import LIMITS, QPart
from qopt.qpart.serving.decide import decide
from qopt.qpart.serving.table import offline

METHODS = ("mckp", "highs-mip", "brute-force", "pyomo")

SEEDS = int(os.environ.get("QOPT_LIMITS", "40"))
"""Random requests of the sweep; the figures quoted for it are of 1000."""


def random_request(seed: int) -> QPart:
    """A small request with menus, tables, ties, branches, overhead and a quantized input, as chance has it."""
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(1, 5))
    problem = generate.qpart(
        layers,
        seed=seed,
        bits=(1, 8),
        noise=str(rng.choice(["law", "grid", "table"])),  # type: ignore[arg-type]
        tie_cut=bool(rng.random() < 0.2),
        branches=bool(rng.random() < 0.4),
        insensitive=float(rng.choice([0.0, 0.3])),
        memory=float(rng.choice([0.6, 1.1])) if rng.random() < 0.4 else None,
        menu=[(2, 4, 8), (4, 8), (1, 2, 3, 8), (2, 8)][rng.integers(4)],
        tables=bool(rng.random() < 0.5),
        quantize_input=bool(rng.random() < 0.4),
    )
    changes: dict[str, Any] = {"server.price": float(rng.choice([0.0, 2.0]))}
    if rng.random() < 0.5 and not problem.tie_cut:
        own = [None if rng.random() < 0.5 else [[8], [2, 4], [4, 8]][rng.integers(3)] for _ in range(layers)]
        changes["bits.weights"] = own
        if rng.random() < 0.5:
            changes["bits.activations"] = own[::-1]
    elif layers > 1 and rng.random() < 0.5:
        first, last = sorted(rng.choice(np.arange(1, layers + 1), 2, replace=False).tolist())
        changes["network.ties"] = [{"layers": [first, last], "shared": False}]
    if rng.random() < 0.4:
        changes["network.overhead"] = np.rint(rng.uniform(0, 2000, layers)).tolist()
        changes["network.overhead_activations"] = np.rint(rng.uniform(0, 200, layers)).tolist()
    changes["inferences"] = int(rng.choice([1, 7]))
    return problem.replace(changes)


def limited(problem: QPart, seed: int, all_plans: list[Enumerated]) -> QPart:
    """The same with one to four limits: what some plan uses, just that, somewhat more, or somewhat less."""
    rng = np.random.default_rng(seed)
    names = rng.choice(LIMITS, int(rng.integers(1, 5)), replace=False).tolist()
    model = all_plans[int(rng.integers(len(all_plans)))]
    limits = {name: model.used[name] * float(rng.choice([1.0, 1.2, 0.999, 1.0 + 1e-9])) for name in names}
    return problem.replace({"limits": limits})


def check_all(problem: QPart, expected: Enumerated | None, methods: tuple[str, ...] = METHODS) -> None:
    """Every method finds the optimum of the enumeration, or that there is none, and it is proved."""
    for name in methods:
        found = solve(problem, name)
        if expected is None:
            assert found.status == "infeasible", (name, problem.source, found)
            assert found.certificate.infeasible, (name, problem.source)
            assert any("break" in note for note in found.certificate.notes)
            continue
        assert found.objective == pytest.approx(expected.objective, rel=1e-9), (name, problem.source)
        assert found.status == "optimal", (name, problem.source, found.certificate.notes)
        cost = found.certificate.cost
        assert all(getattr(cost, limit) == pytest.approx(_used(problem, found.plan)[limit]) for limit in LIMITS)
        if name == "mckp":
            assert found.witness is not None
            alone = certify(problem, found.plan, found.witness, labels=0)
            assert alone.proved, (problem.source, alone.notes)


def _used(problem: QPart, plan: Any) -> dict[str, float]:
    """What a plan uses, by the enumeration's own reading."""
    weights = tuple(int(b) for b in plan.weights)
    crossing = crossing_activations(problem, plan.cut)
    outputs = {i: int(b) for i, b in zip(crossing, plan.activations, strict=True)}
    return cost(problem, plan.cut, weights, outputs)[1]


@pytest.mark.parametrize("seed", range(4))
def test_methods_agree_with_enumeration(seed: int) -> None:
    problem = random_request(seed)
    everything = list(plans(problem))
    check_all(problem, best(problem, everything), ("mckp", "highs-mip"))
    tight = limited(problem, seed, everything)
    check_all(tight, best(tight, everything), METHODS)


@pytest.mark.sweep
def test_many_requests_agree_with_enumeration() -> None:
    for seed in range(100, 100 + SEEDS):
        problem = random_request(seed)
        everything = list(plans(problem))
        check_all(problem, best(problem, everything), ("mckp",))
        tight = limited(problem, seed, everything)
        check_all(tight, best(tight, everything))


def small(**options: Any) -> QPart:
    """Three layers with a menu."""
    return generate.qpart(3, seed=3, bits=(1, 8), menu=(2, 4, 8), **options)


@pytest.mark.parametrize("form", ["one-hot", "aggregated", "big-m", "hull"])
def test_every_form_of_the_model_knows_limits(form: str) -> None:
    problem = small(tables=True, quantize_input=True, branches=True, limits={"time": 1.1, "energy": 1.1})
    expected = best(problem)
    assert expected is not None
    found = solve(problem, "pyomo", formulation=form)
    assert found.objective == pytest.approx(expected.objective, rel=1e-9)


def test_the_model_in_cvxpy_knows_limits() -> None:
    from qopt.formulations.qpart import extract, joint_cvxpy

    problem = small(tables=True, quantize_input=True, limits={"time": 1.1, "payload": 1.0})
    model = joint_cvxpy(problem)
    model.solve(solver="HIGHS", mip_feasibility_tolerance=1e-9, primal_feasibility_tolerance=1e-9)
    certificate = certify(problem, extract(model, problem))
    assert certificate.proved


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits.menu": []}, "bits.menu: found []; allowed: at least one width"),
        ({"bits.menu": [4, 2]}, "bits.menu: found [4, 2]; allowed: at least one width, ascending"),
        ({"bits.menu": [4, 9]}, "bits.menu: found 9 bits; allowed: widths from lo 1 to hi 8"),
        ({"bits.weights": [[8]]}, "bits.weights: found 1 entries; allowed: 3"),
        ({"bits.weights": [[8], None, [0]]}, "bits.weights[2][0]: found 0; allowed: a whole number from 1 to 64"),
        (
            {"bits.weights": [[2], [4], None], "network.ties": [{"layers": [1, 2]}]},
            "network.ties[0]: found menus without a width in common for layers [1, 2]",
        ),
        (
            {"bits.weights": [[2]] * 3, "bits.activations": [[4]] * 3, "tie_cut": True},
            "bits: found menus without a width in common for weights and output of layer 1",
        ),
        ({"tables": {"device_time": [[1.0]] * 3}}, "tables.bits: found nothing"),
        ({"tables": {"bits": [2, 4]}}, "tables.bits: found [2, 4]; allowed: nothing, without device_time"),
        (
            {"tables": {"bits": [2, 8], "device_time": [[1.0, 2.0]] * 3}},
            "tables.bits: found no column for 4 bits, which the weights of layer1 may have",
        ),
        (
            {"tables": {"bits": [2, 4, 8], "device_energy": [[1, 1, 1], [1, None, 1], [1, 1, 1]]}},
            "tables.device_energy[1][1]: found null at 4 bits, which the weights of layer2 may have",
        ),
        (
            {"tables": {"bits": [2, 4, 8], "device_time": [[1, 1, 1], [1, -2, 1], [1, 1, 1]]}},
            "tables.device_time[1][1]: found -2; allowed: a number >= 0",
        ),
        ({"tables": {"server_time": [1.0, 2.0]}}, "tables.server_time: found 2 entries; allowed: 3"),
        ({"limits.time": -1}, "limits.time: found -1; allowed: a number >= 0"),
        ({"limits.memory": 1}, "limits.memory: found an unknown field; allowed: time, energy, price, payload"),
        ({"quantize_input": True}, "noise.s_input: found nothing; allowed: a number, because quantize_input is true"),
        (
            {"quantize_input": True, "noise.s_input": 1.0},
            "accuracy.delta_input: found nothing; allowed: the noise limit of cut 0",
        ),
        ({"bits.input": [8]}, "bits.input: found [8]; allowed: nothing, unless quantize_input is true"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        small().replace(changes)
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_a_hole_off_the_menu_is_none() -> None:
    table = {"bits": [2, 3, 4, 8], "device_time": [[1e-4, None, 2e-4, 4e-4]] * 3}
    assert solve(small().replace({"tables": table})).status == "optimal"


def test_what_each_cut_breaks_is_said() -> None:
    problem = small().replace({"limits": {"time": 1e-6}})
    notes = solve(problem).certificate.notes
    assert notes[0].startswith("cuts 0 to 3 break time (cut 0: ")
    assert notes[0].endswith("s at the least, allowed 1e-06)")


def test_the_command_line_sets_limits_and_says_what_breaks(qopt_cli: Cli) -> None:
    options = ("--set", "bits.menu=[2,4,8]", "--set", "limits.time=1e-4")
    call = qopt_cli("solve", "qpart/mnist-mlp6", *options)
    assert call.code == 1
    assert "break time" in call.out
    kept = qopt_cli("solve", "qpart/mnist-mlp6", "--set", "limits.time=1")
    assert kept.code == 0
    assert "time limit" in kept.out


def test_limits_that_only_contradict_each_other_are_named() -> None:
    """Either limit can be kept alone: few bits are much noise."""
    problem = small(cuts=[3])
    free = solve(problem).certificate.cost
    certificate = solve(problem.replace({"limits": {"payload": 0.99 * free.payload, "time": 1e9}})).certificate
    if not certificate.infeasible:
        certificate = solve(problem.replace({"limits": {"payload": 0.5 * free.payload, "time": 1e9}})).certificate
    assert certificate.infeasible
    assert certificate.notes == ("cut 3 breaks accuracy and payload together",)


def test_methods_that_cannot_say_why() -> None:
    reasons = {m.name: m.unavailable(small(tables=True)) for m in methods_of()}
    assert reasons["qpart-paper"] == "the published rule prices MACs, this problem has tables"
    assert all("menus" in (reasons[name] or "") for name in ("kkt", "highs-cuts", "cvxpy"))
    limited = generate.qpart(3, seed=3).replace({"limits.energy": 1.0})
    assert all("limits.energy is a row" in (m.unavailable(limited) or "") for m in methods_of() if m.bits == "real")
    assert all(m.unavailable(limited) is None for m in methods_of() if m.bits == "whole")


def methods_of() -> Any:
    """The family's methods."""
    from qopt.qpart.methods.registry import METHODS

    return METHODS


def test_a_plan_in_no_time_keeps_menus_and_limits() -> None:
    problem = generate.qpart(400, seed=1, menu=(2, 4, 8), ends=8, tables=True, bits=(1, 8), limits={"time": 1.05})
    found = solve(problem, time_limit=0.05)
    assert found.plan is not None
    assert found.certificate.feasible


def test_a_plan_that_breaks_a_limit_or_a_menu_is_not_feasible() -> None:
    problem = small(cuts=[3])
    plan = solve(problem).plan
    assert plan is not None
    used = certify(problem, plan).cost.time
    late = certify(problem.replace({"limits.time": 0.9 * used}), plan)
    assert not late.feasible
    assert late.violations[0].startswith("time: ")
    odd = certify(problem, plan.model_copy(update={"weights": (3, *plan.weights[1:])}))
    assert not odd.feasible
    assert "weights of layer 1: 3 bits, on its menu 2, 4, 8" in odd.violations


def test_a_forged_tree_of_several_rows_is_refused() -> None:
    problem = small(limits={"time": 1.5, "energy": 1.5})
    found = solve(problem)
    assert found.witness is not None
    assert found.plan is not None
    cut, tree = str(found.plan.cut), found.witness["cuts"][str(found.plan.cut)]
    assert check_all_cuts(problem, found.plan, found.witness)
    for forged in (
        [[*node[:-1], 1e9] if node[0] == "leaf" else node for node in tree],  # a limit that does not bind, priced
        [node[:-1] if node[0] == "leaf" else node for node in tree],  # a row short
        [[*node[:-1], -1.0] if node[0] == "leaf" else node for node in tree],
    ):
        witness = {**found.witness, "cuts": {**found.witness["cuts"], cut: forged}}
        assert not check_all_cuts(problem, found.plan, witness)


def check_all_cuts(problem: QPart, plan: Any, witness: Any) -> bool:
    """Whether a witness alone proves a plan, no cut being closed otherwise."""
    from qopt.qpart.certificate.certify import proof_target
    from qopt.qpart.certificate.cuts import CutTable
    from qopt.qpart.certificate.witness import check_witness

    table = CutTable(problem, "whole")
    return check_witness(
        table.knapsack, problem.admissible_cuts.tolist(), witness, proof_target(problem, plan)
    ).accepted


def test_defaults_say_what_they_said() -> None:
    """No limit and a menu of the whole range: plan and objective to the last bit."""
    plain = generate.qpart(5, seed=8, bits=(2, 6))
    spelt = plain.replace({"bits.menu": [2, 3, 4, 5, 6], "limits": {"time": math.inf}})
    one, other = solve(plain), solve(spelt)
    assert one.plan is not None
    assert other.plan is not None
    assert (one.objective, one.plan.to_dict()) == (other.objective, other.plan.to_dict())


@pytest.mark.parametrize("noise", ["law", "table"])
def test_drawn_limits_at_a_share_of_one_are_kept_by_a_plan(noise: Any) -> None:
    every = dict.fromkeys(LIMITS, 1.0)
    problem = generate.qpart(4, seed=2, noise=noise, bits=(1, 8), menu=(2, 4, 8), ends=8, tables=True, limits=every)
    assert problem.given_limits.keys() == set(LIMITS)
    assert solve(problem).status == "optimal"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"menu": "248"}, "menu: found '248'; allowed: a list of widths, such as (2, 4, 8)"),
        ({"menu": (2, 32)}, "menu[1]: found 32; allowed: a whole number from 1 to 16"),
        ({"menu": (4, 2)}, "menu: found (4, 2); allowed: widths, ascending, none twice"),
        ({"ends": 0}, "ends: found 0; allowed: a whole number from 1 to 16"),
        ({"tables": 1}, "tables: found 1; allowed: true or false"),
        ({"limits": {"tme": 1.0}}, "limits: found {'tme': 1.0}; allowed: shares by name: time, energy, price, payload"),
        ({"limits": {"time": 0}}, "limits.time: found 0; allowed: a number > 0 and <= 1e+06"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        generate.qpart(2, seed=0, **options)
    assert str(error.value) == words


def test_real_valued_bits_of_a_quantized_input() -> None:
    """The closed form and the cone agree, and the table serves what they find."""
    problem = generate.qpart(3, seed=1, quantize_input=True, branches=True)
    one, other = solve(problem, "kkt"), solve(problem, "cvxpy")
    assert one.certificate.proved
    assert one.objective == pytest.approx(other.objective, rel=1e-8)
    for request in (problem, problem.replace({"cuts": [0]})):
        found = solve(request, "kkt")
        decided = decide(offline(request, bits="real"), {"inferences": [1]})
        assert decided.objective[0] == pytest.approx(found.objective, rel=1e-9)


def test_a_real_valued_plan_is_held_to_the_limits() -> None:
    problem = generate.qpart(3, seed=3, cuts=[3])
    found = solve(problem, "kkt")
    used = found.certificate.cost.energy
    kept = certify(problem.replace({"limits.energy": 1.001 * used}), found.plan)
    assert kept.feasible
    assert kept.proved
    broken = certify(problem.replace({"limits.energy": 0.999 * used}), found.plan)
    assert not broken.feasible
    assert broken.violations[0].startswith("energy: ")
