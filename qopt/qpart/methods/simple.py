"""`uniform` and `round-up`: what people do without an optimizer. Heuristics, for comparison."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems


def _best_cut(problem: QPart, clock: Clock, widths_at: Callable[[Subproblem], IntArray | None]) -> Outcome:
    """The cheapest admissible cut under a rule that gives widths at a cut."""
    table = subproblems(problem)
    best, best_value, cuts = None, math.inf, 0
    for cut in problem.admissible_cuts:
        if clock.over:
            total = len(problem.admissible_cuts)
            return Outcome("time-limit", best, message=f"the rule was applied to {cuts} of {total} cuts")
        cuts += 1
        subproblem = table.at(int(cut))
        bits = widths_at(subproblem)
        if bits is None:
            continue
        value = subproblem.base + float(subproblem.price @ bits)
        if value < best_value:
            best, best_value = subproblem.plan(bits, "whole", problem.name), value
    if best is None:
        return Outcome("heuristic", message="no admissible cut has a plan of this kind")
    return Outcome("heuristic", best)


def solve_uniform(problem: QPart, options: Options) -> Outcome:
    """One width for every tensor: the smallest that keeps the limits, at the best cut by Eq. 17. Takes time_limit."""

    def widths_at(subproblem: Subproblem) -> IntArray | None:
        for width in subproblem.bits:
            bits = np.full(len(subproblem.tensors), width)
            if subproblem.keeps(bits - subproblem.bits[0]):
                return bits
        return None

    return _best_cut(problem, options.clock(), widths_at)


def solve_round_up(problem: QPart, options: Options) -> Outcome:
    """The closed form's real-valued widths, rounded up, at the best cut by Eq. 17.

    Under noise that does not follow the law the closed form takes the fitted coefficients s; where the noise
    in force is then above the limit, every width rises by one bit until it is not. Takes time_limit.
    """

    def widths_at(subproblem: Subproblem) -> IntArray | None:
        found = at_cut(subproblem)
        if found is None:
            return None
        # Widths that are whole but for rounding stay as they are, if the exact test agrees.
        highest = subproblem.bits[-1]
        near = np.ceil(found.bits - 1e-9).astype(np.int64)
        bits = near if subproblem.keeps(near - subproblem.bits[0]) else np.ceil(found.bits).astype(np.int64)
        while not subproblem.keeps(bits - subproblem.bits[0]):
            if np.all(bits == highest):
                return None
            bits = np.minimum(bits + 1, highest)
        return bits

    return _best_cut(problem, options.clock(), widths_at)
