"""A chance constraint on finishing in time where rates, speeds and losses are known by samples only.

A sample is a world (`qopt.jqodi.worlds`): what a run takes in it is followed, and the share of worlds in which it is in
time must be at least the confidence asked for. In mode ``choice`` all servers and cuts are looked at that are possible
in every epoch of the forecast: the answer is the best of them for these samples, with the joules of the forecast, and
the samples alone say whether it is in time. Else the problem is solved with a smaller T_max, and the largest that works
is looked for by bisection: a heuristic. What is promised of worlds that are not among the samples is an interval from
fresh ones.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qopt.core.arguments import real, whole
from qopt.core.arrays import IntArray
from qopt.core.display import Brief
from qopt.core.errors import InputError
from qopt.core.reading import problem_of
from qopt.core.solution import Solution, Status
from qopt.core.solving import certify, solve
from qopt.jqodi.drawing import missed_at_most
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.simulation import follow
from qopt.jqodi.terms import Candidate, candidates, plan_of, totals

STEPS = 12
"""Time limits that are tried, by default."""


@dataclass(frozen=True, repr=False)
class Sampled(Brief):
    """A plan that is in time in enough samples.

    Attributes
    ----------
    solution : the plan; status ``heuristic``, and ``optimal-by-solver`` where all choices that are possible in every
        epoch of the forecast were looked at: the best of them for these samples. Its certificate is of the forecast,
        which may miss T_max where the samples keep it; then the message says so. None where no plan was found.
    share : of the samples in which it is in time; None without a plan.
    missed_at_most : upper end of Clopper and Pearson's 95 % interval for the chance of not being in time, from fresh
        worlds; None without them or without a plan.
    time_limit : T_max [s] with which the plan was found.
    """

    solution: Solution | None
    share: float | None
    missed_at_most: float | None
    time_limit: float


def in_time(problem: Jqodi, plan: JqodiPlan, some: Sequence[Jqodi]) -> int:
    """In how many worlds following a plan reaches the loss within T_max.

    Parameters
    ----------
    problem, plan : what was asked, and what was decided.
    some : worlds.
    """
    runs = [follow(problem, world, plan) for world in some]
    return sum(run is not None and run.in_time for run in runs)


def solve_sampled(
    problem: Jqodi,
    samples: Sequence[Jqodi],
    confidence: float,
    *,
    fresh: Sequence[Jqodi] = (),
    method: str = "auto",
    steps: int = STEPS,
) -> Sampled:
    """The least energy of a plan that is in time in at least a share of samples; see the head of this file.

    Parameters
    ----------
    problem : what is asked; its energies are what is minimised.
    samples : list of worlds, as `qopt.jqodi.worlds` draws them.
    confidence : the share, above 0 and up to 1.
    fresh : other worlds, for an interval of what is promised.
    method : as `qopt.solve` takes it; not in mode ``choice``, where choices are looked at one by one.
    steps : time limits that are tried, at least 1; not in mode ``choice``.

    Raises
    ------
    InputError
        No JQODI problem, one that has begun, no samples, or an argument out of range.
    """
    problem = problem_of(Jqodi, problem)
    if problem.start is not None:
        raise InputError("problem", f"{problem.name}, a run that has begun", "a problem without a start")
    if not samples:
        raise InputError("samples", "nothing", "at least one world")
    real("confidence", confidence, 0, 1, above=True)
    enough = math.ceil(confidence * len(samples) * (1.0 - 1e-12))
    whole("steps", steps, 1, 100)
    found = (
        _best_choice(problem, samples, enough)
        if problem.mode == "choice"
        else _smaller_limit(problem, samples, enough, method, steps)
    )
    if found is None:
        return Sampled(None, None, None, problem.time_limit)
    solution, count, limit = found
    upper = missed_at_most(len(fresh) - in_time(problem, solution.plan, fresh), len(fresh)) if fresh else None
    return Sampled(solution, count / len(samples), upper, limit)


def _best_choice(problem: Jqodi, samples: Sequence[Jqodi], enough: int) -> tuple[Solution, int, float] | None:
    """The cheapest choice that is in time in enough samples, by looking at them from the cheapest on."""
    begun = time.perf_counter()
    ranked: list[tuple[float, int, Candidate, IntArray]] = []
    for candidate in candidates(problem):
        for s in np.flatnonzero(np.isfinite(candidate.time).all(axis=0)).tolist():
            states = np.full(candidate.epochs, s)
            ranked.append((totals(candidate, states)[0], len(ranked), candidate, states))
    for _, _, candidate, states in sorted(ranked, key=lambda each: each[:2]):
        plan = plan_of(problem, candidate, states)
        count = in_time(problem, plan, samples)
        if count >= enough:
            seconds = time.perf_counter() - begun
            return _solution(problem, plan, "optimal-by-solver", "enumeration", seconds), count, problem.time_limit
    return None


def _solution(problem: Jqodi, plan: JqodiPlan, status: Status, method: str, seconds: float) -> Solution:
    """A plan with the certificate of the problem as it is asked; nothing is proved of the samples."""
    certificate = certify(problem, plan)
    message = "a plan for a smaller T_max"
    if method == "enumeration":
        message = "the least energy of choices that are possible throughout the forecast and in time in enough samples"
    if certificate.violations:
        message += f"; by the forecast: {certificate.violations[0]}"
    return Solution(
        problem=problem.name,
        method=method,
        solver=None,
        bits=None,
        status=status,
        plan=plan,
        objective=certificate.objective,
        bound=None,
        seconds=seconds,
        certificate=certificate,
        message=message,
        instance=problem,
    )


def _smaller_limit(
    problem: Jqodi, samples: Sequence[Jqodi], enough: int, method: str, steps: int
) -> tuple[Solution, int, float] | None:
    """The cheapest of the plans for smaller limits that is in time in enough samples."""
    best: tuple[Solution, int, float] | None = None
    begun = time.perf_counter()
    low, high, limit = 0.0, problem.time_limit, problem.time_limit
    for _ in range(steps):
        solution = solve(problem.replace({"time_limit": limit}), method)
        count = in_time(problem, solution.plan, samples) if solution.certificate.feasible else -1
        if count < 0 and limit == problem.time_limit:
            return None
        if count >= enough and (best is None or (solution.objective or 0.0) < (best[0].objective or 0.0)):
            own = _solution(problem, solution.plan, "heuristic", solution.method, time.perf_counter() - begun)
            best = (own, count, limit)
        if count >= enough:
            low = limit
        elif count >= 0 or best is not None:
            high = limit
        else:
            low = limit  # nothing is so fast: a larger limit, which was too slow for the samples
        if count >= enough and limit == problem.time_limit:
            break
        limit = 0.5 * (low + high)
    return best
