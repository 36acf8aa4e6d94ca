"""The readable JQODI models: rows, optima against enumeration, relaxations against each other."""

from __future__ import annotations

import math
from typing import Any

import pyomo.environ as pyo
import pytest
from qopt.formulations.jqodi import (
    choice,
    data,
    exclude,
    extract,
    extract_cvxpy,
    joint,
    joint_cvxpy,
    path,
    schedule,
)
from sweeps import swept

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.core.method import Options
from qopt.core.solvers.pyomo import run_highs
from qopt.jqodi.generate import jqodi
from qopt.jqodi.problem import Jqodi

FIG5 = "jqodi/fig5"
FORMS = {"choice": (None,), "schedule": (None,), "path": ("flow", "assignment")}


def small(seed: int, mode: Any, **options: Any) -> Jqodi:
    options = {"servers": 2, "cuts": 2, "models": 2, "tightness": 0.5} | options
    estimate: Any = "robust" if seed % 3 == 0 else "expected"
    return jqodi(3 + seed % 2, seed=seed, mode=mode, estimate=estimate, requests=100.0 * (seed % 2), **options)


def solved(model: Any) -> float:
    """Optimum of a model in joules, by HiGHS; infinite if there is none."""
    answer = run_highs(model, None, Options())
    assert answer.status in ("optimal", "infeasible")
    return float(pyo.value(model.cost)) if answer.point else math.inf


def test_rows_of_the_figure() -> None:
    """Fig. 5's toy: two widths of 3 and 2 epochs with 4 states each; at 2 bits the loss is never reached."""
    problem = qopt.load(FIG5)
    assert list(data(problem)) == ["M1/4", "M1/8"]
    model = joint(problem)
    assert len(model.state) == 4 * 3 + 4 * 2
    assert len(model.one_state) == 3 + 2
    assert len(model.change) == 16 * 2 + 16
    assert len(model.leaving) == len(model.coming) == 4 * 2 + 4
    assert all(v.is_binary() for v in (*model.state.values(), *model.chosen.values()))
    assert solved(model) == pytest.approx(34.5)
    assert extract(model, problem) == qopt.solve(problem).plan
    assignment = joint(problem, "assignment")
    assert len(assignment.change) == len(assignment.product) == 12 * 2 + 12  # staying costs nothing
    assert solved(assignment) == pytest.approx(34.5)


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
@pytest.mark.parametrize("seed", swept(range(10), lambda seed: seed > 1))
def test_all_models_have_the_optimum(seed: int, mode: str) -> None:
    problem = small(seed, mode)
    best = qopt.solve(problem, method="brute-force").objective
    for form in FORMS[mode]:
        for method in ("pyomo", "cvxpy"):
            found = qopt.solve(problem, method=method, formulation=form)
            if best is None:
                assert found.plan is None
                assert found.status.startswith("infeasible")
            else:
                assert found.certificate.feasible
                assert found.objective == pytest.approx(best, rel=1e-9)


def test_models_bound_each_other() -> None:
    """choice >= path >= schedule >= relaxations; the flow's relaxation is at least the assignment's."""
    closer = 0
    for seed in range(8):
        problem = small(seed, "path", tightness=0.4)
        dear = 0.2 * solved(schedule(problem))
        problem = problem.replace({"switching.server_energy": dear, "switching.cut_energy": dear / 2})
        constant = problem.model_copy(update={"mode": "choice"})
        try:
            fixed = solved(choice(constant))
        except MethodError:  # no state is there in all epochs
            fixed = math.inf
        exact, free = solved(path(problem)), solved(schedule(problem))
        flow, assignment = (solved(path(problem, form, relaxed=True)) for form in ("flow", "assignment"))
        bound = solved(schedule(problem, relaxed=True))
        one = 1 + 1e-7
        assert exact <= fixed * one
        assert free <= exact * one
        assert flow <= exact * one
        assert assignment <= flow * one
        assert bound <= min(free, assignment) * one
        closer += flow > assignment * (1 + 1e-6)
    assert closer > 1


@pytest.mark.parametrize("mode", ["choice", "schedule", "path"])
def test_relaxations_agree_in_both_languages(mode: str) -> None:
    for seed in range(5):
        problem = small(seed, mode)
        for form in FORMS[mode]:
            written = joint(problem, form, relaxed=True)
            arrays = joint_cvxpy(problem, form, relaxed=True)
            arrays.solve(solver="CLARABEL")
            expected = solved(written)
            if math.isinf(expected):
                assert arrays.status.startswith("infeasible")
            else:
                assert arrays.value * written.unit == pytest.approx(expected, rel=1e-6)


def test_a_plan_can_be_cut_off() -> None:
    for mode in ("choice", "schedule", "path"):
        problem = small(4, mode, tightness=1.0)
        model = joint(problem)
        first = solved(model)
        plan = extract(model, problem)
        exclude(model, problem, plan)
        second = solved(model)
        assert second >= first * (1 - 1e-9)
        if math.isfinite(second):
            assert extract(model, problem) != plan


def test_the_plan_of_a_cvxpy_model() -> None:
    problem = qopt.load(FIG5)
    model = joint_cvxpy(problem)
    model.solve(solver="HIGHS")
    assert extract_cvxpy(model, problem) == qopt.solve(problem).plan


def test_what_models_refuse() -> None:
    problem = qopt.load(FIG5)
    with pytest.raises(InputError, match="form"):
        joint(problem, "hull")
    with pytest.raises(InputError, match="form"):
        path(problem, "hull")
    other = small(0, "choice")
    with pytest.raises(InputError, match="one form"):
        joint(other, "flow")
    with pytest.raises(InputError, match="one form"):
        joint_cvxpy(other, "assignment")
    with pytest.raises(InputError, match="one form"):
        qopt.solve(other, method="pyomo", formulation="flow")
    with pytest.raises(InputError, match="problem"):
        joint(qopt.load("placement/teaching-5"))  # type: ignore[arg-type]
    never = problem.replace({"models[0].widths": [problem.models[0].widths[0].model_dump()]})
    with pytest.raises(MethodError, match="reaches its loss"):
        joint(never)
    assert qopt.solve(never, method="pyomo").status.startswith("infeasible")
    assert qopt.solve(never, method="cvxpy").status.startswith("infeasible")
    with pytest.raises(MethodError, match="variables"):
        qopt.solve(jqodi(500, seed=0, servers=20, cuts=30), method="pyomo")


def test_time_limits_end_with_a_status() -> None:
    problem = jqodi(20, seed=3, servers=3, cuts=3, models=1, widths=(8,))
    found = qopt.solve(problem, method="pyomo", time_limit=0.0)
    assert found.status == "time-limit"
