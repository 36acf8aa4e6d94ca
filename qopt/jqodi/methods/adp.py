"""`adp`: forward dynamic programming by least energy that keeps only states on schedule (Section III-E). A heuristic.

The value of a state after k epochs, T(k) seconds and at loss L(k), is (Eq. 14)

    V = 0 if T(k) > T_max,   1 if T(k) <= T_max and L(k) <= L_max,   else logistic(L_ideal(T(k)) - L(k))

States of value under 1/2, whose loss is above the ideal, are pruned. The ideal falls by a power law from L(0) at time 0
to L_max at T_max; of the power laws that do, this is the one without another parameter:

    L_ideal(T) = L(0) (1 + T / T_max)^-p,   p = log2(L(0) / L_max)

L(0) = L_a + gamma. Where only K is known, the share of the way from L(0) to L_max that is behind a state is taken to be
k / K: it is on schedule while T(k) <= T_max k / K.

One label is kept for each epoch, server and cut: the one of least energy. That it is not always the right one (its time
counts too), and that pruning may cut off every plan, make this a heuristic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qopt.core.arrays import BoolArray, FloatArray, IntArray
from qopt.core.clock import ENDLESS, Clock, OutOfTime
from qopt.core.display import Brief
from qopt.core.limits import limit_with_slack
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.jqodi.losses import losses
from qopt.jqodi.models import Model, Width
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidates, keeps_limit, plan_of, totals


@dataclass(frozen=True, repr=False)
class LossSchedule(Brief):
    """When a state is on schedule.

    Attributes
    ----------
    loss : (K + 1,) loss after each epoch; None where only K is known.
    limit : L_max.
    epochs : K.
    time_limit : T_max.
    begun : seconds before the first epoch that is decided; the schedule runs from there to T_max.
    """

    loss: FloatArray | None
    limit: float
    epochs: int
    time_limit: float
    begun: float = 0.0

    def value(self, k: int, elapsed: FloatArray) -> FloatArray:
        """(S,) value of states after k >= 1 epochs (Eq. 14)."""
        with np.errstate(over="ignore"):  # beyond all numbers is late
            share = np.maximum(elapsed - self.begun, 0.0) / max(self.time_limit - self.begun, 1e-300)
        if self.loss is None:
            ahead = share <= k / self.epochs
            value = np.where(ahead, 1.0 if k == self.epochs else 0.5, 0.25)
        elif self.loss[k] <= limit_with_slack(self.limit):
            value = np.ones_like(elapsed)
        else:
            value = 1.0 / (1.0 + np.exp(np.clip(self.loss[k] - self.ideal(share), -500.0, 500.0)))
        return np.where(elapsed <= limit_with_slack(self.time_limit), value, 0.0)

    def ideal(self, share: FloatArray) -> FloatArray:
        """L_ideal at shares of T_max."""
        assert self.loss is not None
        start = float(self.loss[0])
        if self.limit <= 0 or start <= 0:  # no power law reaches 0: it is 0 from the first moment on
            return np.where(share > 0, min(start, self.limit), start)
        falling: FloatArray = start * (1.0 + share) ** -math.log2(start / self.limit)
        return falling


def loss_schedule(problem: Jqodi, model: Model, width: Width, candidate: Candidate) -> LossSchedule:
    """Loss after each epoch by the estimate in force."""
    parts = problem.loss_parts(model, width, problem.estimate)
    begun = 0.0 if problem.start is None else problem.start.elapsed
    if parts is None or model.loss_limit is None:
        return LossSchedule(None, 0.0, candidate.epochs, problem.time_limit, begun)
    loss = np.array([float(x) for x in losses(*parts, candidate.epochs)])
    return LossSchedule(loss, model.loss_limit, candidate.epochs, problem.time_limit, begun)


def forward(
    candidate: Candidate, on: LossSchedule, constant: bool, clock: Clock = ENDLESS
) -> tuple[IntArray | None, dict[str, int]]:
    """(K,) states of the plan of least energy among the labels; None if none arrives. How many were kept and pruned.

    Parameters
    ----------
    constant : states do not change.
    clock : raises `OutOfTime` where it is over.
    """
    states = len(candidate.states)
    before = np.zeros((candidate.epochs, states), dtype=np.int64)
    energy, elapsed = candidate.setup_energy + candidate.energy[0], candidate.setup_time + candidate.time[0]
    counts = {"labels": 0, "pruned": 0}
    for k in range(candidate.epochs):
        clock.check()
        if k:
            energy, elapsed, before[k] = _step(candidate, k, energy, elapsed, constant)
        reached: BoolArray = np.isfinite(energy)
        late = reached & (on.value(k + 1, np.where(reached, elapsed, 0.0)) < 0.5)
        counts["labels"] += int(np.count_nonzero(reached & ~late))
        counts["pruned"] += int(np.count_nonzero(late))
        energy = np.where(late, np.inf, energy)
    if not np.isfinite(energy).any():
        return None, counts
    path = [int(np.argmin(energy))]
    for k in range(candidate.epochs - 1, 0, -1):
        path.append(int(before[k, path[-1]]))
    return np.array(path[::-1], dtype=np.int64), counts


def _step(
    candidate: Candidate, k: int, energy: FloatArray, elapsed: FloatArray, constant: bool
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Labels of epoch k, 0-based, each from the label that reaches its state with least energy, then least time."""
    index = np.arange(len(energy))
    if constant:
        return energy + candidate.energy[k], elapsed + candidate.time[k], index
    if candidate.switch_energy is None and candidate.switch_time is None:  # all come from the same label
        best = int(np.lexsort((elapsed, energy))[0])
        return energy[best] + candidate.energy[k], elapsed[best] + candidate.time[k], np.full(len(energy), best)
    joules, seconds = candidate.switch_energy, candidate.switch_time
    spent = energy[:, None] + (0.0 * index if joules is None or k >= candidate.counted else joules)
    taken = elapsed[:, None] + (0.0 * index if seconds is None else seconds)
    cheapest = spent.min(axis=0)
    origin = np.argmin(np.where(spent == cheapest, taken, np.inf), axis=0)
    return cheapest + candidate.energy[k], taken[origin, index] + candidate.time[k], origin


def solve(problem: Jqodi, options: Options) -> Outcome:
    """The cheapest plan of all models and bit-widths that stays on schedule. Takes time_limit."""
    clock = options.clock()
    best: tuple[float, Candidate, IntArray] | None = None
    details: dict[str, Any] = {"candidates": {}}
    guessed = []
    status: Status = "heuristic"
    for candidate in candidates(problem):
        model = problem.model(candidate.model)
        try:
            clock.check()
            on = loss_schedule(problem, model, model.width(candidate.bits), candidate)
            states, counts = forward(candidate, on, problem.mode == "choice", clock)
        except OutOfTime:
            status = "time-limit"
            break
        if on.loss is None:
            guessed.append(candidate.key)
        details["candidates"][candidate.key] = counts
        if states is not None and keeps_limit(problem, candidate, states):
            value = totals(candidate, states)[0]
            if best is None or value < best[0]:
                best = (value, candidate, states)
    complete = best is not None or status == "time-limit"
    notes = [] if complete else ["no plan stays on the ideal curve until its loss is reached"]
    if guessed:
        notes.append(f"only K is known of {', '.join(guessed)}: progress taken as k / K")
    plan = None if best is None else plan_of(problem, best[1], best[2])
    return Outcome(status, plan, message="; ".join(notes), details=details)
