"""`chain-dp`: networks that are chains, exactly, by dynamic programming over operation and tier.

    best[v, k] = time[v, k] + min over j <= k of (best[v - 1, j] + sum over links j..k-1 of the tensor's cost)

O(n tiers) when the minimum over j is carried from tier to tier.
"""

from __future__ import annotations

import numpy as np

from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.placement.methods.candidates import Candidate, binding, candidates, outcome
from qopt.placement.problem import Placement
from qopt.placement.terms import Terms, terms


def is_chain(own: Terms) -> bool:
    """Whether every operation reads exactly what the one before it writes, the first the raw input."""
    order = [(flow.producer, reader) for flow in own.flows for reader in flow.readers]
    return order == [(v, v + 1) for v in range(len(own.names))]


def refuses(problem: Placement) -> str | None:
    """Why a problem is not for this method, or None."""
    for operator in sorted(problem.eligible, key=lambda o: -o.accuracy):
        if not is_chain(terms(problem, operator)):
            return f"the network of operator {operator.name} is not a chain"
    return binding(problem)


def solve(problem: Placement, options: Options) -> Outcome:
    """The best operator's optimal placement of a chain. Takes time_limit."""
    clock, late = options.clock(), False
    answers = []
    try:
        for candidate in candidates(problem, clock):
            labels, value = shortest(candidate, clock)
            if np.isfinite(value):
                answers.append((candidate, value, labels))
    except OutOfTime:
        late = True
    return outcome(problem, answers, late=late)


def shortest(candidate: Candidate, clock: Clock = ENDLESS) -> tuple[list[int], float]:
    """Labels of the chain's nodes, the raw input's first, and their cost; infinite if there are none.

    Raises `OutOfTime` where the clock is over.
    """
    unary, weight = candidate.costs.unary, candidate.costs.weight
    n, tiers = unary.shape
    together = np.zeros(n, dtype=bool)  # whether a node runs where the one before it does
    for group in candidate.own.together:
        together[min(group) + 1 : max(group) + 1] = True
    best, came = unary[0].copy(), np.zeros((n, tiers), dtype=np.int64)
    for v in clock.watching(range(1, n)):
        came[v] = np.arange(tiers)
        arrive = best.copy()
        if not together[v]:
            for k in range(1, tiers):
                carried = arrive[k - 1] + weight[v - 1, k - 1]
                if carried < arrive[k]:
                    arrive[k], came[v, k] = carried, came[v, k - 1]
        best = arrive + unary[v]
    labels = [int(np.argmin(best))]
    value = float(best[labels[0]])
    for v in range(n - 1, 0, -1):
        labels.append(int(came[v, labels[-1]]))
    return labels[::-1], value
