"""`lagrangian`: prices by a level bundle method whose master HiGHS solves, a plan by rounding the core's vertex."""

from __future__ import annotations

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.fleet.arrays import shards, tables
from qopt.fleet.engine import Engine
from qopt.fleet.methods.dual import Climbed, Planned, climb, plan
from qopt.fleet.methods.first import first_plan
from qopt.fleet.plan import FleetPlan
from qopt.fleet.problem import Fleet
from qopt.fleet.witness import multipliers


def solve(problem: Fleet, options: Options) -> Outcome:
    """Multipliers, and a plan near them. Takes time_limit and threads."""
    clock = options.clock()
    jobs = options.threads or 1
    with Engine(tables(problem), shards(problem), "threads" if jobs > 1 else "numpy", jobs=jobs) as engine:
        climbed = climb(engine, clock=clock)
        planned = plan(engine, climbed, len(problem.requests), clock)
    return outcome(problem, climbed, planned, clock)


def outcome(problem: Fleet, climbed: Climbed, planned: Planned | None, clock: Clock) -> Outcome:
    """What a climb and its plan say."""
    bound = float(climbed.bound)
    witness = multipliers(problem, climbed.best, climbed.grid)
    details: dict[str, object] = {"passes": climbed.passes, "core": len(climbed.own.row)}
    if planned is None:
        return Outcome(
            "time-limit" if clock.over else "feasible", first_plan(problem, clock), bound, witness, details=details
        )
    gap = planned.objective - climbed.bound
    status: Status = "optimal" if gap < 1 else "time-limit" if clock.over else "feasible"
    message = "" if status == "optimal" else f"at most {float(gap / max(planned.objective, 1)):.2g} above the optimum"
    return Outcome(
        status,
        plan_of(problem, planned.option, planned.splits),
        min(bound, planned.objective),
        witness,
        message,
        details,
    )


def plan_of(problem: Fleet, option: IntArray, splits: tuple[tuple[int, int, int], ...] = ()) -> FleetPlan:
    """The plan of a column for each row."""
    return FleetPlan(problem=problem.name, option=np.asarray(option, dtype=np.int64), splits=splits)
