"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.jqodi`, solved by the solver asked for.

No solver's word is taken for the plan: a point that keeps T_max only within the solver's tolerance is cut off, and the
model solved again.
"""

from __future__ import annotations

from typing import cast

from qopt.core.errors import InputError, MethodError
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.conic import attempt, check, limited
from qopt.core.solvers.exclusion import solve_and_exclude
from qopt.core.solvers.pyomo import asking, choose
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
    """The joint model in Pyomo. Takes formulation, solver, time_limit, threads, seed, start and verbose."""
    from qopt.formulations.jqodi import assign, exclude, extract, joint

    _check_form(problem, options)
    clock, run = options.clock(), choose(options)
    if not clock.affords(variables(problem), RATE):
        return Outcome("time-limit", message=NOT_BUILT)
    try:
        model = joint(problem, options.formulation)
    except MethodError:  # nothing reaches its loss
        return infeasible(problem, clock=clock)

    ask = asking(run, model, problem, clock, options.start, assign, extract)

    def broken(plan: JqodiPlan) -> str | None:
        candidate = candidate_of(problem, plan)
        return None if keeps_limit(problem, candidate, states_of(candidate, plan)) else "T_max"

    def cut_off(plan: JqodiPlan) -> None:
        exclude(model, problem, plan)

    result = solve_and_exclude(ask, broken, cut_off, clock=clock, most=ROUNDS)
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
    """The joint model in CVXPY. Takes formulation, solver, time_limit and verbose."""
    import cvxpy as cp

    from qopt.formulations.jqodi import extract_cvxpy, joint_cvxpy

    _check_form(problem, options)
    clock, solver = options.clock(), options.solver or "highs"
    check(solver, options)
    if not clock.affords(variables(problem), RATE_CVXPY):
        return Outcome("time-limit", message=NOT_BUILT)
    try:
        model = joint_cvxpy(problem, options.formulation)
    except MethodError:  # nothing reaches its loss
        return infeasible(problem, clock=clock)
    settings = limited(solver, clock.left)
    if solver == "highs":
        settings |= {"mip_rel_gap": 0.0, "mip_abs_gap": 0.0, "mip_feasibility_tolerance": 1e-9}
    if solver == "scipy":
        settings = {
            "scipy_options": {"mip_rel_gap": 0.0, **cast("dict[str, object]", settings.get("scipy_options", {}))}
        }
    broke = attempt(model, solver, settings, options.verbose)
    if broke:
        return Outcome("time-limit", message=f"{solver} broke off") if clock.over else Outcome("failed", message=broke)
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
