"""A time limit is for the whole call: a plan certified feasible, nothing claimed that is not proved, and said why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import CountingClock
from sweeps import swept

import qopt
from qopt.allocation.generate import allocation
from qopt.core import solving
from qopt.core.certificate import Certificate
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.families import FAMILIES, family_of
from qopt.core.method import Method, Options, named
from qopt.core.problem import Problem
from qopt.core.solution import Outcome, Solution, stopped
from qopt.fleet.generate import fleet
from qopt.jqodi.generate import jqodi
from qopt.kernels.knapsack.result import Result
from qopt.placement.generate import placement
from qopt.qpart.generate import qpart
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem

PROBLEMS: dict[str, Callable[[], Problem]] = {
    "qpart": lambda: qpart(20, seed=2, branches=True),
    "qpart, table": lambda: qpart(20, seed=3, noise="table", memory=0.7),
    "qpart, small": lambda: qpart(3, seed=4, bits=(1, 4), reference_bits=3),
    "placement": lambda: placement(30, seed=1),
    "placement, memory": lambda: placement(30, seed=2, memory=0.3, pins=0.2),
    "placement, chain": lambda: placement(6, seed=3, branches=0.0),
    "jqodi, choice": lambda: jqodi(8, seed=1, mode="choice"),
    "jqodi, schedule": lambda: jqodi(8, seed=1, mode="schedule"),
    "jqodi, path": lambda: jqodi(8, seed=1),
    "jqodi, small": lambda: jqodi(2, seed=1, servers=2, cuts=2),
    "allocation": lambda: allocation(20, seed=1),
    "allocation, pairs": lambda: allocation(4, seed=2, interactions=0.5),
    "fleet": lambda: fleet(30, seed=1, options=4, servers=2, cells=2),
    "fleet, small": lambda: fleet(5, seed=1, options=4, servers=2, cells=1),
}

COMPARISONS = ("full-model", "minimal-model")
"""Methods that answer another question than the problem's: no other plan takes the place of theirs."""

UNCHECKED = ("qpart-paper", "qpart-published", *COMPARISONS)
"""Methods that hand back plans whether they keep the limits or not."""


def ways() -> list[tuple[str, str]]:
    """Every method of every family with a problem that it takes."""
    found = {}
    for kind, made in PROBLEMS.items():
        problem = made()
        for method in family_of(problem).part("registry").METHODS:
            if method.unavailable(problem) is None:
                found[kind, method.name] = None
    return list(found)


WAYS = ways()


def test_every_method_takes_a_limit() -> None:
    for family in FAMILIES.values():
        assert all("time_limit" in m.options for m in family.part("registry").METHODS)
        assert {name for kind, name in WAYS if kind.startswith(family.name)} == {
            m.name for m in family.part("registry").METHODS
        }


def check_honest(found: Solution, optimum: float | None, method: str) -> None:
    """What is said of an answer is true, whatever stopped it."""
    certificate = found.certificate
    if method not in UNCHECKED:
        assert found.plan is not None
        assert certificate.feasible
    if certificate.bound is not None and optimum is not None:
        assert certificate.bound <= optimum * (1 + 1e-9)
    if certificate.proved:
        assert found.objective == pytest.approx(optimum, rel=1e-8)
        assert found.status in ("optimal", "time-limit", "heuristic", "feasible")
    assert not certificate.infeasible
    assert found.status not in ("infeasible", "infeasible-by-solver", "failed")
    assert certificate.gap is None or certificate.gap >= -1e-12
    json.dumps(found.to_dict(), allow_nan=False)


OPTIMA: dict[str, float | None] = {}


def optimum(kind: str, bits: str | None) -> float | None:
    """The least cost of a problem, once."""
    key = f"{kind} {bits}"
    if key not in OPTIMA:
        OPTIMA[key] = qopt.solve(PROBLEMS[kind](), bits=bits).objective
    return OPTIMA[key]


@pytest.mark.parametrize(("kind", "method"), WAYS)
def test_without_any_time_there_is_a_certified_plan(kind: str, method: str) -> None:
    problem = PROBLEMS[kind]()
    found = qopt.solve(problem, method, time_limit=0)
    check_honest(found, optimum(kind, found.bits if found.bits == "real" else None), method)
    assert found.status == "time-limit"
    if found.plan is not None and not found.certificate.proved:
        assert "time limit" in found.message
        assert found.certificate.stopped == "time-limit"
        assert "the time limit stopped the proof" in str(found.certificate)
        assert "time limit" in found.report()


@pytest.mark.parametrize("after", swept([1, 3, 10, 30, 100, 300, 1000], lambda after: after in (3, 10, 100, 1000)))
@pytest.mark.parametrize("kind", PROBLEMS)
def test_wherever_the_clock_stops_a_call_the_answer_is_honest(
    monkeypatch: pytest.MonkeyPatch, kind: str, after: int
) -> None:
    """The clock is over after it was asked so often, be that in the heuristic, the search or the certificate.

    Kernels have clocks of their own: what they are handed is a count, which they take for seconds.
    """
    monkeypatch.setattr(solving, "Clock", CountingClock)
    problem = PROBLEMS[kind]()
    for method in ("auto", "round-up" if kind.startswith("qpart") else "auto"):
        found = qopt.solve(problem, method, time_limit=after)
        check_honest(found, optimum(kind, None), found.method)


@pytest.mark.parametrize("after", swept([0, 1, 2, 5, 20, 100, 500], lambda after: after in (1, 5, 100, 500)))
@pytest.mark.parametrize("kind", PROBLEMS)
def test_a_certificate_that_is_stopped_proves_no_more_than_there_is(kind: str, after: int) -> None:
    """Of the optimal plan: its feasibility always, its optimality or a true bound, and why there is no more."""
    problem = PROBLEMS[kind]()
    family = family_of(problem)
    best = qopt.solve(problem)
    for witness in (best.witness, None):
        clock = CountingClock(after)
        found: Certificate = family.part("certificate").certify(problem, best.plan, witness, clock=clock)
        assert found.feasible
        assert found.objective == best.objective
        assert found.bound is None or found.bound <= best.objective * (1 + 1e-9)
        if not found.proved and best.certificate.proved and witness is not None:
            assert found.stopped == "time-limit"
            assert any("time limit is reached" in note for note in found.notes)
        claim: Certificate = family.part("certificate").certify(problem, None, witness, clock=CountingClock(after))
        assert not claim.infeasible
        assert claim.bound is None or claim.bound <= best.objective * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["qpart", "placement, memory", "jqodi, path"])
def test_users_limit_a_certificate_too(kind: str) -> None:
    problem = PROBLEMS[kind]()
    best = qopt.solve(problem)
    assert qopt.certify(problem, best.plan, best.witness, time_limit=60).proved
    short = qopt.certify(problem, best.plan, best.witness, time_limit=0)
    assert short.feasible
    assert short.proved or short.stopped == "time-limit"
    for bad in (-1, "1", float("nan"), True):
        with pytest.raises(qopt.InputError, match=r"^time_limit: found .*; allowed: seconds >= 0$"):
            qopt.certify(problem, best.plan, time_limit=bad)  # type: ignore[arg-type]
    with pytest.raises(qopt.InputError, match=r"^clock: found .*; allowed: nothing"):
        qopt.certify(problem, best.plan, clock=ENDLESS)


@pytest.mark.parametrize("name", ["qpart/mnist-mlp6", "placement/teaching-5", "jqodi/fig5"])
def test_the_command_line_says_it_too(qopt_cli: Any, name: str) -> None:
    done = qopt_cli("solve", name, "--time-limit", "0")
    assert done.code == 0
    assert "time-limit" in done.out
    assert "time limit" in done.out
    shown = json.loads(qopt_cli("solve", name, "--time-limit", "0", "--json").out)
    assert shown["status"] == "time-limit"
    assert shown["certificate"]["feasible"] is True
    assert shown["certificate"]["stopped"] in ("time-limit", None)


@pytest.mark.parametrize("kind", ["qpart", "placement", "jqodi, path"])
def test_the_command_line_limits_a_check(qopt_cli: Any, tmp_path: Path, kind: str) -> None:
    problem = PROBLEMS[kind]()
    qopt.save(problem, tmp_path / "problem.json")
    (tmp_path / "solution.json").write_text(json.dumps(qopt.solve(problem).to_dict()))
    done = qopt_cli("check", tmp_path / "problem.json", tmp_path / "solution.json", "--time-limit", "0")
    assert done.code == 0
    assert "feasible" in done.out


def test_a_plan_refutes_a_claim_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Method, "load", lambda _method: lambda _problem, _options: Outcome("infeasible"))
    found = qopt.solve(PROBLEMS["qpart"](), "mckp", time_limit=60)
    assert found.status == "failed"
    assert found.certificate.feasible
    assert "mckp says that there is no plan" in found.message


def test_the_better_of_two_plans_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = PROBLEMS["qpart"]()
    worst = qopt.solve(problem, "uniform").plan
    best = qopt.solve(problem)
    for plan, kept in ((worst, False), (best.plan, True)):
        said = Outcome("time-limit", plan)
        monkeypatch.setattr(Method, "load", lambda _method, said=said: lambda _problem, _options: said)
        found = qopt.solve(problem, "mckp", time_limit=60)
        assert found.objective is not None
        assert (found.plan == plan) is kept or found.objective <= qopt.certify(problem, plan).objective
        assert found.status == "time-limit"


@pytest.mark.parametrize("found", [True, False])
def test_a_kernel_that_gives_up_is_no_clock(monkeypatch: pytest.MonkeyPatch, found: bool) -> None:
    """A kernel stops at its labels or at rounding while nobody set a limit: the status and the message say that."""
    problem = qpart(2, seed=0, bits=(1, 4), cuts=[2])

    def gave_up(subproblem: Subproblem, *_: object) -> Result:
        choice = np.full(len(subproblem.tensors), len(subproblem.bits) - 1) if found else None
        objective = float(subproblem.cost[:, -1].sum()) if found else None
        return Result("limit", choice, objective, 0.0, details={"stopped": "too many partial sums"})

    monkeypatch.setattr("qopt.qpart.methods.mckp.at_cut", gave_up)
    claim = named(family_of(problem).part("registry").METHODS, "mckp").run(problem, Options())
    assert claim.status == ("feasible" if found else "failed")
    assert claim.message == "cut 2: too many partial sums"
    late = named(family_of(problem).part("registry").METHODS, "mckp").run(problem, Options(time_limit=0.0))
    assert late.status == "time-limit"


def test_rounding_at_a_limit_is_no_clock() -> None:
    """The noise of one tensor of two is a hair's breadth from the limit: floats cannot tell what keeps it."""
    problem = QPart(
        network={
            "macs": [9.085428527224717e-31],
            "weights": [2e-12],
            "activations": [4.9999999999999996e-06],
            "input_size": 1.000000000001e-06,
            "overhead": [1.1e-20],
            "last_reader": [1, 2],
        },
        device={"cycles_per_mac": 7.8e-13, "clock": 1.1e30, "energy_coefficient": 1e-12},
        server={"cycles_per_mac": 2e20, "clock": 3e-30, "price": 668828.4149824922},
        channel={"rate": 3.8248164054072754e19, "transmit_power": 948890015864.7046},
        bits={"lo": 1, "hi": 4},
        level=0.01,
        noise={"model": "law", "s_weights": [1e50], "s_activations": [1.9e-12]},
        accuracy={"levels": [0.01], "delta": [[2.499999999997499e49]]},
        cuts=[1],
    )
    found = qopt.solve(problem)
    assert found.status != "time-limit"
    assert found.certificate.feasible


def test_what_a_status_says_of_a_search_that_stopped() -> None:
    assert stopped(Clock(None), None) == "failed"
    assert stopped(Clock(None), "a plan") == "feasible"
    assert stopped(Clock(0.0), None) == stopped(Clock(0.0), "a plan") == "time-limit"


def test_labels_are_for_the_whole_certificate() -> None:
    """Where they are used up at one cut, the others are not enumerated, and the certificate says what stopped it."""
    problem = qpart(40, seed=1, noise="table")
    plan = qopt.solve(problem, "round-up").plan
    found = qopt.certify(problem, plan, labels=5)
    assert found.feasible
    assert not found.proved
    assert found.stopped == "labels"
    assert sum("sums" in note for note in found.notes) == 1
    assert "given up" in found.verdict


# --- the clock itself ---------------------------------------------------------------------------------------------


def test_one_clock_for_all_who_ask() -> None:
    options = Options(time_limit=5.0)
    assert options.clock() is options.clock()
    running = Clock(1.0)
    assert Options(time_limit=5.0, running=running).clock() is running
    assert Options(time_limit=5.0, running=running) == options


def test_what_a_clock_says() -> None:
    assert Clock(None).left is None
    assert not Clock(None).over
    assert Clock(None).affords(1e30, 1.0)
    assert Clock(0.0).left == 0.0
    assert Clock(0.0).over
    assert not Clock(0.0).affords(1, 1e9)
    clock = CountingClock(10.0)
    assert clock.part(0.5).limit == pytest.approx(4.5)
    with clock.held():
        for _ in range(100):
            clock.now()
    assert not clock.over
    assert list(CountingClock(None).watching(range(3))) == [0, 1, 2]
    with pytest.raises(OutOfTime):
        list(CountingClock(2.0).watching(range(10)))
