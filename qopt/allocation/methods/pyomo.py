"""`pyomo` and `cvxpy`: the readable models of `qopt.formulations.allocation`, solved by the solver asked for.

No solver's word is taken for the plan: a point that keeps a budget only within the solver's tolerance is cut off, and
the model solved again.
"""

from __future__ import annotations

from qopt.allocation.costs import breakdown
from qopt.allocation.items import items
from qopt.allocation.plan import AllocationPlan
from qopt.allocation.problem import Allocation
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.core.solvers.answers import TOLERANCE
from qopt.core.solvers.conic import attempt, check, limited
from qopt.core.solvers.exclusion import Found, Round, solve_and_exclude
from qopt.core.solvers.pyomo import asking, choose

GAPLESS: dict[str, object] = {
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 0.0,
    "mip_feasibility_tolerance": TOLERANCE,
    "primal_feasibility_tolerance": TOLERANCE,
}
"""What HiGHS is asked for. Another solver keeps its own: the exact test judges."""

ROUNDS = 50
"""Times that the solver is asked, at most."""


def solve(problem: Allocation, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes solver, time_limit, threads, seed, start and verbose."""
    from qopt.formulations.allocation import assign, exclude, extract, joint

    clock, run, own = options.clock(), choose(options), items(problem)
    model = joint(problem, clock=clock)

    ask = asking(run, model, problem, clock, options.start, assign, extract)

    def broken(plan: AllocationPlan) -> str | None:
        what = own.broken(own.choice(plan))
        return what and f"the budget of {what}"

    found = solve_and_exclude(ask, broken, lambda plan: exclude(model, problem, plan), clock=clock, most=ROUNDS)
    return _outcome(problem, found)


def _outcome(problem: Allocation, found: Found[AllocationPlan]) -> Outcome:
    bound = found.bound
    if found.point is not None and bound is not None:
        bound = min(bound, breakdown(problem, found.point).objective)  # above it by rounding only
    details = {"nodes": found.nodes, "rounds": found.rounds}
    return Outcome(found.status, found.point, bound, message=found.message, details=details)


def solve_cvxpy(problem: Allocation, options: Options) -> Outcome:
    """The same model in CVXPY. Takes solver, time_limit and verbose."""
    import cvxpy as cp

    from qopt.formulations.allocation import boolean_cvxpy, extract_cvxpy

    clock, own, solver = options.clock(), items(problem), options.solver or "highs"
    check(solver, options)
    model = boolean_cvxpy(problem, clock=clock)
    x = model.var_dict["chosen"]
    state = {"model": model}

    def ask() -> Round[AllocationPlan]:
        if clock.over:
            return Round("time-limit")
        settings = (GAPLESS if solver == "highs" else {}) | limited(solver, clock.left)
        broke = attempt(state["model"], solver, settings, options.verbose)
        if broke:
            return Round("time-limit") if clock.over else Round("failed", message=broke)
        said = state["model"].status
        if said == cp.INFEASIBLE or said == "infeasible_or_unbounded":
            return Round("infeasible")
        status: Status = "optimal" if said == cp.OPTIMAL else "time-limit" if clock.over else "failed"
        # CVXPY hands zeros back where the clock left no point.
        if x.value is None or not (abs(x.value.sum(axis=1) - 1.0) < 1e-6).all():
            return Round(status if status != "optimal" else "failed", message=f"{solver} stopped: {said}")
        return Round(status, extract_cvxpy(state["model"], problem))

    def exclude(plan: AllocationPlan) -> None:
        choice = own.choice(plan)
        chosen = cp.sum(cp.hstack([x[g, int(c)] for g, c in enumerate(choice)]))
        state["model"] = cp.Problem(model.objective, [*state["model"].constraints, chosen <= len(choice) - 1])

    def broken(plan: AllocationPlan) -> str | None:
        what = own.broken(own.choice(plan))
        return what and f"the budget of {what}"

    found = solve_and_exclude(ask, broken, exclude, clock=clock, most=ROUNDS)
    return _outcome(problem, found)
