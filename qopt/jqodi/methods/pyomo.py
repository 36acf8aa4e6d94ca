"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.jqodi`, solved by the solver asked for.

No solver's word is taken for the plan: a point that keeps T_max only within the solver's tolerance is cut off, and the
model solved again.
"""

from __future__ import annotations

from typing import Any

from qopt.core.errors import InputError, MethodError
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.pyomo import run_external, run_highs
from qopt.jqodi.methods.search import infeasible
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_of, keeps_limit, states_of, totals

MOST = 60_000
"""Variables that a readable model may have: building it takes seconds."""

ROUNDS = 20
"""Points that are cut off, at most."""


def too_large(problem: Jqodi) -> str | None:
    """Why a model would have too many variables, or None."""
    total = 0
    for model, width in problem.admissible:
        epochs, states = problem.needed(model, width), len(problem.servers) * len(model.admissible_cuts)
        if epochs is not None:
            changes = states * states if problem.mode == "path" and problem.switching.costs else 0
            total += states if problem.mode == "choice" else epochs * (states + changes)
    return f"about {total} variables, more than {MOST}" if total > MOST else None


def _check_form(problem: Jqodi, options: Options) -> None:
    if options.formulation is not None and problem.mode != "path":
        raise InputError("formulation", repr(options.formulation), f"none: mode {problem.mode} has one form")


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes formulation, solver (highs, cbc, glpk), time_limit, threads, seed."""
    from qopt.formulations.jqodi import exclude, extract, joint

    _check_form(problem, options)
    clock, solver = options.clock(), options.solver or "highs"
    if solver == "glpk" and options.threads not in (None, 1):
        raise InputError("threads", str(options.threads), "1, because glpk runs on one thread")
    try:
        model = joint(problem, options.formulation)
    except MethodError:  # nothing reaches its loss
        return infeasible(problem)
    details: dict[str, Any] = {"formulation": _form(problem, options), "rounds": 0, "nodes": 0}
    bound: float | None = None
    for _ in range(ROUNDS):
        left = clock.left
        answer = run_highs(model, left, options) if solver == "highs" else run_external(solver, model, left, options)
        if solver != "highs" and answer.status == "infeasible" and clock.over:
            return Outcome("time-limit", bound=bound)  # what cbc says when the clock stops it before its first plan
        details["rounds"] += 1
        details["nodes"] += answer.nodes or 0
        bound = bound if answer.bound is None else model.unit * answer.bound
        if not answer.point:
            if answer.status == "infeasible":
                return infeasible(problem, details=details)
            return Outcome(answer.status, bound=bound, message=answer.message, details=details)
        plan = extract(model, problem)
        own = candidate_of(problem, plan)
        states = states_of(own, plan)
        if keeps_limit(problem, own, states):
            claimed = None if bound is None else min(bound, totals(own, states)[0])  # above it by rounding only
            return Outcome(answer.status, plan, claimed, message=answer.message, details=details)
        if clock.over:
            return Outcome("time-limit", bound=bound, message="the solver's point breaks T_max", details=details)
        exclude(model, problem, plan)
    return Outcome("failed", bound=bound, message=f"{ROUNDS} points of the solver break T_max", details=details)


def _form(problem: Jqodi, options: Options) -> str:
    return (options.formulation or "flow") if problem.mode == "path" else problem.mode


def solve_cvxpy(problem: Jqodi, options: Options) -> Outcome:
    """The joint model in CVXPY. Takes formulation and solver (highs, scipy)."""
    import cvxpy as cp

    from qopt.formulations.jqodi import extract_cvxpy, joint_cvxpy

    _check_form(problem, options)
    solver = options.solver or "highs"
    try:
        model = joint_cvxpy(problem, options.formulation)
    except MethodError:  # nothing reaches its loss
        return infeasible(problem)
    gaps: dict[str, Any] = {"scipy_options": {"mip_rel_gap": 0.0}}
    if solver == "highs":
        gaps = {"mip_rel_gap": 0.0, "mip_abs_gap": 0.0, "mip_feasibility_tolerance": 1e-9}
    try:
        model.solve(solver=solver.upper(), **gaps)
    except (cp.SolverError, ValueError) as error:  # ValueError: it unpacks a point of status unknown
        return Outcome("failed", message=f"{solver} broke off: {' '.join(str(error).split())[:200]}")
    details = {"formulation": _form(problem, options)}
    if model.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        return infeasible(problem, details=details)
    if model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        return Outcome("failed", message=f"{solver} stopped: {model.status}", details=details)
    plan = extract_cvxpy(model, problem)
    own = candidate_of(problem, plan)
    states = states_of(own, plan)
    if not keeps_limit(problem, own, states):
        return Outcome("failed", message="the solver's point breaks T_max within its tolerance", details=details)
    return Outcome("optimal", plan, totals(own, states)[0], details=details)
