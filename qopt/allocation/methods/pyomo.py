"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.allocation`, solved by the solver asked for.

No solver's word is taken for the plan: a point that keeps a budget only within the solver's tolerance is cut off, and
the model solved again.
"""

from __future__ import annotations

import warnings

from qopt.allocation.costs import breakdown
from qopt.allocation.items import items
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import Allocation
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.exclusion import Found, Round, solve_and_exclude
from qopt.core.solvers.pyomo import TOLERANCE, choose

ROUNDS = 50
"""Times that the solver is asked, at most."""


def solve(problem: Allocation, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes solver (highs, cbc, glpk), time_limit, threads, seed."""
    from qopt.formulations.allocation import exclude, extract, joint

    clock, run, own = options.clock(), choose(options), items(problem)
    model = joint(problem, clock=clock)

    def attempt() -> Round[AllocationPlan]:
        said = run(model, clock)
        plan = extract(model, problem) if said.point else None
        bound = None if said.bound is None else model.unit * said.bound
        return Round(said.status, plan, bound, said.nodes, said.message)

    def broken(plan: AllocationPlan) -> str | None:
        what = own.broken(own.choice(plan))
        return what and f"the budget of {what}"

    found = solve_and_exclude(attempt, broken, lambda plan: exclude(model, problem, plan), clock=clock, most=ROUNDS)
    return _outcome(problem, found)


def _outcome(problem: Allocation, found: Found[AllocationPlan]) -> Outcome:
    bound = found.bound
    if found.point is not None and bound is not None:
        bound = min(bound, breakdown(problem, found.point).objective)  # above it by rounding only
    details = {"nodes": found.nodes, "rounds": found.rounds}
    return Outcome(found.status, found.point, bound, message=found.message, details=details)


def solve_cvxpy(problem: Allocation, options: Options) -> Outcome:
    """The same model in CVXPY, solved by HiGHS. Takes time_limit."""
    import cvxpy as cp

    from qopt.formulations.allocation import boolean_cvxpy, extract_cvxpy

    clock, own = options.clock(), items(problem)
    model = boolean_cvxpy(problem, clock=clock)
    x = model.var_dict["chosen"]
    state = {"model": model}

    def attempt() -> Round[AllocationPlan]:
        settings: dict[str, object] = {
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.0,
            "mip_feasibility_tolerance": TOLERANCE,
            "primal_feasibility_tolerance": TOLERANCE,
        }
        if clock.over:
            return Round("time-limit")
        if clock.left is not None:
            settings["time_limit"] = clock.left
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # CVXPY's remark that a point may be inaccurate where the clock stopped
                state["model"].solve(solver="HIGHS", **settings)
        except (cp.SolverError, ValueError) as error:
            late = clock.left == 0.0
            return (
                Round("time-limit")
                if late
                else Round("failed", message=f"highs broke off: {' '.join(str(error).split())[:200]}")
            )
        said = state["model"].status
        if said == cp.INFEASIBLE or said == "infeasible_or_unbounded":
            return Round("infeasible")
        status: Status = "optimal" if said == cp.OPTIMAL else "time-limit" if clock.over else "failed"
        # CVXPY hands zeros back where the clock left no point.
        if x.value is None or not (abs(x.value.sum(axis=1) - 1.0) < 1e-6).all():
            return Round(status if status != "optimal" else "failed", message=f"highs stopped: {said}")
        return Round(status, extract_cvxpy(state["model"], problem))

    def exclude(plan: AllocationPlan) -> None:
        choice = own.choice(plan)
        chosen = cp.sum(cp.hstack([x[g, int(c)] for g, c in enumerate(choice)]))
        state["model"] = cp.Problem(model.objective, [*state["model"].constraints, chosen <= len(choice) - 1])

    def broken(plan: AllocationPlan) -> str | None:
        what = own.broken(own.choice(plan))
        return what and f"the budget of {what}"

    found = solve_and_exclude(attempt, broken, exclude, clock=clock, most=ROUNDS)
    return _outcome(problem, found)
