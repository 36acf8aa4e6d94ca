"""`equal-size`: the study's partitioning (Algorithm 2): two halves of about equal weight size, on the best two tiers.

Which halves is said in `qopt.placement.halves`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.placement.costs import breakdown
from qopt.placement.halves import first_half
from qopt.placement.limits import broken
from qopt.placement.methods.candidates import candidates
from qopt.placement.plan import plan_of
from qopt.placement.problem import Placement


def solve(problem: Placement, options: Options) -> Outcome:
    """The best pair of tiers and operator for the halves, among those that keep pins and limits. Takes time_limit."""
    clock = options.clock()
    best, best_value = None, math.inf
    try:
        for candidate in candidates(problem, clock):
            first = first_half(candidate.own)
            if first is None:
                continue
            for low, high in clock.watching(itertools.combinations(range(len(problem.tiers)), 2)):
                labels = np.where(first, low, high).tolist()
                plan = plan_of(problem, candidate.own, labels)
                value = breakdown(problem, plan).objective
                if value < best_value and broken(problem, candidate.own, [problem.birth, *labels]) is None:
                    best, best_value = plan, value
    except OutOfTime:
        return Outcome("time-limit", best)
    message = "" if best is not None else "no pair of tiers keeps the pins and limits"
    return Outcome("heuristic", best, message=message)
