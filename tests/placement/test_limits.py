"""The methods' own test of limits beside the certificate's, and points that a solver's tolerance lets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from qopt.formulations.placement import exclude, extract, joint

from qopt.core.limits import limit_with_slack
from qopt.core.method import Options
from qopt.core.solvers import pyomo as pyomo_solvers
from qopt.core.solvers.answers import Answer
from qopt.core.solvers.pyomo import run_highs
from qopt.placement.certificate.certify import violations
from qopt.placement.costs import breakdown
from qopt.placement.generate import placement
from qopt.placement.limits import broken
from qopt.placement.methods import brute_force
from qopt.placement.methods import pyomo as method
from qopt.placement.plan import labels_of, plan_of
from qopt.placement.problem import Placement
from qopt.placement.terms import terms


def limited(seed: int) -> Placement:
    """A problem on which each kind of constraint is there to be broken."""
    problem = placement(5, seed=seed, memory=0.6, pins=0.3, private=seed % 2 == 1)
    together = {"graph.together": [["op2", "op3"]]} if seed % 3 == 0 else {}
    asked = problem.replace({"targets.accuracy": sorted(o.accuracy for o in problem.operators)[1], **together})
    best = brute_force.solve(asked, Options()).plan
    return asked if best is None else asked.replace({"targets.latency": breakdown(asked, best).latency})


@pytest.mark.parametrize("seed", range(6))
def test_methods_and_the_certificate_agree_on_every_placement(seed: int) -> None:
    """Two readings, one verdict, one line."""
    problem, rng = limited(seed), np.random.default_rng(seed)
    kinds = set()
    for operator in problem.operators:
        own = terms(problem, operator)
        for draw in range(40):
            labels = rng.integers(0, len(problem.tiers), len(own.names))
            plan = plan_of(problem, own, np.sort(labels) if draw % 2 else labels)
            at = labels_of(problem, own, plan)
            assert plan_of(problem, own, at[1:]) == plan
            lines = violations(problem, plan)
            assert broken(problem, own, at) == (lines[0] if lines else None)
            kinds.add(lines[0].split(":")[0].split(" ")[0] if lines else None)
    assert len(kinds) > 2


def test_limits_are_met_to_the_last_digit() -> None:
    problem = limited(0)
    best = brute_force.solve(problem, Options()).plan
    assert best is not None
    own = terms(problem, problem.operator(best.operator))
    at = labels_of(problem, own, best)
    latency = breakdown(problem, best).latency
    for limit in (latency, latency / (1.0 + 2e-12)):
        asked = problem.replace({"targets.latency": limit})
        keeps = latency <= limit_with_slack(limit)
        assert (broken(asked, own, at) is None) == keeps == (not violations(asked, best))


def test_excluding_a_plan_leaves_the_next_one() -> None:
    problem = placement(4, seed=3)
    model, seen = joint(problem), []
    for _ in range(6):
        assert run_highs(model, None, Options()).point
        seen.append(extract(model, problem))
        exclude(model, problem, seen[-1])
    values = [breakdown(problem, plan).objective for plan in seen]
    assert len({(p.operator, *p.tiers.values()) for p in seen}) == 6
    assert values == pytest.approx(sorted(values), rel=1e-9)
    assert values[0] == pytest.approx(breakdown(problem, brute_force.solve(problem, Options()).plan).objective)


def test_solver_points_are_never_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that first answers with a plan too slow is asked again."""
    problem = limited(1)
    optimum = brute_force.solve(problem, Options()).plan
    assert optimum is not None
    calls: list[Answer] = []

    def careless(model: Any, left: float | None, options: Options) -> Answer:
        answer = run_highs(model, left, options)
        calls.append(answer)
        if len(calls) == 1:  # everything on the highest tier: more than a pin allows
            for (operator, v, _), variable in model.above.items():
                variable.set_value(pyo.value(model.chosen[operator]) if v else 0)
        return answer

    monkeypatch.setattr(pyomo_solvers, "run_highs", careless)
    outcome = method.solve(problem, Options())
    assert len(calls) == 2
    assert outcome.status == "optimal"
    assert breakdown(problem, outcome.plan).objective == pytest.approx(breakdown(problem, optimum).objective, rel=1e-9)
    calls[:] = []
    monkeypatch.setattr(method, "ROUNDS", 1)
    outcome = method.solve(problem, Options())
    assert (outcome.status, outcome.plan) == ("failed", None)
    assert outcome.message.startswith("1 points of the solver break a limit: ")
