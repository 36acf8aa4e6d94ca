"""A plan within moments, for calls under a time limit: one server and cut for all epochs, or the fastest of all plans.

While there is time, epochs then get states of their own: those of least energy + lam time, for the smallest lam found
by bisection at which the plan keeps T_max.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.clock import Clock
from qopt.jqodi.costs import breakdown
from qopt.jqodi.limits import fastest_states, least_path
from qopt.jqodi.plan import JqodiPlan
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible
from qopt.jqodi.terms import Candidate, candidate_at, keeps_limit, plan_of, totals

MOST = 8
"""States of a candidate whose exact test may fail: a sum within rounding of T_max is rare."""

STEPS = 40
"""Multipliers that are tried for one candidate."""

SHARE = 0.1
"""Of the time that is left, for improving the first plan."""


def objective(problem: Jqodi, plan: JqodiPlan) -> float:
    """Joules of a plan; infinite where an epoch of it is impossible."""
    cost = breakdown(problem, plan).objective
    return math.inf if cost is None else cost


def first_plan(problem: Jqodi, clock: Clock) -> JqodiPlan | None:
    """A plan that keeps T_max; None if this rule finds none.

    The first is looked for whatever the clock says. A tenth of what is left goes into better ones.
    """
    best: tuple[float, Candidate, IntArray] | None = None
    share = clock.part(SHARE)
    for tried in (_constant, _fastest, _by_epoch):
        if best is not None and tried is _fastest:
            continue  # a last resort
        for own in _candidates(problem):
            if best is not None and share.over:
                break
            for states in tried(problem, own, share):
                value = totals(own, states)[0]
                if (best is None or value < best[0]) and keeps_limit(problem, own, states):
                    best = (value, own, states)
    return None if best is None else plan_of(problem, best[1], best[2])


def _candidates(problem: Jqodi) -> Iterator[Candidate]:
    """The candidates, each made when it is asked for."""
    for model, width in problem.admissible:
        if problem.needed(model, width) is not None:
            yield candidate_at(problem, model.name, width.bits)


def _constant(problem: Jqodi, own: Candidate, clock: Clock) -> Iterator[IntArray]:  # noqa: ARG001  it is quick
    """The states for all epochs that look best and look fast enough, the cheapest first."""
    with np.errstate(over="ignore"):
        energy, time = own.energy.sum(axis=0), own.time.sum(axis=0) + own.setup_time
    fits = np.flatnonzero(time <= problem.time_limit * (1.0 + 1e-9))
    for s in fits[np.argsort(energy[fits], kind="stable")][:MOST].tolist():
        yield np.full(own.epochs, s)


def _fastest(problem: Jqodi, own: Candidate, clock: Clock) -> Iterator[IntArray]:  # noqa: ARG001  it is the last resort
    """The plan of least time."""
    states = fastest_states(problem, own)
    if states is not None:
        yield states


def _by_epoch(problem: Jqodi, own: Candidate, clock: Clock) -> Iterator[IntArray]:
    """States of least energy + lam time, changes included where that is quick, for multipliers around the right one."""
    if problem.mode == "choice" or not possible(own):
        return
    low, lam, high = 0.0, 0.0, math.inf
    for _ in range(STEPS):
        if clock.over or not lam < LARGEST:
            return
        states = _least(own, lam)
        yield states
        low, high = (low, lam) if keeps_limit(problem, own, states) else (lam, high)
        if high == 0.0:
            return  # the least energy of all keeps T_max
        energy, seconds = totals(own, states)
        if math.isinf(high):
            lam = 8.0 * low or (energy / seconds if seconds > 0 else 1.0)
        else:
            lam = math.sqrt(low * high) if low else high / 8.0


def _least(own: Candidate, lam: float) -> IntArray:
    """(K,) states of least energy + lam time."""
    length = np.where(np.isfinite(own.time), own.energy + lam * np.where(np.isfinite(own.time), own.time, 0.0), np.inf)
    change: FloatArray = np.zeros((len(own.states), len(own.states)))
    if own.switch_energy is not None:
        change += own.switch_energy
    if own.switch_time is not None:
        change += lam * own.switch_time
    if change.any() and own.epochs * change.size <= CHANGES:
        return least_path(length, change)
    states: IntArray = np.argmin(length, axis=1)
    return states


CHANGES = 10_000_000
"""Changes between states of all epochs that are looked at for one multiplier; with more they are left out."""

LARGEST = 1e100
"""Multipliers in joules a second that are tried stay below."""
