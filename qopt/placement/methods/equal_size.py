"""`equal-size`: the study's partitioning (Algorithm 2): two halves of about equal weight size, on the best two tiers.

The operations' order is cut at a connection between blocks, or through all branches of a block: the study does not cut
where one branch is nothing but the block's input, handed on (section 4.5.4). There the halves would share a tensor, one
that operations of the first half read and the second half needs too. So of all points those where the fewest tensors
are shared come into question, none as a rule, and of these the one at which the bytes of the halves differ least; of
equal differences the latest, because the algorithm goes backwards and replaces its point only by a better one. A group
that must stay together is not cut.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from qopt.core.clock import OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.placement.costs import breakdown
from qopt.placement.limits import broken
from qopt.placement.methods.candidates import candidates
from qopt.placement.plan import plan_of
from qopt.placement.problem import Placement
from qopt.placement.terms import Terms


def split_point(own: Terms) -> int | None:
    """How many operations are in the first half, 1..n-1; None if the network cannot be cut."""
    n = len(own.names)
    whole = {v for group in own.together for v in range(min(group), max(group))}
    points = [p for p in range(n - 1, 0, -1) if p not in whole]
    shared = np.zeros(n + 1, dtype=np.int64)  # shared[p]: tensors with readers both in 1..p and in p+1..n
    for flow in own.flows:
        shared[min(flow.readers) : max(flow.readers)] += 1
    first = np.cumsum(own.memory)
    total = float(first[-1])
    return min(points, key=lambda p: (shared[p], abs(2.0 * float(first[p - 1]) - total)), default=None)


def solve(problem: Placement, options: Options) -> Outcome:
    """The best pair of tiers and operator for the halves, among those that keep pins and limits. Takes time_limit."""
    clock = options.clock()
    best, best_value = None, math.inf
    try:
        for candidate in candidates(problem, clock):
            point = split_point(candidate.own)
            if point is None:
                continue
            for low, high in clock.watching(itertools.combinations(range(len(problem.tiers)), 2)):
                labels = [low if v < point else high for v in range(len(candidate.own.names))]
                plan = plan_of(problem, candidate.own, labels)
                value = breakdown(problem, plan).objective
                if value < best_value and broken(problem, candidate.own, [problem.birth, *labels]) is None:
                    best, best_value = plan, value
    except OutOfTime:
        return Outcome("time-limit", best)
    message = "" if best is not None else "no pair of tiers keeps the pins and limits"
    return Outcome("heuristic", best, message=message)
