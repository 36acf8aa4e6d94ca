"""Solvers as an axis: each that is there finds the optimum, what cannot be is one line, and no word is believed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

import qopt
from qopt.cli.app import main
from qopt.comparison import times
from qopt.core.errors import InputError
from qopt.core.families import family_of
from qopt.core.method import Backend, Method
from qopt.core.solution import Outcome
from qopt.core.solvers import own_process
from qopt.core.solvers import pyomo as pyomo_solvers
from qopt.core.solvers.answers import Answer
from qopt.core.solvers.backends import MIP_SOLVERS, in_cvxpy, in_pyomo
from qopt.core.solvers.programs import STARTED

TEACHING = {"qpart/teaching-3": 312.0, "placement/teaching-5": 13.0, "jqodi/fig5": 34.5, "allocation/teaching-4": 15.0}
HERE = [backend.name for backend in MIP_SOLVERS if backend.missing() is None]
WORST = {
    "qpart/teaching-3": {"cut": 0, "weights": (), "activations": ()},
    "placement/teaching-5": {
        "operator": "identity",
        "tiers": dict.fromkeys(("prepare", "conv", "block", "add", "classify"), "edge"),
    },
    "jqodi/fig5": {"model": "M1", "bits": 8, "servers": ("fast", "fast"), "cuts": (1, 1)},
    "allocation/teaching-4": {"formats": dict.fromkeys("abcd", "int2")},
}
"""Plans that keep all limits, none of them the best."""


def start_of(name: str) -> Any:
    problem = qopt.load(name)
    plan = family_of(problem).part("plan")(problem=problem.name, **WORST[name])
    assert qopt.certify(problem, plan).feasible
    return plan


def test_the_extras_of_the_tests_bring_every_free_solver() -> None:
    assert ["highs", "scip", "cbc", "glpk", "cp-sat", *(["gurobi"] if "gurobi" in HERE else [])] == HERE


@pytest.mark.parametrize(("name", "solver"), [("allocation/teaching-4", "scip"), ("jqodi/fig5", "cbc")])
def test_another_solver_finds_the_optimum(name: str, solver: str) -> None:
    found = qopt.solve(name, "pyomo", solver=solver, time_limit=60)
    assert (found.status, found.objective, found.solver) == ("optimal", TEACHING[name], solver)
    assert found.bound == pytest.approx(TEACHING[name])


@pytest.mark.sweep
@pytest.mark.parametrize("solver", HERE)
@pytest.mark.parametrize("name", list(TEACHING))
def test_every_solver_finds_the_optimum_of_every_family(name: str, solver: str) -> None:
    """From nothing, with settings, and from a plan."""
    seed = {} if solver == "glpk" else {"seed": 3}
    for settings in ({}, {"threads": 1, "time_limit": 60, **seed}, {"start": start_of(name), "verbose": True}):
        if "start" in settings and solver not in STARTED:
            continue
        found = qopt.solve(name, "pyomo", solver=solver, **settings)  # type: ignore[arg-type]
        assert found.status == "optimal", (solver, found)
        assert found.objective == TEACHING[name]


@pytest.mark.sweep
@pytest.mark.parametrize("solver", ["appsi_highs", "scip_direct"])
def test_a_solver_that_only_pyomo_knows(solver: str) -> None:
    assert qopt.solve("allocation/teaching-4", "pyomo", solver=solver, time_limit=60).objective == 15.0
    with pytest.raises(InputError, match=r"^seed: found 1; allowed: nothing: how "):
        qopt.solve("allocation/teaching-4", "pyomo", solver=solver, seed=1)


def test_a_solver_that_only_cvxpy_knows() -> None:
    found = qopt.solve("allocation/teaching-4", "cvxpy", solver="scip", time_limit=60)
    assert (found.status, found.objective) == ("optimal", 15.0)


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"solver": "glpk", "threads": 2}, InputError, "threads: found 2; allowed: 1, because glpk runs on one thread"),
        ({"solver": "scip", "threads": 2}, InputError, "threads: found 2; allowed: 1, because scip runs on one thread"),
        (
            {"solver": "abacus"},
            InputError,
            "solver: found 'abacus'; allowed: highs, scip, cbc, glpk, cp-sat, ",
        ),
        ({"solver": "cplex"}, InputError, "(Pyomo finds no cplex here)"),
        ({"method": "cvxpy", "solver": "glop"}, InputError, "(the package ortools does not load beside highspy)"),
        ({"method": "cvxpy", "solver": "osqp", "start": ...}, InputError, "which cvxpy does not take"),
        (
            {"solver": "glpk", "start": ...},
            InputError,
            "nothing with solver glpk; highs, scip, cbc, cp-sat, ",
        ),
    ],
)
def test_what_cannot_be_is_one_line(arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
    options = {"method": "pyomo", **arguments}
    if "start" in options:
        options["start"] = start_of("allocation/teaching-4")
    with pytest.raises(kind) as caught:
        qopt.solve("allocation/teaching-4", **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_solver_that_is_not_installed_says_so() -> None:
    assert Backend("gone", packages=("no_such_package",)).missing() == "the package no_such_package is not installed"
    gone = Backend("gone", program="no_such_program", packages=("no_package",))
    assert gone.missing() == "the program no_such_program is not on the path, nor is the package no_package installed"
    assert in_pyomo("ipopt") is not None
    assert in_cvxpy("pdlp") is not None


def test_a_process_that_dies_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"seed": None, "threads": None, "start": None, "verbose": False}
    died = own_process.run("abacus", "", left=None, **settings)
    assert (died["status"], died["message"]) == ("failed", "abacus broke off: KeyError: 'abacus'")
    monkeypatch.setattr(own_process, "GRACE", 0.0)
    late = own_process.run("scip", "NAME x\nROWS\n N objective\nENDATA\n", left=1e-3, **settings)
    assert late["status"] == "time-limit"
    assert "was killed" in late["message"]


def test_solvers_are_listed(qopt_cli: Cli) -> None:
    records = json.loads(qopt_cli("solvers", "--json").out)
    usable = {(r["name"], r["method"]) for r in records if r["reason"] is None}
    assert {("highs", "pyomo"), ("scip", "pyomo"), ("clarabel", "cvxpy"), ("scs", "cvxpy")} <= usable
    assert ("appsi_highs", "pyomo") in usable
    assert all(r["reason"] for r in records if r["name"] in ("pdlp", "mosek", "cplex"))
    short, full = qopt_cli("solvers").out, qopt_cli("solvers", "--all").out
    assert "qopt solvers --all" in short
    assert len(full.splitlines()) > len(short.splitlines())


# --- a plan to begin with ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(TEACHING))
def test_highs_begins_with_a_plan(name: str) -> None:
    """The worst plan leads to the optimum, and so does the optimum itself."""
    for method in ("highs-mip", "pyomo"):
        found = qopt.solve(name, method, start=start_of(name))
        assert (found.status, found.objective) == ("optimal", TEACHING[name])
        again = qopt.solve(name, method, start=found.plan, time_limit=60)
        assert (again.status, again.objective) == ("optimal", TEACHING[name])


@pytest.mark.parametrize("method", ["highs-mip", "pyomo"])
@pytest.mark.parametrize("name", list(TEACHING))
def test_a_start_is_what_there_is_without_time(name: str, method: str) -> None:
    found = qopt.solve(name, method, start=start_of(name), time_limit=0.0)
    assert found.status == "time-limit"
    assert found.certificate.feasible


def test_a_start_that_breaks_a_limit_is_not_used_and_said() -> None:
    problem = qopt.load("allocation/teaching-4")
    wide = qopt.AllocationPlan(problem=problem.name, formats=dict.fromkeys(problem.groups, "int8"))
    found = qopt.solve(problem, "highs-mip", start=wide)
    assert (found.status, found.objective) == ("optimal", 15.0)
    assert "the start was not used, it breaks budget bytes: 160 of 100" in found.message


@pytest.mark.parametrize(
    ("name", "start", "said"),
    [
        (
            "qpart/teaching-3",
            "allocation/teaching-4",
            "start: found an AllocationPlan; allowed: a plan for a qpart",
        ),
        ("qpart/mnist-mlp6", "qpart/teaching-3", "start.cut"),
    ],
)
def test_a_start_of_another_problem_is_one_line(name: str, start: str, said: str) -> None:
    plan = qopt.solve(start).plan
    if said == "start.cut":
        plan = plan.model_copy(update={"cut": 99})
    with pytest.raises(InputError) as caught:
        qopt.solve(name, "highs-mip", start=plan)
    assert str(caught.value).startswith(said)


def test_a_claim_that_the_start_refutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that calls a problem infeasible, of which there is a plan, has failed; the plan is the start."""
    monkeypatch.setattr(pyomo_solvers, "run_highs", lambda *_: Answer("infeasible", False, None))
    start = start_of("allocation/teaching-4")
    found = qopt.solve("allocation/teaching-4", "pyomo", start=start)
    assert (found.status, found.plan) == ("failed", start)
    assert found.message == "pyomo says that there is no plan; the plan is the start"


def test_a_claim_that_a_heuristic_refutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a solver claims and no certificate proves is put to the family's heuristic, with and without a limit."""
    problem = qopt.load("allocation/teaching-4")
    worst = qopt.solve(problem, "uniform").plan
    monkeypatch.setattr(Method, "load", lambda _: lambda *_: Outcome("optimal", worst, bound=math.inf))
    for limit in (None, 5.0):
        found = qopt.solve(problem, "pyomo", time_limit=limit)
        assert (found.status, found.refuted, found.bound) == ("failed", "a better plan is known", None)
        assert found.message == "pyomo says a worse plan to be optimal; the plan is that of a quick heuristic"
        assert found.objective is not None
        assert found.objective < qopt.certify(problem, worst).objective
    table = qopt.compare([problem], ["pyomo"]).rename(columns={"problem": "instance"})
    assert table["status"].tolist() == ["failed"]
    assert times.claims_refuted(table) == ["a better plan is known"]
    monkeypatch.setattr(Method, "load", lambda _: lambda *_: Outcome("infeasible"))
    found = qopt.solve(problem, "pyomo")
    assert (found.status, found.refuted) == ("failed", "there is a plan")


def test_start_and_log_on_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The log goes to standard error, and standard output stays JSON."""
    path = tmp_path / "plan.json"
    qopt.save_plan(start_of("jqodi/fig5"), path)
    assert main(["solve", "jqodi/fig5", "--method", "highs-mip", "--start", str(path), "--verbose", "--json"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["objective"] == 34.5
    assert "qopt: fig5: method highs-mip" in captured.err
    assert "HiGHS" in captured.err
    assert "certified" in captured.err


def test_without_a_log_what_is_done_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    qopt.solve("qpart/teaching-3", verbose=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert [line.split(":")[2].split()[0] for line in captured.err.splitlines()] == ["method", "mckp", "certified"]


def test_a_method_without_a_start_says_so() -> None:
    with pytest.raises(InputError, match=r"^start: found QPartPlan.*, which mckp does not take; allowed: time_limit"):
        qopt.solve("qpart/teaching-3", start=start_of("qpart/teaching-3"))
    listed = {m["name"]: m["options"] for m in qopt.methods("qpart/teaching-3")}
    assert [name for name, options in listed.items() if "start" in options] == ["highs-mip", "pyomo"]
