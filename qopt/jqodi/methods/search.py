"""What the exact methods for JQODI share: one candidate (model and bit-width) after the other, the best of them.

The candidate of the least bound is solved first. What it found is the upper value of the next: that one's search then
only shows that nothing is cheaper, and its tree goes into the witness beside the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from qopt.core.arrays import IntArray
from qopt.core.clock import ENDLESS, Clock
from qopt.core.display import Brief
from qopt.core.method import Options
from qopt.core.solution import Outcome, Status
from qopt.jqodi.limits import smallest_limits
from qopt.jqodi.problem import Jqodi
from qopt.jqodi.reductions import possible, schedule_instance
from qopt.jqodi.terms import Candidate, candidates, keeps_limit, plan_of, totals
from qopt.kernels import mckp
from qopt.kernels.nodes import Node


@dataclass(frozen=True, repr=False)
class CandidateResult(Brief):
    """What a kernel says of one candidate.

    Attributes
    ----------
    status : of the kernel (`qopt.kernels.rcsp.Result`).
    states : (K,) of the best plan; None if there is none, or none below the upper value.
    bound : no plan of this candidate costs less, up to the upper value; None where nothing is known.
    tree : a proof, or a leaf that bounds what is left open; None without one.
    details : numbers worth keeping.
    """

    status: Literal["optimal", "optimal-by-solver", "infeasible", "cutoff", "within-gap", "limit"]
    states: IntArray | None
    bound: float | None
    tree: list[Node] | None
    details: dict[str, object]


GAVE_UP = "stopped at the limit on partial plans that are kept"
"""Why a kernel stops short of an answer when the clock does not stop it, where it gives no reason of its candidate."""

ROUNDING = 1e-12
"""Share that a sum of energies may have been rounded up by."""

Solver = Callable[[Jqodi, Candidate, float, float, Clock], CandidateResult]
"""Problem, candidate, upper value, relative gap, clock."""


def least_energy(problem: Jqodi, candidate: Candidate, clock: Clock = ENDLESS) -> float:
    """A bound on a candidate's plans, changes left out, T_max too where the time is over; infinite without one."""
    if not possible(candidate):
        return math.inf
    if problem.mode == "choice":
        with np.errstate(over="ignore"):
            return candidate.setup_energy + float(candidate.energy.sum(axis=0).min())
    if clock.over:
        return (candidate.setup_energy + float(candidate.energy.min(axis=1).sum())) * (1.0 - ROUNDING)
    instance = schedule_instance(candidate, problem.time_limit)
    bound = mckp.lp_bound(instance.cost, instance.weight, instance.limit)
    return math.inf if bound is None else bound


def infeasible(
    problem: Jqodi,
    witness: dict[str, object] | None = None,
    details: Mapping[str, object] | None = None,
    clock: Clock = ENDLESS,
) -> Outcome:
    """The claim that there is no plan, and which limit is to blame, if there is time to find out."""
    message = "" if clock.over else smallest_limits(problem).message
    return Outcome("infeasible", witness=witness, message=message, details=details or {})


def search(problem: Jqodi, options: Options, kind: Literal["mckp", "rcsp"], solve: Solver) -> Outcome:
    """The best plan of all candidates.

    Parameters
    ----------
    kind : of the trees.
    solve : a kernel on one candidate that is possible in every epoch.
    """
    clock, gap = options.clock(), options.gap or 0.0
    bounds = [(least_energy(problem, candidate, clock), candidate) for candidate in candidates(problem)]
    order = sorted(bounds, key=lambda pair: pair[0])
    best: tuple[float, Candidate, IntArray] | None = None
    proved, stopped, why = math.inf, False, ""
    witness: dict[str, Any] = {"format": "qopt/jqodi-witness", "version": 1, "kind": kind, "candidates": {}}
    details: dict[str, Any] = {"candidates": {}}
    for least, candidate in order:
        if not possible(candidate):
            details["candidates"][candidate.key] = {"status": "infeasible"}
            continue
        upper = math.inf if best is None else best[0] - gap * abs(best[0])
        if clock.over:
            stopped, proved = True, min(proved, least)
            continue
        answer = solve(problem, candidate, upper, gap, clock)
        details["candidates"][candidate.key] = {"status": answer.status, **answer.details}
        if answer.tree is not None:
            witness["candidates"][candidate.key] = answer.tree
        if answer.status == "limit":
            stopped = True
            why = str(answer.details.get("stopped", GAVE_UP))
        if answer.status != "infeasible":
            proved = min(proved, least if answer.bound is None else max(answer.bound, least))
        if answer.states is not None:
            value = totals(candidate, answer.states)[0]
            if value < upper and keeps_limit(problem, candidate, answer.states):
                best = (value, candidate, answer.states)
    status: Status = "feasible" if gap else "optimal"
    if stopped:
        status = "time-limit" if clock.over else "feasible"
    bound = proved if math.isfinite(proved) else None
    if best is None:
        if not stopped:
            return infeasible(problem, witness, details, clock)
        status = "time-limit" if clock.over else "failed"
        return Outcome(status, bound=bound, witness=witness, message="" if clock.over else why, details=details)
    bound = None if bound is None else min(bound, best[0])
    if bound == best[0] and not stopped:
        status = "optimal"
    why = "" if clock.over else why
    message = why if stopped else "" if status == "optimal" else f"stopped within a gap of {gap:g}"
    return Outcome(status, plan_of(problem, best[1], best[2]), bound, witness, message, details)
