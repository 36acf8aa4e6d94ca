"""`qopt.solve`, `qopt.methods` and `qopt.compare`: what is promised about statuses, options and results."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import time
import typing
from typing import Any

import numpy as np
import pytest

import qopt
from qopt.core import solving
from qopt.core.errors import InputError, MethodError
from qopt.core.method import Backend, Method, Options, named
from qopt.core.solution import Outcome, Status
from qopt.qpart.generate import qpart
from qopt.qpart.methods import registry
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart

METHODS = [m.name for m in registry.METHODS]
TIMED = [m.name for m in registry.METHODS if "time_limit" in m.options]
UNCHECKED = ("qpart-paper", "qpart-published")
"""Rules that hand back a plan whether it keeps the limits or not: the certificate says."""
STATUSES = set(typing.get_args(Status))


@pytest.fixture
def small() -> QPart:
    return qpart(3, seed=4, bits=(1, 4), reference_bits=3)


@pytest.fixture
def impossible() -> QPart:
    """No cut keeps the accuracy limit, and cut 0 is not admissible."""
    return qpart(2, seed=1, bits=(1, 4), cuts=[1, 2]).replace({"accuracy.delta": [[1e-30, 1e-30]]})


def lying(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> str:
    """Replace the knapsack method by one that returns a given outcome."""
    monkeypatch.setattr(Method, "load", lambda _method: lambda _problem, _options: outcome)
    return "mckp"


# --- statuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_answers_honestly(small: QPart, method: str) -> None:
    best = {bits: qopt.solve(small, bits=bits) for bits in ("whole", "real")}
    assert best["whole"].status == best["real"].status == "optimal"
    found = qopt.solve(small, method)
    assert found.status in STATUSES
    assert found.method == method
    assert found.problem == small.name
    assert found.plan is not None
    assert found.plan.bits == found.bits == named(registry.METHODS, method).bits
    assert found.objective == found.certificate.objective
    if method in UNCHECKED:
        assert found.status == "heuristic"
        assert not found.certificate.proved
        return
    assert found.certificate.feasible
    optimum = best[found.bits].objective
    assert optimum is not None
    assert found.objective is not None
    assert found.objective >= optimum * (1 - 1e-9)
    assert (found.status == "optimal") == (named(registry.METHODS, method).exact and found.certificate.proved)
    if named(registry.METHODS, method).exact:
        assert found.objective == pytest.approx(optimum, rel=1e-6)
    assert found.seconds > 0


def test_optimal_is_said_only_of_what_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dear plan, called optimal by its method, of which no heuristic finds a better one."""
    monkeypatch.setattr(solving, "_first_plan", lambda *_: None)
    problem = qpart(3, seed=4, bits=(1, 4), reference_bits=3, cuts=[3])
    dear = QPartPlan(cut=3, weights=(4.0, 4.0, 4.0), activations=(4.0,))
    claim = Outcome("optimal", dear, bound=1e9, witness={"format": "qopt/qpart-witness", "version": 1, "cuts": {}})
    found = qopt.solve(problem, lying(monkeypatch, claim))
    assert found.status == "optimal-by-solver"
    assert not found.certificate.proved
    assert found.certificate.feasible
    assert found.certificate.bound is not None
    assert found.objective is not None
    assert found.certificate.bound < found.objective
    assert found.bound == 1e9  # the method's claim is shown and does not count


def test_infeasible_is_said_only_of_what_is_proved(monkeypatch: pytest.MonkeyPatch, small: QPart) -> None:
    monkeypatch.setattr(solving, "_first_plan", lambda *_: None)
    found = qopt.solve(small, lying(monkeypatch, Outcome("infeasible")))
    assert found.status == "infeasible-by-solver"
    assert not found.certificate.infeasible
    assert found.plan is None
    assert found.objective is None


def test_a_plan_that_breaks_a_limit_is_exposed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = qpart(3, seed=4, bits=(1, 4), reference_bits=3, cuts=[3])
    cheap = QPartPlan(cut=3, weights=(1.0, 1.0, 1.0), activations=(1.0,))
    found = qopt.solve(problem, lying(monkeypatch, Outcome("optimal", cheap)))
    assert (found.status, found.refuted) == ("failed", "plan breaks a limit")
    assert found.certificate.feasible  # what `solve` gives instead
    assert found.plan != cheap
    own = qopt.certify(problem, cheap)
    assert not own.feasible
    assert any("accuracy" in line for line in own.violations)


@pytest.mark.parametrize("width", [0.0, 5.0, 2.5])
def test_a_width_that_is_not_admissible_is_exposed(monkeypatch: pytest.MonkeyPatch, width: float) -> None:
    problem = qpart(3, seed=4, bits=(1, 4), reference_bits=3, cuts=[3])
    odd = QPartPlan(cut=3, weights=(width, 4.0, 4.0), activations=(4.0,))
    found = qopt.solve(problem, lying(monkeypatch, Outcome("optimal", odd)))
    assert (found.status, found.refuted) == ("failed", "plan breaks a limit")
    assert found.plan != odd
    assert not qopt.certify(problem, odd).feasible


def test_a_plan_where_there_is_none_is_exposed(monkeypatch: pytest.MonkeyPatch, impossible: QPart) -> None:
    plan = QPartPlan(cut=1, weights=(4.0,), activations=(4.0,))
    found = qopt.solve(impossible, lying(monkeypatch, Outcome("optimal", plan)))
    assert (found.status, found.refuted) == ("failed", "plan breaks a limit")
    assert not found.certificate.feasible


@pytest.mark.parametrize("method", METHODS)
def test_infeasible_requests(impossible: QPart, method: str) -> None:
    found = qopt.solve(impossible, method)
    if method in UNCHECKED:
        assert found.status == "heuristic"
        assert not found.certificate.feasible
        return
    assert found.plan is None
    assert found.objective is None
    assert found.gap is None
    assert found.certificate.infeasible
    assert found.certificate.objective is None
    assert found.status == "infeasible"


@pytest.mark.parametrize("method", TIMED)
@pytest.mark.parametrize("limit", [0, 0.0, 1e-6, 1e-3])
def test_no_time_at_all(method: str, limit: float) -> None:
    problem = qpart(4, seed=2, bits=(1, 6), reference_bits=4, branches=True)
    found = qopt.solve(problem, method, time_limit=limit)
    assert found.status in ("time-limit", "optimal", "optimal-by-solver")
    assert found.plan is None or found.certificate.feasible
    if limit == 0:
        assert found.seconds < 5
    if found.bound is not None:
        best = qopt.solve(problem, bits=found.bits).objective
        assert best is not None
        assert found.bound <= best * (1 + 1e-6)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("method", ["mckp", "highs-mip", "kkt"])
def test_a_time_limit_is_kept(method: str) -> None:
    """By the method: the certificate of what it hands back takes its own time."""
    problem = qpart(300, seed=2)
    start = time.perf_counter()
    found = named(registry.METHODS, method).run(problem, Options(time_limit=0.2))
    assert time.perf_counter() - start < 10
    assert found.status in ("time-limit", "optimal")


def test_auto_is_an_exact_method(small: QPart) -> None:
    for bits in ("whole", "real"):
        found = qopt.solve(small, bits=bits)
        assert named(registry.METHODS, found.method).exact
        assert found.bits == bits
    assert qopt.solve(small).bits == "whole"
    grid = qpart(2, seed=0, noise="grid", bits=(1, 4))
    assert qopt.solve(grid, bits="real").method == "highs-cuts"  # the closed form needs the law


def test_auto_without_any_method_says_why() -> None:
    table = qpart(2, seed=0, noise="table", bits=(1, 4))
    with pytest.raises(InputError, match=r"^bits: found 'real'.*kkt.*table"):
        qopt.solve(table, bits="real")


@pytest.mark.parametrize("method", METHODS)
def test_same_inputs_same_answer(method: str) -> None:
    problem = qpart(4, seed=9, bits=(1, 6), reference_bits=4)
    options: dict[str, Any] = {"seed": 3} if "seed" in named(registry.METHODS, method).options else {}
    first, second = qopt.solve(problem, method, **options), qopt.solve(problem, method, **options)
    assert first.plan == second.plan
    assert first.bound == second.bound
    assert first.witness == second.witness


@pytest.mark.parametrize("method", METHODS)
def test_the_problem_stays_as_it_is(small: QPart, method: str) -> None:
    before = small.model_dump_json()
    qopt.solve(small, method)
    assert small.model_dump_json() == before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("feasible", [True, False])
def test_solutions_are_plain_json(small: QPart, impossible: QPart, method: str, feasible: bool) -> None:
    found = qopt.solve(small if feasible else impossible, method)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["status"] == found.status
    assert data["format"] == "qopt/solution"
    assert data["plan"] == (found.plan.to_dict() if found.plan else None)
    assert data["certificate"]["feasible"] == found.certificate.feasible


def test_a_solution_file_can_be_checked_by_itself(small: QPart, tmp_path: Any) -> None:
    from qopt.core.plan import read_answer

    found = qopt.solve(small)
    path = tmp_path / "solution.json"
    path.write_text(json.dumps(found.to_dict()))
    plan, witness = read_answer(path)
    assert plan == found.plan
    assert witness == found.witness
    assert qopt.certify(small, plan, witness).proved


def recording(seen: list[Options]) -> Any:
    """A `Method.load` whose functions only note their options."""

    def function(_problem: QPart, options: Options) -> Outcome:
        seen.append(options)
        return Outcome("failed")

    return lambda _method: function


# --- options --------------------------------------------------------------------------------------------------------


def refused(monkeypatch: pytest.MonkeyPatch, kind: type[Exception], *arguments: Any, **options: Any) -> str:
    """The complaint about a call, in one line and before anything is solved."""

    def never(_method: Method) -> Any:
        raise AssertionError("about to be solved")

    monkeypatch.setattr(Method, "load", never)
    with pytest.raises(kind) as caught:
        qopt.solve(*arguments, **options)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 500
    return line


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("option", "value"),
    [("time_limit", 1.0), ("threads", 1), ("seed", 0), ("solver", "highs"), ("formulation", "hull")],
)
def test_no_option_is_ignored(
    monkeypatch: pytest.MonkeyPatch, small: QPart, method: str, option: str, value: Any
) -> None:
    known = named(registry.METHODS, method)
    if option not in known.options:
        line = refused(monkeypatch, InputError, small, method, **{option: value})
        assert line.startswith(f"{option}: found")
        assert method in line
        return
    if option == "solver":
        value = known.solvers[0].name
    if option == "formulation":
        value = known.formulations[-1]
    seen: list[Options] = []
    monkeypatch.setattr(Method, "load", recording(seen))
    qopt.solve(small, method, **{option: value})
    assert getattr(seen[0], option) == value


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ({"method": "simplex"}, "method: found 'simplex'; allowed: auto, mckp"),
        ({"method": ""}, "method: found ''"),
        ({"method": "MCKP"}, "method: found 'MCKP'"),
        ({"method": "pyomo", "solver": "abacus"}, "solver: found 'abacus'; allowed: highs, scip, cbc, glpk, cp-sat"),
        ({"method": "pyomo", "solver": "ipopt"}, "solver: found 'ipopt'; allowed: highs, scip, cbc, glpk, cp-sat"),
        ({"method": "cvxpy", "solver": "pdlp"}, "solver: found 'pdlp'; allowed: clarabel, scs"),
        ({"method": "cvxpy", "solver": "highs"}, "solver: found 'highs'; allowed: clarabel, scs"),
        ({"method": "pyomo", "formulation": "convex"}, "formulation: found 'convex'; allowed: one-hot, aggregated"),
        ({"bits": "integer"}, "bits: found 'integer'; allowed: whole or real"),
        ({"bits": "real", "method": "mckp"}, "bits: found 'real' with method mckp"),
        ({"bits": "whole", "method": "kkt"}, "bits: found 'whole' with method kkt"),
        ({"method": "highs-mip", "time_limit": -1}, "time_limit: found -1; allowed: seconds >= 0"),
        ({"method": "highs-mip", "time_limit": math.nan}, "time_limit: found nan"),
        ({"method": "highs-mip", "time_limit": math.inf}, "time_limit: found inf"),
        ({"method": "highs-mip", "time_limit": "1"}, "time_limit: found '1'"),
        ({"method": "highs-mip", "time_limit": True}, "time_limit: found True"),
        ({"method": "highs-mip", "threads": 0}, "threads: found 0; allowed: a whole number from 1 to 1024"),
        ({"method": "highs-mip", "threads": 1.5}, "threads: found 1.5"),
        ({"method": "highs-mip", "threads": True}, "threads: found True"),
        ({"method": "highs-mip", "seed": -1}, "seed: found -1; allowed: a whole number from 0"),
        ({"method": "highs-mip", "seed": "0"}, "seed: found '0'"),
    ],
)
def test_bad_options(monkeypatch: pytest.MonkeyPatch, small: QPart, arguments: dict[str, Any], start: str) -> None:
    assert refused(monkeypatch, InputError, small, **arguments).startswith(start)


def test_a_method_that_cannot_solve_this_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    table = qpart(2, seed=0, noise="table", bits=(1, 4))
    line = refused(monkeypatch, MethodError, table, "kkt")
    assert line == "method kkt: it takes noise by law, this problem's is a table"
    large = qpart(40, seed=0)
    assert "plans to enumerate" in refused(monkeypatch, MethodError, large, "brute-force")


@pytest.mark.parametrize("problem", ["no-such-instance", "/nonexistent/file.json"])
def test_unknown_instance(monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    assert "bundled name" in refused(monkeypatch, InputError, problem)


# --- what is installed ------------------------------------------------------------------------------------------------


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without pyomo, cvxpy and scs."""
    real = importlib.util.find_spec
    gone = ("pyomo", "cvxpy", "scs")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in gone else real(name, *a))


@pytest.mark.usefixtures("without_packages")
def test_what_is_not_installed_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch, small: QPart) -> None:
    listed = {m["name"]: m for m in qopt.methods(small)}
    assert listed["pyomo"]["reason"] == "the package pyomo is not installed"
    assert listed["cvxpy"]["reason"] == "the package cvxpy is not installed"
    assert listed["cvxpy"]["solvers"]["scs"] == "the package scs is not installed"
    assert listed["mckp"]["reason"] is None
    assert qopt.solve(small).status == "optimal"
    rows = {r["method"]: r for r in qopt.compare([small]).to_dict("records")}
    assert rows["pyomo"]["status"] == rows["cvxpy"]["status"] == "unavailable"
    assert rows["mckp"]["status"] == "optimal"
    assert refused(monkeypatch, MethodError, small, "pyomo") == "method pyomo: the package pyomo is not installed"


def test_a_solver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, small: QPart) -> None:
    installed = importlib.util.find_spec
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "swiglpk" else installed(name))
    why = "the program glpsol is not on the path, nor is the package swiglpk installed"
    assert qopt.methods(small)[METHODS.index("pyomo")]["solvers"]["glpk"] == why
    line = refused(monkeypatch, MethodError, small, "pyomo", solver="glpk")
    assert line == f"solver glpk: {why}"


def test_a_default_solver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, small: QPart) -> None:
    """With only the second of two solvers there, that one is taken, and named."""
    here, gone = Backend("here"), Backend("gone", module="a_package_that_nobody_has")
    method = dataclasses.replace(named(registry.METHODS, "cvxpy"), solvers=(gone, here))
    monkeypatch.setattr(registry, "METHODS", (method,))
    seen: list[Options] = []
    monkeypatch.setattr(Method, "load", recording(seen))
    found = qopt.solve(small, "cvxpy")
    assert seen[0].solver == found.solver == "here"


def test_methods_are_described(small: QPart) -> None:
    for about in (qopt.methods(), qopt.methods(small), qopt.methods("qpart/teaching-3")):
        assert [m["name"] for m in about] == METHODS
        json.dumps(about, allow_nan=False)
        for m in about:
            assert m["bits"] in ("whole", "real")
            assert m["proves"]
            assert m["summary"]
            assert m["reason"] is None or m["reason"].isprintable()


# --- compare --------------------------------------------------------------------------------------------------------


def test_compare_is_a_row_for_each_problem_and_method(small: QPart, impossible: QPart) -> None:
    frame = qopt.compare([small, impossible], methods=["mckp", "brute-force", "kkt", "uniform"])
    assert list(frame["method"]) == ["mckp", "brute-force", "kkt", "uniform"] * 2
    assert list(frame["problem"]) == [small.name] * 4 + [impossible.name] * 4
    first = {r["method"]: r for r in frame.to_dict("records")[:4]}
    assert first["mckp"]["objective"] == pytest.approx(first["brute-force"]["objective"])
    assert first["mckp"]["status"] == "optimal"
    assert first["mckp"]["gap"] == pytest.approx(0, abs=1e-9)
    assert first["kkt"]["objective"] <= first["mckp"]["objective"]
    assert first["uniform"]["objective"] >= first["mckp"]["objective"]
    assert all(first[m]["verified"] for m in first)
    found = qopt.solve(small)
    assert found.plan is not None
    assert first["mckp"]["cut"] == found.plan.cut
    assert found.certificate.cost is not None
    assert first["mckp"]["payload"] == found.certificate.cost.payload
    last = frame.to_dict("records")[4]
    assert last["status"] == "infeasible"
    assert last["proved"]
    assert last["verified"] is None
    assert last["objective"] is None or np.isnan(last["objective"])


def test_compare_gives_time_to_those_that_take_it() -> None:
    problem = qpart(4, seed=2, bits=(1, 6), reference_bits=4)
    frame = qopt.compare([problem], methods=["mckp", "round-up"], time_limit=0)
    assert list(frame["status"]) == ["time-limit", "time-limit"]
    assert frame["verified"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("problems", "methods", "field"),
    [([], None, "problems"), (["qpart/teaching-3"], [], "methods"), (["qpart/teaching-3"], ["nope"], "method")],
)
def test_compare_refuses_nothing_to_do(problems: list[str], methods: list[str] | None, field: str) -> None:
    with pytest.raises(InputError) as caught:
        qopt.compare(problems, methods)
    assert caught.value.field == field


def test_compare_goes_on_when_a_method_breaks_off(monkeypatch: pytest.MonkeyPatch, small: QPart) -> None:
    real = Method.load

    def broken(_problem: QPart, _options: Options) -> Outcome:
        raise RuntimeError("the solver\nbroke off")

    monkeypatch.setattr(Method, "load", lambda method: broken if method.name == "highs-mip" else real(method))
    rows = {r["method"]: r for r in qopt.compare([small], ["highs-mip", "mckp"]).to_dict("records")}
    assert rows["highs-mip"]["status"] == "failed"
    assert "broke off" in rows["highs-mip"]["message"]
    assert "\n" not in rows["highs-mip"]["message"]
    assert rows["mckp"]["status"] == "optimal"
    with pytest.raises(RuntimeError):  # a single solve does not hide a defect
        qopt.solve(small, "highs-mip")
