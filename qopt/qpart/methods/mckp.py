"""`mckp`: whole bits exactly, a multiple-choice knapsack at every candidate cut, and a witness."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.clock import Clock
from qopt.core.method import Options
from qopt.core.solution import Outcome, stopped
from qopt.qpart.methods.at_cut import at_cut, tree_at_cut
from qopt.qpart.problem import QPart
from qopt.qpart.screening import candidate_cuts, cut_bounds, dominated
from qopt.qpart.subproblem import Subproblem, SubproblemTable, subproblems

WITNESS_NODES = 200_000
"""Nodes of all trees together beyond which no witness is written."""

WITNESS_ITEMS = 2_000_000
"""Items at all cuts together beyond which no witness is written; the certificate then works alone."""

GAVE_UP = "the search stopped at the sums that it may keep, or where rounding hides what keeps the limit"
"""Why a kernel stops short of an answer when the clock does not stop it, where it gives no reason of its own."""

OPTIMALITY = 1e-9
"""Relative tolerance within which a plan counts as optimal: of the objective and of what the bits cost."""


def solve(problem: QPart, options: Options) -> Outcome:
    """Best cut and whole widths, with a witness that no plan is better by more than the tolerance."""
    clock = options.clock()
    table = subproblems(problem)
    bounds = cut_bounds(table)
    order = candidate_cuts(bounds, problem.admissible_cuts)
    best: tuple[Subproblem, IntArray] | None = None
    best_value, pending = math.inf, math.inf
    reasons: dict[int, str] = {}
    for position, cut in enumerate(order):
        if dominated(float(bounds[cut]), best_value):
            break
        if clock.over:
            pending = min([pending, *(float(bounds[p]) for p in order[position:])])
            break
        subproblem = table.at(cut)
        result = at_cut(subproblem, best_value - subproblem.base, clock)
        if result.status == "limit":
            pending = min(pending, subproblem.base + (result.bound or 0.0))
            reasons[cut] = str(result.details.get("stopped", GAVE_UP))
        if result.choice is not None and result.objective is not None:
            value = subproblem.base + result.objective
            if value < best_value or (best and value == best_value and cut < best[0].cut):
                best, best_value = (subproblem, result.choice), value
    why = "" if clock.over or not reasons else "; ".join(f"cut {cut}: {reason}" for cut, reason in reasons.items())
    if best is None:
        if math.isfinite(pending):
            return Outcome(stopped(clock, None), bound=pending, message=why)
        return Outcome("infeasible", witness=make_witness(table, None, None, clock))
    subproblem, choice = best
    plan = subproblem.plan(subproblem.widths_of(choice), "whole", problem.name)
    if pending < best_value:
        return Outcome(stopped(clock, plan), plan, pending, message=why)
    return Outcome("optimal", plan, best_value, make_witness(table, subproblem, choice, clock))


def make_witness(
    table: SubproblemTable, best: Subproblem | None, choice: IntArray | None, clock: Clock
) -> dict[str, object] | None:
    """Trees for all admissible cuts; None if they get too large or the time is over.

    They show that no plan is better than the given one (or that there is none) by more than half the tolerance;
    the other half is left to the rounding of sums. A cut 0 that holds one plan needs no tree.
    """
    problem = table.problem
    alone = not problem.quantize_input and not problem.given_limits
    cuts = [int(p) for p in problem.admissible_cuts if p > 0 or not alone]
    if sum(cuts) * len(table.bits) > WITNESS_ITEMS:
        return None
    value: Fraction | None = None
    if best is not None and choice is not None:
        # Exact: where computing costs far more than sending, floats would lose what the bits cost.
        bits = sum(map(Fraction, (best.price * best.widths_of(choice)).tolist()), Fraction(0))
        value = Fraction(best.base) + bits
        if best.computing is not None:
            value += sum(map(Fraction, best.computing[np.arange(len(choice)), choice].tolist()), Fraction(0))
        value -= Fraction(0.5 * OPTIMALITY) * min(abs(value), bits or abs(value))
    trees: dict[str, object] = {}
    left = WITNESS_NODES
    for cut in cuts:
        subproblem = table.at(cut)
        target = math.inf if value is None else float(value - Fraction(subproblem.base))
        tree = None if clock.over else tree_at_cut(subproblem, target, left, clock)
        if tree is None:
            return None
        trees[str(cut)] = tree
        left -= len(tree)
    return {"format": "qopt/qpart-witness", "version": 1, "cuts": trees}
