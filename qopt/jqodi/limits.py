"""Which limit cannot be met, and the smallest T_max and L_max with which something is feasible.

The smallest T_max is the least time of any candidate in the problem's mode: its fastest state, the fastest state of
every epoch, or a shortest path. The smallest L_max of a model is the least loss that its widths reach in as many
epochs as T_max holds, by the estimate in force; where only K is known there is none to give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qopt.core.arrays import FloatArray, IntArray
from qopt.core.display import Brief
from qopt.core.limits import limit_with_slack, within
from qopt.core.reading import problem_of
from qopt.jqodi.losses import MAX_EPOCHS, least_loss
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidate_at, candidates, keeps_limit, totals

if TYPE_CHECKING:
    from qopt.jqodi.problem import Model, Width


STEADY = 1_000
"""Epochs after which a run is taken to stay in the state that it is in."""


@dataclass(frozen=True, repr=False)
class SmallestLimits(Brief):
    """What would make a problem feasible, one limit at a time.

    Attributes
    ----------
    feasible : whether something is, as it stands.
    time_limit : the smallest T_max [s] that works with every L_max as it is; None if none does.
    fastest : the model and width that reach it.
    loss_limits : the smallest L_max of each model that works with T_max as it is; models without one are left out.
    message : one sentence for people. Numbers in it are rounded up, so that they work.
    """

    feasible: bool
    time_limit: float | None
    fastest: tuple[str, int] | None
    loss_limits: dict[str, float]
    message: str


def fastest_states(problem: Jqodi, candidate: Candidate) -> IntArray | None:
    """(K,) states of the plan of least time in the problem's mode; None if no plan is possible in every epoch."""
    rows, time = np.arange(candidate.epochs), candidate.time
    if problem.mode == "choice":
        with np.errstate(over="ignore"):
            states = np.full(candidate.epochs, int(np.argmin(time.sum(axis=0))))
    elif problem.mode == "schedule" or candidate.switch_time is None:
        states = np.argmin(time, axis=1)
    else:
        states = least_path(time, candidate.switch_time)
    return states if np.all(np.isfinite(time[rows, states])) else None


def least_path(time: FloatArray, switch: FloatArray) -> IntArray:
    """(K,) states of a path of least time through the epochs, by dynamic programming.

    Parameters
    ----------
    time : (K, S) seconds of each state, or what else there is to minimise.
    switch : (S, S) of each change.
    """
    epochs, states = time.shape
    before = np.empty((epochs, states), dtype=np.int64)
    total = time[0].copy()
    for k in range(1, epochs):
        reached = total[:, None] + switch
        before[k] = np.argmin(reached, axis=0)
        total = reached[before[k], np.arange(states)] + time[k]
    path = [int(np.argmin(total))]
    for k in range(epochs - 1, 0, -1):
        path.append(int(before[k, path[-1]]))
    return np.array(path[::-1], dtype=np.int64)


def smallest_limits(problem: Jqodi) -> SmallestLimits:
    """The smallest T_max and L_max that would work, and a sentence on what cannot be met now."""
    problem = problem_of(Jqodi, problem)
    best: tuple[float, str, int] | None = None
    feasible = False  # told from the terms: their sum, rounded, may be within T_max where they are not
    some = candidates(problem)
    for candidate in some:
        states = fastest_states(problem, candidate)
        if states is not None:
            seconds = totals(candidate, states)[1]
            feasible = feasible or keeps_limit(problem, candidate, states)
            if best is None or seconds < best[0]:
                best = (seconds, candidate.model, candidate.bits)
    losses: dict[str, tuple[float, int]] = {}
    for model, width in problem.admissible:
        loss = _least_within_time(problem, model, width)
        if loss is not None and (model.name not in losses or loss < losses[model.name][0]):
            losses[model.name] = (loss, width.bits)
    return SmallestLimits(
        feasible=feasible,
        time_limit=None if best is None else best[0],
        fastest=None if best is None else (best[1], best[2]),
        loss_limits={name: loss for name, (loss, _) in losses.items()},
        message=_message(problem, some, best, feasible, losses),
    )


def _least_within_time(problem: Jqodi, model: Model, width: Width) -> float | None:
    """The least loss that a width reaches in as many epochs as T_max holds; None if not known, or none fits."""
    parts = problem.loss_parts(model, width, problem.estimate)
    return None if parts is None else least_loss(*parts, epochs_within(problem, model, width))


def epochs_within(problem: Jqodi, model: Model, width: Width) -> int:
    """How many epochs of a model at a width fit T_max at most, in the problem's mode, up to 100 000.

    Under conditions, as many as they are given for at the most.

    Parameters
    ----------
    model : one of the problem's.
    width : one of the model's.
    """
    horizon = problem.horizon
    if horizon == 0:
        return 0
    if horizon is None and problem.start is not None and problem.switching.costs:
        return _epochs_from_a_state(problem, model, width)
    candidate = candidate_at(problem, model.name, width.bits, epochs=1 if horizon is None else horizon)
    room = limit_with_slack(problem.time_limit)
    if horizon is None:  # the fastest state again and again: a change costs time
        return _again(problem, [candidate.setup_time], float(candidate.time.min()))
    if problem.mode == "choice":
        reached = np.cumsum(candidate.time, axis=0).min(axis=1)
    elif problem.mode == "schedule" or candidate.switch_time is None:
        reached = np.cumsum(candidate.time.min(axis=1))
    else:
        total, least_of = candidate.time[0].copy(), [float(candidate.time[0].min())]
        for row in candidate.time[1:]:
            total = (total[:, None] + candidate.switch_time).min(axis=0) + row
            least_of.append(float(total.min()))
        reached = np.array(least_of)
    return int(np.count_nonzero(candidate.setup_time + reached <= room))


def _again(problem: Jqodi, spent: list[float], each: float) -> int:
    """How many epochs of the same time T_max still holds, up to 100 000."""
    room = limit_with_slack(problem.time_limit) - math.fsum(spent)
    if not within([*spent, each], problem.time_limit):
        return 0
    if each == 0 or room / each >= MAX_EPOCHS:
        return MAX_EPOCHS
    guess = int(room / each) + 1
    while guess and not within([*spent, *[each] * guess], problem.time_limit):
        guess -= 1
    return guess


def _epochs_from_a_state(problem: Jqodi, model: Model, width: Width) -> int:
    """`epochs_within` where the first epoch's times have the change from another state, and the others' are equal.

    Once a shortest way ends in a fastest state it stays there: no other gains on it.
    """
    candidate, limit = candidate_at(problem, model.name, width.bits, epochs=2), problem.time_limit
    (first, each), spent = candidate.time, candidate.setup_time
    if problem.mode == "choice" or candidate.switch_time is None:
        starts = [s for s in np.flatnonzero(np.isfinite(first)).tolist() if within([spent, float(first[s])], limit)]
        counts = [1 + _again(problem, [spent, float(first[s])], float(each[s])) for s in starts]
        return min(max(counts, default=0), MAX_EPOCHS)
    total, least = spent + first, float(each.min())
    for k in range(STEADY):
        s = int(np.argmin(total))
        if not total[s] <= limit_with_slack(limit):
            return k
        if each[s] == least or k + 1 == STEADY:
            return min(k + 1 + _again(problem, [float(total[s])], float(each[s])), MAX_EPOCHS)
        total = (total[:, None] + candidate.switch_time).min(axis=0) + each
    raise AssertionError("the last round returns")


def rounded_up(value: float, digits: int = 6) -> str:
    """The least number of so many digits that works as a limit, in the exact test, for terms that add up to a value.

    Parameters
    ----------
    value : sum of the terms.
    digits : significant ones.
    """
    if value == 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    text = f"{value:.{digits}g}"
    most = math.nextafter(value, math.inf)  # the terms may add up to more than their sum as a float
    return text if within([most], float(text)) else f"{float(text) + unit:.{digits}g}"


def _message(
    problem: Jqodi,
    some: tuple[Candidate, ...],
    best: tuple[float, str, int] | None,
    feasible: bool,
    losses: dict[str, tuple[float, int]],
) -> str:
    if feasible and best is not None:
        return f"feasible: the smallest T_max is {rounded_up(best[0])} s ({best[1]} at {best[2]} bits)"
    ways = [
        f"L_max of {name} of {rounded_up(loss)} ({bits} bits; now {limit:g})"
        for name, (loss, bits) in losses.items()
        if (limit := problem.model(name).loss_limit) is not None
    ]
    if best is not None:
        needed = f"{rounded_up(best[0])} s ({best[1]} at {best[2]} bits)"
        either = f"a T_max of {needed}, or an {' or an '.join(ways)}" if ways else needed
        return f"T_max of {problem.time_limit:g} s cannot be met: it takes {either}"
    takes = f"; within T_max it takes an {' or an '.join(ways)}" if ways else ""
    if some:
        return _nowhere(problem, some) + takes
    head = "L_max cannot be met: no admissible bit-width of any model ever reaches it"
    if ways:
        return head + takes
    if any(problem.loss_parts(model, width, problem.estimate) for model, width in problem.admissible):
        return f"{head}, and T_max of {problem.time_limit:g} s holds not one epoch"
    return f"{head} (K is not given, so neither is an L_max that would work)"


def _nowhere(problem: Jqodi, some: tuple[Candidate, ...]) -> str:
    """Why no candidate has a plan that is possible in every epoch, whatever T_max."""
    device = problem.decided
    with_device = {link.server for link in device.links}
    if not any(server.cloud_rate is not None for server in problem.servers if server.name in with_device):
        return f"no T_max can be met: no server has a link with the cloud and one with {device.name}"
    for candidate in some:
        gone = np.flatnonzero(np.isinf(candidate.time).all(axis=1))
        if gone.size:
            where = f"epoch {candidate.done + int(gone[0]) + 1}"
            what = f"{candidate.model} at {candidate.bits} bits"
            return f"no T_max can be met: in {where} no server and cut is possible for {what}"
    return "no T_max can be met: no server and cut is possible in every epoch, as mode choice demands"
