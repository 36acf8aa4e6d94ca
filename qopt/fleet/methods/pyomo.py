"""`pyomo`: the readable model of `qopt.formulations.fleet`, solved by the solver asked for.

A point that keeps a capacity only within the solver's tolerance is cut off, and the model solved again.
"""

from __future__ import annotations

from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.core.solvers.exclusion import solve_and_exclude
from qopt.core.solvers.pyomo import asking, choose
from qopt.fleet.costs import breakdown
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet
from qopt.fleet.units import units

ROUNDS = 50
"""Times that the solver is asked, at most."""


def solve(problem: Fleet, options: Options) -> Outcome:
    """The joint model in Pyomo. Takes solver, time_limit, threads, seed, start and verbose."""
    from qopt.formulations.fleet import assign, exclude, extract, joint

    clock, run, own = options.clock(), choose(options), units(problem)
    model = joint(problem, clock=clock)

    ask = asking(run, model, problem, clock, options.start, assign, extract)

    def broken(plan: FleetPlan) -> str | None:
        what = own.broken(own.choice(problem, plan))
        return what and f"the {what}"

    found = solve_and_exclude(ask, broken, lambda plan: exclude(model, problem, plan), clock=clock, most=ROUNDS)
    bound = found.bound
    if found.point is not None and bound is not None:
        bound = min(bound, float(breakdown(problem, found.point).objective))  # above it by rounding only
    details = {"nodes": found.nodes, "rounds": found.rounds}
    return Outcome(found.status, found.point, bound, message=found.message, details=details)
