"""A plan within moments, for calls under a time limit: each request its own best while it fits, the others refused."""

from __future__ import annotations

from qopt.core.clock import Clock
from qopt.fleet.costs import breakdown
from qopt.fleet.methods.operators import own_best
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet


def objective(problem: Fleet, plan: FleetPlan) -> float:
    """What a plan costs."""
    return float(breakdown(problem, plan).objective)


def first_plan(problem: Fleet, clock: Clock) -> FleetPlan:
    """A plan that keeps all capacities: there always is one, as all may be refused.

    Parameters
    ----------
    problem : the problem.
    clock : when it is over, the requests that are left are refused.
    """
    return own_best(problem, clock)
