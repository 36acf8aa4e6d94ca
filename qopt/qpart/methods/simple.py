"""`uniform` and `round-up`: what people do without an optimizer. Heuristics, for comparison."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome
from qopt.qpart.methods.kkt import at_cut
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, subproblems


def _best_cut(problem: QPart, clock: Clock, columns_at: Callable[[Subproblem], IntArray | None]) -> Outcome:
    """The cheapest admissible cut under a rule that gives columns of widths at a cut."""
    table = subproblems(problem)
    best, best_value, cuts = None, math.inf, 0
    for cut in problem.admissible_cuts:
        if clock.over:
            total = len(problem.admissible_cuts)
            return Outcome("time-limit", best, message=f"the rule was applied to {cuts} of {total} cuts")
        cuts += 1
        subproblem = table.at(int(cut))
        columns = columns_at(subproblem)
        if columns is None:
            continue
        value = subproblem.cheaper(columns)
        if value < best_value:
            best, best_value = subproblem.plan(subproblem.widths_of(columns), "whole", problem.name), value
    if best is None:
        return Outcome("heuristic", message="no admissible cut has a plan of this kind")
    return Outcome("heuristic", best)


def solve_uniform(problem: QPart, options: Options) -> Outcome:
    """One width for every tensor: the smallest that keeps the limits, at the best cut by Eq. 17. Takes time_limit.

    A tensor whose menu lacks it takes the next width up on its menu, or the largest.
    """

    def columns_at(subproblem: Subproblem) -> IntArray | None:
        for column in range(len(subproblem.bits)):
            columns = np.full(len(subproblem.tensors), column)
            if subproblem.keeps(columns):
                return columns
        return None

    return _best_cut(problem, options.clock(), columns_at)


def solve_round_up(problem: QPart, options: Options) -> Outcome:
    """The closed form's real-valued widths, rounded up to widths on the menus, at the best cut by Eq. 17.

    The closed form knows noise and memory; where a table says what computing costs by width, or another limit is
    given, it goes on without them, and a cut at which its widths keep not all limits is out. Under noise that does not
    follow the law it takes the fitted coefficients s; where the noise in force is then above the limit, every width
    rises by one step until it is not. Takes time_limit.
    """

    def columns_at(subproblem: Subproblem) -> IntArray | None:
        found = at_cut(subproblem)
        if found is None:
            return None
        # Widths that are whole but for rounding stay as they are, if the exact test agrees.
        highest = len(subproblem.bits) - 1
        near = _columns(subproblem, np.ceil(found.bits - 1e-9))
        columns = near if subproblem.keeps(near) else _columns(subproblem, np.ceil(found.bits))
        while not subproblem.keeps(columns):
            if np.all(columns == highest):
                return None
            columns = np.minimum(columns + 1, highest)
        return columns

    return _best_cut(problem, options.clock(), columns_at)


def _columns(subproblem: Subproblem, bits: FloatArray) -> IntArray:
    """(n,) columns of the next widths up; of the largest where there is none."""
    return np.minimum(subproblem.columns_of(bits), len(subproblem.bits) - 1)
