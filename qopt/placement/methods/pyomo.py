"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.placement`, solved by the solver asked for."""

from __future__ import annotations

import math
from typing import Any

from qopt.core.errors import MethodError
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.pyomo import run_external, run_highs
from qopt.placement.costs import breakdown
from qopt.placement.methods.candidates import NO_OPERATOR, binding
from qopt.placement.plan import PlacementPlan
from qopt.placement.problem import Placement


def solve(problem: Placement, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes formulation (mip, lp), solver (highs, cbc, glpk), time_limit, threads, seed."""
    from qopt.formulations.placement import extract, joint

    form, solver = options.formulation or "mip", options.solver or "highs"
    if form == "lp" and binding(problem):
        raise MethodError(f"formulation lp: {binding(problem)}; formulation mip does")
    if not problem.eligible:
        return Outcome("infeasible", message=NO_OPERATOR)
    clock = options.clock()
    model = joint(problem, form)
    left = clock.left
    answer = run_highs(model, left, options) if solver == "highs" else run_external(solver, model, left, options)
    if solver != "highs" and answer.status == "infeasible" and clock.over:
        return Outcome("time-limit")  # cbc calls a problem infeasible when the clock stops it before its first plan
    bound = None if answer.bound is None else model.unit * answer.bound
    details = {"formulation": form, "nodes": answer.nodes}
    if not answer.point:
        return Outcome(answer.status, bound=bound, message=answer.message, details=details)
    return _checked(problem, extract(model, problem), answer.status, bound, answer.message, details)


def _checked(
    problem: Placement, plan: PlacementPlan, status: Status, bound: float | None, message: str, details: dict[str, Any]
) -> Outcome:
    """An answer whose plan keeps the limits in the exact test; without limits in the model, none if it does not."""
    from qopt.placement.certificate.certify import violations

    cost = breakdown(problem, plan)
    broken = violations(problem, plan)
    if broken and details["formulation"] == "lp":  # the least latency misses its target
        return Outcome("infeasible", message=broken[0], details=details)
    if broken:
        return Outcome(
            "failed", bound=bound, message=f"the solver's point breaks a limit: {broken[0]}", details=details
        )
    if bound is not None:
        bound = min(bound, cost.objective)  # above it by rounding only
    return Outcome(status, plan, bound, message=message, details=details)


def one_tier(problem: Placement) -> str | None:
    """Why the cone solver cannot take a problem, or None."""
    return "one tier: there is nothing to cut" if not problem.links else binding(problem)


def solve_cvxpy(problem: Placement, options: Options) -> Outcome:
    """The minimum cut of every operator as a linear program in CVXPY. Takes solver (highs, clarabel)."""
    import cvxpy as cp

    from qopt.formulations.placement import cut_cvxpy, extract_cvxpy

    solver = options.solver or "highs"
    best, best_value = None, math.inf
    for operator in sorted(problem.eligible, key=lambda o: -o.accuracy):
        model = cut_cvxpy(problem, operator.name)
        try:
            model.solve(solver=solver.upper())
        except cp.SolverError as error:
            return Outcome("failed", message=f"{solver} broke off: {' '.join(str(error).split())[:200]}")
        if model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            return Outcome("failed", message=f"{solver} stopped at operator {operator.name}: {model.status}")
        plan = extract_cvxpy(model, problem, operator.name)
        value = breakdown(problem, plan).objective
        if value < best_value:
            best, best_value = plan, value
    if best is None:
        return Outcome("infeasible", message=NO_OPERATOR)
    return _checked(problem, best, "optimal", best_value, "", {"formulation": "lp"})
