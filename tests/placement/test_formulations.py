"""The models of a placement as they read: rows, integral vertices, extraction."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo
import pytest
from qopt.formulations.placement import cut_cvxpy, extract, extract_cvxpy, joint

import qopt
from qopt.core.errors import InputError, MethodError
from qopt.core.method import Options
from qopt.core.solvers.pyomo import run_highs
from qopt.kernels import mincut
from qopt.placement.costs import labellings
from qopt.placement.generate import placement

TEACHING = "placement/teaching-5"


def test_rows_of_the_teaching_instance() -> None:
    problem = qopt.load(TEACHING).replace({"tiers[0].memory": 50})
    model = joint(problem)
    assert sorted(model.chosen) == ["identity", "quantized"]
    assert len(model.above) == 2 * 6 * 2
    assert len(model.rising) == 2 * 6 * 2
    assert len(model.limits) == 2
    assert all(v.is_binary() for v in model.above.values())
    run_highs(model, None, Options())
    assert extract(model, problem) == qopt.solve(problem).plan
    assert pyo.value(model.cost) == pytest.approx(13)


@pytest.mark.parametrize("seed", range(25))
def test_vertices_are_integral(seed: int) -> None:
    """A vertex of the linear program gives every operation a whole tier, and the optimum of the cut."""
    problem = placement(10, seed=seed, branches=0.5, tiers=2 + seed % 3, pins=0.2)
    model = joint(problem, "lp")
    run_highs(model, None, Options())
    values = np.array([pyo.value(v) for v in (*model.above.values(), *model.chosen.values())])
    assert np.abs(values - np.round(values)).max() < 1e-7
    best = qopt.solve(problem).objective
    assert pyo.value(model.cost) == pytest.approx(best, rel=1e-8)


@pytest.mark.parametrize("solver", ["HIGHS", "CLARABEL"])
def test_the_cut_in_cvxpy(solver: str) -> None:
    """Also from inside an optimal face (Clarabel), every threshold gives an optimal plan."""
    for seed in range(6):
        problem = placement(10, seed=seed, branches=0.5)
        name = problem.operators[seed % 4].name
        model = cut_cvxpy(problem, name)
        model.solve(solver=solver)
        _, costs = labellings(problem)[name]
        best = mincut.solve(costs.unary, costs.rows).objective
        plan = extract_cvxpy(model, problem, name)
        assert qopt.certify(problem, plan).objective == pytest.approx(best, rel=1e-8)


def test_what_models_refuse() -> None:
    problem = qopt.load(TEACHING)
    with pytest.raises(InputError, match="mip, lp"):
        joint(problem, "cut")
    small = problem.replace({"tiers[0].memory": 50})
    frugal = problem.replace({"targets.latency": 15, "objective.time": 0, "objective.energy": 1})
    for limited, words in ((small, "the memory of mobile can bind"), (frugal, "the latency can bind")):
        assert joint(limited, "mip").limits
        with pytest.raises(MethodError, match=f"form lp: {words}"):
            joint(limited, "lp")
        with pytest.raises(MethodError, match=f"cut_cvxpy: {words}"):
            cut_cvxpy(limited, "quantized")
    for model in (joint, lambda other: cut_cvxpy(other, "identity")):
        with pytest.raises(InputError, match="a qpart problem; allowed: a placement"):
            model(qopt.load("qpart/teaching-3"))
    with pytest.raises(MethodError, match="accuracy target"):
        joint(problem.replace({"targets.accuracy": 0.9}))
    with pytest.raises(MethodError, match="'early exit'"):
        cut_cvxpy(problem, "early exit")
    with pytest.raises(MethodError, match="nothing to cut"):
        cut_cvxpy(placement(4, seed=1, tiers=1), "identity")
