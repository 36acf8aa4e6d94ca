"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.jqodi`, solved by the solver asked for.

No solver's word is taken for the plan: a point that keeps T_max only within the solver's tolerance is cut off, and the
model solved again.
"""

from __future__ import annotations

import warnings
from typing import Any

from qopt.core.errors import InputError, MethodError
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.cvxpy import run as cvxpy_run
from qopt.core.solvers.exclusion import Round, solve_and_exclude
from qopt.core.solvers.pyomo import choose
from qopt.jqodi.methods.search import infeasible
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidate_of, keeps_limit, states_of, totals

MOST = 60_000
"""Variables that a readable model may have: building it takes seconds."""

ROUNDS = 20
"""Times that the solver is asked, at most."""


RATE, RATE_CVXPY = 10_000, 5_000
"""Variables a second that are built and handed to HiGHS, on two old cores: neither can be stopped, so a model for which
there is no time is not begun."""

NOT_BUILT = "there is no time to build the model and hand it over"


def too_large(problem: Jqodi) -> str | None:
    """Why a model would have too many variables, or None."""
    total = variables(problem)
    return f"about {total} variables, more than {MOST}" if total > MOST else None


def variables(problem: Jqodi) -> int:
    """About how many variables a model has."""
    total = 0
    for model, width in problem.admissible:
        epochs, states = problem.needed(model, width), len(problem.servers) * len(model.admissible_cuts)
        if epochs is not None:
            changes = states * states if problem.mode == "path" and problem.switching.costs else 0
            total += states if problem.mode == "choice" else epochs * (states + changes)
    return total


def _check_form(problem: Jqodi, options: Options) -> None:
    if options.formulation is not None and problem.mode != "path":
        raise InputError("formulation", repr(options.formulation), f"none: mode {problem.mode} has one form")


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes formulation, solver (highs, cbc, glpk), time_limit, threads, seed."""
    from qopt.formulations.jqodi import exclude, extract, joint

    _check_form(problem, options)
    clock, run = options.clock(), choose(options)
    if not clock.affords(variables(problem), RATE):
        return Outcome("time-limit", message=NOT_BUILT)
    try:
        model = joint(problem, options.formulation)
    except MethodError:  # nothing reaches its loss
        return infeasible(problem, clock=clock)

    def attempt() -> Round[JqodiPlan]:
        said = run(model, clock)
        plan = extract(model, problem) if said.point else None
        bound = None if said.bound is None else model.unit * said.bound
        return Round(said.status, plan, bound, said.nodes, said.message)

    def broken(plan: JqodiPlan) -> str | None:
        candidate = candidate_of(problem, plan)
        return None if keeps_limit(problem, candidate, states_of(candidate, plan)) else "T_max"

    def cut_off(plan: JqodiPlan) -> None:
        exclude(model, problem, plan)

    result = solve_and_exclude(attempt, broken, cut_off, clock=clock, most=ROUNDS)
    details = {"formulation": _form(problem, options), "rounds": result.rounds, "nodes": result.nodes or 0}
    if result.status == "infeasible":
        return infeasible(problem, details=details, clock=clock)
    plan, bound = result.point, result.bound
    if plan is not None and bound is not None:
        candidate = candidate_of(problem, plan)
        bound = min(bound, totals(candidate, states_of(candidate, plan))[0])  # above it by rounding only
    return Outcome(result.status, plan, bound, message=result.message, details=details)


def _form(problem: Jqodi, options: Options) -> str:
    return (options.formulation or "flow") if problem.mode == "path" else problem.mode


def solve_cvxpy(problem: Jqodi, options: Options) -> Outcome:
    """The joint model in CVXPY. Takes formulation, solver (highs, scipy) and time_limit."""
    import cvxpy as cp

    from qopt.formulations.jqodi import extract_cvxpy, joint_cvxpy

    _check_form(problem, options)
    clock, solver = options.clock(), options.solver or "highs"
    if not clock.affords(variables(problem), RATE_CVXPY):
        return Outcome("time-limit", message=NOT_BUILT)
    try:
        model = joint_cvxpy(problem, options.formulation)
    except MethodError:  # nothing reaches its loss
        return infeasible(problem, clock=clock)
    gaps: dict[str, Any] = {"scipy_options": {"mip_rel_gap": 0.0}}
    if solver == "highs":
        gaps = {"mip_rel_gap": 0.0, "mip_abs_gap": 0.0, "mip_feasibility_tolerance": 1e-9}
    if clock.left is not None:
        where = gaps if solver == "highs" else gaps["scipy_options"]
        where["time_limit"] = max(clock.left, 1e-3)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "may be inaccurate": the exact test judges
            cvxpy_run(model, solver, **gaps)
    except (cp.SolverError, ValueError) as error:  # ValueError: it unpacks a point of status unknown
        if clock.over:
            return Outcome("time-limit", message=f"{solver} broke off")
        return Outcome("failed", message=f"{solver} broke off: {' '.join(str(error).split())[:200]}")
    details = {"formulation": _form(problem, options)}
    if clock.over and model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE, cp.INFEASIBLE):
        return Outcome("time-limit", details=details)
    if model.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        return infeasible(problem, details=details, clock=clock)
    if model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        return Outcome("failed", message=f"{solver} stopped: {model.status}", details=details)
    plan = extract_cvxpy(model, problem)
    candidate = candidate_of(problem, plan)
    states = states_of(candidate, plan)
    if not keeps_limit(problem, candidate, states):
        return Outcome("failed", message="the solver's point breaks T_max within its tolerance", details=details)
    return Outcome("optimal", plan, totals(candidate, states)[0], details=details)
