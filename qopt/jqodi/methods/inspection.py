"""`inspection`: mode choice by looking at every model, bit-width, server and cut (section V's *Optimum*)."""

from __future__ import annotations

import math

import numpy as np

from qopt.core.limits import within
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.jqodi.methods.search import infeasible
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import candidates, plan_of, terms_of


def refuses(problem: Jqodi) -> str | None:
    """Why a problem is none for inspection, or None."""
    return None if problem.mode == "choice" else f"it takes mode choice, this problem's is {problem.mode}"


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The cheapest of all choices that keep T_max; of equal ones the first in the problem's order. Takes time_limit."""
    clock = options.clock()
    best, best_value, looked_at = None, math.inf, 0
    for candidate in candidates(problem):
        for s in np.flatnonzero(np.isfinite(candidate.time).all(axis=0)).tolist():
            if clock.over:
                plan = None if best is None else plan_of(problem, *best)
                return Outcome("time-limit", plan, details={"choices": looked_at})
            states = np.full(candidate.epochs, s)
            energy, time = terms_of(candidate, states)
            looked_at += 1
            value = math.fsum(energy)
            if value < best_value and within(time, problem.time_limit):
                best, best_value = (candidate, states), value
    if best is None:
        return infeasible(problem, details={"choices": looked_at}, clock=clock)
    return Outcome("optimal", plan_of(problem, *best), best_value, details={"choices": looked_at})
