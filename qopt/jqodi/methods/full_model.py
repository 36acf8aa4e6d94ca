"""`full-model` and `minimal-model`: the paper's comparisons, the widest and the smallest bit-width (Section V-A).

Only the bit-width is given; model, cut and server are the best. Three cases, in this order:

1. A plan reaches its loss within T_max: the one of least energy.
2. Its loss can be reached, but not within T_max: the one of least energy whatever it takes.
3. The loss is never reached: the server and cut of least energy an epoch, for as many epochs as T_max holds.

In cases 2 and 3 the certificate says what is broken, as it does where the width is not among the admissible ones.
"""

from __future__ import annotations

import math

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.limits import limit_with_slack, within
from qopt.core.method import Options, fastest
from qopt.core.solution import Outcome
from qopt.jqodi.limits import smallest_limits
from qopt.jqodi.losses import MAX_EPOCHS
from qopt.jqodi.methods.first import first_plan
from qopt.jqodi.methods.registry import METHODS
from qopt.jqodi.parts import Inference
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.terms import Candidate, candidate_at, candidates, loosest_limit, plan_of


def solve_full(problem: Jqodi, options: Options) -> Outcome:
    """The best plan at the widest entry, the full-precision model. Takes time_limit."""
    return _at_width(problem, max(width.bits for model in problem.models for width in model.widths), options)


def solve_minimal(problem: Jqodi, options: Options) -> Outcome:
    """The best plan at the smallest entry. Takes time_limit."""
    return _at_width(problem, min(width.bits for model in problem.models for width in model.widths), options)


def _at_width(problem: Jqodi, bits: int, options: Options) -> Outcome:
    clock, details = options.clock(), {"bits": bits}
    only = problem.model_copy(update={"widths": (bits,)})
    if any(only.needed(model, width) is not None for model, width in only.admissible):
        for limit, note in (
            (problem.time_limit, ""),
            (loosest_limit(candidates(only)), f"; nothing at this width keeps T_max of {problem.time_limit:g} s"),
        ):
            asked = only.model_copy(update={"time_limit": limit})
            method = fastest(METHODS, asked)
            found = method.run(asked, Options(time_limit=clock.left, running=clock))
            if found.plan is not None or found.status != "infeasible":
                late = found.status == "time-limit"
                plan = first_plan(asked, clock) if late and found.plan is None else found.plan
                return Outcome(
                    "time-limit" if late else "heuristic", plan, message=f"{bits} bits{note}", details=details
                )
    return _never(problem, only, bits)


def _never(problem: Jqodi, only: Jqodi, bits: int) -> Outcome:
    """Case 3."""
    best: tuple[float, Candidate, int] | None = None
    training = only.model_copy(update={"inference": Inference()})
    for model, width in only.admissible:
        if only.needed(model, width) is not None:
            continue  # its K is known, and no plan is possible in all of its epochs, whatever T_max
        candidate = candidate_at(training, model.name, bits, epochs=1)
        for s in np.flatnonzero(np.isfinite(candidate.time[0])).tolist():
            joules = float(candidate.energy[0, s])
            epochs = _fitting(problem, model.name, bits, s) if best is None or joules < best[0] else 0
            if epochs:
                best = (joules, candidate_at(problem, model.name, bits, epochs=epochs), s)
    if best is None:
        never = any(only.needed(model, width) is None for model, width in only.admissible)
        nothing = f"T_max of {problem.time_limit:g} s holds not one epoch" if never else smallest_limits(only).message
        return Outcome("heuristic", message=f"{bits} bits: {nothing}")
    _, candidate, state = best
    states: IntArray = np.full(candidate.epochs, state)
    message = f"{bits} bits; the loss is never reached: as many epochs as T_max holds"
    return Outcome("heuristic", plan_of(problem, candidate, states), message=message, details={"bits": bits})


def _fitting(problem: Jqodi, model: str, bits: int, state: int) -> int:
    """How many epochs of one state T_max holds."""
    horizon = problem.horizon
    if horizon == 0:
        return 0
    candidate = candidate_at(problem, model, bits, epochs=2 if horizon is None else horizon)
    room = limit_with_slack(problem.time_limit) - candidate.setup_time
    if horizon is None:
        first, each = candidate.time[:, state].tolist()
        times = [each] * (MAX_EPOCHS if each == 0 else math.floor(min(max(room, 0.0) / each + 1, MAX_EPOCHS)))
        times[0] = first
    else:
        times = candidate.time[:, state].tolist()
    count = min(int(np.count_nonzero(np.cumsum(times) <= room)) + 1, len(times))
    while count and not within([candidate.setup_time, *times[:count]], problem.time_limit):
        count -= 1
    return count
