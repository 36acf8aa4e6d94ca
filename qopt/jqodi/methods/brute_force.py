"""`brute-force`: every model, bit-width, and sequence of servers and cuts. For small instances and as a yardstick."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from qopt.core.limits import within
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.jqodi.methods.search import infeasible
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidates, plan_of

MAX_PLANS = 300_000
"""Plans, of all candidates together, that brute force is willing to look at."""


def too_large(problem: Jqodi) -> str | None:
    """Why a problem has too many plans, or None."""
    plans = 0.0
    for model, width in problem.admissible:
        epochs, states = problem.needed(model, width), len(problem.servers) * len(model.admissible_cuts)
        if epochs is not None and states > 1:
            plans += states if problem.mode == "choice" else 2.0 ** min(epochs * math.log2(states), 1000.0)
    return f"more than {MAX_PLANS} plans to look at" if plans > MAX_PLANS else None


def sequences(problem: Jqodi, candidate: Candidate) -> Iterable[tuple[int, ...]]:
    """States of every plan that is possible in every epoch, in lexicographic order."""
    there = np.isfinite(candidate.time)
    if problem.mode == "choice":
        return [(s,) * candidate.epochs for s in np.flatnonzero(there.all(axis=0)).tolist()]
    return itertools.product(*(np.flatnonzero(row).tolist() for row in there))


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The cheapest of all plans (Eqs. 13 and 16); of equal ones the first. Takes time_limit."""
    clock = options.clock()
    best, best_value, looked_at = None, math.inf, 0
    for candidate in candidates(problem):
        energy, time = candidate.energy.tolist(), candidate.time.tolist()
        switches = [None if x is None else x.tolist() for x in (candidate.switch_energy, candidate.switch_time)]
        for states in sequences(problem, candidate):
            if clock.over:
                plan = None if best is None else plan_of(problem, *best)
                return Outcome("time-limit", plan, details={"plans": looked_at})
            looked_at += 1
            joules = [candidate.setup_energy, *(row[s] for row, s in zip(energy, states, strict=True))]
            if switches[0] is not None:
                counted = states[: candidate.counted]
                joules += [switches[0][r][s] for r, s in itertools.pairwise(counted)]
            value = math.fsum(joules)
            if not value < best_value:
                continue
            seconds = [candidate.setup_time, *(row[s] for row, s in zip(time, states, strict=True))]
            if switches[1] is not None:
                seconds += [switches[1][r][s] for r, s in itertools.pairwise(states)]
            if within(seconds, problem.time_limit):
                best, best_value = (candidate, np.array(states)), value
    if best is None:
        return infeasible(problem, details={"plans": looked_at}, clock=clock)
    return Outcome("optimal", plan_of(problem, *best), best_value, details={"plans": looked_at})
