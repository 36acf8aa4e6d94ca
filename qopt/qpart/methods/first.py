"""A plan within moments, for calls under a time limit: one width for all tensors, then fewer bits here and there.

With one width for every tensor, what all cuts cost and what noise they make are running sums over the layers, so that
all cuts together take a few passes. Only the plan that is taken meets the exact test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.core.limits import limits_with_slack
from qopt.qpart.costs import breakdown
from qopt.qpart.menus import stand_ins
from qopt.qpart.plan import QPartPlan
from qopt.qpart.problem import QPart
from qopt.qpart.subproblem import Subproblem, SubproblemTable, subproblems

MOST = 64
"""Plans whose exact test may fail before the search for one ends: a sum within rounding of its limit is rare."""

CUTS = 16
"""Cuts, the best by one width for all, whose plans are improved."""

SHARE = 0.1
"""Of the time that is left, for improving the first plan."""


def objective(problem: QPart, plan: QPartPlan) -> float:
    """What a plan costs (Eq. 17)."""
    return breakdown(problem, plan).objective


def first_plan(problem: QPart, clock: Clock) -> QPartPlan | None:
    """A plan of whole widths that keeps both limits; None if this rule finds none.

    The first is looked for whatever the clock says. A tenth of what is left goes into better ones.
    """
    table, best, value = subproblems(problem), None, math.inf
    for subproblem, columns in uniform(table):
        if best is not None and clock.over:
            break
        if best is None:
            clock = clock.part(SHARE)
        columns = lowered(subproblem, columns, clock)
        rows = np.arange(len(columns))
        cost = math.fsum([subproblem.base, *subproblem.cost[rows, columns].tolist()])
        if cost < value:
            best, value = (subproblem, columns), cost
    return None if best is None else best[0].plan(best[0].widths_of(best[1]), "whole", problem.name)


def uniform(table: SubproblemTable) -> Iterator[tuple[Subproblem, IntArray]]:
    """Plans of one width for all tensors: the best at each of a few cuts, the cheapest first."""
    cuts = table.problem.admissible_cuts
    values = costs(table)[cuts]
    least = values.min(axis=1)
    failed = found = 0
    for at in np.argsort(least, kind="stable").tolist():
        if not math.isfinite(least[at]) or failed == MOST or found == CUTS:
            break
        subproblem = table.at(int(cuts[at]))
        for column in np.flatnonzero(np.isfinite(values[at])).tolist():  # prices rise with the width
            columns = np.full(len(subproblem.tensors), column)
            if subproblem.keeps(columns):
                found += 1
                yield subproblem, columns
                break
            failed += 1


def costs(table: SubproblemTable) -> FloatArray:
    """(L + 1, k) what every cut costs with one width for all its tensors; infinite where that breaks a limit."""
    problem, bits = table.problem, table.bits.astype(float)
    if table.menus is not None or table.computing is not None or table.limits.names:
        return _costs_by_width(table)
    noise = over_cuts(table, table.noise_w, table.noise_x)
    limit = limits_with_slack(np.concatenate(([problem.noise_limit(0)], problem.delta)))
    price = over_cuts(table, table.price_w[:, None], table.price_x[:, None])
    values: FloatArray = table.base[:, None] + price * bits
    # Running sums round: what they call a hair too much may be just right, and the exact test decides.
    values[noise > limit[:, None] * (1.0 + 1e-9)] = np.inf
    if problem.device.memory is not None:
        nothing = np.zeros((len(table.price_x), 1))
        stored = over_cuts(table, table.sent[:, None], nothing) * bits
        stored += over_cuts(table, table.overhead[:, None], nothing)
        values[stored > problem.device.memory * (1.0 + 1e-9)] = np.inf
    values[np.isnan(values)] = np.inf
    return values


def _costs_by_width(table: SubproblemTable) -> FloatArray:
    """`costs` where widths have menus, a table says what computing costs, or what a plan costs is limited.

    A tensor takes the next width up on its menu, or the largest. Tensors that share a width are taken one by one here:
    a guide to plans that the exact test judges.
    """
    problem = table.problem
    own = [np.ones((len(rows), len(table.bits)), dtype=bool) for rows in (table.noise_w, table.noise_x)]
    of_weights, of_outputs = (stand_ins(mask) for mask in (own if table.menus is None else table.menus))

    def summed(weights: FloatArray, outputs: FloatArray) -> FloatArray:
        taken = (np.take_along_axis(rows, at, axis=1) for rows, at in ((weights, of_weights), (outputs, of_outputs)))
        return over_cuts(table, *taken)

    nothing = np.zeros_like(table.noise_x)
    weights = table.price_w[:, None] * table.bits
    if table.computing is not None:
        weights = weights + table.computing
    values: FloatArray = table.base[:, None] + summed(weights, table.price_x[:, None] * table.bits)
    limit = limits_with_slack(np.concatenate(([problem.noise_limit(0)], problem.delta)))
    values[summed(table.noise_w, table.noise_x) > limit[:, None] * (1.0 + 1e-9)] = np.inf
    if problem.device.memory is not None:
        stored = summed(table.sent[:, None] * table.bits + table.overhead[:, None], nothing)
        values[stored > problem.device.memory * (1.0 + 1e-9)] = np.inf
    terms = table.limits
    if terms.names:
        fixed = np.stack([terms.fixed(cut) for cut in range(problem.layers + 1)])
        for r, most in enumerate(terms.limits.tolist()):
            used = fixed[:, r : r + 1] + summed(terms.weights[r], terms.outputs[r])
            values[used > most * (1.0 + 1e-9)] = np.inf
    values[np.isnan(values)] = np.inf
    return values


def over_cuts(table: SubproblemTable, weights: FloatArray, activations: FloatArray) -> FloatArray:
    """(L + 1, k) sums of (L, k) columns over the tensors of every cut: weights before it, outputs that cross it."""
    problem = table.problem
    layers = len(weights)
    sums: FloatArray = np.zeros((layers + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    if problem.quantize_input:  # the last row
        until = 1 if problem.network.last_reader is None else int(problem.network.last_reader[0])
        sums[:until] += activations[-1]
        activations = activations[:-1]
    kept = np.arange(1, layers + 1) < (layers + 1 if problem.send_output else layers)
    terms = np.where(kept[:, None], activations, 0.0)
    last = problem.network.last_reader
    if last is None:
        sums[1:] += terms
        return sums
    crossing = np.zeros((layers + 2, weights.shape[1]))
    crossing[1 : layers + 1] += terms
    np.subtract.at(crossing, np.asarray(last[1:], dtype=np.int64), terms)
    sums += np.maximum(np.cumsum(crossing, axis=0)[: layers + 1], 0.0)
    return sums


def lowered(subproblem: Subproblem, columns: IntArray, clock: Clock) -> IntArray:
    """Columns of smaller widths where the noise limit has room: the tensors that save most per noise first.

    One round takes a step on their menus from as many tensors as fit, by bisection; rounds go on while one helps and
    there is time.
    """
    rows = np.arange(len(columns))
    while not clock.over:
        lower = subproblem.next_lower(columns)
        can = lower < columns
        noise = subproblem.noise[rows, lower]
        more = noise - subproblem.noise[rows, columns]
        saved = subproblem.price
        if subproblem.stand_in is not None or subproblem.computing is not None:
            saved = subproblem.cost[rows, columns] - subproblem.cost[rows, lower]
        with np.errstate(all="ignore"):
            worth = np.where(more > 0, saved / more, math.inf)
        can &= (saved > 0) & np.isfinite(noise)
        order = rows[can][np.argsort(-worth[can], kind="stable")]
        fits, fails = 0, len(order) + 1
        while fails - fits > 1 and not clock.over:
            middle = (fits + fails) // 2
            trial = columns.copy()
            trial[order[:middle]] = lower[order[:middle]]
            fits, fails = (middle, fails) if subproblem.keeps(trial) else (fits, middle)
        if not fits:
            break
        columns = columns.copy()
        columns[order[:fits]] = lower[order[:fits]]
    return columns
