"""What multipliers prove, and what they say of prices, refusals and a server that leaves; QPART's table as options."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from every_fleet import optimum

import qopt
from qopt.bridges.options import fleet_options
from qopt.fleet.certificate.bound import multipliers_bound
from qopt.fleet.certificate.proof import leaf_proof
from qopt.fleet.explain import refusals, solve_from, without_server
from qopt.fleet.problem import Requests, Units
from qopt.fleet.witness import prices
from qopt.kernels.checker import check_proof

TEACHING = "fleet/teaching-4"


def witness(**changes: Any) -> dict[str, Any]:
    """Price 1 of a unit of work: worth 34 - 10 = 24 by hand."""
    return {
        "format": "qopt/fleet-witness",
        "version": 1,
        "kind": "multipliers",
        "shift": 2,
        "multipliers": {"servers.edge.work": 4},
        **changes,
    }


def test_the_bound_that_is_worked_by_hand() -> None:
    problem = qopt.load(TEACHING)
    assert multipliers_bound(problem, 2, {"servers.edge.work": 4}) == 24
    assert multipliers_bound(problem, 3, {"servers.edge.work": 9}) == Fraction(2 * 66 + 2 * 74 - 90, 8)
    found = qopt.solve(problem, "lagrangian")
    assert found.bound == 24
    assert prices(problem, found.witness) == {"servers.edge.work": 1.0, "cells.cell.up": 0.0}
    certificate = qopt.certify(problem, found.plan, witness(), labels=0)
    assert (certificate.bound, certificate.kind, certificate.proved) == (24, "lagrangian", False)
    assert qopt.certify(problem, found.plan).proved


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"multipliers": {"servers.edge.work": -1}}, "is not a whole number >= 0"),
        ({"multipliers": {"servers.edge.work": 1.5}}, "is not a whole number >= 0"),
        ({"multipliers": {"servers.edge.memory": 1}}, "there is no capacity servers.edge.memory"),
        ({"multipliers": {"servers.edge.work": 2**61}}, "too large"),
        ({"multipliers": [1]}, "not an object"),
        ({"shift": -1}, "its shift"),
        ({"kind": "tree", "tree": [["leaf", 1]]}, "rejected"),
        ({"format": "other"}, "not an object of format"),
    ],
)
def test_false_witnesses_prove_nothing(changes: dict[str, Any], why: str) -> None:
    plan = qopt.solve(TEACHING).plan
    found = qopt.certify(TEACHING, plan, witness(**changes), labels=0)
    assert found.kind == "cheapest"
    assert any(why in note for note in found.notes), found.notes


def test_a_plan_above_a_capacity_is_not_feasible() -> None:
    found = qopt.certify(TEACHING, qopt.FleetPlan(option=[2, 2, 2, 2]))
    assert not found.feasible
    assert found.violations == ("work of edge: 20 of 10", "airtime up in cell: 18 of 8")


def test_the_stand_alone_checker_takes_the_multipliers() -> None:
    problem = qopt.load(TEACHING)
    plan = qopt.solve(problem, "lagrangian").plan
    proof = leaf_proof(problem, plan, witness(), 0.08)  # 24 of 26
    assert check_proof(proof, 0.08).accepted
    assert not check_proof(leaf_proof(problem, plan, witness(), 0.07), 0.07).accepted
    far = leaf_proof(problem, plan, witness(multipliers={"servers.edge.work": 40}), 0.08)
    assert not check_proof(far, 0.08).accepted


def test_who_is_refused_and_why() -> None:
    problem = qopt.load(TEACHING).replace(
        {
            "classes.camera.cost": [30, 2, 5],
            "classes.camera.time": [0, 9, 0],
            "servers.edge.work": 4,
            "requests.deadline": [8, 8, 8, 0],
            "requests.penalty": [15, 15, 9, 7],
            "classes.camera.up": [1, 3, 1],
        }
    )
    found = qopt.solve(problem)
    assert found.objective == optimum(problem) == 28
    told = refusals(problem, found.plan, witness(multipliers={"servers.edge.work": 8}))
    assert [(refusal.row, refusal.option) for refusal in told.rows] == [(2, "cut 2 on edge"), (3, None)]
    assert "7 and 4 at the prices, most of it work of edge; refusing 9" in str(told)
    assert "no option meets its deadline" in str(told)


def test_a_server_leaves() -> None:
    problem = qopt.generate.fleet(40, seed=2, classes=1, options=4, servers=2, cells=1, load=0.8)
    before = solve_from(problem)
    left = without_server(problem, "server1")
    after = solve_from(left, prices(problem, before.witness))
    certificate = qopt.certify(left, after.plan, after.witness, labels=0)
    assert certificate.feasible
    assert certificate.cost.used["servers.server1.work"] == 0
    assert certificate.objective >= before.bound  # type: ignore[operator]
    cold = solve_from(left)
    assert after.bound == pytest.approx(cold.bound, rel=1e-6)
    with pytest.raises(qopt.InputError, match="server: found 'x'; allowed: server1, server2"):
        without_server(problem, "x")


def test_options_from_the_offline_table() -> None:
    """Of one request alone the fleet chooses as `decide` does, up to rounding to units."""
    table = qopt.offline(["qpart/mnist-cnn"])
    units = Units(time=1e-9)
    options = fleet_options(table, "qpart/mnist-cnn", 0.01, {"edge": 1.0, "fast": 4.0}, units, cost_unit=1e-10)
    assert {None, "edge", "fast"} == set(options.server)
    for rate in (1e4, 1e6, 1e8):
        airtime = round(units.data / rate / units.time)
        requests = Requests(kind=[0], cell=[0], penalty=[2**43], up=[airtime], down=[airtime])  # type: ignore[arg-type]
        alone = fleet_options(table, "qpart/mnist-cnn", 0.01, {"edge": 1.0}, units, cost_unit=1e-10)
        fleet = qopt.Fleet(
            units=units,
            servers={"edge": {}},
            cells={"cell": {}},
            classes={"cnn": alone},
            requests=requests,  # type: ignore[arg-type]
        )
        found = qopt.solve(fleet)
        own = qopt.decide(table, {"channel.rate": [rate], "level": [0.01]})
        assert found.status == "optimal"
        assert found.objective * 1e-10 == pytest.approx(float(own.objective[0]), rel=1e-3)
    with pytest.raises(qopt.InputError, match="level: found 1e-09; allowed: a loss of at least"):
        fleet_options(table, "qpart/mnist-cnn", 1e-9, {}, units)
