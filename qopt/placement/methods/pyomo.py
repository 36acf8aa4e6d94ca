"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.placement`, solved by the solver asked for.

No solver's word is taken for the plan: a point that keeps a limit only within the solver's tolerance is cut off, and
the model solved again.
"""

from __future__ import annotations

import math
from dataclasses import replace

from qopt.core.clock import OutOfTime
from qopt.core.errors import InputError, MethodError, shown
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.conic import attempt, check, limited
from qopt.core.solvers.exclusion import Found, solve_and_exclude
from qopt.core.solvers.pyomo import asking, choose
from qopt.placement.costs import FAR_CHEAPER, breakdown
from qopt.placement.limits import broken
from qopt.placement.methods.candidates import NO_OPERATOR, binding
from qopt.placement.plan import PlacementPlan, labels_of
from qopt.placement.problem import Placement
from qopt.placement.terms import terms

NOT_BUILT = "there is no time to build the model and hand it over"
NOT_FINER = "there is no time to look at the plan again in finer digits"

ROUNDS = 50
"""Times that the solver is asked, at most."""


def solve(problem: Placement, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes formulation (mip, lp), solver, time_limit, threads, seed, start and verbose."""
    from qopt.formulations.placement import assign, exclude, extract, joint, operators, unit

    clock, run = options.clock(), choose(options)
    form = options.formulation or "mip"
    if form == "lp" and binding(problem):
        raise MethodError(f"formulation lp: {binding(problem)}; formulation mip does")
    if form == "lp" and options.start is not None:
        raise InputError("start", shown(options.start), "nothing with formulation lp")
    if not problem.eligible:
        return Outcome("infeasible", message=NO_OPERATOR)

    def search(below: float | None) -> tuple[Found[PlacementPlan], float]:
        """The answer, its bound in the problem's units, and the unit of the model's objective."""
        model = joint(problem, form, below=below, clock=clock)

        ask = asking(run, model, problem, clock, options.start, assign, extract)

        def breaks(plan: PlacementPlan) -> str | None:
            what = None if form == "lp" else _broken(problem, plan)
            return what and f"a limit: {what}"

        def cut_off(plan: PlacementPlan) -> None:
            exclude(model, problem, plan)

        return solve_and_exclude(ask, breaks, cut_off, clock=clock, most=ROUNDS), model.unit

    try:
        found, coarse = search(None)
    except OutOfTime:
        return Outcome("time-limit", message=NOT_BUILT)
    while found.status == "optimal" and found.point is not None:
        value = breakdown(problem, found.point).objective
        if unit(costs for _, costs, _ in operators(problem, value).values()) > FAR_CHEAPER * coarse:
            break  # as it does at last: floats span no more than 270 such steps
        try:
            again, coarse = search(value)
        except OutOfTime:
            found = replace(found, status="time-limit", message=NOT_FINER)
            break
        if again.point is None or breakdown(problem, again.point).objective > value:
            again = replace(again, point=found.point)
        found = again
    details = {"formulation": form, "nodes": found.nodes}
    plan, bound = found.point, found.bound
    missed = _broken(problem, plan) if form == "lp" and plan is not None else None
    if missed and found.status == "optimal":  # the least latency misses its target
        return Outcome("infeasible", message=missed, details=details)
    if missed:
        message = f"the solver's point breaks a limit: {missed}"
        return Outcome(found.status, bound=bound, message=message, details=details)
    if plan is not None and bound is not None:
        bound = min(bound, breakdown(problem, plan).objective)  # above it by rounding only
    return Outcome(found.status, plan, bound, message=found.message, details=details)


def _broken(problem: Placement, plan: PlacementPlan) -> str | None:
    """The first constraint that a plan breaks in the exact test; None if it keeps all."""
    own = terms(problem, problem.operator(plan.operator))
    return broken(problem, own, labels_of(problem, own, plan))


def one_tier(problem: Placement) -> str | None:
    """Why the cone solver cannot take a problem, or None."""
    return "one tier: there is nothing to cut" if not problem.links else binding(problem)


def solve_cvxpy(problem: Placement, options: Options) -> Outcome:
    """The minimum cut of every operator as a linear program in CVXPY. Takes solver, time_limit, verbose."""
    import cvxpy as cp

    from qopt.formulations.placement import RATE_CVXPY, cut_cvxpy, extract_cvxpy, operators, unit

    clock, solver = options.clock(), options.solver or "highs"
    check(solver, options)
    best, best_value = None, math.inf
    size = len(problem.graph) * len(problem.links)
    for operator in sorted(problem.eligible, key=lambda o: -o.accuracy):
        if not clock.affords(size, RATE_CVXPY):
            return _late(problem, best, NOT_BUILT)
        model = cut_cvxpy(problem, operator.name)
        coarse = unit([operators(problem)[operator.name][1]])
        while True:
            if not clock.affords(size, 2 * RATE_CVXPY):  # building is less than half of it
                return _late(problem, best, NOT_BUILT)
            broke = attempt(model, solver, limited(solver, clock.left), options.verbose)
            if broke:
                return _late(problem, best) if clock.over else Outcome("failed", message=broke)
            if model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) and clock.over:
                return _late(problem, best)
            if model.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
                break  # it cannot be used on tiers where it would have to be
            if model.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
                return Outcome("failed", message=f"{solver} stopped at operator {operator.name}: {model.status}")
            plan = extract_cvxpy(model, problem, operator.name)
            value = breakdown(problem, plan).objective
            if value < best_value:
                best, best_value = plan, value
            _, costs, _ = operators(problem, value)[operator.name]
            if unit([costs]) > FAR_CHEAPER * coarse:
                break  # as it does at last: floats span no more than 270 such steps
            model, coarse = cut_cvxpy(problem, operator.name, below=value), unit([costs])
    if best is None:
        return Outcome("infeasible", message=NO_OPERATOR)
    details = {"formulation": "lp"}
    what = _broken(problem, best)
    if what:  # the least latency misses its target
        return Outcome("infeasible", message=what, details=details)
    return Outcome("optimal", best, best_value, details=details)


def _late(problem: Placement, best: PlacementPlan | None, message: str = "") -> Outcome:
    """What the clock left: the best plan of the operators so far, if it keeps the latency."""
    kept = best if best is not None and _broken(problem, best) is None else None
    return Outcome("time-limit", kept, message=message)
